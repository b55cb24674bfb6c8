"""Events and timers."""

import pytest

from tests.engine.bpm.lint.cases import (
    MESSAGE,
    SIGNAL,
    Case,
    between,
    boundary,
    catch,
    check_case,
    sub,
    timer,
    with_boundary,
)
from tests.engine.bpm.lint.diagrams import element, end, lint, path, process, service, simple, start, user

CASES = [
    Case(
        "start_trigger",
        simple().replace('<bpmn:startEvent id="start">', '<bpmn:startEvent id="start"><bpmn:timerEventDefinition/>'),
        "start",
        "普通开始事件",
        frozenset({"timer_missing"}),
    ),
    Case(
        "start_trigger",
        simple(outside=MESSAGE).replace(
            '<bpmn:startEvent id="start">',
            '<bpmn:startEvent id="start"><bpmn:messageEventDefinition messageRef="message"/>',
        ),
        "start",
        "普通开始事件",
    ),
    Case("event_undefined", between(element("intermediateCatchEvent", "x")), "x", "选定类型"),
    Case("event_undefined", with_boundary(element("boundaryEvent", "x", attachedToRef="a")), "x", "选定类型"),
    Case(
        "event_multiple",
        between(
            catch("x", "timer", timer("P1D")).replace(
                "</bpmn:inter", '<bpmn:signalEventDefinition signalRef="signal"/></bpmn:inter'
            ),
            outside=SIGNAL,
        ),
        "x",
        "单独",
    ),
    Case("event_unsupported", between(catch("x", "error")), "x", "可用的定义"),
    Case("reference_missing", between(catch("x", "message")), "x", "messageRef"),
    Case("reference_missing", between(element("sendTask", "x")), "x", "messageRef"),
    Case(
        "error_not_interrupting",
        process(
            start(),
            service("a"),
            end(),
            boundary("x", "error", cancelActivity="false"),
            path("start", "a", "end"),
            path("x", "end"),
        ),
        "x",
        "cancelActivity",
    ),
    Case("boundary_never", with_boundary(boundary("x", "error")), "x", "子流程", severity="warning"),
    Case("timer_missing", between(catch("x", "timer")), "x", "timeDuration"),
    Case("timer_several", between(catch("x", "timer", timer("P1D"), timer("2030-01-01", "timeDate"))), "x", "只写一个"),
    Case("timer_empty", between(catch("x", "timer", timer(" "))), "x", "P2D"),
    *(
        Case("timer_value", between(catch("x", "timer", timer(text, kind))), "x", cure)
        for kind, text, cure in [
            ("timeDuration", "P", "P2D"),
            ("timeDuration", "PT", "P2D"),
            ("timeDuration", "P2D1H", "P2D"),
            ("timeDuration", "-P1D", "正的"),
            ("timeDuration", "PT0S", "正的"),
            ("timeDuration", "P2W", "P2D"),
            ("timeDuration", 'duration("P0D")', "正的"),
            ("timeDuration", 'duration("2 days")', "P2D"),
            ("timeDate", "2030-1-1", "2030-01-31"),
            ("timeDate", "2030-01-01 10:00", "2030-01-31"),
            # the engine makes no moment of these
            ("timeDuration", "P1M10D", "不与天混写"),
            ("timeDuration", "P9999Y", "P2D"),
            ("timeDuration", 'duration("P99999999999D")', "P2D"),
            ("timeDuration", "5", "P2D"),
            ("timeDate", "2030-02-30", "有的日子"),
            ("timeDate", "2030-01-01T10:00", "写到秒"),
            ("timeDate", "2030-01-01T10:00:00+0800", "+08:00"),
        ]
    ),
    Case(
        "argument_type",
        with_boundary(boundary("x", "timer", timer('date and time("2030-13-01T00:00:00")', "timeDate"))),
        "x",
        "2030-01-31",
    ),
    *(
        Case(
            "timer_value",
            with_boundary(boundary("x", "timer", timer(text, "timeCycle"), cancelActivity="false")),
            "x",
            "R3/PT1H",
        )
        for text in [
            "R3/P1M10D",
            "R3/",
            "R-1/PT1H",
            "R0/PT1H",
            "R/PT0S",
            "R3/-PT1H",
            "R3/1h",
            "0 0 * * *",
        ]
    ),
    Case("timer_cycle_place", between(catch("x", "timer", timer("R3/PT1H", "timeCycle"))), "x", "cancelActivity"),
    Case(
        "timer_cycle_place", with_boundary(boundary("x", "timer", timer("R3/PT1H", "timeCycle"))), "x", "timeDuration"
    ),
    Case("expression_invalid", between(catch("x", "timer", timer("2 天后"))), "x", "FEEL"),
    Case("unknown_function", between(catch("x", "timer", timer("workdays(3)"))), "x", "内置函数"),
]


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{n}-{c.code}") for n, c in enumerate(CASES)])
def test_fault_is_found_at_its_element_with_its_cure(case: Case) -> None:
    check_case(case)


CODES = (
    '<bpmn:error id="e1" errorCode="E1"/><bpmn:error id="e2" errorCode="E2"/>'
    '<bpmn:escalation id="e3" escalationCode="E3"/>'
)


@pytest.mark.parametrize(
    ("kind", "thrown", "caught", "code"),
    [
        ("error", 'errorRef="e1"', None, "error_uncaught"),
        ("error", 'errorRef="e1"', 'errorRef="e2"', "error_uncaught"),
        ("error", 'errorRef="e1"', 'errorRef="e1"', None),
        ("error", 'errorRef="e1"', "", None),
        ("escalation", 'escalationRef="e3"', None, "escalation_uncaught"),
        ("escalation", 'escalationRef="e3"', "", None),
    ],
)
def test_what_is_thrown_is_caught(kind: str, thrown: str, caught: str | None, code: str | None) -> None:
    throwing = f'<bpmn:endEvent id="x"><bpmn:{kind}EventDefinition {thrown}/></bpmn:endEvent>'
    inside = sub("s", start("s1"), user("u"), throwing, path("s1", "u", "x"))
    parts = [start(), inside, end(), path("start", "s", "end")]
    if caught is not None:
        catching = f"<bpmn:{kind}EventDefinition {caught}/>"
        parts += [f'<bpmn:boundaryEvent id="b" attachedToRef="s">{catching}</bpmn:boundaryEvent>', path("b", "end")]
    findings = lint(process(*parts, outside=CODES))
    assert [(f.code, f.element) for f in findings] == ([] if code is None else [(code, "x")])
