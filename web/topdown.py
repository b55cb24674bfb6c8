"""A process diagram for the phone: the diagram's own coordinates turned so that it runs from top to bottom, as SVG.

Columns become rows; empty bands are squeezed. What hangs on a boundary event (a timer's reminder) is left out unless it
has happened, so that the path stays readable at 390 pixels.
"""

import bisect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine import xml
from engine.bpm.extensions import BPMN
from engine.bpm.lint.diagram import BOUNDS, DRAWING, WAYPOINT, place_of

_DI = f"{{{DRAWING}}}"
_ACROSS, _DOWN = 1.4, 0.62  # pixels a unit of the diagram takes, after the turn
_GAP_ACROSS, _GAP_DOWN = 26.0, 52.0  # units that an empty band keeps
_OUTSIDE = 0.4  # of the room that flows take around the outermost shapes
_ROUND = 15.0  # radius of an event, half of a gateway
_MARGIN = 14.0
_UNDRAWN = frozenset("participant lane textAnnotation dataObjectReference dataStoreReference group".split())
_CHARACTER = 11.0  # width of one beside an element
_LINE = 7  # characters of a task's name in one line

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Node:
    """An element as it is drawn: centre, size, the lines of its name."""

    id: str
    kind: str  # task, gateway, event; frame around an expanded sub-process
    type: str
    lines: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float
    state: str  # walked, open, future
    notes: tuple[str, ...] = ()

    @property
    def name_top(self) -> float:
        """Where the first line of the name stands."""
        rows = len(self.lines) + len(self.notes)
        return self.y - (rows - 1) * 7.5 + 4.5


@dataclass(frozen=True, slots=True)
class Edge:
    """A flow as it is drawn."""

    id: str
    points: str
    state: str
    name: str
    label: Point
    across: bool  # the flow leaves sideways: its label stands above the line, otherwise beside it


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything a template needs to draw the diagram."""

    width: float
    height: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(slots=True)
class _Shape:
    id: str
    type: str
    name: str
    x: float
    y: float
    width: float
    height: float
    attached: str = ""
    expanded: bool = False


@dataclass(slots=True)
class _Flow:
    id: str
    source: str
    target: str
    name: str
    points: list[Point] = field(default_factory=list)


def picture(
    text: str, *, walked: Iterable[str], standing: Sequence[str], notes: Mapping[str, Sequence[str]]
) -> Picture | None:
    """Return the picture of a process, None where its file has no diagram.

    `standing` are the elements where the instance waits, `notes` the lines under a name there: who has it, for how
    long, or until when. What has no proper place in the file isn't drawn; the linter refuses it.
    """
    shapes, flows = _read(text)
    passed, here = frozenset(walked), frozenset(standing)
    shapes, flows = _kept(shapes, flows, passed | here)
    if not shapes:
        return None
    across = _squeezed([(s.y, s.y + s.height) for s in shapes.values()], _GAP_ACROSS, _ACROSS)
    down = _squeezed([(s.x, s.x + s.width) for s in shapes.values()], _GAP_DOWN, _DOWN)

    def state(id_: str) -> str:
        return "open" if id_ in here else "walked" if id_ in passed else "future"

    nodes = {s.id: _node(s, across, down, state(s.id), tuple(notes.get(s.id, ()))) for s in shapes.values()}
    edges = [_edge(flow, nodes, across, down, "walked" if flow.id in passed else "future") for flow in flows]
    edges.sort(key=lambda edge: edge.state == "walked")  # what was walked is drawn last, above the rest
    xs = [v for n in nodes.values() for v in (n.x - n.width / 2, n.x + n.width / 2)]
    ys = [v for n in nodes.values() for v in (n.y - n.height / 2, n.y + n.height / 2)]
    beside = [n for n in nodes.values() if n.kind in ("event", "gateway")]
    xs += [n.x + 20 + 11.5 * len(line) for n in beside for line in (*n.lines, *n.notes)]
    for edge in edges:
        half = 6.0 * len(edge.name)
        xs += [edge.label[0] - half, edge.label[0] + half] if edge.across else [edge.label[0] + 2 * half]
        pairs = [pair.split(",") for pair in edge.points.split()]
        xs += [float(x) for x, _ in pairs]
        ys += [float(y) for _, y in pairs]
    left, top = min(xs) - _MARGIN, min(ys) - _MARGIN
    return Picture(
        width=round(max(xs) - left + _MARGIN, 1),
        height=round(max(ys) - top + _MARGIN + 12, 1),
        nodes=tuple(_moved_node(n, left, top) for n in sorted(nodes.values(), key=lambda n: n.kind != "frame")),
        edges=tuple(_moved_edge(e, left, top) for e in edges),
    )


def callers(text: str) -> dict[str, list[str]]:
    """Return which activities of a diagram call a process, by its id."""
    found: dict[str, list[str]] = {}
    for element in xml.parse(text, "process.bpmn").iter(f"{{{BPMN}}}callActivity"):
        found.setdefault(element.get("calledElement", ""), []).append(element.get("id", ""))
    return found


def _read(text: str) -> tuple[dict[str, _Shape], list[_Flow]]:
    root = xml.parse(text, "process.bpmn")
    elements: dict[str, Any] = {e.get("id", ""): e for e in root.iter(f"{{{BPMN}}}*")}
    shapes: dict[str, _Shape] = {}
    flows: list[_Flow] = []
    for shape in root.iter(f"{_DI}BPMNShape"):
        element, bounds = elements.get(shape.get("bpmnElement", "")), shape.find(BOUNDS)
        place = None if bounds is None else place_of(bounds)
        if element is None or place is None or _type(element) in _UNDRAWN:
            continue
        x, y, width, height = place
        name, attached = element.get("name") or "", element.get("attachedToRef") or ""
        id_, expanded = element.get("id"), shape.get("isExpanded") == "true"
        shapes[id_] = _Shape(id_, _type(element), name, x, y, width, height, attached, expanded)
    for edge in root.iter(f"{_DI}BPMNEdge"):
        element = elements.get(edge.get("bpmnElement", ""))
        if element is None or _type(element) != "sequenceFlow":
            continue
        places = [place_of(point) for point in edge.iter(WAYPOINT)]
        points = [(place[0], place[1]) for place in places if place is not None]
        if 1 < len(points) == len(places):
            source, target = element.get("sourceRef"), element.get("targetRef")
            flows.append(_Flow(element.get("id"), source, target, element.get("name") or "", points))
    return shapes, flows


def _type(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _kept(
    shapes: dict[str, _Shape], flows: list[_Flow], passed: frozenset[str]
) -> tuple[dict[str, _Shape], list[_Flow]]:
    """Leave out what only a boundary event leads to, unless it has happened."""
    following: dict[str, list[str]] = {}
    for flow in flows:
        following.setdefault(flow.source, []).append(flow.target)
    starts = [s.id for s in shapes.values() if s.type == "startEvent"]
    reached: set[str] = set()
    queue = [*starts, *(id_ for id_ in passed if id_ in shapes)]
    while queue:
        id_ = queue.pop()
        if id_ in shapes and id_ not in reached:
            reached.add(id_)
            queue += following.get(id_, [])
    kept = {id_: shape for id_, shape in shapes.items() if id_ in reached}
    for shape in list(kept.values()):  # a boundary event that has happened needs its host
        if shape.attached and shape.attached in shapes:
            kept.setdefault(shape.attached, shapes[shape.attached])
    return kept, [flow for flow in flows if flow.source in kept and flow.target in kept]


def _squeezed(taken: list[tuple[float, float]], gap: float, scale: float) -> Callable[[float], float]:
    """Return a growing function of one axis: bands with shapes keep their size, empty ones shrink to `gap`."""
    bands: list[list[float]] = []
    for low, high in sorted(taken):
        if bands and low <= bands[-1][1]:
            bands[-1][1] = max(bands[-1][1], high)
        else:
            bands.append([low, high])
    knots: list[Point] = [(bands[0][0] - 1000, -1000 * _OUTSIDE)]  # (before, after)
    at = 0.0
    for index, (low, high) in enumerate(bands):
        if index:
            at += min(gap, low - bands[index - 1][1])
        knots += [(low, at), (high, at + high - low)]
        at += high - low
    knots.append((bands[-1][1] + 1000, at + 1000 * _OUTSIDE))

    ends = [before for before, _ in knots[1:]]

    def moved(value: float) -> float:
        at = bisect.bisect_left(ends, value)
        if at == len(ends):
            return scale * knots[-1][1]
        (a, b), (c, d) = knots[at : at + 2]
        return scale * (b + (value - a) * (d - b) / (c - a) if c > a else b)

    return moved


def _node(
    shape: _Shape,
    across: Callable[[float], float],
    down: Callable[[float], float],
    state: str,
    notes: tuple[str, ...],
) -> Node:
    x = (across(shape.y) + across(shape.y + shape.height)) / 2
    y = (down(shape.x) + down(shape.x + shape.width)) / 2
    for kind in ("event", "gateway"):
        if shape.type.lower().endswith(kind):
            name = (shape.name,) if shape.name else ()
            return Node(shape.id, kind, shape.type, name, x, y, 2 * _ROUND, 2 * _ROUND, state, notes)
    width, height = across(shape.y + shape.height) - across(shape.y), down(shape.x + shape.width) - down(shape.x)
    if shape.expanded:
        return Node(shape.id, "frame", shape.type, (shape.name,), x, y, width, height, state)
    return Node(shape.id, "task", shape.type, _lines(shape.name or shape.id), x, y, width, height, state, notes)


def _lines(name: str) -> tuple[str, ...]:
    """Break a name into lines of about the same length."""
    name = name[: 3 * _LINE]
    length = math.ceil(len(name) / math.ceil(len(name) / _LINE))
    return tuple(name[at : at + length] for at in range(0, len(name), length))


def _edge(
    flow: _Flow, nodes: Mapping[str, Node], across: Callable[[float], float], down: Callable[[float], float], state: str
) -> Edge:
    points = [(across(y), down(x)) for x, y in flow.points]
    points[0] = _at_border(nodes[flow.source], points[0], points[1])
    points[-1] = _at_border(nodes[flow.target], points[-1], points[-2])
    first, second = points[0], points[1]
    across_ = abs(second[0] - first[0]) > abs(second[1] - first[1])
    label = ((first[0] + second[0]) / 2, first[1] - 5) if across_ else (first[0] + 6, (first[1] + second[1]) / 2)
    source, half = nodes[flow.source], _CHARACTER * len(flow.name) / 2
    if across_ and source.kind == "gateway" and source.lines:  # whose own name stands to the right of it
        beside = source.x + 18 + _CHARACTER * len(source.lines[0]) + half
        if label[0] < beside < second[0] - half:
            label = (beside, label[1])
    return Edge(flow.id, " ".join(f"{x:.1f},{y:.1f}" for x, y in points), state, flow.name, label, across_)


def _at_border(node: Node, end: Point, other: Point) -> Point:
    """Return where a flow meets a round or diamond element, which is drawn smaller than its box in the diagram."""
    if node.kind in ("task", "frame"):
        return end
    if abs(other[0] - end[0]) > abs(other[1] - end[1]):
        return (node.x + (_ROUND if other[0] > node.x else -_ROUND), end[1])
    return (end[0], node.y + (_ROUND if other[1] > node.y else -_ROUND))


def _moved_node(n: Node, left: float, top: float) -> Node:
    return Node(
        n.id, n.kind, n.type, n.lines, round(n.x - left, 1), round(n.y - top, 1), round(n.width, 1),
        round(n.height, 1), n.state, n.notes,
    )  # fmt: skip


def _moved_edge(e: Edge, left: float, top: float) -> Edge:
    pairs = (pair.split(",") for pair in e.points.split())
    points = " ".join(f"{float(x) - left:.1f},{float(y) - top:.1f}" for x, y in pairs)
    return Edge(e.id, points, e.state, e.name, (round(e.label[0] - left, 1), round(e.label[1] - top, 1)), e.across)
