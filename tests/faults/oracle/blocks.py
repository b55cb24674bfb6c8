"""Processes as trees of blocks, their well-formedness, and how they become a net.

Well-formed means that the standard leaves one answer and that a process can end: no plain end inside an AND block of
the same scope (its join would wait for ever), no `outcome` asked behind a join.
"""

from dataclasses import dataclass, replace

from tests.faults.oracle.conditions import FIELDS, Condition
from tests.faults.oracle.net import Flow, Kind, Many, Node, Scope, Wait


@dataclass(frozen=True)
class Boundary:
    """A boundary timer; the path of an interrupting one comes back behind the host, the other's ends for itself."""

    id: str
    wait: Wait
    interrupting: bool
    path: "Seq"


@dataclass(frozen=True)
class Task:
    """A user task, or a job (service or script task)."""

    id: str
    kind: Kind = Kind.USER
    boundaries: tuple[Boundary, ...] = ()


@dataclass(frozen=True)
class Pause:
    """An intermediate timer event."""

    id: str
    wait: Wait


@dataclass(frozen=True)
class Stop:
    """An end event before the end of the scope."""

    id: str
    terminate: bool


@dataclass(frozen=True)
class Branch:
    """A branch of a choice or an OR; without a condition it is the default."""

    body: "Seq"
    condition: Condition | None = None


@dataclass(frozen=True)
class Choice:
    """XOR split; `merge`: with an XOR gateway at the end, else the branches run straight into the next node."""

    id: str
    branches: tuple[Branch, ...]
    merge: bool = True


@dataclass(frozen=True)
class Fork:
    """AND split and join, or OR (inclusive) split and join."""

    id: str
    branches: tuple[Branch, ...]
    inclusive: bool = False


@dataclass(frozen=True)
class Race:
    """An event-based gateway over timers; the branches meet in an XOR."""

    id: str
    branches: "tuple[tuple[Pause, Seq], ...]"


@dataclass(frozen=True)
class Loop:
    """XOR merge, body, XOR decision back to the merge while the condition holds.

    Without `merge` the way back runs straight into the task or timer that the body begins with.
    """

    id: str
    body: "Seq"
    again: Condition
    back: "Seq"
    merge: bool = True


@dataclass(frozen=True)
class Sub:
    """An embedded sub-process, once or many times."""

    id: str
    body: "Seq"
    many: Many | None = None
    boundaries: tuple[Boundary, ...] = ()


Block = Task | Pause | Stop | Choice | Fork | Race | Loop | Sub
Seq = tuple[Block, ...]


@dataclass(frozen=True)
class Place:
    """What well-formedness depends on: where in the process a block stands."""

    ends: bool = True  # a plain end event is fine here
    terminates: bool = True  # a terminate end event is fine here
    outcome: bool = False  # `outcome` is known here
    names: frozenset[str] = frozenset()  # items of the multi-instances around


def live(seq: Seq) -> bool:
    """Say whether a token may come out at the end."""
    return all(_live(block) for block in seq)


def _live(block: Block) -> bool:
    match block:
        case Stop():
            return False
        case Choice():
            return any(live(branch.body) for branch in block.branches)
        case Race():
            return any(live(body) for _, body in block.branches)
        case _:
            return True


def waits(seq: Seq) -> bool:
    """Say whether every way through waits for a user task."""
    return any(isinstance(block, Task) and block.kind is Kind.USER and not block.boundaries for block in seq)


def tasks(seq: Seq) -> int:
    """Count the user tasks."""
    count = 0
    for block in seq:
        match block:
            case Task():
                count += block.kind is Kind.USER
            case Choice() | Fork():
                count += sum(tasks(branch.body) for branch in block.branches)
            case Race():
                count += sum(tasks(body) for _, body in block.branches)
            case Loop():
                count += tasks(block.body) + tasks(block.back)
            case Sub():
                count += tasks(block.body)
        if isinstance(block, Task | Sub):
            count += sum(tasks(boundary.path) for boundary in block.boundaries)
    return count


def outcome_after(seq: Seq, known: bool) -> bool:
    """Say whether `outcome` is known behind a sequence, if it was before."""
    for block in seq:
        known = _outcome_after(block, known)
    return known


def _outcome_after(block: Block, known: bool) -> bool:
    match block:
        case Task():
            after = known or block.kind is Kind.USER
            paths = [b.path for b in block.boundaries if b.interrupting]
            return after and all(outcome_after(path, known) for path in paths)
        case Choice():
            return all(outcome_after(b.body, known) for b in block.branches if live(b.body))
        case Race():
            return all(outcome_after(body, known) for _, body in block.branches if live(body))
        case Loop():
            return outcome_after(block.body, False)
        case Fork() | Sub():
            return False
        case _:
            return known


def well_formed(seq: Seq, place: Place) -> bool:
    """Say whether a sequence is well-formed at a place."""
    for index, block in enumerate(seq):
        if not _live(block) and index < len(seq) - 1:
            return False
        if not _well_formed(block, place):
            return False
        place = replace(place, outcome=_outcome_after(block, place.outcome))
    return True


def _askable(condition: Condition | None, place: Place) -> bool:
    known = FIELDS | place.names | ({"outcome"} if place.outcome else set())
    return condition is None or condition.asks() <= known


def _well_formed(block: Block, place: Place) -> bool:
    match block:
        case Stop():
            return place.terminates if block.terminate else place.ends
        case Choice():
            return (
                len(block.branches) >= 1
                and sum(branch.condition is None for branch in block.branches) == 1
                and sum(not branch.body for branch in block.branches) <= 1
                and all(_askable(b.condition, place) and well_formed(b.body, place) for b in block.branches)
            )
        case Fork():
            inner = inside_fork(place, inclusive=block.inclusive)
            return (
                len(block.branches) >= 2
                and sum(not branch.body for branch in block.branches) <= 1
                and all(_askable(b.condition, place) and well_formed(b.body, inner) for b in block.branches)
                and all(live(b.body) for b in block.branches)
                and sum(b.condition is None for b in block.branches) == (1 if block.inclusive else len(block.branches))
            )
        case Race():
            return len(block.branches) >= 2 and all(well_formed(body, place) for _, body in block.branches)
        case Loop():
            inner = replace(place, outcome=False)
            behind = replace(place, outcome=outcome_after(block.body, False))
            return (
                waits(block.body)
                and (block.merge or isinstance(block.body[0], Task | Pause))
                and live(block.body)
                and live(block.back)
                and _askable(block.again, behind)
                and well_formed(block.body, inner)
                and well_formed(block.back, behind)
            )
        case Sub():
            item = {block.many.item} if block.many is not None and block.many.item is not None else set()
            body = Place(terminates=block.many is None, outcome=place.outcome, names=frozenset(place.names | item))
            return bool(block.body) and well_formed(block.body, body) and _paths(block.boundaries, place)
        case Task():
            return _paths(block.boundaries, place)
        case _:
            return True


def _paths(boundaries: tuple[Boundary, ...], place: Place) -> bool:
    return all(
        (live(b.path) or place.ends) and well_formed(b.path, place)
        if b.interrupting
        else well_formed(b.path, aside(place))
        for b in boundaries
    )


def aside(place: Place) -> Place:
    """Return the place of the path of a non-interrupting boundary event, whose end no join waits for."""
    return replace(place, ends=True)


def inside_fork(place: Place, *, inclusive: bool) -> Place:
    """Return the place of a branch: an inclusive join goes on without a branch that ended, a parallel one doesn't."""
    return replace(place, ends=place.ends and inclusive)


@dataclass(frozen=True)
class _Loose:
    """A flow whose target isn't there yet."""

    source: str
    condition: Condition | None = None
    default: bool = False


class _Compiler:
    """Draws the blocks of one scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def whole(self, body: Seq) -> Scope:
        start = self.add(Node(f"Start_{self.scope.id}", Kind.START), [])
        out = self.seq(body, start)
        if out:
            self.add(Node(f"End_{self.scope.id}", Kind.END), out)
        return self.scope

    def add(self, node: Node, into: list[_Loose]) -> list[_Loose]:
        self.scope.nodes[node.id] = node
        for loose in into:
            self.connect(loose, node.id)
        return [_Loose(node.id)]

    def connect(self, loose: _Loose, target: str) -> None:
        number = len(self.scope.flows) + 1
        flow = Flow(f"F{number}_{self.scope.id}", loose.source, target, loose.condition, loose.default)
        self.scope.flows[flow.id] = flow

    def one(self, name: str, out: list[_Loose]) -> list[_Loose]:
        """Bring several loose flows together in an XOR, so that what follows has one."""
        return out if len(out) < 2 else self.add(Node(name, Kind.XOR), out)

    def seq(self, blocks: Seq, into: list[_Loose]) -> list[_Loose]:
        for block in blocks:
            into = self.block(block, into)
        return into

    def block(self, block: Block, into: list[_Loose]) -> list[_Loose]:
        match block:
            case Task():
                out = self.add(Node(block.id, block.kind), into)
                return out + self.boundaries(block.id, block.boundaries)
            case Pause():
                return self.add(Node(block.id, Kind.TIMER, wait=block.wait), into)
            case Stop():
                self.add(Node(block.id, Kind.TERMINATE if block.terminate else Kind.END), into)
                return []
            case Sub():
                inside = _Compiler(Scope(block.id)).whole(block.body)
                out = self.add(Node(block.id, Kind.SUB, body=inside, many=block.many), into)
                return out + self.boundaries(block.id, block.boundaries)
            case Choice():
                self.add(Node(block.id, Kind.XOR), into)
                out = self.branches(block.id, block.branches)
                return self.add(Node(f"{block.id}_merge", Kind.XOR), out) if block.merge and out else out
            case Race():
                self.add(Node(block.id, Kind.RACE), into)
                out = []
                for pause, body in block.branches:
                    out += self.seq((pause, *body), [_Loose(block.id)])
                return self.one(f"{block.id}_merge", out)
            case Fork():
                return self.fork(block, into)
            case Loop():
                head = f"{block.id}_merge" if block.merge else block.body[0].id
                if block.merge:
                    into = self.add(Node(head, Kind.XOR), into)
                self.add(Node(block.id, Kind.XOR), self.seq(block.body, into))
                for loose in self.seq(block.back, [_Loose(block.id, block.again)]):
                    self.connect(loose, head)
                return [_Loose(block.id, default=True)]

    def branches(self, source: str, branches: tuple[Branch, ...]) -> list[_Loose]:
        out: list[_Loose] = []
        for branch in branches:
            alone = len(branches) == 1
            out += self.seq(branch.body, [_Loose(source, branch.condition, branch.condition is None and not alone)])
        return out

    def fork(self, block: Fork, into: list[_Loose]) -> list[_Loose]:
        kind = Kind.OR if block.inclusive else Kind.AND
        self.add(Node(block.id, kind), self.one(f"{block.id}_before", into))
        ends = []
        for number, branch in enumerate(block.branches, 1):
            loose = _Loose(block.id, branch.condition, block.inclusive and branch.condition is None)
            ends.append(self.one(f"{block.id}_after{number}", self.seq(branch.body, [loose])))
        return self.add(Node(f"{block.id}_join", kind), [loose for end in ends for loose in end])

    def boundaries(self, host: str, boundaries: tuple[Boundary, ...]) -> list[_Loose]:
        out: list[_Loose] = []
        for boundary in boundaries:
            event = Node(boundary.id, Kind.BOUNDARY, wait=boundary.wait, host=host, interrupting=boundary.interrupting)
            end = self.seq(boundary.path, self.add(event, []))
            if boundary.interrupting:
                out += end
            elif end:
                self.add(Node(f"{boundary.id}_end", Kind.END), end)
        return out


def compile_process(body: Seq, process_id: str = "P") -> Scope:
    """Draw a block tree as a net."""
    return _Compiler(Scope(process_id)).whole(body)
