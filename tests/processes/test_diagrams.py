"""The pictures: complete, aligned, right-angled, nothing lies on anything else."""

from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from lxml import etree

from engine.bpm.extensions import BPMN

PROCESSES = Path(__file__).resolve().parents[2] / "processes"
DIAGRAMS = sorted(PROCESSES.glob("**/*.bpmn"))
DI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
BOUNDS = "{http://www.omg.org/spec/DD/20100524/DC}Bounds"
WAYPOINT = "{http://www.omg.org/spec/DD/20100524/DI}waypoint"

pytestmark = pytest.mark.parametrize("path", DIAGRAMS, ids=lambda path: f"{path.parent.name}-{path.stem}")


@dataclass(frozen=True)
class Box:
    owner: str
    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: "Box") -> bool:
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )

    def contains(self, point: tuple[float, float]) -> bool:
        return self.x <= point[0] <= self.x + self.width and self.y <= point[1] <= self.y + self.height


class Picture:
    def __init__(self, path: Path) -> None:
        self.root = etree.parse(path).getroot()
        self.elements = {e.get("id"): e for e in self.root.iter(f"{{{BPMN}}}*") if e.get("id")}
        self.shapes: dict[str, Box] = {}
        self.edges: dict[str, list[tuple[float, float]]] = {}
        self.labels: list[Box] = []
        for drawn in self.root.iter(f"{DI}BPMNShape", f"{DI}BPMNEdge"):
            owner = drawn.get("bpmnElement", "")
            label = drawn.find(f"{DI}BPMNLabel/{BOUNDS}")
            if label is not None:
                self.labels.append(box(owner, label))
            if drawn.tag == f"{DI}BPMNShape":
                self.shapes[owner] = box(owner, drawn.find(BOUNDS))
            else:
                points = drawn.iter(WAYPOINT)
                self.edges[owner] = [(float(p.get("x", "")), float(p.get("y", ""))) for p in points]

    def kind(self, owner: str) -> str:
        return str(self.elements[owner].tag).removeprefix(f"{{{BPMN}}}")

    def of(self, *kinds: str) -> set[str]:
        return {owner for owner in self.elements if owner and self.kind(owner) in kinds}

    @property
    def solid(self) -> list[Box]:
        """Shapes that nothing else may lie on: a sub-process holds its own, a boundary event sits on its activity."""
        return [s for s in self.shapes.values() if self.kind(s.owner) not in ("subProcess", "boundaryEvent")]


def box(owner: str, bounds: etree._Element | None) -> Box:
    assert bounds is not None
    return Box(owner, *(float(bounds.get(name, "")) for name in ("x", "y", "width", "height")))


def segments(points: list[tuple[float, float]]) -> list[Box]:
    return [
        Box("", min(a[0], b[0]), min(a[1], b[1]), abs(a[0] - b[0]) or 0.1, abs(a[1] - b[1]) or 0.1)
        for a, b in pairwise(points)
    ]


def test_everything_is_drawn(path: Path) -> None:
    picture = Picture(path)
    nodes = {
        owner
        for owner in picture.elements
        if owner and picture.kind(owner).endswith(("Event", "Task", "Gateway", "Activity", "subProcess"))
    }
    assert set(picture.shapes) == nodes
    assert set(picture.edges) == picture.of("sequenceFlow")


def test_flows_are_right_angled_and_dock_at_the_borders(path: Path) -> None:
    picture = Picture(path)
    for owner, points in picture.edges.items():
        flow = picture.elements[owner]
        assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(points)), owner
        for end, point in (("sourceRef", points[0]), ("targetRef", points[-1])):
            shape = picture.shapes[flow.get(end, "")]
            middle = point[0] in (shape.x, shape.x + shape.width) or point[1] in (shape.y, shape.y + shape.height)
            assert shape.contains(point), (owner, end)
            assert middle, (owner, end)


def test_flows_go_through_no_shape(path: Path) -> None:
    picture = Picture(path)
    through = [
        (owner, shape.owner)
        for owner, points in picture.edges.items()
        for segment in segments(points)
        for shape in picture.solid
        if shape.owner not in (picture.elements[owner].get("sourceRef"), picture.elements[owner].get("targetRef"))
        and shape.owner != picture.elements[picture.elements[owner].get("sourceRef", "")].get("attachedToRef")
        and segment.overlaps(shape)
    ]
    assert through == []


def test_nothing_lies_on_anything_else(path: Path) -> None:
    picture = Picture(path)
    events = [s for s in picture.shapes.values() if picture.kind(s.owner) == "boundaryEvent"]
    pieces = [*picture.solid, *picture.labels]
    on = [(a.owner, b.owner) for a, b in combinations(pieces, 2) if a.overlaps(b)]
    on += [(a.owner, b.owner) for a in events for b in picture.labels if a.overlaps(b)]
    on += [
        (label.owner, owner)
        for label in picture.labels
        for owner, points in picture.edges.items()
        for segment in segments(points)
        if segment.overlaps(label)
    ]
    assert on == []


def test_the_main_way_is_straight_and_evenly_spaced(path: Path) -> None:
    """Centres stand in columns 160 apart; what is on the way from the start to the last end shares one line."""
    picture = Picture(path)
    inner = {owner for owner in picture.shapes if picture.kind(owner) not in ("boundaryEvent", "subProcess")}
    centres = {o: (s.x + s.width / 2, s.y + s.height / 2) for o, s in picture.shapes.items() if o in inner}
    first = min(centres.values())
    assert [o for o, c in centres.items() if (c[0] - first[0]) % 160] == []
    columns = {c[0] for c in centres.values()}
    on_line = {c[0] for c in centres.values() if c[1] == first[1]}
    assert len(columns - on_line) <= 1


def test_what_decides_is_named(path: Path) -> None:
    """Steps, events and the gateways that part ways say what they are about, and so does each way."""
    picture = Picture(path)
    unnamed = []
    for owner, element in picture.elements.items():
        kind = picture.kind(str(owner))
        parts = kind in ("exclusiveGateway", "inclusiveGateway") and len(element.findall(f"{{{BPMN}}}outgoing")) > 1
        if (kind.endswith(("Task", "Event", "subProcess", "Activity")) or parts) and not element.get("name"):
            unnamed.append(owner)
        if parts:
            ways = [picture.elements[e.text or ""] for e in element.findall(f"{{{BPMN}}}outgoing")]
            unnamed += [way.get("id") for way in ways if not way.get("name")]
    assert unnamed == []
