"""Expressions against the types of the data: known from the forms, told at their element with the cure."""

import json
from typing import Any

import pytest

from engine.bpm.forms import Form, everything
from engine.bpm.lint import Finding, check
from engine.bpm.lint.data import data_types
from engine.bpm.lint.forms import expressions
from engine.feel import FeelType
from tests.engine.bpm.lint.cases import catch, timer
from tests.engine.bpm.lint.diagrams import (
    ASSIGN,
    element,
    end,
    exclusive,
    extension,
    flow,
    path,
    process,
    start,
    user,
)

BEGIN = ASSIGN + '<piyue:task kind="fill" form="leave" start="true"/>'


def field(kind: str, key: str, **more: Any) -> dict[str, Any]:
    """A component of a form."""
    name = "path" if kind == "dynamiclist" else "key"
    label = {} if kind == "expression" else {"label": key}
    return {"type": kind, "id": f"c_{key}", name: key, **label, **more}


def options(*values: Any) -> list[dict[str, Any]]:
    return [{"label": str(value), "value": value} for value in values]


FIELDS = [
    field("select", "kind", values=options("年假", "病假", "事假")),
    field("datetime", "from_day", subtype="date"),
    field("datetime", "to_day", subtype="date"),
    field("checkbox", "urgent"),
    field("radio", "grade", values=options(1, 2, 3)),
    field("checklist", "seals", values=options("公章", "合同章")),
    field("textfield", "reason"),
    field("textfield", "handover", properties={"widget": "person"}),
    field("taglist", "readers", properties={"widget": "people"}),
    field("filepicker", "files", multiple=True),
    field("number", "days"),
    field("dynamiclist", "items", components=[
        field("textfield", "name"),
        field("number", "price"),
        field("expression", "double", expression="=this.price * 2"),
    ]),
    field("expression", "length", expression="=(date(to_day) - date(from_day)).days + 1"),
    field("expression", "total", expression="=sum(items.double)"),
    field("expression", "size", expression='=if length > 3 then "long" else "short"'),
    field("expression", "until", expression='=date(to_day) + duration("P1D")'),
]  # fmt: skip


def form(*more: dict[str, Any]) -> str:
    return json.dumps(
        {"schemaVersion": 19, "type": "default", "id": "leave", "components": [*FIELDS, *more]},
        indent=1,
        ensure_ascii=False,
    )


def findings(diagram: str, *more: dict[str, Any]) -> list[Finding]:
    found = check({"process.bpmn": diagram, "forms/leave.json": form(*more)})
    return [each for each in found if each.code not in ("gateway_idle", "flow_twice")]  # the diagrams are small


def branching(*conditions: str, default: bool = True) -> str:
    """A start step, then a gateway with a flow for each condition."""
    flows = [flow("g", "end", text, f"f{index}") for index, text in enumerate(conditions, 1)]
    return process(
        start(),
        user("a", extra=BEGIN),
        exclusive("g", default="other") if default else exclusive("g"),
        end(),
        path("start", "a", "g"),
        *flows,
        flow("g", "end", None, "other") if default else "",
    )


def titled(text: str) -> str:
    box = extension(f"<piyue:process title='={text}'/>")
    return process(box, start(), user("a", extra=BEGIN), end(), path("start", "a", "end"))


def test_the_types_of_the_data_come_from_the_forms() -> None:
    loaded = Form.load(form(), place="leave.json")
    text, number, texts = FeelType("string"), FeelType("number"), FeelType("list", (FeelType("string"),))
    row = FeelType("context", (text, number, number), ("name", "price", "double"))
    types = data_types({"leave": loaded}, [], [])
    assert types.pop("kind").values == ("年假", "病假", "事假")
    assert types.pop("grade").values == (1, 2, 3)
    assert types.pop("seals").arguments[0].values == ("公章", "合同章")
    assert types.pop("size").values == ("long", "short")
    assert types == {
        "from_day": text, "to_day": text, "reason": text, "handover": text, "until": text,
        "urgent": FeelType("boolean"), "readers": texts, "files": texts, "days": number, "length": number,
        "total": number,
        "items": FeelType("list", (row,)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "code", "severity", "says", "cure"),
    [
        ('length > "3"', "type_operator", "error", "数字和文本", "不加引号"),
        ("to_day - from_day > 3", "type_operator", "error", "文本和文本", "date(…)"),
        ("to_day > today()", "type_operator", "error", "文本和日期", "date(…)"),
        ("length", "type_result", "error", "数字", "比较"),
        ("urgent = true and reason", "type_condition", "error", "文本", "!= null"),
        ('readers = "x"', "type_operator", "error", "列表和文本", "list contains"),
        ("count(readers, 1) > 2", "argument_count", "error", "count", "count(list)"),
        ("substring(length, 1) = null", "argument_type", "error", "要文本", "文本"),
        ('kind = "婚假"', "unknown_value", "warning", "“婚假”", "年假、病假、事假"),
        ('list contains(seals, "财务章")', "unknown_value", "warning", "“财务章”", "公章"),
        ("lenght > 3", "unknown_name", "warning", "“lenght”", "length"),
        ("days hours > 3", "unknown_name", "warning", "“days hours”", "表单里加上"),
        ('steps.b = "submit"', "unknown_path", "warning", "“b”", "名称"),
        ('initiator.departments = "儿科"', "unknown_path", "warning", "departments", "department"),
        ("some i in items satisfies i.prize > 3", "unknown_path", "warning", "“prize”", "price"),
        ("length > 5 and length < 3", "unreachable_branch", "warning", "永远不成立", "改正"),
        ("if true then urgent else false", "unreachable_branch", "warning", "else", "删去"),
        ("until > today()", "type_operator", "error", "文本和日期", "date(…)"),
    ],
)
def test_a_condition_is_checked_against_the_fields(
    condition: str, code: str, severity: str, says: str, cure: str
) -> None:
    (finding,) = findings(branching(condition))
    assert (finding.code, finding.severity, finding.element, finding.file) == (code, severity, "f1", "process.bpmn")
    assert says in finding.message
    assert cure in finding.cure


@pytest.mark.parametrize(
    "condition",
    [
        'kind in ("病假", "事假") and length > 3',
        "urgent",
        "not(urgent)",
        "days = null",
        'date(to_day) - date(from_day) > duration("P3D")',
        'outcome = "submit" and steps.a = "submit"',
        'initiator.department_id = "x"',
        'count(items[price > 100 and name != ""]) > 2',
        'list contains(readers, initiator.id) or "公章" in seals',
    ],
)
def test_a_condition_in_order_is_left_alone(condition: str) -> None:
    assert findings(branching(condition)) == []


def test_the_place_in_a_long_condition_is_told() -> None:
    (finding,) = findings(branching('urgent and\n(days > 3 or length = "4")'))
    assert "第 2 行第 14 列" in finding.message


@pytest.mark.parametrize(
    "text", ['initiator.name + length', '"共" + length + "天"', "upper case(length)"]
)  # fmt: skip
def test_titles_are_checked(text: str) -> None:
    (finding,) = findings(titled(text))
    assert (finding.severity, finding.element) == ("error", "leave")


def test_a_timer_is_no_number() -> None:
    def waiting(text: str) -> str:
        event = catch("t", "timer", timer(text))
        return process(start(), user("a", extra=BEGIN), event, end(), path("start", "a", "t", "end"))

    assert findings(waiting('duration("P" + string(length) + "D")')) == []
    (finding,) = findings(waiting("length"))
    assert (finding.code, finding.element) == ("timer_value", "t")
    assert "数字" in finding.message


def test_what_an_operation_writes_may_be_anything() -> None:
    box = extension('<piyue:operation name="o"><piyue:output name="kind" value="=result.kind"/></piyue:operation>')
    diagram = process(
        start(),
        user("a", extra=BEGIN),
        element("serviceTask", "s", box),
        exclusive("g", default="g-end"),
        user("b"),
        end(),
        path("start", "a", "s", "g"),
        flow("g", "b", 'kind = "婚假" or kind > 3', "f"),
        flow("g", "end"),
        path("b", "end"),
    )
    assert findings(diagram) == []


def test_a_field_shown_as_text_keeps_the_options_of_the_form_that_fills_it() -> None:
    """The select's form is edited; another form shows the same field as a text that nobody may change."""
    shown = json.dumps({
        "schemaVersion": 19, "type": "default", "id": "filing", "components": [field("textfield", "kind")]
    })  # fmt: skip
    diagram = process(
        start(),
        user("a", extra=BEGIN),
        exclusive("g", default="g-end"),
        user("b", extra=ASSIGN + '<piyue:task form="filing"/>'),
        end(),
        path("start", "a", "g"),
        flow("g", "b", 'kind = "婚假"', "f"),
        flow("g", "end"),
        path("b", "end"),
    )
    found = check({"process.bpmn": diagram, "forms/leave.json": form(), "forms/filing.json": shown})
    assert [finding.code for finding in found] == ["unknown_value"]


GAPS = [
    (['kind = "年假"', 'kind = "病假"'], "kind 是“事假”"),
    (["urgent"], "urgent 是“false”"),
    (["grade <= 2"], "grade 是“3”"),
    (["length > 3", "length < 3"], "length 是“3”"),
    (['kind = "年假"', 'kind != "年假" and urgent'], "kind 是“"),
    (['size = "long"'], "size 是“short”"),
    (['reason = "x"'], "reason 是别的值"),
]


@pytest.mark.parametrize(("conditions", "example"), GAPS)
def test_a_gateway_without_a_way_for_some_case_names_the_case(conditions: list[str], example: str) -> None:
    (finding,) = findings(branching(*conditions, default=False))
    assert (finding.code, finding.element, finding.severity) == ("default_missing", "g", "warning")
    assert example in finding.message
    assert findings(branching(*conditions)) == []


@pytest.mark.parametrize(
    "conditions",
    [
        ['kind in ("年假", "病假")', 'kind = "事假"'],
        ["urgent", "not(urgent)"],
        ["urgent = true", "urgent = false"],
        ["grade = 1", "grade > 1"],
        ["length > 3", "length <= 3 and urgent", "length <= 3 and not(urgent)"],
        ['size = "long"', 'size = "short"'],
        ['outcome = "submit"'],
    ],
)
def test_a_gateway_with_a_way_for_every_case_needs_no_default(conditions: list[str]) -> None:
    assert findings(branching(*conditions, default=False)) == []


def test_a_flow_that_the_flows_before_it_leave_nothing() -> None:
    (finding,) = findings(branching("length <= 7", "length <= 3"))
    assert (finding.code, finding.element, finding.severity) == ("unreachable_branch", "f2", "warning")
    assert "移到前面" in finding.cure
    assert findings(branching("length <= 3", "length <= 7")) == []
    assert findings(branching("length <= 7", "length <= 3").replace("exclusiveGateway", "inclusiveGateway")) == []


FORM_FAULTS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"conditional": {"hide": "=days"}}, "type_result", "隐藏条件", "error"),
    ({"conditional": {"hide": '=kind = "婚假"'}}, "unknown_value", "隐藏条件", "warning"),
    ({"conditional": {"hide": "=days > 3 and days < 2"}}, "unreachable_branch", "隐藏条件", "warning"),
    ({"readonly": '=days > "3"'}, "type_operator", "只读条件", "error"),
    ({"properties": {"rule": "=to_day > from_day + 1"}}, "type_operator", "校验规则", "error"),
    ({"validate": {"min": "=kind"}}, "type_result", "最小值", "error"),
    ({"validate": {"max": "=lenght"}}, "unknown_name", "最大值", "warning"),
    ({"label": '="共" + days'}, "type_operator", "标题", "error"),
    ({"description": "=upper case(days)"}, "argument_type", "说明", "error"),
    ({"appearance": {"prefixAdorner": "=reason + days"}}, "type_operator", "前缀", "error"),
    ({"appearance": {"suffixAdorner": "=nobody"}}, "unknown_name", "后缀", "warning"),
]


@pytest.mark.parametrize(("more", "code", "what", "severity"), FORM_FAULTS)
def test_the_expressions_of_a_form_are_checked(more: dict[str, Any], code: str, what: str, severity: str) -> None:
    diagram = titled("reason")
    (finding,) = findings(diagram, {**field("number", "extra"), **more})
    assert (finding.file, finding.code, finding.element, finding.severity) == (
        "forms/leave.json", code, "c_extra", severity,
    )  # fmt: skip
    assert finding.message.startswith(what)
    assert finding.line == form({**field("number", "extra"), **more}).split('"c_extra"')[0].count("\n") + 1
    assert findings(diagram, field("number", "extra")) == []


def test_options_tables_texts_and_computations_are_checked() -> None:
    components = [
        field("select", "choice", valuesExpression="=days"),
        {"type": "table", "id": "c_table", "label": "行", "dataSource": "=items[prise > 3]",
         "columns": [{"key": "name", "label": "名称"}]},
        {"type": "text", "id": "c_text", "text": '="天数" + days'},
        field("expression", "sum_up", expression="=sum(items.name)"),
    ]  # fmt: skip
    found = findings(titled("reason"), *components)
    assert [(each.element, each.code) for each in found] == [
        ("c_choice", "type_result"),
        ("c_table", "unknown_name"),
        ("c_text", "type_operator"),
        ("c_sum_up", "argument_type"),
    ]


def test_the_rows_of_a_list_see_their_fields_themselves_and_the_form() -> None:
    def rows(*columns: dict[str, Any]) -> dict[str, Any]:
        return field("dynamiclist", "lines", components=[field("number", "quantity"), *columns])

    good = field("expression", "amount", expression="=this.quantity * quantity + parent.days + days + i")
    assert findings(titled("reason"), rows(good)) == []
    bad = field("expression", "amount", expression='=this.quantiy * 2 + (if parent.kind = "x" then i else 0)')
    found = findings(titled("reason"), rows(bad))
    assert {(each.element, each.code) for each in found} == {
        ("c_amount", "unknown_path"),
        ("c_amount", "unknown_value"),
    }


def test_every_expression_of_a_form_is_looked_at() -> None:
    more = [field("number", f"n{index}", **fault[0]) for index, fault in enumerate(FORM_FAULTS)]
    loaded = Form.load(form(*more), place="leave.json")
    for component in everything(loaded.components):
        assert {each.text for _, each, _ in expressions(component)} == {each.text for each in component.expressions()}


def handled(rule: str) -> list[Finding]:
    """A start step, then a step with an assignment rule."""
    step = user("b", extra=f"<piyue:assign {rule}/>")
    return findings(process(start(), user("a", extra=BEGIN), step, end(), path("start", "a", "b", "end")))


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ('rule="field" field="days"', "人或科室"),
        ('rule="field_head" field="handover"', "科室"),
        ('rule="role" role="hr" of="reason"', "科室"),
    ],
)
def test_handlers_come_from_fields_that_hold_people_or_departments(rule: str, kind: str) -> None:
    (finding,) = handled(rule)
    assert (finding.code, finding.element, finding.severity) == ("assign_field", "b", "error")
    assert f"不是{kind}" in finding.message


@pytest.mark.parametrize("name", ["handover", "readers", "until"])
def test_handlers_from_people_or_from_what_is_computed_are_fine(name: str) -> None:
    assert handled(f'rule="field" field="{name}"') == []


def test_what_is_searched_by_number_or_date_is_one() -> None:
    def searched(name: str, kind: str) -> list[str]:
        box = extension(f'<piyue:searchable field="{name}" type="{kind}"/>')
        diagram = process(box, start(), user("a", extra=BEGIN), end(), path("start", "a", "end"))
        return [each.code for each in findings(diagram)]

    assert searched("days", "number") == searched("from_day", "date") == searched("urgent", "text") == []
    assert searched("items", "number") == searched("days", "date") == ["searchable_type"]


def test_multi_instance_goes_over_a_list() -> None:
    def repeated(name: str) -> list[Finding]:
        loop = element(
            "multiInstanceLoopCharacteristics", None, f"<bpmn:loopDataInputRef>{name}</bpmn:loopDataInputRef>"
        )
        inner = process(start("s"), user("u"), end("e"), path("s", "u", "e"))
        body = inner[inner.index("<bpmn:startEvent") : inner.index("</bpmn:process>")]
        diagram = process(
            start(),
            user("a", extra=BEGIN),
            element("subProcess", "p", loop, body),
            end(),
            path("start", "a", "p", "end"),
        )
        return findings(diagram)

    assert repeated("readers") == []
    (finding,) = repeated("days")
    assert (finding.code, finding.element) == ("multi_instance_source", "p")
    assert "不是列表" in finding.message


def test_forms_with_more_expressions_than_can_be_checked_are_told_so() -> None:
    long = field("expression", "long", expression="=" + " + ".join(["days"] * 2_500))
    more = [{**long, "id": f"c_{index}", "key": f"long_{index}"} for index in range(5)]
    (finding,) = findings(titled("reason"), *more)
    assert (finding.code, finding.file, finding.severity) == ("expressions_long", "forms/leave.json", "warning")
