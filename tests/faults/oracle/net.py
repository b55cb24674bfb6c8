"""The abstract net: nodes, flows and scopes, and nothing of how they were drawn or are stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from tests.faults.oracle.conditions import Condition


class Kind(StrEnum):
    """What a node is, named by its BPMN element."""

    START = "startEvent"
    END = "endEvent"
    TERMINATE = "terminateEndEvent"
    USER = "userTask"
    SERVICE = "serviceTask"
    SCRIPT = "scriptTask"
    TIMER = "intermediateCatchEvent"
    BOUNDARY = "boundaryEvent"
    XOR = "exclusiveGateway"
    AND = "parallelGateway"
    OR = "inclusiveGateway"
    RACE = "eventBasedGateway"
    SUB = "subProcess"


@dataclass(frozen=True)
class Many:
    """Multi-instance over the list in the field `over`, each instance seeing its item under the name `item`.

    `count` instead of `over`: a fixed number of instances without items. `until`: the completion condition.
    """

    sequential: bool
    over: str | None = None
    item: str | None = None
    count: int | None = None
    until: Condition | None = None


@dataclass(frozen=True)
class Wait:
    """A timer's duration, how it is written (plain ISO 8601 or a FEEL call), and for a cycle how often it fires."""

    hours: int
    feel: bool = False
    cycle: int | None = None

    @property
    def delta(self) -> timedelta:
        return timedelta(hours=self.hours)

    @property
    def text(self) -> str:
        if self.cycle is not None:
            return f"R{self.cycle}/PT{self.hours}H"
        return f'duration("PT{self.hours}H")' if self.feel else f"PT{self.hours}H"


@dataclass
class Flow:
    """A sequence flow."""

    id: str
    source: str
    target: str
    condition: Condition | None = None
    default: bool = False


@dataclass
class Node:
    """A node; `body` is the scope inside a sub-process, `host` the activity a boundary event is attached to."""

    id: str
    kind: Kind
    wait: Wait | None = None
    body: "Scope | None" = None
    many: Many | None = None
    host: str | None = None
    interrupting: bool = True


@dataclass
class Scope:
    """A process or the inside of a sub-process; flows don't leave it. `id` is the element's id."""

    id: str
    nodes: dict[str, Node] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)

    @classmethod
    def of(cls, kinds: Mapping[str, Kind], arrows: str) -> "Scope":
        """Draw a process from arrows such as `S-T1 T1-E`; nodes not named in `kinds` are user tasks."""
        ends = [(arrow, *arrow.split("-")) for arrow in arrows.split()]
        given = {"S": Kind.START, "E": Kind.END, **kinds}
        names = dict.fromkeys(name for _, *pair in ends for name in pair)
        nodes = {name: Node(name, given.get(name, Kind.USER)) for name in names}
        return cls("P", nodes, {arrow: Flow(arrow, source, target) for arrow, source, target in ends})

    def outgoing(self, node: str) -> list[Flow]:
        """Return the flows that leave a node, in the order of the diagram."""
        return [flow for flow in self.flows.values() if flow.source == node]

    def incoming(self, node: str) -> list[Flow]:
        """Return the flows that enter a node."""
        return [flow for flow in self.flows.values() if flow.target == node]

    def boundaries(self, host: str) -> list[Node]:
        """Return the boundary events attached to an activity."""
        return [node for node in self.nodes.values() if node.host == host]

    def fuse(self) -> "Scope":
        """Make one gateway of each join and the split of the same kind right behind it; return the scope."""
        for flow in list(self.flows.values()):
            first, second = self.nodes[flow.source], self.nodes[flow.target]
            gateways = first.kind is second.kind and first.kind in (Kind.XOR, Kind.AND, Kind.OR)
            alone = len(self.outgoing(first.id)) == len(self.incoming(second.id)) == 1
            if gateways and alone and first is not second:
                for after in self.outgoing(second.id):
                    after.source = first.id
                del self.flows[flow.id], self.nodes[second.id]
        for node in self.nodes.values():
            if node.body is not None:
                node.body.fuse()
        return self

    def rename(self, old: str, new: str) -> "Scope":
        """Give a node of this scope another id; return the scope."""
        self.nodes = {new if name == old else name: node for name, node in self.nodes.items()}
        self.nodes[new].id = new
        for node in self.nodes.values():
            node.host = new if node.host == old else node.host
        for flow in self.flows.values():
            flow.source = new if flow.source == old else flow.source
            flow.target = new if flow.target == old else flow.target
        return self

    def start(self) -> str:
        """Return the id of the start event."""
        return next(node.id for node in self.nodes.values() if node.kind is Kind.START)
