"""Play a process on a runtime and on the token game at once, and compare what each shows after every step.

The runtime is a pure module: `load`, `start`, `advance`, with its state as bytes, so state is saved and loaded at each
step. Where one element is open several times (multi-instance, or a non-interrupting boundary in a loop) nobody outside
can tell which is which; then every one of them is tried from the same state, and what the runtime shows after each must
be, as a multiset, what the game shows after each.
"""

import random
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from tests.faults.oracle import bpmn
from tests.faults.oracle.blocks import Seq, compile_process
from tests.faults.oracle.game import Game, Move, View
from tests.faults.oracle.generator import OUTCOMES, random_data
from tests.faults.oracle.net import Scope

BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
INITIATOR = {"id": "1", "name": "张三", "department": "内科", "department_id": "1", "post": "护士"}
STEPS = 40
_MAX_GAMES = 200


class Runtime(Protocol):
    """What the driver uses of engine.bpm.runtime."""

    @property
    def load(self) -> Callable[..., Any]: ...

    @property
    def start(self) -> Callable[..., Any]: ...

    @property
    def advance(self) -> Callable[..., Any]: ...

    @property
    def Complete(self) -> Callable[..., Any]: ...  # noqa: N802

    @property
    def Fire(self) -> Callable[..., Any]: ...  # noqa: N802

    @property
    def JobDone(self) -> Callable[..., Any]: ...  # noqa: N802


class Difference(AssertionError):
    """Runtime and game disagree, or the runtime failed. `trace` has a line per step."""

    def __init__(self, message: str, trace: list[str]) -> None:
        super().__init__("\n".join([*trace, message]))
        self.message = message
        self.trace = trace


@dataclass(frozen=True)
class Shown:
    """What a runtime has shown so far: its last state and data, and what is open by task id."""

    state: bytes
    data: Mapping[str, Any]
    tasks: Mapping[Any, str]
    timers: Mapping[Any, tuple[str, datetime]]
    jobs: Mapping[Any, str]
    opened: list[tuple[str, Mapping[str, Any]]]
    finished: bool

    @classmethod
    def first(cls, change: Any) -> "Shown":
        """Return what the change of a start shows."""
        return cls(b"", {}, {}, {}, {}, [], finished=False).after(change)

    def after(self, change: Any) -> "Shown":
        """Apply a change: what it opened, then what it closed."""
        gone = {*(closed.task_id for closed in change.closed), *change.gone}
        tasks = {**self.tasks, **{item.task_id: item.step for item in change.opened}}
        timers = {**self.timers, **{due.task_id: (due.element, due.due_at) for due in change.timers}}
        opened = [(item.step, item.scope) for item in change.opened if item.task_id not in gone]
        jobs = {**self.jobs, **{job.task_id: job.element for job in change.jobs}}
        return Shown(
            change.state,
            change.data,
            {key: value for key, value in tasks.items() if key not in gone},
            {key: value for key, value in timers.items() if key not in gone},
            {key: value for key, value in jobs.items() if key not in gone},
            opened,
            bool(change.finished),
        )

    def view(self) -> View:
        """Return what is open as the token game would say it."""
        return View.of(
            Counter(self.tasks.values()),
            Counter(self.timers.values()),
            Counter(self.jobs.values()),
            self.opened,
            finished=self.finished,
        )

    def ids(self, move: Move) -> list[Any]:
        """Return the open ids a move can mean."""
        if move.kind == "timer":
            return [key for key, (element, _) in self.timers.items() if element == move.element]
        among = self.tasks if move.kind == "task" else self.jobs
        return [key for key, element in among.items() if element == move.element]


class Play:
    """One process on both sides."""

    def __init__(self, runtime: Runtime, process: Scope, data: Mapping[str, Any]) -> None:
        self.runtime = runtime
        self.now = BEGIN
        self.trace = [f"start {dict(data)}"]
        games = [Game(process, data, self.now)]
        files = {"process.bpmn": bpmn.write(process)}
        self.definition = self._guard(lambda: runtime.load(files))
        change = self._guard(lambda: runtime.start(self.definition, {**data, "initiator": INITIATOR}, now=self.now))
        self.shown = Shown.first(change)
        self.games = games
        self._compare([self.shown], [games])

    def moves(self) -> list[Move]:
        """Return the moves that are possible now, without outcome and data."""
        view = self.games[0].view()
        return [
            *(Move("task", element) for element, _ in view.tasks),
            *(Move("timer", element) for element, _, _ in view.timers),
            *(Move("job", element) for element, _ in view.jobs),
        ]

    def do(self, move: Move, pick: Callable[[int], int] = lambda count: 0) -> None:
        """Make a move on both sides; `pick` chooses among ids that only the runtime can tell apart."""
        ids = self.shown.ids(move)
        due = [self.shown.timers[key][1] for key in ids if move.kind == "timer"]
        self.now = max([self.now + timedelta(minutes=1), *due])
        self.trace.append(_line(move, len(ids)))
        after = [self.shown.after(self._advance(move, key)) for key in ids]
        nexts = [[game.apply(move, serial, self.now) for serial in game.handles(move)] for game in self.games]
        chosen = pick(len(after))
        self._compare(after, nexts, chosen)
        self.shown = after[chosen]
        if move.kind == "task":
            self._again(move, ids[chosen])

    def _again(self, move: Move, key: Any) -> None:
        """A task that was completed can't be completed once more."""
        shown, event = self.shown, self.runtime.Complete(key, move.outcome, {})
        try:
            self.runtime.advance(self.definition, shown.state, shown.data, event, now=self.now)
        except LookupError:
            return
        raise Difference(f"completed twice: {move.element}", self.trace)

    def _advance(self, move: Move, key: Any) -> Any:
        runtime = self.runtime
        event = {
            "task": lambda: runtime.Complete(key, move.outcome, dict(move.data)),
            "timer": lambda: runtime.Fire(key),
            "job": lambda: runtime.JobDone(key, dict(move.data)),
        }[move.kind]()
        shown = self.shown
        return self._guard(lambda: runtime.advance(self.definition, shown.state, shown.data, event, now=self.now))

    def _compare(self, after: list[Shown], nexts: list[list[Game]], chosen: int = 0) -> None:
        """Keep the games that fit; none is left: a difference."""
        seen = Counter(shown.view() for shown in after)
        kept: dict[object, Game] = {}
        for games in nexts:
            if Counter(game.view() for game in games) == seen:
                fits = [game for game in games if game.view() == after[chosen].view()]
                kept.update((game.key(), game) for game in fits)
        if not kept:
            expected = sorted({_views([game.view() for game in games]) for games in nexts})
            lines = [f"expected {line}" for line in expected] + [f"but was  {_views([s.view() for s in after])}"]
            raise Difference("\n".join(lines), self.trace)
        self.games = list(kept.values())
        if len(self.games) > _MAX_GAMES:
            raise AssertionError("too many ways to tell equal tasks apart: make the generator's lists shorter")
        fields = {key: after[chosen].data.get(key) for key in self.games[0].data}
        if fields != self.games[0].data:
            raise Difference(f"data: expected {self.games[0].data}\n      but was  {fields}", self.trace)
        self.trace.append(f"    {_views([after[chosen].view()])}")

    def _guard(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            raise Difference(f"the runtime failed: {traceback.format_exc(limit=-6)}", self.trace) from error


def draw(body: Seq, seed: int) -> Scope:
    """Draw the process of a seed; every other one with joins and splits in one gateway where they meet."""
    net = compile_process(body)
    return net.fuse() if seed % 2 else net


def play_random(runtime: Runtime, body: Seq, seed: int, *, steps: int = STEPS) -> int:
    """Play a process with random moves until it ends or `steps` moves are made; return the number of moves made.

    Raises Difference.
    """
    rng = random.Random(seed)
    play = Play(runtime, draw(body, seed), random_data(rng))
    for step in range(steps):
        moves = play.moves()
        if not moves:
            return step
        play.do(_decide(rng, rng.choice(moves), late=step > steps // 2), rng.randrange)
    return steps


def play_all(play: Play) -> int:
    """Make all moves in all orders, each task approved, and return how many ways there are. Not for loops."""
    moves = play.moves()
    ways = 0
    for move in moves:
        for number in range(len(play.shown.ids(move))):
            branch = copy(play)
            branch.trace = list(play.trace)
            branch.do(replace(move, outcome="approve"), partial(_index, number))
            ways += play_all(branch)
    return ways or 1


def _index(number: int, _count: int) -> int:
    return number


def _decide(rng: random.Random, move: Move, *, late: bool) -> Move:
    """Fill in an outcome and data; late in a play mostly approval, so that loops end."""
    if move.kind == "timer":
        return move
    if move.kind == "job":
        return replace(move, data={"amount": rng.randint(0, 9)})
    outcome = "approve" if rng.random() < (0.9 if late else 0.6) else "reject"
    assert outcome in OUTCOMES
    fresh = random_data(rng)
    return replace(move, outcome=outcome, data={key: value for key, value in fresh.items() if rng.random() < 0.2})


def _line(move: Move, among: int) -> str:
    said = " ".join(str(part) for part in (move.kind, move.element, move.outcome, dict(move.data)) if part)
    return said + (f" (one of {among})" if among > 1 else "")


def _views(views: list[View]) -> str:
    return " | ".join(sorted(_view(view) for view in views))


def _view(view: View) -> str:
    tasks = [name if count == 1 else f"{name}×{count}" for name, count in view.tasks]
    timers = [f"{name}@{due:%m-%dT%H:%M}" + (f"×{count}" if count > 1 else "") for name, due, count in view.timers]
    jobs = [name if count == 1 else f"{name}×{count}" for name, count in view.jobs]
    ended = ["ENDED"] if view.finished else []
    opened = [f"[opened {opened}]" for opened in view.opened]
    return " ".join(["tasks", *tasks, "timers", *timers, "jobs", *jobs, *opened, *ended])
