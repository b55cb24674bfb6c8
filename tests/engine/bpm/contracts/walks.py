"""Block-structured processes for the contract of returns, and a token game of our own that says what must hold.

The game knows for every open step how its token came there: the visits before it, and inside which branches of which
splits it stands. A visit is serially reachable where its branches are still open around the step that looks back.
"""

import itertools
import random
from dataclasses import dataclass, replace

from tests.dsl import bpmn, flow


@dataclass(frozen=True)
class Step:
    """A user task."""

    id: str


@dataclass(frozen=True)
class Split:
    """Branches between a split and its join: `kind` is parallel, inclusive or exclusive."""

    id: str
    kind: str
    branches: tuple["Block", ...]


@dataclass(frozen=True)
class Loop:
    """A body that is done again while the field of the loop's id is true."""

    id: str
    body: "Block"


@dataclass(frozen=True)
class Sub:
    """An embedded sub-process."""

    id: str
    body: "Block"


Block = Step | Split | Loop | Sub | tuple["Block", ...]


def random_block(rng: random.Random, budget: int, numbers: "itertools.count[int]", depth: int = 0) -> Block:
    """Return a block of about `budget` steps, never empty."""
    if budget <= 1 or depth == 3:
        return Step(f"t{next(numbers)}")
    kind = rng.choice(["seq", "seq", "parallel", "inclusive", "exclusive", "loop", "sub"])
    if kind == "seq":
        first = rng.randint(1, budget - 1)
        return (random_block(rng, first, numbers, depth), random_block(rng, budget - first, numbers, depth))
    if kind in ("loop", "sub"):
        name = f"{kind}{next(numbers)}"
        body = random_block(rng, budget, numbers, depth + 1)
        return Loop(name, body) if kind == "loop" else Sub(name, body)
    count = 2 if budget < 3 else rng.choice([2, 2, 3])
    name = f"{kind[:3]}{next(numbers)}"
    return Split(name, kind, tuple(random_block(rng, budget // count, numbers, depth + 1) for _ in range(count)))


def steps_of(block: Block) -> list[str]:
    """Return the ids of a block's steps."""
    match block:
        case Step(name):
            return [name]
        case Split(_, _, branches):
            return [s for b in branches for s in steps_of(b)]
        case Loop(_, body) | Sub(_, body):
            return steps_of(body)
        case _:
            return [s for b in block for s in steps_of(b)]


def random_fields(rng: random.Random, block: Block) -> dict[str, bool]:
    """Return the fields that the block's gateways read, by chance."""
    match block:
        case Step():
            return {}
        case Split(name, kind, branches):
            own = {} if kind == "parallel" else {f"{name}_{n}": rng.random() < 0.5 for n in range(1, len(branches))}
            return own | {k: v for b in branches for k, v in random_fields(rng, b).items()}
        case Loop(name, body):
            return {name: rng.random() < 0.4} | random_fields(rng, body)
        case Sub(_, body):
            return random_fields(rng, body)
        case _:
            return {k: v for b in block for k, v in random_fields(rng, b).items()}


class _Drawing:
    """The block as BPMN, and as the nodes that the game walks."""

    def __init__(self, block: Block) -> None:
        self.nodes: dict[str, tuple[str, ...]] = {}  # kind, and a split's join
        self.next: dict[str, list[tuple[str, str]]] = {}  # target, field that opens the flow
        self.first: dict[str, str] = {}  # the element that a node's first flow goes to
        self.xml = bpmn(self._scope("", block, "end"))
        self.next["end"] = []

    def _scope(self, name: str, block: Block, after: str) -> str:
        start, end = f"{name}start", f"{name}end"
        self.nodes[start], self.nodes[end] = (("pass",), ("end",)) if after == "end" else (("enter",), ("leave",))
        parts: list[str] = [f'<startEvent id="{start}"/><endEvent id="{end}"/>']
        self._link(self._draw(block, start, "", parts), end, "", parts)
        if after != "end":
            self.next[end] = [(after, "")]
        return "".join(parts)

    def _link(self, source: str, target: str, name: str, parts: list[str]) -> None:
        self.next.setdefault(source, []).append((target, name))
        self.first.setdefault(source, target)
        parts.append(flow(source, target, f"{name} = true" if name else ""))

    def _node(self, name: str, tag: str, source: str, when: str, parts: list[str], *kind: str) -> None:
        self.nodes[name] = kind
        parts.append(f'<{tag} id="{name}"/>')
        self._link(source, name, when, parts)

    def _draw(self, block: Block, source: str, when: str, parts: list[str]) -> str:
        """Draw a block behind a node and return the node where it ends; `when` is the first flow's field."""
        match block:
            case Step(name):
                self.nodes[name] = ("step",)
                parts.append(
                    f'<userTask id="{name}" name="{name}"><extensionElements><piyue:task kind="decide"/>'
                    '<piyue:assign rule="initiator"/></extensionElements></userTask>'
                )
                self._link(source, name, when, parts)
                return name
            case Split(name, kind, branches):
                join, first = f"{name}_join", len(parts)
                self._node(name, f"{kind}Gateway", source, when, parts, kind, join)
                self.nodes[join] = ("pass",) if kind == "exclusive" else ("join",)
                parts.append(f'<{kind}Gateway id="{join}"/>')
                for number, branch in enumerate(branches):
                    guard = f"{name}_{number}" if number and kind != "parallel" else ""
                    self._link(self._draw(branch, name, guard, parts), join, "", parts)
                if kind != "parallel":
                    parts[first] = f'<{kind}Gateway id="{name}" default="{name}_{self.first[name]}"/>'
                return join
            case Loop(name, body):
                merge = f"{name}_merge"
                self._node(merge, "exclusiveGateway", source, when, parts, "pass")
                last = self._draw(body, merge, "", parts)
                out = f"{name}_out"
                self.nodes[name], self.nodes[out] = ("exclusive", out), ("pass",)
                parts.append(f'<exclusiveGateway id="{name}" default="{name}_{out}"/><exclusiveGateway id="{out}"/>')
                self._link(last, name, "", parts)
                self._link(name, out, "", parts)
                self._link(name, merge, name, parts)
                return out
            case Sub(name, body):
                after = f"{name}_after"
                inner = self._scope(f"{name}_", body, after)
                self.nodes[after] = ("pass",)
                parts.append(f'<subProcess id="{name}" name="{name}">{inner}</subProcess>')
                parts.append(flow(source, name, f"{when} = true" if when else ""))
                self.next.setdefault(source, []).append((f"{name}_start", when))
                self.first.setdefault(source, name)
                parts.append(f'<exclusiveGateway id="{after}"/>' + flow(name, after))
                return after
            case _:
                for one in block:
                    source, when = self._draw(one, source, when, parts), ""
                return source


@dataclass(frozen=True)
class Place:
    """Where a token stands: in which branches (split's activation, branch), in which sub-processes; outermost first."""

    branches: tuple[tuple[int, int], ...] = ()
    subs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Visit:
    """A step that was opened: where its token stood, and what it had passed before."""

    number: int
    step: str
    place: Place
    before: tuple["Visit", ...]

    def subs_passed(self, visit: "Visit") -> bool:
        """Whether a sub-process has ended since a visit."""
        return _subs_passed(self.place, self.before, visit)

    def passed(self) -> tuple["Visit", ...]:
        """Return what a token has passed that comes from here."""
        return (*self.before, self)


@dataclass(frozen=True)
class _Arrived:
    """A token that waits at a join."""

    join: str
    place: Place
    before: tuple[Visit, ...]

    def subs_passed(self, visit: Visit) -> bool:
        """Whether a sub-process has ended since a visit."""
        return _subs_passed(self.place, self.before, visit)


def _subs_passed(place: Place, before: tuple[Visit, ...], visit: Visit) -> bool:
    since = [v for v in before if v.number >= visit.number]
    return any(v.place.subs != place.subs[: len(v.place.subs)] for v in since)


class Walk:
    """The token game of one instance."""

    def __init__(self, block: Block, fields: dict[str, bool]) -> None:
        self._drawing = _Drawing(block)
        self.files = self._drawing.xml
        self.fields = dict(fields)
        self._numbers = itertools.count(1)
        self._width: dict[int, int] = {}
        self.open: dict[str, Visit] = {}
        self._arrived: list[_Arrived] = []
        self._single: set[int] = set()  # activations of inclusive splits with one branch
        self._joined: set[int] = set()  # visits whose end completed a join
        self._unsettled: set[int] = set()  # visits whose end left a sub-process, or a join of one branch
        self._reopened: set[int] = set()
        self._older: set[int] = set()
        self.ended = False
        self._go("start", Place(), (), None)

    def complete(self, step: str, fields: dict[str, bool]) -> Visit:
        """Complete an open step; returns its visit."""
        visit = self.open.pop(step)
        self.fields.update(fields)
        self._forward(step, visit.place, visit.passed(), visit)
        return visit

    def targets(self, step: str) -> list[str]:
        """Return where an open step may return to, nearest first."""
        return list(dict.fromkeys(v.step for v in reversed(self.open[step].before) if self._serial(self.open[step], v)))

    def doubtful(self, step: str) -> set[str]:
        """Return steps that have tests of their own: itself, in a sub-process or a single branch that has ended."""
        looking = self.open[step]
        return {step} | {
            v.step
            for v in looking.before
            if not self._serial(looking, v)
            and all(b in looking.place.branches or b[0] in self._single for b in v.place.branches)
        }

    def _tokens(self) -> list[Visit | _Arrived]:
        return [*self.open.values(), *self._arrived]

    def alone(self, step: str, target: str) -> bool:
        """Whether a return cancels nobody but the one who returns, within one sub-process."""
        looking, found = self.open[step], self._found(step, target)
        others = [t for t in self._tokens() if t is not looking and found in t.before]
        return not others and looking.place.subs == found.place.subs

    def go_back(self, step: str, target: str) -> None:
        """Return from an open step: what came from the target is cancelled, the target is open again."""
        found = self._found(step, target)
        latest = [v for v in self.open[step].before if v.step == found.step][-1] == found
        again = {v.step for v in (*self.open[step].before, self.open[step]) if v.number > found.number}
        self._reopen(found)
        if not latest or again & {v.step for v in found.before}:
            self._older.add(self.open[target].number)

    def old(self, step: str) -> bool:
        """Whether a return to an earlier round of a loop has opened this visit, which has a test of its own."""
        return self.open[step].number in self._older or any(v.number in self._older for v in self.open[step].before)

    def may_take_back(self, visit: Visit) -> bool | None:
        """Whether nobody has acted on what followed a completed visit, and nothing was joined; None: see elsewhere."""
        behind = [t for t in self._tokens() if visit in t.before]
        again = any(v.number in self._reopened for v in self.open.values() if visit in v.before)
        if any(t.subs_passed(visit) for t in behind):
            return None
        if not behind or visit.number in self._joined or not all(t.before[-1] == visit for t in behind):
            return False
        return None if again or visit.number in self._unsettled else True

    def take_back(self, visit: Visit) -> None:
        """Take a completed visit back."""
        self._reopen(visit)

    def _found(self, step: str, target: str) -> Visit:
        looking = self.open[step]
        return next(v for v in reversed(looking.before) if v.step == target and self._serial(looking, v))

    def _reopen(self, visit: Visit) -> None:
        self.open = {s: v for s, v in self.open.items() if visit not in v.before}
        self._arrived = [t for t in self._arrived if visit not in t.before]
        self._open(visit.step, visit.place, visit.before)
        self._reopened.add(self.open[visit.step].number)
        if visit.number in self._older:
            self._older.add(self.open[visit.step].number)

    @staticmethod
    def _serial(looking: Visit, visit: Visit) -> bool:
        return (
            looking.place.branches[: len(visit.place.branches)] == visit.place.branches
            and looking.place.subs[: len(visit.place.subs)] == visit.place.subs
        )

    def _open(self, step: str, place: Place, before: tuple[Visit, ...]) -> None:
        self.open[step] = Visit(next(self._numbers), step, place, before)

    def _forward(self, node: str, place: Place, before: tuple[Visit, ...], by: Visit | None) -> None:
        ((target, _),) = self._drawing.next[node]
        self._go(target, place, before, by)

    def _go(self, node: str, place: Place, before: tuple[Visit, ...], by: Visit | None) -> None:
        kind = self._drawing.nodes[node][0]
        ways = self._drawing.next[node]
        match kind:
            case "step":
                self._open(node, place, before)
            case "pass":
                self._forward(node, place, before, by)
            case "enter":
                self._forward(node, replace(place, subs=(*place.subs, next(self._numbers))), before, by)
            case "leave":
                if by is not None:
                    self._unsettled.add(by.number)
                self._forward(node, replace(place, subs=place.subs[:-1]), before, by)
            case "end":
                self.ended = True
            case "exclusive":
                chosen = next((t for t, name in ways if name and self.fields[name]), ways[0][0])
                self._go(chosen, place, before, by)
            case "parallel" | "inclusive":
                taken = [t for t, name in ways if kind == "parallel" or (name and self.fields[name])] or [ways[0][0]]
                number = next(self._numbers)
                self._width[number] = len(taken)
                if kind == "inclusive" and len(taken) == 1:
                    self._single.add(number)
                for branch, target in enumerate(taken):
                    self._go(target, replace(place, branches=(*place.branches, (number, branch))), before, by)
            case _:
                self._join(node, place, before, by)

    def _join(self, node: str, place: Place, before: tuple[Visit, ...], by: Visit | None) -> None:
        self._arrived.append(_Arrived(node, place, before))
        split = place.branches[-1][0]
        here = [t for t in self._arrived if t.join == node and t.place.branches[-1][0] == split]
        if len(here) < self._width[split]:
            return
        self._arrived = [t for t in self._arrived if t not in here]
        if by is not None and len(here) == 1:
            self._unsettled.add(by.number)
        merged = sorted({v.number: v for t in here for v in t.before}.values(), key=lambda v: v.number)
        if len(here) > 1:
            self._joined.update(v.number for v in merged)
        self._forward(node, replace(place, branches=place.branches[:-1]), tuple(merged), by)
