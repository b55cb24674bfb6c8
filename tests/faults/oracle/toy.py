"""A toy runtime with the product's interface, played by the token game or by a wrong one: the test of the test."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.faults.oracle import bpmn
from tests.faults.oracle.game import Active, Game, Local, Move, Running, Token
from tests.faults.oracle.net import Flow, Kind, Node, Scope


@dataclass(frozen=True)
class Item:
    """An opened or closed task, timer or job."""

    task_id: str
    element: str
    due_at: datetime | None = None
    scope: Mapping[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> str:
        return self.element


@dataclass(frozen=True)
class ToyChange:
    """The part of a Change that the driver reads."""

    state: bytes
    data: Mapping[str, Any]
    opened: list[Item]
    closed: list[Item]
    timers: list[Item]
    jobs: list[Item]
    gone: tuple[str, ...]
    finished: bool


class Toy:
    """`Toy(EarlyAnd)` runs like the token game, but for the rule that EarlyAnd has wrong."""

    def __init__(self, rules: type[Game]) -> None:
        self.rules = rules
        self.nets: dict[str, Scope] = {}

    def learn(self, scope: Scope) -> None:
        """Make a process known: the toy can't read BPMN."""
        self.nets[bpmn.write(scope)] = scope

    def load(self, files: Mapping[str, str]) -> Scope:
        return self.nets[files["process.bpmn"]]

    def start(self, definition: Scope, data: Mapping[str, Any], *, now: datetime) -> ToyChange:
        return self._change(None, self.rules(definition, data, now))

    def advance(
        self, definition: Scope, state: bytes, data: Mapping[str, Any], event: tuple[str, Move], *, now: datetime
    ) -> ToyChange:
        game = pickle.loads(state)
        task_id, move = event
        if int(task_id.split()[0]) not in game.handles(move):
            raise LookupError(f"{task_id} is not open")
        return self._change(game, game.apply(move, int(task_id.split()[0]), now))

    def Complete(self, task_id: str, outcome: str, data: Mapping[str, Any]) -> tuple[str, Move]:  # noqa: N802
        return task_id, Move("task", task_id.split()[1], outcome, data)

    def Fire(self, task_id: str) -> tuple[str, Move]:  # noqa: N802
        return task_id, Move("timer", task_id.split()[1])

    def JobDone(self, task_id: str, data: Mapping[str, Any]) -> tuple[str, Move]:  # noqa: N802
        return task_id, Move("job", task_id.split()[1], None, data)

    def _change(self, before: Game | None, after: Game) -> ToyChange:
        old = {} if before is None else self._items(before)
        new = self._items(after)
        added = {key: item for key, item in new.items() if key not in old or old[key].due_at != item.due_at}
        return ToyChange(
            pickle.dumps(after),
            after.data,
            [item for (kind, _), item in added.items() if kind is Kind.USER],
            [item for key, item in old.items() if key not in new],
            [item for (kind, _), item in added.items() if kind is Kind.TIMER],
            [item for (kind, _), item in added.items() if kind is Kind.SERVICE],
            (),
            after.finished,
        )

    def _items(self, game: Game) -> dict[tuple[Kind, str], Item]:
        items = {}
        for running, active in game._waiting():
            kind = running.scope.nodes[active.node].kind
            task_id = f"{active.serial} {active.node}"
            if kind is Kind.USER:
                items[Kind.USER, task_id] = Item(task_id, active.node, None, game._names(running, None))
            elif kind in (Kind.SERVICE, Kind.SCRIPT):
                items[Kind.SERVICE, task_id] = Item(task_id, active.node)
            for element, due in active.due.items():
                timer_id = f"{active.serial} {element}"
                items[Kind.TIMER, timer_id] = Item(timer_id, element, due)
        return items


class EarlyAnd(Game):
    """The parallel join fires one token too early."""

    def _parallel_may(self, running: Running, node: Node, incoming: list[str], arrived: set[str]) -> bool:
        return len(arrived) >= len(incoming) - 1


class StaleAnd(Game):
    """The parallel join counts the last arrival of the round before once more, as the library does."""

    def _pass_gateway(self, running: Running, node: Node, incoming: list[str]) -> None:
        if node.kind is Kind.AND and len(incoming) > 1:
            last = [token.flow for token in running.tokens if token.flow in incoming][-1]
            self.__dict__.setdefault("stale", {})[node.id] = last
        super()._pass_gateway(running, node, incoming)

    def _parallel_may(self, running: Running, node: Node, incoming: list[str], arrived: set[str]) -> bool:
        stale = self.__dict__.get("stale", {}).get(node.id)
        return len(arrived | ({stale} if stale else set())) == len(incoming)


class AndAcrossInstances(Game):
    """The parallel join counts the arrivals of the other instances of a multi-instance."""

    def _parallel_may(self, running: Running, node: Node, incoming: list[str], arrived: set[str]) -> bool:
        def count(inside: Running) -> set[str]:
            found = {t.flow for t in inside.tokens if inside.scope is running.scope} & set(incoming)
            for active in inside.active:
                for body in active.bodies:
                    found |= count(body)
            return found

        return len(count(self.root)) == len(incoming)


class EagerOr(Game):
    """The inclusive join lets every token through."""

    def _inclusive_may(self, running: Running, node: Node, incoming: list[str], arrived: set[str]) -> bool:
        return True


class PatientOr(Game):
    """The inclusive join waits for all its flows, like a parallel one."""

    def _inclusive_may(self, running: Running, node: Node, incoming: list[str], arrived: set[str]) -> bool:
        return len(arrived) == len(incoming)


class LastXor(Game):
    """The exclusive gateway takes the last true condition."""

    def _choose(self, running: Running, node: Node, outcome: str | None) -> Flow:
        flows = [flow for flow in running.scope.outgoing(node.id) if flow.condition is not None]
        for flow in reversed(flows):
            if flow.condition is not None and flow.condition.holds(self._names(running, outcome)):
                return flow
        return super()._choose(running, node, outcome)


class SharedOutcome(Game):
    """`outcome` is that of whoever decided last, in whatever branch."""

    def _leave(self, running: Running, active: Active, outcome: str | None) -> None:
        if active.node in self.steps:
            self.__dict__["last"] = outcome
        super()._leave(running, active, outcome)

    def _names(self, running: Running, outcome: str | None) -> dict[str, Any]:
        return {**super()._names(running, outcome), "outcome": self.__dict__.get("last", outcome)}


class NeverInterrupting(Game):
    """Boundary timers never cancel their activity."""

    def _fire(self, running: Running, active: Active, element: str) -> None:
        if running.scope.nodes[element].kind is Kind.BOUNDARY:
            del active.due[element]
            self._emit(running, element, active.outcome)
        else:
            super()._fire(running, active, element)


class AlwaysInterrupting(Game):
    """Boundary timers always cancel their activity."""

    def _fire(self, running: Running, active: Active, element: str) -> None:
        running.active.remove(active)
        self._emit(running, element, active.outcome)


class TerminateAll(Game):
    """A terminate end event in a sub-process ends the process."""

    def _enter(self, running: Running, node: Node, outcome: str | None) -> None:
        if node.kind is Kind.TERMINATE:
            self.root.tokens.clear()
            self.root.active.clear()
        super()._enter(running, node, outcome)


class PlainTerminate(Game):
    """A terminate end event is an ordinary one."""

    def _enter(self, running: Running, node: Node, outcome: str | None) -> None:
        if node.kind is not Kind.TERMINATE:
            super()._enter(running, node, outcome)


class SequentialMany(Game):
    """Parallel multi-instance runs one after the other."""

    def _start_body(self, running: Running, active: Active, node: Node) -> None:
        if active.bodies:
            active.pending.clear()
        super()._start_body(running, active, node)


class OneItem(Game):
    """Every instance sees the first item."""

    def _start_bodies(self, running: Running, active: Active, node: Node) -> None:
        super()._start_bodies(running, active, node)
        for body in active.bodies:
            body.around[-1:] = [Local(dict(active.bodies[0].around[-1].names)) for _ in body.around[-1:]]


class HastySub(Game):
    """A sub-process ends with its first end event."""

    def _enter(self, running: Running, node: Node, outcome: str | None) -> None:
        if node.kind is Kind.END and running is not self.root:
            running.tokens.clear()
            running.active.clear()
        super()._enter(running, node, outcome)


class DeafMany(Game):
    """The completion condition is never asked."""

    def _after_body(self, running: Running, active: Active, node: Node, body: Running) -> None:
        if node.many is not None and node.many.sequential:
            self._start_body(running, active, node)


class RestartingTimers(Game):
    """Open timers start again at each step."""

    def _settle(self) -> None:
        super()._settle()
        for running, active in self._waiting():
            for element in active.due:
                wait = running.scope.nodes[element].wait
                assert wait is not None
                active.due[element] = self.now + wait.delta


class LosingTokens(Game):
    """A parallel split loses its last token when there are three."""

    def _pass_gateway(self, running: Running, node: Node, incoming: list[str]) -> None:
        super()._pass_gateway(running, node, incoming)
        if node.kind is Kind.AND and len(running.scope.outgoing(node.id)) == 3:
            lost: Token = running.tokens.pop()
            assert lost


MUTANTS: tuple[type[Game], ...] = (
    EarlyAnd,
    StaleAnd,
    AndAcrossInstances,
    EagerOr,
    PatientOr,
    LastXor,
    SharedOutcome,
    NeverInterrupting,
    AlwaysInterrupting,
    TerminateAll,
    PlainTerminate,
    SequentialMany,
    OneItem,
    HastySub,
    DeafMany,
    RestartingTimers,
    LosingTokens,
)
