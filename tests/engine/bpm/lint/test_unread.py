"""Correct BPMN that the engine reads otherwise, or not at all."""

import pytest

from engine.bpm import runtime
from tests.engine.bpm.lint.cases import (
    CARDINALITY,
    MULTI,
    Case,
    boundary,
    check_case,
    inner_process,
    timer,
    with_boundary,
)
from tests.engine.bpm.lint.diagrams import element, end, lint, path, process, simple, start, user

REFERENCE = "<bpmn:eventDefinitionRef>d</bpmn:eventDefinitionRef>"
REFERRED = '<bpmn:terminateEventDefinition id="d"/>'


def around(inner: str, **options: str) -> str:
    return process(start(), inner, end(), path("start", "x", "end"), **options)  # type: ignore[arg-type]


def repeated(loop: str) -> str:
    return around(inner_process("x", loop))


CASES = [
    *(
        Case("flag_spelling", with_boundary(boundary("x", "timer", timer("P1D"), cancelActivity=value)), "x", "true")
        for value in ("1", "0", "TRUE", "yes", "")
    ),
    Case("flag_spelling", repeated(MULTI.format(CARDINALITY).replace(">", ' isSequential="1">', 1)), "x", "true"),
    Case(
        "event_reference",
        process(start(), user("a"), end("x", REFERENCE), path("start", "a", "x"), outside=REFERRED),
        "x",
        "直接写在事件里",
    ),
    Case("event_reference", around(element("intermediateThrowEvent", "x", REFERENCE), outside=REFERRED), "x", "直接"),
    Case("token_quantity", around(user("x", completionQuantity="2")), "x", "多实例"),
    Case("token_quantity", around(user("x", startQuantity="2")), "x", "多实例"),
    Case(
        "loop_twice",
        repeated('<bpmn:standardLoopCharacteristics loopMaximum="2"/>\n' + MULTI.format(CARDINALITY)),
        "x",
        "外层",
    ),
    Case(
        "multi_instance_behavior", repeated(MULTI.format(CARDINALITY).replace(">", ' behavior="One">', 1)), "x", "删去"
    ),
    Case(
        "start_trigger",
        around(
            element("receiveTask", "x", messageRef="m", instantiate="true"),
            outside='<bpmn:message id="m" name="到货"/>',
        ),
        "x",
        "instantiate",
    ),
]


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{n}-{c.code}") for n, c in enumerate(CASES)])
def test_fault_is_found_at_its_element_with_its_cure(case: Case) -> None:
    check_case(case)


def test_of_what_may_stand_once_a_second_one_is_refused() -> None:
    content = with_boundary(boundary("x", "timer", timer("P1D"), timer("P2D")))
    assert [(f.code, f.severity) for f in lint(content)] == [("element_twice", "error")]


def test_the_engine_does_take_another_spelling_for_the_opposite() -> None:
    """Why it is refused: `1` is true in XML Schema."""
    interrupting = {}
    for value in ("true", "1"):
        content = with_boundary(boundary("x", "timer", timer("P1D"), cancelActivity=value))
        interrupting[value] = runtime.load({"process.bpmn": content}).spec.task_specs["x"].cancel_activity
    assert interrupting == {"true": True, "1": False}


def test_ordinary_flags_and_numbers_pass() -> None:
    assert lint(simple()) == []
    assert lint(with_boundary(boundary("x", "timer", timer("P1D"), cancelActivity="false"))) == []
    assert lint(around(user("x", startQuantity="1", completionQuantity="1"))) == []
    assert lint(repeated(MULTI.format(CARDINALITY).replace(">", ' isSequential="true">', 1))) == []
