"""What the conditions of repeated activities read, and what they leave behind them."""

from datetime import UTC, datetime

import pytest

from engine.bpm import runtime
from tests.dsl import chain, flow, task
from tests.engine.bpm.contracts.kit import diagram, sub

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def many(condition: str, *, sequential: bool = False) -> str:
    return (
        f'<multiInstanceLoopCharacteristics isSequential="{str(sequential).lower()}"><loopCardinality>3'
        f"</loopCardinality><completionCondition>{condition}</completionCondition></multiInstanceLoopCharacteristics>"
    )


def loop(condition: str) -> str:
    return f"<standardLoopCharacteristics><loopCondition>{condition}</loopCondition></standardLoopCharacteristics>"


def process(inner: str) -> runtime.Definition:
    """`before`, a repeated sub-process with `ask` in it, a choice by the outcome, `after`."""
    body = (
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="no"/><exclusiveGateway id="x" default="x_after"/>'
        + task("before")
        + sub("box", ("ask", task("ask")), inner=inner)
        + task("after")
        + chain("s", "before", "box", "x", "after", "e")
        + flow("x", "no", 'outcome = "reject"')
    )
    return runtime.load(diagram(body))


class Play:
    """One instance of which steps are completed by name, the oldest first."""

    def __init__(self, definition: runtime.Definition) -> None:
        self._definition = definition
        self._take(runtime.start(definition, {}, now=NOW), {})

    def _take(self, change: runtime.Change, tasks: dict[int, str]) -> None:
        closed = {c.task_id for c in change.closed}
        self.tasks = {i: s for i, s in tasks.items() if i not in closed} | {o.task_id: o.step for o in change.opened}
        self.change = change

    @property
    def open(self) -> list[str]:
        return sorted(self.tasks.values())

    def complete(self, step: str, outcome: str) -> None:
        task_id = next(i for i, s in self.tasks.items() if s == step)
        event = runtime.Complete(task_id, outcome)
        self._take(runtime.advance(self._definition, self.change.state, self.change.data, event, now=NOW), self.tasks)


@pytest.mark.parametrize("sequential", [False, True])
def test_the_outcome_in_a_completion_condition_is_that_of_the_instance_that_just_ended(sequential: bool) -> None:
    play = Play(process(many('outcome = "reject"', sequential=sequential)))
    play.complete("before", "reject")
    assert play.open == ["ask"] * (1 if sequential else 3)
    play.complete("ask", "approve")
    assert play.open == ["ask"] * (1 if sequential else 2), "the reject before it doesn't end it"
    play.complete("ask", "reject")
    assert play.change.finished, "and the outcome behind it is the one from before it"


def test_what_was_decided_inside_a_multi_instance_stays_there() -> None:
    play = Play(process(many('outcome = "reject"')))
    play.complete("before", "approve")
    play.complete("ask", "reject")
    assert play.open == ["after"], "the outcome before it holds after it"


def test_a_completion_condition_reads_the_steps_inside_and_outside() -> None:
    play = Play(process(many('steps.before = "approve" and steps.ask = "reject"')))
    play.complete("before", "approve")
    play.complete("ask", "approve")
    assert play.open == ["ask", "ask"]
    play.complete("ask", "reject")
    assert play.open == ["after"]


def test_a_loop_condition_reads_the_outcome_of_the_run_that_just_ended() -> None:
    play = Play(process(loop('outcome = "again"')))
    play.complete("before", "approve")
    for _ in range(3):
        play.complete("ask", "again")
        assert play.open == ["ask"]
    play.complete("ask", "reject")
    assert play.change.finished, "a loop works on the shared data: its outcome is the one from here on"


def test_a_called_process_in_a_loop_gives_its_results_to_its_caller() -> None:
    body = (
        '<startEvent id="s"/><endEvent id="e"/>'
        '<callActivity id="call" calledElement="inner"><extensionElements><piyue:output name="result" '
        'value="=outcome"/></extensionElements>'
        + loop('result = "again"')
        + "</callActivity>"
        + task("after")
        + chain("s", "call", "after", "e")
    )
    inner = f'<startEvent id="s2"/><endEvent id="e2"/>{task("ask")}{chain("s2", "ask", "e2")}'
    files = diagram(body) | {"called/inner.bpmn": diagram(inner, "inner")["process.bpmn"].replace('id="d"', 'id="d2"')}
    play = Play(runtime.load(files))
    play.complete("inner:ask", "again")
    assert play.open == ["inner:ask"]
    play.complete("inner:ask", "approve")
    assert play.open == ["after"]
    assert play.change.data["result"] == "approve"
