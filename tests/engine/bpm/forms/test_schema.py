"""Loading is strict: each fault is refused with its place and cure."""

import json
from typing import Any

import pytest

from engine.bpm.forms import FieldType, Form, check
from engine.errors import Invalid

GOOD = {"type": "textfield", "key": "topic", "label": "事由"}


def load(*components: Any, **changes: Any) -> Form:
    schema = {"schemaVersion": 19, "type": "default", "id": "x", "components": list(components), **changes}
    return Form.load(json.dumps(schema), place="forms/leave.json")


def fault(*components: Any, **changes: Any) -> dict[str, Any]:
    with pytest.raises(Invalid) as refused:
        load(*components, **changes)
    assert refused.value.code == "form_schema"
    assert "forms/leave.json" in refused.value.message
    (error,) = refused.value.errors
    return error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "第 1 行第 2 列"),
        ("[]", "JSON 对象"),
        ('{"id": "a", "id": "b"}', "“id”出现两次"),
        ('{"schemaVersion": NaN}', "NaN"),
        ("[" * 100_000, "嵌套过深"),
        ('{"id": ' + "9" * 5000 + "}", "数字过大"),
        ('{"id": "\\ud800"}', "残缺"),
        ('"' + " " * 1_000_001 + '"', "1 MB"),
    ],
)
def test_text_that_is_no_form(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        Form.load(text, place="a.json")


@pytest.mark.parametrize(
    ("component", "place", "message"),
    [
        ("text", "components[0]", "组件应为对象"),
        ({"type": "slider"}, "components[0].type", "“slider”不认识"),
        ({"type": "html", "content": "<b>"}, "components[0].type", "“html”不允许"),
        ({"type": "button", "action": "submit"}, "components[0].type", "“button”不允许"),
        ({"type": "textfield", "label": "x"}, "components[0].key", "缺少“key”"),
        ({**GOOD, "key": "a b"}, "components[0].key", "不合规则"),
        ({**GOOD, "key": "_secret"}, "components[0].key", "不合规则"),
        ({**GOOD, "key": "outcome"}, "components[0].key", "保留名"),
        ({**GOOD, "key": "action"}, "components[0].key", "保留名"),
        ({**GOOD, "key": "count"}, "components[0].key", "保留名"),
        ({**GOOD, "label": 5}, "components[0].label", "应为至多"),
        ({**GOOD, "label": "{{topic}}"}, "components[0].label", "模板"),
        ({**GOOD, "conditional": {"hide": "=a >"}}, "components[0].conditional.hide", "FEEL"),
        ({**GOOD, "conditional": {"hide": "a > 1"}}, "components[0].conditional.hide", "以 = 开头"),
        ({**GOOD, "validate": {"requierd": True}}, "components[0].validate.requierd", "不认识"),
        ({**GOOD, "validate": {"pattern": "(a+)+$"}}, "components[0].validate.pattern", "嵌套重复"),
        ({**GOOD, "properties": {"widget": "money"}}, "components[0].properties.widget", "不认识"),
        ({**GOOD, "defaultValue": {}}, "components[0].defaultValue", "默认值"),
        ({"type": "number", "key": "n", "label": "n", "increment": -1}, "components[0].increment", "大于 0"),
        ({"type": "select", "key": "s", "label": "s"}, "components[0].values", "恰有一个"),
        (
            {"type": "radio", "key": "s", "label": "s", "values": [{"value": 1}, {"value": "1"}]},
            "components[0].values",
            "重复",
        ),
        ({"type": "image", "source": "https://elsewhere.example/x.png"}, "components[0].source", "本系统的附件"),
        ({"type": "group", "path": "inner", "components": []}, "components[0].path", "数据路径"),
        ({"type": "group", "components": [{"type": "iframe"}]}, "components[0].components[0].type", "“iframe”不允许"),
    ],
)
def test_components_with_a_fault(component: Any, place: str, message: str) -> None:
    error = fault(component)
    assert error["place"] == place
    assert message in error["message"]


def test_a_refused_type_names_its_cure() -> None:
    assert "Markdown" in fault({"type": "html"})["cure"]


@pytest.mark.parametrize("version", [18, 20, "19", None, True])
def test_only_the_known_schema_version(version: Any) -> None:
    assert fault(GOOD, schemaVersion=version)["place"] == "schemaVersion"


def test_keys_and_ids_are_unique_in_the_form() -> None:
    assert "“topic”重复" in fault(GOOD, {"type": "group", "components": [GOOD]})["message"]
    assert "重复" in fault({**GOOD, "id": "a"}, {**GOOD, "key": "other", "id": "a"})["message"]


def test_rows_have_their_own_keys() -> None:
    form = load(GOOD, {"type": "dynamiclist", "path": "items", "label": "明细", "components": [GOOD]})
    assert form.fields() == {"topic": FieldType.TEXT, "items": FieldType.ROWS}
    assert form.fields("items") == {"topic": FieldType.TEXT}


def test_conditions_that_depend_on_one_another() -> None:
    error = fault(
        {**GOOD, "key": "a", "conditional": {"hide": "=b = null"}},
        {**GOOD, "key": "b", "conditional": {"hide": "=a = null"}},
    )
    assert "互相依赖" in error["message"]


def test_a_list_whose_rows_come_and_go_keeps_no_read_only_field() -> None:
    field = {**GOOD, "readonly": True}
    rows = {"type": "dynamiclist", "path": "items", "label": "明细", "components": [field]}
    assert "只读" in fault(rows)["message"]
    assert load({**rows, "allowAddRemove": False}).fields() == {"items": FieldType.ROWS}


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        load({"type": "html"}, {"type": "slider"}, {**GOOD, "key": "steps"})
    assert len(refused.value.errors) == 3


def test_field_types() -> None:
    options = [{"label": "甲", "value": "a"}]
    form = load(
        {"type": "number", "key": "n", "label": "x"},
        {"type": "datetime", "key": "d", "subtype": "date", "dateLabel": "x"},
        {"type": "datetime", "key": "dt", "subtype": "datetime", "dateLabel": "x"},
        {"type": "checkbox", "key": "c", "label": "x"},
        {"type": "checklist", "key": "cl", "label": "x", "values": options},
        {"type": "select", "key": "s", "label": "x", "values": options},
        {"type": "radio", "key": "r", "label": "x", "values": [{"value": 1}, {"value": 2.5}]},
        {"type": "select", "key": "dyn", "label": "x", "valuesKey": "choices"},
        {"type": "textfield", "key": "p", "label": "x", "properties": {"widget": "person"}},
        {"type": "taglist", "key": "ds", "label": "x", "properties": {"widget": "departments"}},
        {"type": "filepicker", "key": "f", "label": "x"},
        {"type": "filepicker", "key": "fs", "label": "x", "multiple": True},
        {"type": "expression", "key": "e", "expression": "=n + 1"},
    )
    assert {key: str(kind) for key, kind in form.fields().items()} == {
        "n": "number", "d": "date", "dt": "datetime", "c": "boolean", "cl": "list", "s": "text", "r": "number",
        "dyn": "any", "p": "person", "ds": "departments", "f": "attachment", "fs": "attachments", "e": "any",
    }  # fmt: skip
    assert form.expressions() == [("components[12]", "n + 1")]


def test_lint_tells_what_would_be_ignored() -> None:
    text = json.dumps(
        {
            "schemaVersion": 19,
            "type": "default",
            "id": "x",
            "exporter": {"name": "form-js"},
            "components": [{**GOOD, "id": "F1", "colour": "red"}],
        },
        indent=1,
    )
    (finding,) = Form.load(text, place="a.json").lint()
    assert (finding.severity, finding.element) == ("warning", "F1")
    assert "colour" in finding.message
    assert '"F1"' in text.splitlines()[finding.line - 1]
    assert list(check(text, place="a.json")) == [finding]


def test_check_reports_errors_without_raising() -> None:
    assert [finding.severity for finding in check("{", place="a.json")] == ["error"]
