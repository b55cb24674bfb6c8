"""Flows, gateways, loops and joins."""

import pytest

from tests.engine.bpm.lint.cases import (
    Case,
    between,
    boundary,
    catch,
    check_case,
    choice,
    forked,
    timer,
    with_boundary,
)
from tests.engine.bpm.lint.diagrams import (
    element,
    end,
    exclusive,
    flow,
    lint,
    parallel,
    path,
    process,
    simple,
    start,
    user,
)

CASES = [
    Case("no_start", process(user("a"), end(), path("a", "end")), "leave", "开始事件"),
    Case("several_starts", simple(start("x"), path("x", "a")), "x", "只留一个"),
    Case("no_end", process(start(), user("a"), path("start", "a")), "leave", "结束事件"),
    Case("unreachable", simple(user("x"), path("x", "end")), "x", "连进流程"),
    Case(
        "dead_end",
        process(start(), user("a"), parallel("p"), user("x"), end(), path("start", "a", "p", "end"), path("p", "x")),
        "x",
        "结束事件",
    ),
    Case(
        "dead_end",
        process(
            start(),
            user("a"),
            parallel("p"),
            user("x"),
            user("y"),
            end(),
            path("start", "a", "p", "end"),
            path("p", "x", "y", "x"),
        ),
        "x",
        "结束事件",
    ),
    Case("flow_to_itself", simple(flow("a", "a", None, "x")), "x", "删去", frozenset({"implicit_split"})),
    Case("flow_into_start", simple(user("b"), path("b", "start")), "b-start", "后面的步骤"),
    Case("flow_from_end", simple(flow("end", "a", None, "x")), "x", "中间事件"),
    Case(
        "flow_into_boundary",
        with_boundary(boundary("x", "timer", timer("P1D"))).replace('targetRef="a"', 'targetRef="x"', 1),
        "start-a",
        "所附着",
    ),
    Case("implicit_split", between(user("x"), flow("a", "end")), "a", "网关"),
    Case(
        "condition_on_task",
        process(start(), user("a"), end(), path("start", "a"), flow("a", "end", "days > 1", "x")),
        "x",
        "排他网关",
    ),
    Case(
        "condition_ignored",
        forked("parallelGateway").replace(
            'sourceRef="s" targetRef="b">',
            'sourceRef="s" targetRef="b"><bpmn:conditionExpression>a = 1</bpmn:conditionExpression>',
        ),
        "s-b",
        "包容网关",
    ),
    Case("gateway_idle", between(exclusive("x")), "x", "删去", severity="warning"),
    Case("condition_missing", choice("days > 1", None), "f1", "默认流出线"),
    Case("condition_missing", choice("days > 1", None, gateway="inclusiveGateway"), "f1", "默认流出线"),
    Case("default_missing", choice("days > 1", "days < 1"), "x", "默认流出线", severity="warning"),
    Case(
        "default_foreign",
        choice("days > 1", "days < 1", default=0).replace('default="f0"', 'default="start-a"'),
        "x",
        "重新",
        frozenset(),
    ),
    Case("default_condition", choice("days > 1", "days < 1", default=1), "f1", "去掉", severity="warning"),
    Case("expression_empty", choice(" ", None, default=1), "f0", "FEEL"),
    Case("expression_invalid", choice("days >", None, default=1), "f0", "FEEL"),
    Case("outcome_unknown", choice('outcome = "agree"', None, default=1), "f0", "approve、reject"),
    Case("outcome_unknown", choice('outcome = "return"', None, default=1), "f0", "退回是动作"),
    Case("outcome_unknown", choice('outcome in ("approve", "no")', None, default=1), "f0", "approve、reject"),
    Case("outcome_unknown", choice('days > 3 and steps.a = "no"', None, default=1), "f0", "approve、reject"),
    Case("flow_twice", forked("parallelGateway", "parallelGateway", flow("s", "b", None, "again")), "again", "删去"),
    Case(
        "endless_loop",
        process(
            start(),
            exclusive("x", default="x-y"),
            exclusive("y", default="y-x"),
            user("a"),
            end(),
            path("start", "x", "y"),
            flow("y", "x"),
            flow("y", "a", "days > 1"),
            path("a", "end"),
        ),
        "x",
        "人工步骤",
    ),
    Case("join_stuck", forked("parallelGateway", "exclusiveGateway"), "x", "同一种"),
    Case(
        "join_stuck",
        process(
            start(),
            parallel("s"),
            user("a"),
            user("b"),
            exclusive("r", default="r-x"),
            parallel("x"),
            end(),
            path("start", "s", "a", "r", "x", "end"),
            path("s", "b", "x"),
            flow("r", "end", "days > 1"),
        ),
        "x",
        "同一种",
    ),
    Case(
        "join_stuck",
        process(
            start(),
            parallel("x"),
            user("a"),
            exclusive("y", default="y-end"),
            end(),
            path("start", "x", "a", "y"),
            flow("y", "end"),
            flow("y", "x", "days > 1"),
        ),
        "x",
        "同一种",
        frozenset(),
    ),
    Case(
        "inclusive_loop",
        process(
            start(),
            element("inclusiveGateway", "x"),
            user("a"),
            exclusive("y", default="y-end"),
            end(),
            path("start", "x", "a", "y"),
            flow("y", "end"),
            flow("y", "x", "days > 1"),
        ),
        "x",
        "分支网关",
        severity="warning",
    ),
    Case(
        "event_gateway_target",
        process(
            start(),
            element("eventBasedGateway", "g"),
            catch("t", "timer", timer("P1D")),
            user("a"),
            end(),
            path("start", "g", "t", "end"),
            flow("g", "a", None, "x"),
            path("a", "end"),
        ),
        "x",
        "捕获事件",
    ),
    Case(
        "event_gateway_single",
        between(element("eventBasedGateway", "x")),
        "x",
        "再连",
        frozenset({"gateway_idle", "event_gateway_target"}),
    ),
    Case(
        "event_gateway_kind",
        between(element("eventBasedGateway", "x", eventGatewayType="Parallel")),
        "x",
        "去掉",
        frozenset({"gateway_idle", "event_gateway_target", "event_gateway_single"}),
    ),
]


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{n}-{c.code}") for n, c in enumerate(CASES)])
def test_fault_is_found_at_its_element_with_its_cure(case: Case) -> None:
    check_case(case)


def test_a_diagram_in_order_has_no_findings() -> None:
    assert lint(simple()) == []
