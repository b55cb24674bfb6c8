"""Random well-formed processes, reproducible from a seed."""

import random
from dataclasses import replace
from typing import Any

from tests.faults.oracle.blocks import (
    Block,
    Boundary,
    Branch,
    Choice,
    Fork,
    Loop,
    Pause,
    Place,
    Race,
    Seq,
    Stop,
    Sub,
    Task,
    aside,
    inside_fork,
    live,
    outcome_after,
    tasks,
    well_formed,
)
from tests.faults.oracle.conditions import Compare, Condition, Joined, Negated, StepEnded, Within
from tests.faults.oracle.net import Kind, Many, Wait

MAX_DEPTH = 4
MIN_TASKS, MAX_TASKS = 3, 25
OUTCOMES = ("approve", "reject")
KINDS = ("a", "b", "c")


def random_data(rng: random.Random) -> dict[str, Any]:
    """Return values for all fields that conditions and multi-instances use."""
    return {
        "amount": rng.randint(0, 9),
        "类别": rng.choice(KINDS),
        "urgent": rng.random() < 0.5,
        "items": [rng.randint(0, 9) for _ in range(rng.choice((0, 1, 2, 2, 3)))],
    }


def generate(seed: int) -> Seq:
    """Return a random well-formed process of 3 to 25 user tasks."""
    return _Generator(random.Random(seed)).process()


class _Generator:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.counts: dict[str, int] = {}
        self.steps: list[str] = []

    def process(self) -> Seq:
        while True:
            self.counts, self.steps = {}, []
            body = self.seq(self.rng.randint(MIN_TASKS, MAX_TASKS), 0, Place())
            if live(body) and tasks(body) < MIN_TASKS:
                body = (*body, *(self.task() for _ in range(MIN_TASKS)))
            if MIN_TASKS <= tasks(body) <= MAX_TASKS:
                assert well_formed(body, Place())
                return body

    def id(self, prefix: str) -> str:
        self.counts[prefix] = self.counts.get(prefix, 0) + 1
        return f"{prefix}{self.counts[prefix]}"

    def often(self, share: float) -> bool:
        return self.rng.random() < share

    def seq(self, budget: int, depth: int, place: Place) -> Seq:
        """Fill a sequence with blocks worth about `budget` user tasks."""
        blocks: list[Block] = []
        while budget > 0:
            size = self.rng.randint(1, budget) if depth < MAX_DEPTH else 1
            if size > 2 and self.often(0.15):
                blocks += [self.task(), Pause(self.id("P"), self.wait())]
                block: Block = self.choice(size - 1, depth + 1, replace(place, outcome=True), late=True)
            else:
                block = self.block(size, depth, place)
            blocks.append(block)
            budget -= max(1, tasks((block,)))
            if not live((block,)):
                return tuple(blocks)
            place = replace(place, outcome=outcome_after((block,), place.outcome))
        if self.often(0.04) and (place.ends or place.terminates):
            terminate = place.terminates and (not place.ends or self.often(0.5))
            blocks.append(Stop(self.id("E"), terminate))
        return tuple(blocks)

    def block(self, size: int, depth: int, place: Place) -> Block:
        if depth >= MAX_DEPTH or self.often(0.3):
            return self.leaf(size, depth, place)
        kinds = ("choice", "loop", "and", "or", "sub", "many", "race")
        kind = self.rng.choices(kinds, (25, 20, 22, 20, 10, 12, 5))[0]
        depth += 1
        if kind == "choice":
            return self.choice(size, depth, place)
        if kind == "loop":
            return self.loop(size, depth, place)
        if kind in ("sub", "many"):
            return self.sub(size, depth, place, many=kind == "many")
        if kind == "race":
            return self.race(size, depth, place)
        return self.fork(size, depth, place, inclusive=kind == "or")

    def leaf(self, size: int, depth: int, place: Place) -> Block:
        if self.often(0.15):
            return Pause(self.id("P"), self.wait())
        kind = self.rng.choices([Kind.USER, Kind.SERVICE, Kind.SCRIPT], [80, 10, 10])[0]
        task = self.task() if kind is Kind.USER else Task(self.id("J"), kind)
        return replace(task, boundaries=self.boundaries(size - 1, depth, place)) if self.often(0.2) else task

    def task(self) -> Task:
        task = Task(self.id("T"))
        self.steps.append(task.id)
        return task

    def wait(self) -> Wait:
        return Wait(self.rng.randint(1, 72), feel=self.often(0.3))

    def boundaries(self, size: int, depth: int, place: Place) -> tuple[Boundary, ...]:
        found = []
        for _ in range(self.rng.choice((1, 1, 1, 2))):
            interrupting = self.often(0.6)
            wait = self.wait() if interrupting or self.often(0.7) else Wait(self.rng.randint(1, 24), cycle=3)
            inside = place if interrupting else aside(place)
            path = self.seq(self.rng.randint(0, max(0, min(size, 4))), depth + 1, inside)
            if interrupting and not live(path) and not place.ends:
                path = ()
            found.append(Boundary(self.id("B"), wait, interrupting, path))
        return tuple(found)

    def shares(self, size: int, count: int) -> list[int]:
        """Split a budget; at most one branch is empty."""
        shares = [max(1, size // count)] * count
        if self.often(0.3):
            shares[self.rng.randrange(count)] = 0
        return shares

    def choice(self, size: int, depth: int, place: Place, *, late: bool = False) -> Choice:
        """`late`: it asks for the outcome of a task that was done a while ago."""
        count = self.rng.choice((2, 2, 3))
        default = self.rng.randrange(count)
        name = self.id("X")
        branches = []
        for number, share in enumerate(self.shares(size, count)):
            condition = self.asked() if late else self.condition(place)
            branches.append(Branch(self.seq(share, depth, place), None if number == default else condition))
        return Choice(name, tuple(branches), merge=self.often(0.7))

    def fork(self, size: int, depth: int, place: Place, *, inclusive: bool) -> Fork:
        count = self.rng.choice((2, 2, 3))
        default = self.rng.randrange(count)
        name = self.id("O" if inclusive else "A")
        inner = inside_fork(place, inclusive=inclusive)
        branches = []
        for number, share in enumerate(self.shares(size, count)):
            condition = self.condition(place) if inclusive and number != default else None
            body = self.seq(share, depth, inner)
            branches.append(Branch(body if live(body) else (*body[:-1], self.task()), condition))
        return Fork(name, tuple(branches), inclusive)

    def loop(self, size: int, depth: int, place: Place) -> Loop:
        name = self.id("L")
        body = self.seq(max(0, size - 1), depth, replace(place, outcome=False))
        body = (*(body if live(body) else body[:-1]), self.task())
        behind = replace(place, outcome=True)
        back = self.seq(1, depth, behind) if self.often(0.3) else ()
        again: Condition = Compare("outcome", "=", "reject") if self.often(0.6) else self.condition(behind)
        merge = not isinstance(body[0], Task | Pause) or self.often(0.6)
        return Loop(name, body, again, back if live(back) else (), merge)

    def race(self, size: int, depth: int, place: Place) -> Race:
        name = self.id("R")
        branches = []
        for share in self.shares(size, self.rng.choice((2, 2, 3))):
            pause = Pause(self.id("P"), self.wait())
            branches.append((pause, self.seq(share, depth, place)))
        return Race(name, tuple(branches))

    def sub(self, size: int, depth: int, place: Place, *, many: bool) -> Sub:
        name = self.id("S")
        outside, outside_steps = place, list(self.steps)
        around = self.many(place) if many else None
        names = place.names | {around.item} if around and around.item else place.names
        inside = Place(terminates=not many, outcome=place.outcome, names=frozenset(names))
        body = self.seq(size, depth, inside)
        self.steps = outside_steps if many else self.steps
        boundaries = self.boundaries(min(3, size - 1), depth, outside) if self.often(0.3) else ()
        return Sub(name, body, around, boundaries)

    def many(self, place: Place) -> Many:
        sequential = self.often(0.5)
        until = self.fact() if self.often(0.25) else None
        if place.names:  # Nested: few instances, so that all ways of telling them apart can be tried.
            return Many(sequential, count=2, until=until)
        if self.often(0.2):
            return Many(sequential, count=self.rng.randint(1, 3), until=until)
        return Many(sequential, over="items", item=self.id("item"), until=until)

    def condition(self, place: Place) -> Condition:
        kind = self.rng.random()
        if place.outcome and kind < 0.35:
            return self.asked()
        if place.names and kind < 0.6:
            item = self.rng.choice(sorted(place.names))
            return Compare(item, self.rng.choice(("<", ">=")), self.rng.randint(2, 8))
        if self.steps and kind < 0.45:
            return StepEnded(self.rng.choice(self.steps), self.rng.choice(OUTCOMES))
        if kind < 0.6:
            return Joined(self.rng.choice(("and", "or")), self.fact(), self.fact())
        if kind < 0.65:
            return Negated(self.fact())
        return self.fact()

    def asked(self) -> Condition:
        """Ask for the outcome."""
        return Compare("outcome", self.rng.choice(("=", "!=")), self.rng.choice(OUTCOMES))

    def fact(self) -> Condition:
        """Ask one data field something."""
        return self.rng.choice(
            (
                Compare("amount", self.rng.choice(("=", "!=", "<", "<=", ">", ">=")), self.rng.randint(1, 8)),
                Within("amount", low := self.rng.randint(0, 6), low + 3),
                Compare("类别", self.rng.choice(("=", "!=")), self.rng.choice(KINDS)),
                Compare("urgent", "=", self.often(0.5)),
            )
        )
