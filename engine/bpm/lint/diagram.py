"""A BPMN file as the linter reads it: scopes of nodes and flows on top of the element tree, numbers of the drawing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from lxml import etree

from engine.bpm.extensions import BPMN

EVENTS = frozenset("startEvent endEvent intermediateCatchEvent intermediateThrowEvent boundaryEvent".split())
GATEWAYS = frozenset("exclusiveGateway parallelGateway inclusiveGateway eventBasedGateway complexGateway".split())
TASKS = frozenset(
    "task userTask manualTask serviceTask scriptTask sendTask receiveTask businessRuleTask callActivity".split()
)
SCOPES = frozenset("subProcess adHocSubProcess transaction".split())
NODES = EVENTS | GATEWAYS | TASKS | SCOPES

DRAWING = "http://www.omg.org/spec/BPMN/20100524/DI"
BOUNDS = "{http://www.omg.org/spec/DD/20100524/DC}Bounds"
WAYPOINT = "{http://www.omg.org/spec/DD/20100524/DI}waypoint"
FURTHEST = 100_000
"""Units that a drawing may reach from its origin, in each direction."""

_PREFIX = f"{{{BPMN}}}"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def local(element: etree._Element) -> str | None:
    """Return a BPMN element's name without its namespace; None for elements of others."""
    tag = str(element.tag)
    return tag[len(_PREFIX) :] if tag.startswith(_PREFIX) else None


def children(element: etree._Element, name: str) -> list[etree._Element]:
    """Return the direct BPMN children of that name."""
    return element.findall(_PREFIX + name)


def child(element: etree._Element, name: str) -> etree._Element | None:
    """Return the first direct BPMN child of that name."""
    return element.find(_PREFIX + name)


def content(element: etree._Element) -> str:
    """Return the text of an element without the space around it."""
    return "".join(str(text) for text in element.itertext()).strip()


def place_of(element: etree._Element) -> tuple[float, ...] | None:
    """Return x and y of a waypoint, of bounds also width and height; None where they aren't numbers of a drawing."""
    names = ("x", "y", "width", "height") if element.tag == BOUNDS else ("x", "y")
    texts = [element.get(name, "0").strip() for name in names]
    if not all(map(_NUMBER.fullmatch, texts)):
        return None
    numbers = tuple(map(float, texts))
    if any(abs(number) > FURTHEST for number in numbers) or any(size < 0 for size in numbers[2:]):
        return None
    return numbers


@dataclass(eq=False, slots=True)
class Flow:
    """A sequence flow (顺序流) within one scope."""

    id: str
    element: etree._Element
    source: "Node"
    target: "Node"

    @property
    def condition(self) -> etree._Element | None:
        """The element of its condition, if it has one."""
        return child(self.element, "conditionExpression")


@dataclass(eq=False, slots=True)
class Node:
    """An event, activity or gateway."""

    id: str
    kind: str
    element: etree._Element
    scope: "Scope"
    incoming: list[Flow] = field(default_factory=list)
    outgoing: list[Flow] = field(default_factory=list)
    boundaries: list["Node"] = field(default_factory=list)
    host: "Node | None" = None
    inner: "Scope | None" = None

    @property
    def definitions(self) -> list[tuple[str, etree._Element]]:
        """Its event definitions: (`timer`, element) and so on."""
        found = ((local(e) or "", e) for e in self.element)
        suffix = "EventDefinition"
        return [(name.removesuffix(suffix), e) for name, e in found if name.endswith(suffix)]

    @property
    def event(self) -> str | None:
        """What its first event definition is called: timer, message, …"""
        definitions = self.definitions
        return definitions[0][0] if definitions else None

    @property
    def interrupting(self) -> bool:
        """Whether a boundary event ends its activity."""
        return self.element.get("cancelActivity", "true") not in ("false", "0")

    @property
    def default(self) -> str | None:
        """The id of the default flow."""
        return self.element.get("default")


@dataclass(eq=False)
class Scope:
    """A process or sub-process: what it holds directly."""

    element: etree._Element
    owner: Node | None = None
    level: int = 0
    nodes: dict[str, Node] = field(default_factory=dict)
    flows: list[Flow] = field(default_factory=list)

    @property
    def is_process(self) -> bool:
        """Whether this is a process and no sub-process."""
        return self.owner is None

    @property
    def starts(self) -> list[Node]:
        """The start events."""
        return self.of_kind("startEvent")

    def of_kind(self, *kinds: str) -> list[Node]:
        """Return the nodes of these kinds, in the order of the file."""
        return [node for node in self.nodes.values() if node.kind in kinds]

    @cached_property
    def graph(self) -> dict[str, list[str]]:
        """Successors of each node; a boundary event follows its activity."""
        return {
            node.id: [flow.target.id for flow in node.outgoing] + [event.id for event in node.boundaries]
            for node in self.nodes.values()
        }

    def walk(self) -> Iterator["Scope"]:
        """Yield this scope and those within it, outer ones first."""
        pending = [self]
        while pending:
            scope = pending.pop()
            yield scope
            pending.extend(node.inner for node in scope.nodes.values() if node.inner)


@dataclass(eq=False)
class Diagram:
    """One BPMN file."""

    file: str
    root: etree._Element

    @cached_property
    def processes(self) -> list[Scope]:
        """The processes of the file."""
        return [_scope(element) for element in children(self.root, "process")]

    @property
    def running(self) -> list[Scope]:
        """The processes that the engine would run: not marked otherwise."""
        return [process for process in self.processes if process.element.get("isExecutable", "true") == "true"]

    @cached_property
    def ids(self) -> dict[str, etree._Element]:
        """The first element of each id of the model; the drawing's ids are not referred to by the engine."""
        found: dict[str, etree._Element] = {}
        for element in self.root.iter(f"{_PREFIX}*"):
            identifier = element.get("id")
            if identifier:
                found.setdefault(identifier, element)
        return found


def _scope(element: etree._Element) -> Scope:
    top = Scope(element)
    pending = [top]
    while pending:
        scope = pending.pop()
        for found in scope.element:
            kind, identifier = local(found), found.get("id")
            if kind in NODES and identifier and identifier not in scope.nodes:
                node = scope.nodes[identifier] = Node(identifier, kind, found, scope)
                if kind in SCOPES:
                    node.inner = Scope(found, node, scope.level + 1)
                    pending.append(node.inner)
        _connect(scope)
    return top


def _connect(scope: Scope) -> None:
    for element in children(scope.element, "sequenceFlow"):
        source = scope.nodes.get(element.get("sourceRef", ""))
        target = scope.nodes.get(element.get("targetRef", ""))
        if source and target:
            flow = Flow(element.get("id", ""), element, source, target)
            scope.flows.append(flow)
            source.outgoing.append(flow)
            target.incoming.append(flow)
    for node in scope.nodes.values():
        host = scope.nodes.get(node.element.get("attachedToRef", "")) if node.kind == "boundaryEvent" else None
        if host and host is not node:
            node.host = host
            host.boundaries.append(node)
