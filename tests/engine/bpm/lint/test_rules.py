"""Business rule tasks: what they name must exist, and get what it asks for."""

import json

import pytest

from engine.bpm.lint.finding import Finding
from tests.engine.bpm.lint.diagrams import (
    ASSIGN,
    codes,
    element,
    end,
    exclusive,
    extension,
    flow,
    lint,
    path,
    process,
    user,
)
from tests.engine.bpm.lint.diagrams import start as begin
from tests.factories.tables import decisions, literal, table

FORMS = {
    "forms/leave.json": json.dumps(
        {
            "schemaVersion": 19,
            "id": "leave",
            "type": "default",
            "components": [{"type": "number", "id": "f", "key": "days", "label": "天数"}],
        }
    )
}
TABLE = table("审批级别", {"days": "number"}, '<= 3 | "科长"', '> 3 | "院长"')
RULES = {"decisions/approval.dmn": decisions(TABLE, inputs=("days",))}
FILES = FORMS | RULES
FIRST = user("a", extra=ASSIGN + '<piyue:task form="leave"/><piyue:fields default="edit"/>')

TWICE = '<piyue:decision file="approval" name="审批级别" result="other"/>'


def named(*inner: str, file: str = "approval", name: str = "审批级别", result: str = "level") -> str:
    """The extension of the task."""
    return extension(f'<piyue:decision file="{file}" name="{name}" result="{result}">{"".join(inner)}</piyue:decision>')


def diagram(box: str, *more: str) -> str:
    """A process start → a → x → end where x is a business rule task."""
    return process(
        begin(), FIRST, element("businessRuleTask", "x", box), end(), path("start", "a", "x", "end"), *more
    )  # fmt: skip


def given(name: str, value: str) -> str:
    """An input."""
    return f'<piyue:input name="{name}" value="{value}"/>'


def test_a_task_that_names_what_is_there() -> None:
    assert lint(diagram(named()), FILES) == []
    assert lint(diagram(named(given("days", "=days * 2"))), FILES) == []


@pytest.mark.parametrize(
    ("box", "code", "cure"),
    [
        (named(file="aproval"), "decision_file_missing", "approval"),
        (named(name="级别"), "decision_unknown", "审批级别"),
        (named(result="outcome"), "name_reserved", "换一个名称"),
        (named(result="_x"), "name_reserved", "换一个名称"),
        (named(given("天数", "=days"), given("days", "=days")), "decision_input_unknown", "days"),
        (named(given("days", "=days ==")), "not_feel", "FEEL"),
        (named("<piyue:output name='a' value='b'/>"), "extension_element", "删去"),
        (extension('<piyue:operation name="x"/>'), "extension_element", "piyue:decision"),
        (extension('<piyue:decision file="approval" name="审批级别"/>'), "extension_attribute_missing", "result"),
        (named().replace("result=", 'table="t" result='), "extension_attribute", "可用的属性"),
        (named().replace("</piyue:decision>", "</piyue:decision>" + TWICE), "extension_element", "只留一个"),
    ],
)  # fmt: skip
def test_what_is_refused(box: str, code: str, cure: str) -> None:
    found = [f for f in lint(diagram(box), FILES) if f.code == code]
    assert found, lint(diagram(box), FILES)
    assert {(f.file, f.element, f.severity) for f in found} == {("process.bpmn", "x", "error")}
    assert any(cure in f.cure for f in found), found


def test_an_input_that_nobody_gives_is_always_null() -> None:
    asks = decisions(literal("审批级别", "days + posts", "days", "posts"), inputs=("days", "posts"))
    (finding,) = lint(diagram(named()), FILES | {"decisions/approval.dmn": asks})
    assert (finding.code, finding.severity) == ("decision_input_missing", "warning")
    assert "posts" in finding.message
    assert "days" not in finding.message
    assert codes(diagram(named(given("posts", "1"))), FILES | {"decisions/approval.dmn": asks}) == {
        "decision_input_missing"
    }
    # without forms other names may come: nothing is known for sure
    assert "decision_input_missing" not in codes(
        process(begin(), element("businessRuleTask", "x", named()), user("b"), end(), path("start", "x", "b", "end")),
        {"decisions/approval.dmn": asks},
    )


FIELDS = FORMS["forms/leave.json"].replace(
    "]",
    ', {"type": "textfield", "id": "r", "key": "region", "label": "地区"},'
    ' {"type": "datetime", "subtype": "date", "id": "s", "key": "since", "dateLabel": "起"}]',
)


def _given(kind: str, *inputs: str) -> list[Finding]:
    """What is found where a decision's only input is of that type."""
    asks = decisions(table("审批级别", {"x": kind}, '- | "科长"'), inputs=("x",)).replace(
        '<variable name="x"/>', f'<variable name="x" typeRef="{kind}"/>'
    )
    return lint(diagram(named(*inputs)), {"forms/leave.json": FIELDS, "decisions/approval.dmn": asks})


@pytest.mark.parametrize(
    ("kind", "value", "cure"),
    [
        ("number", "=region", "=number(region)"),
        ("number", "3", "写成 =3"),
        ("number", "days", "写成 =days"),
        ("date", "=since", "=date(since)"),
        ("date", "2026-05-01", '写成 =date("2026-05-01")'),
        ("days and time duration", "=region", "=duration(region)"),
        ("boolean", "=days", "结果是真假的表达式"),
        ("string", "=days", "=string(days)"),
    ],
)
def test_an_input_of_another_type_than_declared_would_be_null(kind: str, value: str, cure: str) -> None:
    (found,) = _given(kind, given("x", value))
    assert (found.code, found.severity, found.element) == ("decision_input_type", "error", "x")
    assert cure in found.cure


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("number", "=days"),
        ("date", "=date(since)"),
        ("date and time", "=date(since)"),
        ("string", "3"),
        ("any", "=days"),
    ],
)
def test_an_input_that_may_be_of_its_type_is_none_of_the_linters_business(kind: str, value: str) -> None:
    assert _given(kind, given("x", value)) == []


def test_a_field_of_the_inputs_name_is_checked_against_its_type_too() -> None:
    asks = decisions(table("审批级别", {"since": "date"}, '- | "科长"'), inputs=("since",)).replace(
        '<variable name="since"/>', '<variable name="since" typeRef="date"/>'
    )
    (found,) = lint(diagram(named()), {"forms/leave.json": FIELDS, "decisions/approval.dmn": asks})
    assert (found.code, found.cure) == ("decision_input_type", "给输入“since”写 =date(since)")


def test_a_literal_outside_the_allowed_values_is_refused() -> None:
    values = '<allowedValues><text>"国内","国外"</text></allowedValues>'
    item = f'<itemDefinition name="地区"><typeRef>string</typeRef>{values}</itemDefinition><inputData'
    asks = decisions(table("审批级别", {"x": "string"}, '- | "科长"'), inputs=("x",))
    asks = asks.replace('<variable name="x"/>', '<variable name="x" typeRef="地区"/>')
    files = {"forms/leave.json": FIELDS, "decisions/approval.dmn": asks.replace("<inputData", item, 1)}
    assert lint(diagram(named(given("x", "国外"))), files) == []
    (found,) = lint(diagram(named(given("x", "region"))), files)
    assert found.code == "decision_input_type"
    assert found.cure == "允许的值：国内、国外；要的是字段“region”的值就写 =region"


def test_one_error_says_which_attribute_of_the_decision_is_missing() -> None:
    box = extension('<piyue:decision file="approval" name="审批级别"/>')
    (found,) = [f for f in lint(diagram(box), FILES) if f.severity == "error"]
    assert "result" in found.message


def test_what_it_decides_may_be_asked_by_those_after_it() -> None:
    more = (
        exclusive("g", default="g-end"),
        user("b"),
        flow("g", "b", 'level = "院长"'),
        flow("g", "end"),
        path("b", "end"),
    )
    content = process(
        begin(), FIRST, element("businessRuleTask", "x", named()), end(), path("start", "a", "x", "g"), *more
    )  # fmt: skip
    assert lint(content, FILES) == []
    assert codes(content.replace('level = "院长"', 'levels = "院长"'), FILES) == {"unknown_name"}


def test_a_decision_file_that_is_none_is_reported_where_it_is_and_only_there() -> None:
    found = lint(diagram(named()), FORMS | {"decisions/approval.dmn": "<definitions"})
    assert [(f.file, f.severity) for f in found] == [("decisions/approval.dmn", "error")]


def test_it_waits_for_nobody_a_loop_of_it_is_endless() -> None:
    content = process(
        begin(),
        FIRST,
        exclusive("g", default="g-end"),
        element("businessRuleTask", "x", named()),
        end(),
        path("start", "a", "x", "g", "end"),
        flow("g", "x", 'level = "院长"'),
    )
    assert "endless_loop" in codes(content, FILES)


def test_like_other_automatic_tasks_it_is_not_repeated() -> None:
    loop = '<bpmn:standardLoopCharacteristics loopMaximum="2"/>'
    content = process(
        begin(), FIRST, element("businessRuleTask", "x", named(), loop), end(), path("start", "a", "x", "end")
    )  # fmt: skip
    assert codes(content, FILES) == {"loop_task"}


def test_the_expressions_of_a_decision_are_type_checked() -> None:
    """Names that it doesn't require, cells that no value passes; each at its line in the file."""
    wrong = table("审批级别", {"days": "number", "dayz": "number"}, '<= "三" | - | "科长"', '> 3 | > limit | "院长"')
    text = decisions(wrong, inputs=("days",)).replace(
        '<requiredInput href="#i_dayz"/>', '<requiredInput href="#i_days"/>'
    )
    found = [f for f in lint(diagram(named()), FORMS | {"decisions/approval.dmn": text}) if f.file.endswith(".dmn")]
    assert [(f.code, f.severity) for f in found] == [
        ("type_operator", "error"),
        ("unknown_name", "warning"),
        ("unknown_name", "warning"),
    ]
    assert {f.cure for f in found[1:]} == {"是不是“days”", "检查拼写，改成已有的名称"}
    assert {f.name for f in found} == {"审批级别"}


def test_what_a_decision_may_answer_is_known_to_the_gateways_behind_it() -> None:
    values = '<outputValues><text>"科长","院长"</text></outputValues>'
    rules = {"decisions/approval.dmn": RULES["decisions/approval.dmn"].replace('_o"/>', f'_o">{values}</output>')}

    def routed(value: str) -> str:
        conditions = [exclusive("g", default="f_g_end"), end("other")]
        ways = [flow("g", "other", f'level = "{value}"', id_="f_g_other"), flow("g", "end", id_="f_g_end")]
        box = element("businessRuleTask", "x", named())
        return process(begin(), FIRST, box, *conditions, end(), path("start", "a", "x", "g"), *ways)

    assert lint(routed("院长"), FORMS | rules) == []
    (found,) = lint(routed("科常"), FORMS | rules)
    assert (found.code, found.cure) == ("unknown_value", "可选的值：科长、院长")


def _found(text: str) -> list[Finding]:
    """What is found in a decision file."""
    return [f for f in lint(diagram(named()), FORMS | {"decisions/approval.dmn": text}) if f.file.endswith(".dmn")]


def test_a_text_without_quotes_is_told_with_the_rule_and_the_column() -> None:
    text = decisions(table("审批级别", {"days": "string"}, '"国内" | "科长"', "国外 | 院长"), inputs=("days",))
    cell, result = (f for f in _found(text) if f.code == "unknown_name")
    assert cell.message.startswith("第 2 条规则“days”：")
    assert "“国外”不是已知的名称；文本要加双引号" in cell.message
    assert (cell.cure, result.cure) == ('写成 "国外"', '写成 "院长"')
    assert result.message.startswith("第 2 条规则“结果”：")


def test_a_name_of_the_file_that_is_not_required_asks_for_its_line() -> None:
    other = '<inputData id="i_y" name="y"><variable name="y"/></inputData>'
    text = decisions(table("审批级别", {"days": "number"}, '< y | "科长"', '>= y | "院长"'), inputs=("days",))
    found = [f for f in _found(text.replace("<decision ", other + "<decision ", 1)) if f.code == "unknown_name"]
    assert {f.cure for f in found} == {"用信息需求线连上“y”"}
    assert "“y”没有连到“审批级别”" in found[0].message


def test_a_requirement_of_what_is_not_there_is_reported_at_its_own_line() -> None:
    text = decisions(TABLE, inputs=("days",)).replace("<informationRequirement", "\n\n<informationRequirement")
    (found, *_) = _found(text.replace('href="#i_days"', 'href="#i_dayz"'))
    assert (found.code, found.line) == ("decision_invalid", 4)


def test_a_result_outside_its_columns_values_or_of_another_type_is_told() -> None:
    values = '<outputValues><text>"科长","主任"</text></outputValues>'
    text = decisions(TABLE, inputs=("days",))
    (found,) = _found(text.replace('_o"/>', f'_o" label="去向">{values}</output>'))
    assert (found.code, found.severity) == ("table_output_unknown", "warning")
    assert "第 2 条规则“去向”：“院长”不在这一列的允许值里" in found.message
    assert found.cure.endswith("科长、主任")
    assert {f.code for f in _found(text.replace('_o"/>', '_o" typeRef="number"/>'))} == {"type_result"}


@pytest.mark.parametrize(
    ("right", "wrong", "cure"),
    [('hitPolicy="UNIQUE"', 'hitPolicy="UNIK"', "UNIQUE"), ('typeRef="number"', 'typeRef="nummber"', "“number”")],
)
def test_an_unknown_word_of_the_file_is_told_with_those_that_are_known(right: str, wrong: str, cure: str) -> None:
    found = [
        f for f in _found(decisions(TABLE, inputs=("days",)).replace(right, wrong)) if f.code == "decision_invalid"
    ]
    assert found
    assert all(cure in f.cure for f in found)
