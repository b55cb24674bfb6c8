"""The token game: an interpreter of the abstract net, written from BPMN 2.0.2 clause 13 and from nothing else.

A token is on a sequence flow or in an active node. After each event tokens move until none can; what is left (open
user tasks, timers, jobs) is what an engine must show. Clauses: 13.3.2 activities, 13.3.4 sub-process, 13.3.7
multi-instance, 13.4.1 parallel, 13.4.2 exclusive, 13.4.3 inclusive, 13.4.4 event-based gateway, 13.5.3 boundary events,
13.5.6 end events.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tests.faults.oracle.conditions import UNKNOWN, is_field
from tests.faults.oracle.net import Flow, Kind, Node, Scope

_MAX_MOVES = 20_000


@dataclass(frozen=True)
class Move:
    """Something from outside: a task is completed, a timer is due, a job is done. `kind`: task, timer or job."""

    kind: str
    element: str
    outcome: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """What can be seen from outside: open user tasks, timers with their due times, jobs, and whether it ended.

    `opened`: the user tasks that the last step opened, each with the names and values that expressions there may read.
    """

    tasks: tuple[tuple[str, int], ...]
    timers: tuple[tuple[str, datetime, int], ...]
    jobs: tuple[tuple[str, int], ...]
    opened: tuple[str, ...]
    finished: bool

    @classmethod
    def of(
        cls,
        tasks: Counter[str],
        timers: Counter[tuple[str, datetime]],
        jobs: Counter[str],
        opened: Iterable[tuple[str, Mapping[str, Any]]],
        *,
        finished: bool,
    ) -> "View":
        """Sort the multisets, so that equal ones compare equal."""
        return cls(
            tuple(sorted(tasks.items())),
            tuple(sorted((name, due, count) for (name, due), count in timers.items())),
            tuple(sorted(jobs.items())),
            tuple(sorted(f"{step} seeing {_readable(names)}" for step, names in opened)),
            finished,
        )


@dataclass
class Token:
    """A token on a sequence flow; it carries the outcome of the branch's last decided step."""

    flow: str
    outcome: str | None


@dataclass
class Active:
    """A node that holds a token: an open task, a timer, a job, a sub-process or an event-based gateway."""

    serial: int
    node: str
    outcome: str | None
    due: dict[str, datetime] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    bodies: "list[Running]" = field(default_factory=list)
    pending: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Local:
    """What one instance of a multi-instance sees alone: its item and whatever is written inside."""

    names: dict[str, Any]
    steps: dict[str, str] = field(default_factory=dict)


@dataclass
class Running:
    """One running instance of a scope, with the local scopes around it, from the outside in."""

    scope: Scope
    around: list[Local]
    tokens: list[Token] = field(default_factory=list)
    active: list[Active] = field(default_factory=list)


class Game:
    """A running instance. `apply` leaves the game as it is and returns the next one."""

    def __init__(self, process: Scope, data: Mapping[str, Any], now: datetime) -> None:
        self.data: dict[str, Any] = dict(data)
        self.steps: dict[str, str] = {}
        self.now = now
        self._serials = 0
        self._moves = 0
        self._before = 0
        self.root = Running(process, [])
        self._emit(self.root, process.start(), None)
        self._settle()

    # What can be seen

    @property
    def finished(self) -> bool:
        return not self.root.tokens and not self.root.active

    @property
    def stuck(self) -> bool:
        """Tokens are left, and nothing from outside can move them."""
        return not self.finished and not any(True for _ in self._waiting())

    def view(self) -> View:
        tasks: Counter[str] = Counter()
        timers: Counter[tuple[str, datetime]] = Counter()
        jobs: Counter[str] = Counter()
        for running, active in self._waiting():
            kind = running.scope.nodes[active.node].kind
            if kind is Kind.USER:
                tasks[active.node] += 1
            elif kind in (Kind.SERVICE, Kind.SCRIPT):
                jobs[active.node] += 1
            timers.update(active.due.items())
        return View.of(tasks, timers, jobs, self.opened(), finished=self.finished)

    def opened(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the user tasks that the last step opened, with what is readable there."""
        return [
            (active.node, self._names(running, active.outcome))
            for running, active in self._waiting()
            if active.serial > self._before and running.scope.nodes[active.node].kind is Kind.USER
        ]

    def handles(self, move: Move) -> list[int]:
        """Return the serials of the active nodes that a move can mean: several where one element is open repeatedly."""
        found = []
        for running, active in self._waiting():
            kind = running.scope.nodes[active.node].kind
            if move.kind == "timer":
                fits = move.element in active.due
            elif move.kind == "task":
                fits = active.node == move.element and kind is Kind.USER
            else:
                fits = active.node == move.element and kind in (Kind.SERVICE, Kind.SCRIPT)
            if fits:
                found.append(active.serial)
        return found

    def key(self) -> object:
        """Return a value equal for games that differ by nothing but the order of equal things."""
        return (_key(self.root), repr(sorted(self.data.items())), tuple(sorted(self.steps.items())))

    # What happens

    def apply(self, move: Move, serial: int, now: datetime) -> "Game":
        """Return the game after a move on one active node."""
        game = copy(self)
        game.root, game.data, game.steps = _copy(self.root, {}), dict(self.data), dict(self.steps)
        game.now, game._moves, game._before = now, 0, self._serials
        running, active = next((r, a) for r, a in game._waiting() if a.serial == serial)
        local = running.around[-1] if running.around else Local(game.data, game.steps)
        local.names.update(move.data)
        if move.kind == "timer":
            game._fire(running, active, move.element)
        elif move.kind == "task":
            assert move.outcome is not None
            local.steps[active.node] = move.outcome
            game._leave(running, active, move.outcome)
        else:
            game._leave(running, active, active.outcome)
        game._settle()
        return game

    def _fire(self, running: Running, active: Active, element: str) -> None:
        event = running.scope.nodes[element]
        if event.kind is Kind.BOUNDARY and not event.interrupting:
            assert event.wait is not None
            active.fired[element] += 1
            if active.fired[element] < (event.wait.cycle or 1):
                active.due[element] += event.wait.delta
            else:
                del active.due[element]
        else:  # A catch event, one event of a race (the others go with the gateway), or an activity is interrupted.
            running.active.remove(active)
        self._emit(running, element, active.outcome)

    def _leave(self, running: Running, active: Active, outcome: str | None) -> None:
        running.active.remove(active)
        self._emit(running, active.node, outcome)

    def _emit(self, running: Running, node: str, outcome: str | None) -> None:
        running.tokens += [Token(flow.id, outcome) for flow in running.scope.outgoing(node)]

    def _waiting(self) -> Iterator[tuple[Running, Active]]:
        """Yield the active nodes that wait for something from outside (a sub-process: by its boundary timers)."""
        for running in _all(self.root):
            for active in running.active:
                kind = running.scope.nodes[active.node].kind
                if kind is not Kind.SUB or active.due:
                    yield running, active

    def _settle(self) -> None:
        """Move tokens until none can move. Inclusive joins last: they ask whether another token may still come."""
        while self._step():
            self._moves += 1
            if self._moves > _MAX_MOVES:
                raise AssertionError("the net runs without ever waiting")

    def _step(self) -> bool:
        return (
            any(self._advance_one(running) for running in _all(self.root))
            or any(self._complete_bodies(running) for running in _all(self.root))
            or any(self._join(running, Kind.AND) for running in _all(self.root))
            or any(self._join(running, Kind.OR) for running in _all(self.root))
        )

    def _advance_one(self, running: Running) -> bool:
        """Let the target of one flow take its token, unless it is a join."""
        for token in running.tokens:
            node = running.scope.nodes[running.scope.flows[token.flow].target]
            if node.kind not in (Kind.AND, Kind.OR):
                running.tokens.remove(token)
                self._enter(running, node, token.outcome)
                return True
        return False

    def _enter(self, running: Running, node: Node, outcome: str | None) -> None:
        if node.kind is Kind.END:
            return
        if node.kind is Kind.TERMINATE:  # Of its own scope only; the parent goes on as after a normal end.
            running.tokens.clear()
            running.active.clear()
        elif node.kind is Kind.XOR:
            running.tokens.append(Token(self._choose(running, node, outcome).id, outcome))
        else:
            self._activate(running, node, outcome)

    def _choose(self, running: Running, node: Node, outcome: str | None) -> Flow:
        """Exclusive: the first true condition in the diagram's order, else the default."""
        flows = running.scope.outgoing(node.id)
        if len(flows) == 1 and flows[0].condition is None:
            return flows[0]
        for flow in flows:
            if flow.condition is not None and flow.condition.holds(self._names(running, outcome)):
                return flow
        return next(flow for flow in flows if flow.default)

    def _names(self, running: Running, outcome: str | None) -> dict[str, Any]:
        names, steps = dict(self.data), dict(self.steps)
        for local in running.around:
            names.update(local.names)
            steps.update(local.steps)
        return {**names, "steps": steps, "outcome": outcome}

    def _activate(self, running: Running, node: Node, outcome: str | None) -> None:
        self._serials += 1
        active = Active(self._serials, node.id, outcome)
        events = running.scope.boundaries(node.id)
        if node.kind is Kind.TIMER:
            events = [node]
        elif node.kind is Kind.RACE:
            events = [running.scope.nodes[flow.target] for flow in running.scope.outgoing(node.id)]
        for event in events:
            assert event.wait is not None
            active.due[event.id] = self.now + event.wait.delta
        running.active.append(active)
        if node.kind is Kind.SUB:
            self._start_bodies(running, active, node)

    def _start_bodies(self, running: Running, active: Active, node: Node) -> None:
        """How many instances there are is fixed when the activity starts (13.3.7)."""
        if node.many is None:
            active.pending = [{}]
        elif node.many.count is not None:
            active.pending = [{} for _ in range(node.many.count)]
        else:
            items = self._names(running, None)[node.many.over or ""]
            active.pending = [{node.many.item or "": item} for item in items]
        if node.many is not None and node.many.sequential:
            self._start_body(running, active, node)
        else:
            while active.pending:
                self._start_body(running, active, node)

    def _start_body(self, running: Running, active: Active, node: Node) -> None:
        if active.pending:
            assert node.body is not None
            own = Local(active.pending.pop(0))
            body = Running(node.body, running.around if node.many is None else [*running.around, own])
            active.bodies.append(body)
            self._emit(body, node.body.start(), active.outcome)

    def _complete_bodies(self, running: Running) -> bool:
        """End one instance of a sub-process that has no token left, or a sub-process without instances."""
        for active in running.active:
            node = running.scope.nodes[active.node]
            if node.kind is not Kind.SUB:
                continue
            for body in active.bodies:
                if not body.tokens and not body.active:
                    active.bodies.remove(body)
                    self._after_body(running, active, node, body)
                    return True
            if not active.bodies and not active.pending:
                self._leave(running, active, UNKNOWN)
                return True
        return False

    def _after_body(self, running: Running, active: Active, node: Node, body: Running) -> None:
        until = node.many.until if node.many is not None else None
        if until is not None and until.holds(self._names(body, UNKNOWN)):
            active.bodies.clear()
            active.pending.clear()
        elif node.many is not None and node.many.sequential:
            self._start_body(running, active, node)

    def _join(self, running: Running, kind: Kind) -> bool:
        """Let one parallel or inclusive gateway fire, if one may."""
        for node in running.scope.nodes.values():
            if node.kind is kind:
                incoming = [flow.id for flow in running.scope.incoming(node.id)]
                arrived = {token.flow for token in running.tokens} & set(incoming)
                may = self._parallel_may if kind is Kind.AND else self._inclusive_may
                if arrived and may(running, node, incoming, arrived):
                    self._pass_gateway(running, node, incoming)
                    return True
        return False

    def _parallel_may(self, _running: Running, _node: Node, incoming: list[str], arrived: set[str]) -> bool:
        return len(arrived) == len(incoming)

    def _inclusive_may(self, running: Running, node: Node, incoming: list[str], arrived: set[str]) -> bool:
        """13.4.3: no token elsewhere may reach an empty incoming flow, save one that may reach a filled one too."""
        to_empty = _reaching(running.scope, node.id, set(incoming) - arrived)
        to_filled = _reaching(running.scope, node.id, arrived)
        places = {token.flow for token in running.tokens} | {active.node for active in running.active}
        return not places & (to_empty - to_filled)

    def _pass_gateway(self, running: Running, node: Node, incoming: list[str]) -> None:
        taken = []
        for flow in incoming:
            token = next((token for token in running.tokens if token.flow == flow), None)
            if token is not None:
                running.tokens.remove(token)
                taken.append(token)
        outcome = taken[0].outcome if len(incoming) == 1 else UNKNOWN
        outgoing = running.scope.outgoing(node.id)
        if node.kind is Kind.OR and len(outgoing) > 1:
            names = self._names(running, outcome)
            true = [flow for flow in outgoing if flow.condition is not None and flow.condition.holds(names)]
            outgoing = true or [flow for flow in outgoing if flow.default]
        running.tokens += [Token(flow.id, outcome) for flow in outgoing]


def _all(running: Running) -> Iterator[Running]:
    yield running
    for active in running.active:
        for body in active.bodies:
            yield from _all(body)


def _reaching(scope: Scope, gateway: str, targets: set[str]) -> set[str]:
    """Return the flows and nodes from which a directed path leads to one of the flows without visiting the gateway."""
    found, todo = set(targets), [scope.flows[flow].source for flow in targets]
    while todo:
        node = todo.pop()
        if node in found or node == gateway:
            continue
        found.add(node)
        host = scope.nodes[node].host
        if host is not None:
            todo.append(host)
        for flow in scope.incoming(node):
            found.add(flow.id)
            todo.append(flow.source)
    return found


def _copy(running: Running, done: dict[int, Local]) -> Running:
    """Copy a running scope; the scopes in one instance of a multi-instance go on sharing its local scope."""
    for local in running.around:
        if id(local) not in done:
            done[id(local)] = Local(dict(local.names), dict(local.steps))
    active = [
        replace(
            node,
            due=dict(node.due),
            fired=node.fired.copy(),
            bodies=[_copy(body, done) for body in node.bodies],
            pending=list(node.pending),
        )
        for node in running.active
    ]
    tokens = [Token(t.flow, t.outcome) for t in running.tokens]
    return Running(running.scope, [done[id(local)] for local in running.around], tokens, active)


def _key(running: Running) -> str:
    tokens = sorted((token.flow, token.outcome or "") for token in running.tokens)
    active = []
    for node in running.active:
        timers = sorted(node.due.items()), sorted(node.fired.items())
        active.append(repr((node.node, node.outcome, timers, sorted(map(_key, node.bodies)), node.pending)))
    around = [(sorted(local.names.items()), sorted(local.steps.items())) for local in running.around]
    return repr((running.scope.id, around, tokens, sorted(active)))


def _readable(names: Mapping[str, Any]) -> str:
    """Write the fields, items and steps among names, leaving out what an engine adds."""
    fields = [f"{key}={names[key]}" for key in sorted(names) if is_field(key)]
    steps = [f"{step}:{outcome}" for step, outcome in sorted(names.get("steps", {}).items())]
    return ", ".join(fields + steps)
