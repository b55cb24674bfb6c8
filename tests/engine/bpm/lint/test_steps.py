"""People, forms, outcomes and the names of the data."""

import json

import pytest

from engine.bpm.lint import Finding, Known, check
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
    service,
    start,
    user,
)


def form(*keys: str) -> str:
    """A form of number fields."""
    components = [{"type": "number", "id": f"c_{key}", "key": key, "label": key} for key in keys]
    return json.dumps({"schemaVersion": 19, "type": "default", "id": "f", "components": components}, indent=1)


FORMS = {"forms/leave.json": form("days", "reason")}
TASK = '<piyue:task form="leave"/><piyue:fields default="edit"/>'


def step(extra: str = ASSIGN + TASK, *more: str, ext: str = "") -> str:
    """start → x → end, with the extension of step x and of the process."""
    box = extension(ext) if ext else ""
    return process(box, start(), user("x", extra=extra), end(), path("start", "x", "end"), *more)


def only(content: str, forms: dict[str, str] | None = None, known: Known | None = None) -> Finding:
    """The one finding of a diagram."""
    findings = lint(content, FORMS if forms is None else forms, known)
    assert len(findings) == 1, [str(f) for f in findings]
    return findings[0]


def test_a_form_in_order_has_no_findings() -> None:
    assert lint(step(), FORMS) == []


@pytest.mark.parametrize(
    ("extra", "ext", "code", "cure"),
    [
        (ASSIGN + TASK + '<piyue:field key="cost" access="edit"/>', "", "field_unknown", "days、reason"),
        (ASSIGN + TASK + '<piyue:field key="days" access="edit"/>' * 2, "", "field_twice", "只留一个"),
        ('<piyue:assign rule="field" field="reader"/>' + TASK, "", "field_unknown", "表单"),
        ('<piyue:assign rule="role" role="hr" of="cost"/>' + TASK, "", "field_unknown", "表单"),
        ('<piyue:assign rule="expression" value="days"/>' + TASK, "", "assign_expression", "=days"),
        ('<piyue:assign rule="expression" value="=days =="/>' + TASK, "", "not_feel", "FEEL"),
        ('<piyue:assign rule="department" department="=len(days)"/>' + TASK, "", "not_feel", "count(days)"),
        (ASSIGN + TASK + '<piyue:return to="gone"/>', "", "return_unknown", "previous"),
        (ASSIGN + TASK + '<piyue:return to="initiator"/>', "", "return_unknown", "start"),
        (ASSIGN + TASK, '<piyue:searchable field="cost" type="number"/>', "field_unknown", "字段"),
        (ASSIGN + TASK, '<piyue:process title="=days + "/>', "expression_invalid", "FEEL"),
        (ASSIGN + TASK, '<piyue:process starters="nurses"/>', "starters", "role"),
        (ASSIGN + TASK, '<piyue:operation name="x"/>', "extension_element", "piyue:process"),
        (ASSIGN + TASK, '<piyue:readers rule="field" field="cost"/>', "field_unknown", "表单"),
    ],
)
def test_wrong_step(extra: str, ext: str, code: str, cure: str) -> None:
    finding = only(step(extra, ext=ext))
    assert (finding.code, finding.severity) == (code, "error")
    assert finding.element == ("leave" if ext else "x")
    assert cure in finding.cure


def test_a_missing_form_is_named() -> None:
    findings = lint(step(ASSIGN + '<piyue:task form="sick"/>'), FORMS)
    assert [(f.file, f.code, f.severity) for f in findings] == [
        ("forms/leave.json", "form_unused", "warning"),
        ("process.bpmn", "form_missing", "error"),
    ]
    assert "forms/sick.json" in findings[1].message
    assert "leave" in findings[1].cure


def test_rights_need_a_form() -> None:
    assert only(step(ASSIGN + '<piyue:field key="days" access="edit"/>'), {}).code == "field_unknown"


def test_a_wrong_form_is_told_in_its_own_file() -> None:
    finding = only(step(), {"forms/leave.json": form("days", "outcome")})
    assert (finding.file, finding.code, finding.element) == ("forms/leave.json", "form_error", "c_outcome")
    assert finding.line is not None
    assert finding.line > 1
    assert "outcome" in finding.message


@pytest.mark.parametrize("text", ["", "[]", "<a/>", '{"schemaVersion": 19}', "[" * 100_000, "\x00", '{"a":' * 5000])
def test_what_is_no_form(text: str) -> None:
    findings = lint(step(), {"forms/leave.json": text})
    assert findings
    assert {(f.file, f.code, f.severity) for f in findings} == {("forms/leave.json", "form_error", "error")}


def test_a_form_that_is_not_utf8() -> None:
    findings = check({"process.bpmn": step(), "forms/leave.json": form("天数").encode("utf-16")})
    assert [(f.file, f.code) for f in findings] == [("forms/leave.json", "form_invalid")]


def test_a_field_that_nobody_may_fill_in() -> None:
    finding = only(step(ASSIGN + '<piyue:task form="leave"/><piyue:field key="days" access="edit"/>'))
    assert (finding.file, finding.code, finding.severity) == ("forms/leave.json", "field_never_set", "warning")
    assert "reason" in finding.message
    assert "days" not in finding.message


def test_an_operation_may_fill_a_field() -> None:
    box = extension('<piyue:operation name="o"><piyue:output name="reason" value="=result.r"/></piyue:operation>')
    content = process(
        start(),
        user("x", extra=ASSIGN + '<piyue:task form="leave"/><piyue:field key="days" access="edit"/>'),
        element("serviceTask", "s", box),
        end(),
        path("start", "x", "s", "end"),
    )
    assert lint(content, FORMS) == []


@pytest.mark.parametrize("name", ["outcome", "steps", "initiator", "_x"])
def test_operations_write_no_names_of_the_engine(name: str) -> None:
    box = extension(f'<piyue:operation name="o"><piyue:output name="{name}" value="1"/></piyue:operation>')
    content = process(start(), element("serviceTask", "x", box), end(), path("start", "x", "end"))
    assert codes(content) == {"name_reserved"}


def test_unknown_names_are_warned_of_where_all_names_are_known() -> None:
    def decide(condition: str, *more: str) -> str:
        return process(
            start(),
            user("a", extra=ASSIGN + TASK),
            exclusive("x", default="x-end"),
            user("b"),
            end(),
            path("start", "a", "x"),
            flow("x", "b", condition, "f"),
            path("b", "end"),
            flow("x", "end"),
            *more,
        )

    assert (
        lint(decide('days > 3 and outcome = "approve" and initiator.post = "护士长" and steps.a = "reject"'), FORMS)
        == []
    )
    assert lint(decide("some d in [1, 2] satisfies d > days"), FORMS) == []
    finding = only(decide("dayz > 3"))
    assert (finding.code, finding.severity, finding.element) == ("unknown_name", "warning", "f")
    assert "dayz" in finding.message
    assert lint(decide("dayz > 3")) != []  # no forms.json at all: the step's form is missing


def speaking(condition: str, kind: str, *inner: str, timer: str = "P1D") -> str:
    """A process with a message event `e` and a condition on flow `f`."""
    event = element("messageEventDefinition", "d", messageRef="m")
    waiting = element("timerEventDefinition", None, element("timeDuration", None, timer))
    return process(
        start(),
        user("a", extra=ASSIGN + TASK),
        element(kind, "e", *([extension(*inner)] if inner else []), event),
        element("intermediateCatchEvent", "t", waiting),
        exclusive("x", default="x-end"),
        user("b"),
        end(),
        path("start", "a", "e", "t", "x"),
        flow("x", "b", condition, "f"),
        path("b", "end"),
        flow("x", "end"),
        outside='<bpmn:message id="m" name="m"/>\n',
    )


CATCH, THROW = "intermediateCatchEvent", "intermediateThrowEvent"


def test_what_a_message_brings_is_thrown_in_the_folder_or_declared() -> None:
    finding = only(speaking("boxes > 3", CATCH))
    assert (finding.code, finding.element) == ("unknown_name", "f")
    assert lint(speaking("boxes > 3", CATCH, '<piyue:input name="boxes"/>'), FORMS) == []
    assert lint(speaking("boxes > 3", THROW, '<piyue:output name="boxes" value="=days"/>'), FORMS) == []


def test_a_timer_of_an_unknown_name_is_an_error_beside_messages_too() -> None:
    assert lint(speaking("days > 3", CATCH, timer='duration("P" + string(days) + "D")'), FORMS) == []
    assert ("timer_value", "error") in {
        (f.code, f.severity) for f in lint(speaking("days > 3", CATCH, timer="dayz"), FORMS)
    }


@pytest.mark.parametrize(
    ("kind", "inner", "code"),
    [
        (CATCH, '<piyue:output name="x" value="1"/>', "extension_element"),
        (THROW, '<piyue:input name="x"/>', "extension_element"),
        (CATCH, '<piyue:input name="x" value="1"/>', "extension_attribute"),
        (CATCH, '<piyue:input name="initiator"/>', "name_reserved"),
        (THROW, '<piyue:output name="outcome" value="1"/>', "name_reserved"),
        (THROW, '<piyue:output name="x" value="=1 +"/>', "expression_invalid"),
    ],
)
def test_what_events_carry_is_checked(kind: str, inner: str, code: str) -> None:
    assert code in {f.code for f in lint(speaking("days > 3", kind, inner), FORMS)}


def test_the_start_step() -> None:
    begin = ASSIGN + '<piyue:task kind="fill" start="true"/>'
    good = process(start(), user("a", extra=begin), user("b"), end(), path("start", "a", "b", "end"))
    assert lint(good) == []
    late = process(start(), user("b"), user("a", extra=begin), end(), path("start", "b", "a", "end"))
    assert codes(late) == {"start_step_place"}
    twice = process(start(), user("a", extra=begin), user("b", extra=begin), end(), path("start", "a", "b", "end"))
    assert codes(twice) == {"start_step_place", "start_step_twice"}


KNOWN = Known(
    operations=frozenset({"mail.send"}),
    roles=frozenset({"hr"}),
    posts=frozenset({"护士长"}),
    departments=frozenset({"erke"}),
    persons=frozenset({"1001"}),
    processes=frozenset({"stamp"}),
)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('<piyue:assign rule="role" role="{}"/>', ("hr", "boss")),
        ('<piyue:assign rule="person" persons="{}"/>', ("1001", "1001 9999")),
        ('<piyue:assign rule="department" department="{}"/>', ("erke", "neike")),
        ('<piyue:assign rule="head" department="{}"/>', ('=initiator.department_id', "neike")),
        ('<piyue:assign rule="post" post="{}" department="erke"/>', ("护士长", "船长")),
        (ASSIGN + '<piyue:nobody do="persons" persons="{}"/>', ("1001", "9999")),
    ],
)  # fmt: skip
def test_the_organisation(good: str, bad: tuple[str, str]) -> None:
    assert lint(step(good.format(bad[0])), known=KNOWN) == []
    finding = only(step(good.format(bad[1])), {}, KNOWN)
    assert finding.code == "organisation_unknown"
    assert bad[1].split()[-1] in finding.message
    assert lint(step(good.format(bad[1]))) == []


def test_starters_must_exist() -> None:
    assert lint(step(ASSIGN, ext='<piyue:process starters="role:hr department:erke"/>'), known=KNOWN) == []
    content = step(ASSIGN, ext='<piyue:process starters="role:boss department:neike"/>')
    assert [f.code for f in lint(content, known=KNOWN)] == ["organisation_unknown"] * 2


def test_operations_must_be_registered() -> None:
    def run(name: str) -> str:
        return process(start(), service("x", name), end(), path("start", "x", "end"))

    assert lint(run("mail.send"), known=KNOWN) == []
    finding = only(run("os.system"), {}, KNOWN)
    assert (finding.code, finding.element) == ("operation_unknown", "x")
    assert "mail.send" in finding.cure
    assert lint(run("os.system")) == []


def call(target: str, name: str = "leave") -> str:
    return process(
        start(f"{name}_s"),
        element("callActivity", f"{name}_c", calledElement=target),
        end(f"{name}_e"),
        path(f"{name}_s", f"{name}_c", f"{name}_e"),
        id_=name,
    )


def test_called_processes_must_be_in_the_folder() -> None:
    assert codes(call("gone")) == {"dangling_reference"}
    assert "已部署" not in only(call("gone"), {}, KNOWN).message
    assert "已部署" in only(call("stamp"), {}, KNOWN).message
    called = process(start(), user("a"), end(), path("start", "a", "end"), id_="other")
    assert check({"process.bpmn": call("other"), "called/other.bpmn": called}, known=KNOWN) == []


def test_processes_may_not_call_in_circles() -> None:
    assert codes(call("leave")) == {"call_loop"}
    files: dict[str, str | bytes] = {"process.bpmn": call("other"), "called/other.bpmn": call("leave", "other")}
    findings = check(files)
    assert [(f.code, f.element) for f in findings] == [("call_loop", "leave")]


def test_process_ids_differ_between_files() -> None:
    other = process(start("s"), user("u"), end("e"), path("s", "u", "e"))
    findings = check({"process.bpmn": step(ASSIGN), "called/other.bpmn": other})
    assert [(f.file, f.code) for f in findings] == [("called/other.bpmn", "id_twice")]


def test_outcomes_follow_the_token() -> None:
    """Around a loop, through gateways and past a boundary event, but not out of a sub-process."""
    outcomes = ASSIGN + '<piyue:outcome id="agree" name="同意"/><piyue:outcome id="deny" name="不同意"/>'

    def route(condition: str) -> str:
        return process(
            start(),
            user("fill", extra=ASSIGN + '<piyue:task kind="fill" start="true"/>'),
            user("head", extra=outcomes),
            exclusive("g", default="g-fill"),
            element("inclusiveGateway", "h", default="h-end"),
            user("hr"),
            end(),
            path("start", "fill", "head", "g", "fill"),
            flow("g", "h", 'outcome = "agree"'),
            flow("h", "hr", condition, "f"),
            flow("h", "end"),
            path("hr", "end"),
        )

    assert lint(route('outcome = "deny"')) == []
    assert [(f.code, f.element) for f in lint(route('outcome = "approve"'))] == [("outcome_unknown", "f")]
    assert lint(route('steps.fill = "submit"')) == []
    assert codes(route('steps.fill = "agree"')) == {"outcome_unknown"}


def test_a_gateway_whose_conditions_cover_every_outcome_needs_no_default() -> None:
    def route(*conditions: str) -> str:
        flows = [flow("g", f"b{n}", c) + user(f"b{n}") + path(f"b{n}", "end") for n, c in enumerate(conditions)]
        return process(start(), user("a"), exclusive("g"), end(), path("start", "a", "g"), *flows)

    assert lint(route('outcome = "approve"', 'outcome = "reject"')) == []
    assert codes(route('outcome = "approve"', "days > 3")) == {"default_missing"}
