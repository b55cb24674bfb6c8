"""The return matrix (退回) over random block-structured processes, against a token game of our own."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, currently_in_test_context, given, note, settings
from hypothesis import strategies as st

from engine.bpm import runtime
from tests.engine.bpm.contracts.walks import Block, Split, Step, Visit, Walk, random_block, random_fields, steps_of

BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
INITIATOR = {"id": "1", "name": "张三", "department": "内科", "department_id": "1", "post": "护士"}
RANDOMS = st.randoms(use_true_random=False)
THOROUGH = settings(max_examples=150, suppress_health_check=list(HealthCheck))


class Both:
    """One instance in the engine and in the game."""

    def __init__(self, block: Block, fields: dict[str, bool]) -> None:
        self.walk = Walk(block, fields)
        self.definition = runtime.load(self.walk.files)
        self.now = BEGIN
        self.tasks: dict[str, int] = {}
        self.state, self.data, self.finished = b"", dict[str, Any](), False
        self._apply(runtime.start(self.definition, {**fields, "initiator": INITIATOR}, now=self.now))
        self.same()

    def advance(self, event: Any) -> None:
        self.now += timedelta(minutes=1)
        self._apply(runtime.advance(self.definition, self.state, self.data, event, now=self.now))

    def _apply(self, change: runtime.Change) -> None:
        for closed in change.closed:
            assert self.tasks.get(closed.step) in (closed.task_id, None)
            self.tasks.pop(closed.step, None)
        gone = {c.task_id for c in change.closed}
        for opened in change.opened:
            if opened.task_id not in gone:
                assert opened.step not in self.tasks, f"{opened.step} is open twice"
                self.tasks[opened.step] = opened.task_id
        self.state, self.data, self.finished = change.state, dict(change.data), change.finished

    def same(self) -> None:
        assert set(self.tasks) == set(self.walk.open), "open in the engine, and by the semantics"
        assert self.finished == self.walk.ended

    def complete(self, step: str, fields: dict[str, bool]) -> tuple[Visit, int]:
        if currently_in_test_context():
            note(f"complete {step} {fields}")
        task_id = self.tasks[step]
        self.advance(runtime.Complete(task_id, "approve", fields))
        visit = self.walk.complete(step, fields)
        self.same()
        return visit, task_id

    def go_back(self, step: str, target: str, mode: str = "rewalk") -> None:
        note(f"{step} returns to {target}, {mode}")
        self.advance(runtime.GoBack(self.tasks[step], target, mode))

    def returns(self, step: str) -> list[str]:
        """Return where a step may return to, but for itself and what has tests of its own."""
        return [] if self.walk.old(step) else [t for t in self.walk.targets(step) if t != step]

    def matrix(self, steps: list[str]) -> None:
        """Compare what each open step may return to, and refuse every other step."""
        for step, task_id in self.tasks.items():
            if self.walk.old(step):
                continue
            allowed, doubtful = self.walk.targets(step), self.walk.doubtful(step)
            offered = runtime.back_targets(self.definition, self.state, task_id)
            assert [t for t in offered if t not in doubtful] == [t for t in allowed if t not in doubtful], step
            for target in set(steps) - set(offered):
                with pytest.raises(runtime.Unreachable):
                    runtime.advance(
                        self.definition, self.state, self.data, runtime.GoBack(task_id, target), now=self.now
                    )


def a_process(rng: random.Random) -> tuple[Block, dict[str, bool]]:
    block = random_block(rng, rng.randint(2, 7), itertools.count(1))
    note(f"{block}")
    return block, random_fields(rng, block)


@THOROUGH
@given(RANDOMS)
def test_a_step_returns_exactly_to_what_it_has_passed_and_reaches_serially(rng: random.Random) -> None:
    block, fields = a_process(rng)
    both, steps = Both(block, fields), steps_of(block)
    for _ in range(14):
        if both.finished:
            return
        both.matrix(steps)
        step = rng.choice(sorted(both.tasks))
        targets = both.returns(step)
        if targets and rng.random() < 0.35:
            target = rng.choice(targets)
            both.go_back(step, target)
            both.walk.go_back(step, target)
            both.same()
        else:
            both.complete(step, random_fields(rng, block) if rng.random() < 0.5 else {})
    finish(both, block)


@THOROUGH
@given(RANDOMS)
def test_a_jump_leads_straight_back_and_no_join_passes_early_or_hangs(rng: random.Random) -> None:
    block, fields = a_process(rng)
    both, jumped = Both(block, fields), False  # once in a story: what comes after a jump has tests of its own
    for _ in range(rng.randint(1, 8)):
        if both.finished:
            return
        step = rng.choice(sorted(both.tasks))
        targets = [] if jumped else both.returns(step)
        if targets and rng.random() < 0.5:
            before = set(both.tasks)
            target = rng.choice(targets)
            try:
                both.go_back(step, target, "jump")
            except runtime.Unreachable:
                assert not both.walk.alone(step, target), "a jump that cancels nobody else is possible"
                continue
            assert target in both.tasks
            assert step not in both.tasks
            note(f"complete {target}")
            both.advance(runtime.Complete(both.tasks[target], "approve", {}))
            assert step in both.tasks, "straight back to the one who returned"
            jumped = True
            assert set(both.tasks) == before, "and whoever was working beside them works again"
        else:
            both.complete(step, random_fields(rng, block) if rng.random() < 0.5 else {})
    finish(both, block)


def finish(both: Both, block: Block) -> None:
    """Complete whatever is open, without another loop; the instance must end when the game does."""
    last = dict.fromkeys(random_fields(random.Random(0), block), False)
    for _ in range(60):
        if both.finished:
            return
        both.complete(sorted(both.tasks)[0], last)
    raise AssertionError("the instance never ends")


@THOROUGH
@given(RANDOMS)
def test_a_step_is_taken_back_exactly_while_nobody_acted_on_what_followed(rng: random.Random) -> None:
    block, fields = a_process(rng)
    both = Both(block, fields)
    done: list[tuple[Visit, int]] = []
    for _ in range(12):
        if both.finished:
            break
        step = rng.choice(sorted(both.tasks))
        targets = both.returns(step)
        if targets and rng.random() < 0.15:
            target = rng.choice(targets)
            both.go_back(step, target)
            both.walk.go_back(step, target)
        else:
            done.append(both.complete(step, random_fields(rng, block) if rng.random() < 0.5 else {}))
        for visit, task_id in done:
            event, allowed = runtime.TakeBack(task_id), both.walk.may_take_back(visit)
            try:
                runtime.advance(both.definition, both.state, both.data, event, now=both.now)
                taken = True
            except (runtime.Unreachable, LookupError):
                taken = False
            assert allowed in (taken, None), f"taking back {visit.step}"
        if done and both.walk.may_take_back(done[-1][0]) and rng.random() < 0.4:
            visit, task_id = done.pop()
            note(f"take back {visit.step}")
            both.advance(runtime.TakeBack(task_id))
            both.walk.take_back(visit)
            both.same()


def test_the_runtime_refuses_to_take_back_what_has_been_joined_since() -> None:
    """The smallest case of the property above: t1, then t2 and t3 side by side, both done, then t4."""
    block: Block = (Step("t1"), Split("par", "parallel", (Step("t2"), Step("t3"))), Step("t4"))
    both = Both(block, {})
    _, task_id = both.complete("t1", {})
    both.complete("t2", {})
    both.complete("t3", {})
    with pytest.raises(runtime.Unreachable):
        runtime.advance(both.definition, both.state, both.data, runtime.TakeBack(task_id), now=both.now)
