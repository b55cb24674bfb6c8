"""The syntax tree of FEEL (DMN 1.5, chapter 10.3.1.2), as the parser builds it and the compiler and checks read it.

Every node knows its `offset` in the source, its `depth` (levels below it, itself included) and its `weight` (number
of nodes below it, itself included).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of the tree."""

    offset: int
    depth: int = field(init=False, default=1, compare=False)
    weight: int = field(init=False, default=1, compare=False)

    def __post_init__(self) -> None:
        depth, weight = 0, 1
        for child in self.children():
            depth = max(depth, child.depth)
            weight += child.weight
        object.__setattr__(self, "depth", depth + 1)
        object.__setattr__(self, "weight", weight)

    def children(self) -> Iterator["Node"]:
        """Yield the nodes directly below this one, in source order."""
        kind: Any = type(self)
        for name in _below(kind):
            yield from _nodes(getattr(self, name))


@cache
def _below(kind: type[Any]) -> tuple[str, ...]:
    """Return the fields of a kind of node that may hold nodes."""
    return tuple(spec.name for spec in fields(kind) if spec.init and spec.name != "offset")


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for element in value:
            yield from _nodes(element)


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A constant: number, string, boolean, null or an @-literal."""

    value: object


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable, a parameter, a key of an enclosing context or a built-in function."""

    name: str


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """Operators of one precedence applied from left to right: `first op operand op operand …`."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Negation(Node):
    """`-operand`."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """`and` or `or` over two or more operands, three-valued."""

    op: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """`left op right` with one of = != < <= > >=."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Between(Node):
    """`value between low and high`, both ends included."""

    value: Node
    low: Node
    high: Node


@dataclass(frozen=True, slots=True)
class UnaryTest(Node):
    """One test of an input value: `op operand`, or an expression when `op` is empty."""

    op: str
    operand: Node


@dataclass(frozen=True, slots=True)
class UnaryTestList(Node):
    """The tests of a decision table's cell; no tests mean any value (`-`)."""

    tests: tuple[UnaryTest, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class In(Node):
    """`value in test` or `value in (test, …)`."""

    value: Node
    tests: tuple[UnaryTest, ...]


@dataclass(frozen=True, slots=True)
class Type(Node):
    """A type: `name`, with the types of elements, of entries (named by `keys`) or of parameters and the result."""

    name: str
    arguments: tuple["Type", ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceOf(Node):
    """`value instance of type`."""

    value: Node
    type: Type


@dataclass(frozen=True, slots=True)
class If(Node):
    """`if condition then then_ else else_`."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Iteration(Node):
    """`name in source`, or `name in source..end`."""

    name: str
    source: Node
    end: Node | None


@dataclass(frozen=True, slots=True)
class For(Node):
    """`for iterators return body`."""

    iterators: tuple[Iteration, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Quantified(Node):
    """`some` or `every` over iterators: `satisfies body`."""

    quantifier: str
    iterators: tuple[Iteration, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """A formal parameter of a function, with its type if declared."""

    name: str
    type: Type | None


@dataclass(frozen=True, slots=True)
class Function(Node):
    """`function(parameters) body`; an `external` one is never run: it yields null."""

    parameters: tuple[Parameter, ...]
    body: Node
    external: bool


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    """`[element, …]`."""

    elements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry(Node):
    """`key: value` of a context."""

    key: str
    value: Node


@dataclass(frozen=True, slots=True)
class Context(Node):
    """`{key: value, …}`: an entry sees those before it."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class RangeOf(Node):
    """`[low..high]` with open or closed ends, or `(op operand)` with one end absent."""

    low: Node | None
    high: Node | None
    low_closed: bool
    high_closed: bool
    op: str = ""


@dataclass(frozen=True, slots=True)
class Path(Node):
    """`source.name`."""

    source: Node
    name: str


@dataclass(frozen=True, slots=True)
class Filter(Node):
    """`source[condition]`."""

    source: Node
    condition: Node


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """An argument of a call, named or positional (`name` is None)."""

    name: str | None
    value: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`function(arguments)`."""

    function: Node
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Foreign(Node, ABC):
    """What FEEL has no syntax for and a boxed expression has, such as a decision table: it compiles itself."""

    @abstractmethod
    def code(self, scope: Any, compile_node: Callable[[Node, Any], Any]) -> Any:
        """Return the code; `scope` and the result are those of the compiler."""

    def wrapped(self) -> tuple[Node, ...]:
        """Return the node whose value this is, where that is all there is to it."""
        return ()


def replaced(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return a tree with every node changed, those below first."""
    parts = {spec.name: getattr(node, spec.name) for spec in fields(node) if spec.init and spec.name != "offset"}
    changed = {name: _replaced(part, change) for name, part in parts.items()}
    differs = any(changed[name] is not part for name, part in parts.items())
    return change(replace(node, **changed) if differs else node)


def _replaced(part: Any, change: Callable[[Node], Node]) -> Any:
    if isinstance(part, Node):
        return replaced(part, change)
    if isinstance(part, tuple):
        inner = tuple(_replaced(one, change) for one in part)
        return inner if any(new is not old for new, old in zip(inner, part, strict=True)) else part
    return part
