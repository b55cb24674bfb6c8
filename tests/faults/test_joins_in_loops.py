"""Parallel and inclusive joins inside a loop: never an early pass, whatever the order of the branches in each round.

The library's own joins pass early from the second round on, when the first branch to finish was the last of the round
before; so what matters is every pair of orders in rounds that follow one another.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, permutations, product

import pytest

from engine.bpm import runtime
from tests.faults.oracle import bpmn
from tests.faults.oracle.blocks import Branch, Fork, Loop, Seq, Task, compile_process
from tests.faults.oracle.conditions import Compare
from tests.faults.oracle.driver import BEGIN, INITIATOR, Runtime, Shown
from tests.faults.oracle.game import Game
from tests.faults.oracle.toy import EagerOr, EarlyAnd, PatientOr, StaleAnd, Toy

REJECTIONS = 5
Order = tuple[str, ...]

pytestmark = [pytest.mark.faults]


@dataclass(frozen=True)
class Shape:
    """A process with a loop around a join: what runs in a round besides the branches, and beside the loop."""

    body: Seq
    branches: Order
    in_round: Order = ()
    beside: Order = ()
    inclusive: bool = False

    def orders(self) -> list[Order]:
        """Return all orders of a round; an inclusive split may take any of its branches, but at least one."""
        if not self.inclusive:
            return list(permutations(self.branches + self.in_round))
        taken = [chosen for size in range(1, len(self.branches) + 1) for chosen in combinations(self.branches, size)]
        return [order for chosen in taken for order in permutations(chosen + self.in_round)]

    def picks(self, order: Order) -> dict[str, bool]:
        """Return the data that makes an inclusive split take the branches of an order."""
        return {f"pick_{name}": name in order for name in self.branches}


def shape(kind: str, *, inclusive: bool, count: int) -> Shape:
    """Draw a kind: `flat`: loop {join, check}; `nested`: loop {AND(join, d), check}; `within`: AND(flat, other)."""
    names = ("a", "b", "c")[:count]
    conditions = [Compare(f"pick_{name}", "=", True) if inclusive else None for name in names]
    pairs = zip(names, conditions, strict=True)
    join = Fork("Join", tuple(Branch((Task(name),), condition) for name, condition in pairs), inclusive)
    inside: Seq = (join,)
    if kind == "nested":
        inside = (Fork("Outer", (Branch((join,)), Branch((Task("d"),)))),)
    body: Seq = (Loop("Again", (*inside, Task("check")), Compare("outcome", "=", "reject"), ()),)
    if kind == "within":
        body = (Fork("Outer", (Branch(body), Branch((Task("other"),)))),)
    return Shape(
        (*body, Task("last")),
        names,
        ("d",) if kind == "nested" else (),
        ("other",) if kind == "within" else (),
        inclusive,
    )


class Walk:
    """Plays of one shape; the runtime is pure, so plays share their beginnings."""

    def __init__(self, shape: Shape, runtime: Runtime) -> None:
        self.shape = shape
        self.runtime = runtime
        self.definition = runtime.load({"process.bpmn": bpmn.write(compile_process(shape.body))})
        self.rounds: dict[tuple[Order, ...], Shown] = {}

    def complete(self, shown: Shown, step: str, outcome: str, data: dict[str, bool]) -> Shown:
        task_id = next(key for key, name in shown.tasks.items() if name == step)
        event = self.runtime.Complete(task_id, outcome, data)
        change = self.runtime.advance(self.definition, shown.state, dict(shown.data), event, now=BEGIN)
        return shown.after(change)

    def open_round(self, done: tuple[Order, ...], order: Order) -> Shown:
        """Return the process at the begin of a round, whose branches are those of `order`, after the rounds `done`."""
        picks = self.shape.picks(order)
        if not done:
            data = {**picks, "initiator": INITIATOR}
            return Shown.first(self.runtime.start(self.definition, data, now=BEGIN))
        return self.complete(self.after_rounds(done), "check", "reject", picks)

    def after_rounds(self, done: tuple[Order, ...]) -> Shown:
        """Return the process when the last of these rounds is at its check; fails on an early or a missing pass."""
        if done in self.rounds:
            return self.rounds[done]
        *before, order = done
        shown = self.open_round(tuple(before), order)
        for index, step in enumerate(order):
            assert _open(shown) == sorted(order[index:] + self.shape.beside), f"rounds {done}, before {step}"
            shown = self.complete(shown, step, "approve", {})
        assert _open(shown) == sorted(("check", *self.shape.beside)), f"rounds {done}"
        self.rounds[done] = shown
        return shown

    def finish(self, done: tuple[Order, ...]) -> None:
        """Approve after the last round, and go to the end."""
        shown = self.complete(self.after_rounds(done), "check", "approve", {})
        for step in (*self.shape.beside, "last"):
            assert _open(shown) == [step], f"rounds {done}"
            assert not shown.finished
            shown = self.complete(shown, step, "approve", {})
        assert _open(shown) == []
        assert shown.finished


def _open(shown: Shown) -> list[str]:
    return sorted(shown.tasks.values())


def _alternating(orders: list[Order]) -> Iterable[tuple[Order, ...]]:
    """Every order behind every other: first, second, first, second, …"""
    for first, second in product(orders, repeat=2):
        yield tuple(first if number % 2 == 0 else second for number in range(REJECTIONS + 1))


_LONG = ("nested", True, 3)  # as long as all others together
CASES = [
    pytest.param(
        kind,
        inclusive,
        count,
        id=f"{kind}-{'or' if inclusive else 'and'}-{count}",
        marks=[pytest.mark.slow] if (kind, inclusive, count) == _LONG else [],
    )
    for kind in ("flat", "nested", "within")
    for inclusive in (False, True)
    for count in (2, 3)
]


@pytest.mark.parametrize(("kind", "inclusive", "count"), CASES)
def test_a_join_in_a_loop_waits_for_its_branches_in_each_round(kind: str, inclusive: bool, count: int) -> None:
    walk = Walk(shape(kind, inclusive=inclusive, count=count), runtime)
    walk_all(walk)


def walk_all(walk: Walk) -> None:
    """Make all plays where they are few, else every order behind every other."""
    orders = walk.shape.orders()
    if len(orders) ** REJECTIONS > 1_024:
        plays: Iterable[tuple[Order, ...]] = _alternating(orders)
    else:
        plays = product(orders, repeat=REJECTIONS + 1)
    for play in plays:
        walk.finish(play)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["flat", "nested"])
def test_three_orders_in_all_five_rounds(kind: str) -> None:
    """All 6⁵ plays of a join of three, and of a join of two in a join of two."""
    walk = Walk(shape(kind, inclusive=False, count=3 if kind == "flat" else 2), runtime)
    for play in product(walk.shape.orders(), repeat=REJECTIONS):
        walk.after_rounds(play)


@pytest.mark.parametrize(
    ("rules", "inclusive"), [(EarlyAnd, False), (StaleAnd, False), (EagerOr, True), (PatientOr, True)]
)
def test_an_early_or_missing_pass_would_be_seen(rules: type[Game], inclusive: bool) -> None:
    toy = Toy(rules)
    drawn = shape("flat", inclusive=inclusive, count=2)
    toy.learn(compile_process(drawn.body))
    with pytest.raises(AssertionError):
        walk_all(Walk(drawn, toy))
