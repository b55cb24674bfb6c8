"""Returns one after the other through the rounds of a loop: what was passed stays in reach, the state stays small."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from engine.bpm import runtime
from tests.dsl import bpmn, chain, flow, task
from tests.engine.bpm.contracts.kit import boundary, sub, timer
from tests.engine.bpm.contracts.test_returns_matrix import Both, a_process
from tests.engine.bpm.contracts.walks import Block, Loop, Step, random_fields

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def loop(*elements: tuple[str, str]) -> runtime.Definition:
    """`apply`, then these again and again until the last of them approves."""
    names = [name for name, _ in elements]
    return runtime.load(
        bpmn(
            '<startEvent id="s"/><endEvent id="e"/><exclusiveGateway id="m"/><exclusiveGateway id="x" default="x_e"/>'
            + task("apply")
            + "".join(xml for _, xml in elements)
            + chain("s", "apply", "m", *names, "x", "e")
            + flow("x", "m", 'outcome = "reject"')
        )
    )


class Play:
    """One instance with one open task at a time."""

    def __init__(self, definition: runtime.Definition) -> None:
        self._definition = definition
        self.change = runtime.start(definition, {}, now=NOW)

    def _do(self, event: runtime.Event) -> None:
        self.change = runtime.advance(self._definition, self.change.state, self.change.data, event, now=NOW)

    @property
    def at(self) -> str:
        (opened,) = self.change.opened
        return opened.step

    @property
    def _task(self) -> int:
        return self.change.opened[0].task_id

    @property
    def targets(self) -> list[str]:
        return runtime.back_targets(self._definition, self.change.state, self._task)

    def complete(self, *outcomes: str) -> "Play":
        for outcome in outcomes:
            self._do(runtime.Complete(self._task, outcome))
        return self

    def back(self, *steps: str, mode: str = "rewalk") -> "Play":
        for step in steps:
            self._do(runtime.GoBack(self._task, step, mode))
            assert self.at == step
        return self

    def take_back(self, task_id: int) -> None:
        self._do(runtime.TakeBack(task_id))


THREE = [(name, task(name)) for name in "abc"]
ROUND = ("approve", "approve", "reject")


def test_two_rounds_are_walked_back_step_by_step() -> None:
    play = Play(loop(*THREE)).complete("approve", *ROUND, "approve", "approve")
    seen = []
    while play.targets:
        seen.append((play.at, play.targets))
        play.back(play.targets[0])
    assert seen == [
        ("c", ["b", "a", "apply"]),
        ("b", ["a", "c", "apply"]),
        ("a", ["c", "b", "apply"]),
        ("c", ["b", "a", "apply"]),
        ("b", ["a", "apply"]),
        ("a", ["apply"]),
    ]
    assert play.complete("approve", *ROUND, *ROUND).targets == ["c", "b", "apply"], "forward again as ever"


def test_what_was_passed_for_the_first_time_after_the_target_is_forgotten() -> None:
    play = Play(loop(*THREE)).complete("approve", "approve", "approve").back("a")
    assert play.targets == ["apply"]
    with pytest.raises(runtime.Unreachable):
        play.back("b")


def test_after_many_rounds_one_returns_hither_and_thither() -> None:
    play = Play(loop(*THREE)).complete("approve", *ROUND * 50, "approve", "approve")
    for step in "acbacbabcabcbcb":
        assert step in play.targets
        play.back(step)


def test_from_the_target_of_a_jump_one_returns_to_its_older_rounds_too() -> None:
    play = Play(loop(*THREE)).complete("approve", *ROUND, "approve", "approve").back("a", mode="jump")
    assert play.targets == ["c", "b", "apply"]
    play.back("b", mode="jump")
    assert play.targets == ["a", "apply"]
    play.complete("approve")
    assert play.at == "a"


def test_steps_of_a_sub_process_in_a_loop_stay_in_reach() -> None:
    play = Play(loop(("box", sub("box", ("in1", task("in1")), ("in2", task("in2")))), ("c", task("c"))))
    play.complete("approve", *ROUND, "approve", "approve")
    assert play.targets == ["in2", "in1", "apply"]
    play.back("in1", "c")
    assert play.targets == ["in2", "in1", "apply"]
    play.back("in2")


def test_a_visit_of_an_older_round_that_came_back_is_not_taken_back() -> None:
    play = Play(loop(*THREE)).complete("approve")
    first = play.change.opened[0].task_id
    play.complete(*ROUND, "approve", "approve").back("a")
    with pytest.raises(runtime.Unreachable):
        play.take_back(first)


def test_a_return_undoes_the_latest_visits_and_leaves_the_first_ones() -> None:
    play = Play(loop(*THREE)).complete("approve")
    ids = [play.change.opened[0].task_id]
    ids += [play.complete(outcome).change.opened[0].task_id for outcome in (*ROUND, "approve", "approve")]
    play.back("a")
    assert set(play.change.undone) == {ids[3], ids[4]}
    play.back("c")
    assert set(play.change.undone) == {ids[2]}
    play.back("a")
    assert set(play.change.undone) == {ids[0], ids[1]}


def test_thousands_of_returns_between_the_rounds_of_a_loop_do_not_grow() -> None:
    play, rng, sizes = Play(loop(*THREE)).complete("approve"), random.Random(7), []
    for _ in range(5_000):
        if play.targets and rng.random() < 0.4:
            play.back(rng.choice(play.targets), mode=rng.choice(["rewalk", "jump"]))
        else:
            play.complete("reject" if play.at == "c" else "approve")
        sizes.append(len(play.change.state))
    assert max(sizes[-500:]) <= max(sizes[:500]) + 64


def test_branches_that_stay_open_beside_a_loop_for_a_round_leave_nothing_behind() -> None:
    """A reminder opens a task beside `a`, which is still open when `a` is done and done itself only later."""
    body = boundary("late", "a", timer("P1D"), interrupting=False) + task("seen") + '<endEvent id="gone"/>'
    definition = loop(("a", task("a") + body + chain("late", "seen", "gone")), ("c", task("c")))
    change, tasks, sizes = runtime.start(definition, {}, now=NOW), dict[str, int](), []

    def do(event: runtime.Event | None = None) -> None:
        nonlocal change
        change = change if event is None else runtime.advance(definition, change.state, change.data, event, now=NOW)
        tasks.update({o.step: o.task_id for o in change.opened} | {d.element: d.task_id for d in change.timers})

    do()
    do(runtime.Complete(tasks["apply"], "approve"))
    for _ in range(200):
        do(runtime.Fire(tasks["late"]))
        do(runtime.Complete(tasks["a"], "approve"))
        do(runtime.Complete(tasks["seen"], "approve"))
        do(runtime.Complete(tasks["c"], "reject"))
        sizes.append(len(change.state))
    assert max(sizes[-50:]) <= sizes[5] + 64
    assert runtime.back_targets(definition, change.state, tasks["a"]) == ["c", "apply"]


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_nothing_that_was_passed_before_is_ever_out_of_reach(rng: random.Random) -> None:
    """Returns after returns in random processes with loops, against the token game, which keeps every round."""
    block, fields = a_process(rng)
    looped: Block = (Step("t0"), Loop("again", block))
    both = Both(looped, fields | {"again": True})
    for _ in range(25):
        if both.finished:
            return
        step = rng.choice(sorted(both.tasks))
        offered = runtime.back_targets(both.definition, both.state, both.tasks[step])
        expected = [target for target in both.walk.targets(step) if target != step]
        assert set(expected) <= set(offered), step
        if expected and rng.random() < 0.5:
            target = rng.choice(expected)
            both.go_back(step, target)
            both.walk.go_back(step, target)
            both.same()
        else:
            both.complete(step, random_fields(rng, block) | {"again": True})
        note(f"open {sorted(both.tasks)}")
