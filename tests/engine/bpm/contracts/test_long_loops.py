"""A regression of the library's max_depth: thousands of rounds of a reject loop, on the runtime alone."""

from datetime import UTC, datetime

import pytest

from engine.bpm import runtime
from tests.dsl import bpmn, chain, flow, task

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
REJECTED = flow("x", "m", 'outcome = "reject"')


def loop(body: str, *names: str) -> dict[str, str]:
    return bpmn(
        '<startEvent id="s"/><endEvent id="e"/><exclusiveGateway id="m"/><exclusiveGateway id="x" default="x_e"/>'
        + body
        + chain("s", "m", *names, "x", "e")
        + REJECTED
    )


FORK = '<parallelGateway id="split"/><parallelGateway id="join"/>'
OR = '<inclusiveGateway id="split"/><inclusiveGateway id="join"/>'
LOOPS = {
    "two steps": loop(task("a") + task("check"), "a", "check"),
    "a sub-process": loop(
        '<subProcess id="box" name="box"><startEvent id="bs"/><endEvent id="be"/>'
        + task("a")
        + chain("bs", "a", "be")
        + "</subProcess>"
        + task("check"),
        "box",
        "check",
    ),
    "branches": loop(
        FORK + task("a") + task("b") + task("check") + chain("split", "b", "join"), "split", "a", "join", "check"
    ),
}
LOOPS["inclusive branches"] = bpmn(
    '<startEvent id="s"/><endEvent id="e"/><exclusiveGateway id="m"/><exclusiveGateway id="x" default="x_e"/>'
    + OR
    + task("a")
    + task("b")
    + task("check")
    + chain("s", "m", "split")
    + flow("split", "a", "true")
    + flow("split", "b", "true")
    + chain("a", "join", "check", "x", "e")
    + flow("b", "join")
    + REJECTED
)


@pytest.mark.parametrize("name", LOOPS)
def test_a_reject_loop_neither_ends_nor_grows(name: str) -> None:
    definition = runtime.load(LOOPS[name])
    rounds = 5_000 if name == "two steps" else 600
    change = runtime.start(definition, {"initiator": {"id": "1"}}, now=NOW)
    tasks = {o.step: o.task_id for o in change.opened}
    sizes = []
    for number in range(rounds):
        while "check" not in tasks:
            step = sorted(tasks)[0]
            event = runtime.Complete(tasks[step], "approve", {})
            change = runtime.advance(definition, change.state, change.data, event, now=NOW)
            tasks = _after(tasks, change)
        event = runtime.Complete(tasks["check"], "reject", {})
        change = runtime.advance(definition, change.state, change.data, event, now=NOW)
        tasks = _after(tasks, change)
        assert not change.finished
        assert tasks, f"stuck in round {number}"
        sizes.append(len(change.state))
    assert max(sizes[-50:]) <= sizes[5] + 64, "the state doesn't grow with history"
    while not change.finished:
        step = sorted(tasks)[0]
        event = runtime.Complete(tasks[step], "approve", {})
        change = runtime.advance(definition, change.state, change.data, event, now=NOW)
        tasks = _after(tasks, change)


def test_a_thousand_returns_neither_end_nor_grow() -> None:
    definition = runtime.load(
        bpmn('<startEvent id="s"/><endEvent id="e"/>' + task("a") + task("b") + chain("s", "a", "b", "e"))
    )
    change = runtime.start(definition, {"initiator": {"id": "1"}}, now=NOW)
    tasks = _after({}, change)
    sizes = []
    for number in range(1_000):
        event: runtime.Event = runtime.Complete(tasks["a"], "approve", {})
        change = runtime.advance(definition, change.state, change.data, event, now=NOW)
        tasks = _after(tasks, change)
        event = runtime.GoBack(tasks["b"], "a", "jump" if number % 2 else "rewalk")
        change = runtime.advance(definition, change.state, change.data, event, now=NOW)
        tasks = _after(tasks, change)
        assert set(tasks) == {"a"}
        sizes.append(len(change.state))
    assert max(sizes[-50:]) <= sizes[5] + 64


def _after(tasks: dict[str, int], change: runtime.Change) -> dict[str, int]:
    closed = {c.task_id for c in change.closed}
    return {s: t for s, t in [*tasks.items(), *((o.step, o.task_id) for o in change.opened)] if t not in closed}
