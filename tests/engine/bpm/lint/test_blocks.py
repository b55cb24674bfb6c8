"""Block-structured processes are in order, whatever their nesting; with one join of the wrong kind they aren't."""

from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.bpm.lint.diagram import Diagram
from engine.bpm.lint.finding import Finding, Report, Reporter
from engine.bpm.lint.structure import check_loops, check_structure
from engine.xml import parse
from tests.engine.bpm.lint.diagrams import element, end, flow, path, process, start, user

KINDS = {"or": "inclusiveGateway", "xor": "exclusiveGateway", "and": "parallelGateway"}
WAYS = (*KINDS, "seq", "loop", "boundary")
Block = str | tuple[str, list["Block"]]

blocks: st.SearchStrategy[Block] = st.recursive(
    st.just("task"),
    lambda inner: st.tuples(
        st.sampled_from([*KINDS, "seq", "loop", "boundary"]), st.lists(inner, min_size=2, max_size=3)
    ),
    max_leaves=10,
)


class Writer:
    """Writes blocks as BPMN; `swap` replaces the closing gateway of parallel or of exclusive blocks."""

    def __init__(self, swap: dict[str, str] | None = None) -> None:
        self.numbers = count()
        self.parts: list[str] = []
        self.swap = swap or {}

    def node(self, kind: str, **attributes: str) -> str:
        id_ = f"{kind[:2]}{next(self.numbers)}"
        self.parts.append(user(id_) if kind == "userTask" else element(kind, id_, **attributes))
        return id_

    def block(self, block: Block) -> tuple[str, str]:
        """Write a block; return the ids of its first and last node."""
        if isinstance(block, str):
            task = self.node("userTask")
            return task, task
        kind, inner = block
        ends = [self.block(each) for each in inner]
        if kind == "seq":
            for (_, last), (first, _) in pairwise(ends):
                self.parts.append(path(last, first))
            return ends[0][0], ends[-1][1]
        if kind == "loop":
            return self.loop(ends)
        if kind == "boundary":
            return self.boundary(ends)
        opening, closing = self.node(KINDS[kind]), self.node(KINDS[self.swap.get(kind, kind)])
        for first, last in ends:
            self.parts.append(flow(opening, first, None if kind == "and" else "days > 1") + path(last, closing))
        return opening, closing

    def loop(self, ends: list[tuple[str, str]]) -> tuple[str, str]:
        """The first block again and again, the second on the way back."""
        entry, exit_ = self.node("exclusiveGateway"), self.node("exclusiveGateway")
        (first, last), (again, back), *_ = ends
        self.parts.append(path(entry, first) + path(last, exit_) + flow(exit_, again, "days > 1") + path(back, entry))
        for more in ends[2:]:  # in a row before the loop
            self.parts.append(path(more[1], entry))
            return more[0], exit_
        return entry, exit_

    def boundary(self, ends: list[tuple[str, str]]) -> tuple[str, str]:
        """A task with an interrupting timer: the blocks are the ways on, merged by an exclusive gateway."""
        task, closing = self.node("userTask"), self.node("exclusiveGateway")
        event = f"b{task}"
        definition = element("timerEventDefinition", f"d{task}", "<bpmn:timeDuration>P1D</bpmn:timeDuration>")
        self.parts.append(element("boundaryEvent", event, definition, attachedToRef=task))
        for source, (first, last) in zip((task, event), ends, strict=False):
            self.parts.append(path(source, first) + path(last, closing))
        for first, last in ends[2:]:
            self.parts.append(path(closing, first))
            return task, last
        return task, closing


def structure(block: Block, swap: dict[str, str] | None = None) -> list[Finding]:
    """Errors in the structure of a process that is one block."""
    writer = Writer(swap)
    first, last = writer.block(block)
    content = process(start(), *writer.parts, end(), path("start", first), path(last, "end"))
    report = Report()
    reporter = Reporter("process.bpmn", report)
    scope = Diagram("process.bpmn", parse(content, "process.bpmn")).processes[0]
    check_structure(scope, reporter)
    check_loops(scope, reporter)
    return report.sorted()


def holds(block: Block, kind: str) -> bool:
    return not isinstance(block, str) and (block[0] == kind or any(holds(each, kind) for each in block[1]))


@given(blocks)
def test_blocks_are_in_order(block: Block) -> None:
    assert structure(block) == []


@given(blocks)
def test_an_exclusive_split_into_a_parallel_join_is_always_found(block: Block) -> None:
    found = {finding.code for finding in structure(block, {"xor": "and"})}
    assert ("join_stuck" in found) == holds(block, "xor")


@given(blocks)
def test_an_inclusive_split_into_a_parallel_join_is_always_found(block: Block) -> None:
    found = {finding.code for finding in structure(block, {"or": "and"})}
    assert ("join_stuck" in found) == holds(block, "or")
