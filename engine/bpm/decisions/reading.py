"""What the readers of boxed expressions share: names in sight, declared types, texts, problems with their place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lxml import etree

from engine.bpm.decisions.document import boxed, line_of, local, text_of
from engine.bpm.decisions.items import Items, ItemType, Misfit, coerced, feel_type
from engine.bpm.decisions.model import Problem
from engine.errors import Invalid
from engine.feel import FeelError
from engine.feel import nodes as n
from engine.feel.limits import Run
from engine.feel.parser import parse, parse_unary
from engine.feel.scope import Code, Env, Scope
from engine.feel.types import ANY, FeelType
from engine.feel.values import Value

NULL = n.Literal(None, offset=0)
MAX_NAMES = 300
"""Names in sight of one expression."""


@dataclass(frozen=True, slots=True)
class Coerced(n.Foreign):
    """A value as one of a declared type; null with the reason where it isn't."""

    value: n.Node
    wanted: ItemType
    what: str

    def code(self, scope: Scope, compile_node: Callable[[n.Node, Scope], Code]) -> Code:
        """Return the code."""
        value, wanted, what = compile_node(self.value, scope), self.wanted, self.what
        return lambda env: fit(value(env), wanted, what, env[1])

    def wrapped(self) -> tuple[n.Node, ...]:
        """Return the value."""
        return (self.value,)


@dataclass(frozen=True, slots=True)
class Failing(n.Foreign):
    """What cannot be compiled: null, and the reason each time."""

    message: str

    def code(self, scope: Scope, compile_node: Callable[[n.Node, Scope], Code]) -> Code:
        """Return the code."""
        message = self.message

        def fail(env: Env) -> None:
            env[1].note(message)

        return fail


def unwrapped(node: n.Node) -> n.Node:
    """Return what a node converts, where it only converts."""
    while isinstance(node, Coerced):
        node = node.value
    return node


def fit(value: Value, wanted: ItemType | None, what: str, run: Run) -> Value:
    """Return a value as one of a type, or null with the reason in the run's messages."""
    if wanted is None or value is None:
        return value
    try:
        return coerced(value, wanted, run)
    except Misfit as misfit:
        run.note(f"{what}{misfit}")
        return None


@dataclass(frozen=True, slots=True)
class Text:
    """A FEEL text of a file with what is known where it stands.

    `unary` is the type that a cell's tests are about, `result` the one that a cell has to give; `where` names the rule
    and the column of a cell.
    """

    path: str
    line: int
    owner: str
    text: str
    sight: Mapping[str, FeelType]
    spelled: frozenset[str]
    complete: bool
    unary: FeelType | None = None
    result: FeelType | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads boxed expressions of one model; `owner` is the element whose logic it is.

    `kinds` are the readers by the name of the XML element; `sight` are the names in sight with their types (all of
    them, where `complete`), `declared` the item definitions of those that have one, `spelled` the names that may
    follow a dot; `texts` collects what was read, for checks; `where` names a table's cell.
    """

    kinds: Mapping[str, Callable[["Reader", Any], n.Node]]
    path: str
    items: Items
    problems: list[Problem]
    owner: str
    sight: Mapping[str, FeelType]
    spelled: frozenset[str]
    texts: list[Text]
    declared: Mapping[str, ItemType | None]
    complete: bool = True
    where: str = ""

    def seeing(self, name: str, wanted: ItemType | None = None) -> "Reader":
        """Return a reader that knows one more name; Invalid where there are too many."""
        if len(self.sight) >= MAX_NAMES:
            message = f"{self.path}：“{self.owner[:80]}”里能用的名称超过 {MAX_NAMES} 个，请拆成几个决策"
            raise Invalid(message, code="dmn_too_large", place=self.path)
        declared = {**self.declared, name: wanted}
        return replace(self, sight={**self.sight, name: feel_type(wanted)}, declared=declared)

    @property
    def names(self) -> frozenset[str]:
        """Every name that a text may spell."""
        return self.spelled | self.sight.keys()

    def node(self, element: etree._Element) -> n.Node:
        """Return the tree of a boxed expression, its value of the type that it declares."""
        wanted = self.items.find(element.get("typeRef"), element)
        return self.typed(self.kinds[local(element)](self, element), wanted, self.what(element))

    def inner(self, element: etree._Element | None) -> n.Node:
        """Return the tree of the boxed expression that an element holds; null where it holds none."""
        expression = None if element is None else boxed(element)
        return NULL if expression is None else self.node(expression)

    def typed(self, node: n.Node, wanted: ItemType | None, what: str) -> n.Node:
        """Return a node whose value is of a type."""
        return node if wanted is None else Coerced(node, wanted, what, offset=0)

    def what(self, element: etree._Element) -> str:
        """Return how a message begins."""
        return f"{self.path} 第 {line_of(element)} 行：“{self.owner}”的结果"

    def at(self, where: str) -> "Reader":
        """Return a reader of one cell."""
        return replace(self, where=where)

    def text(self, element: etree._Element, result: FeelType | None = None) -> n.Node:
        """Return the tree of an element's FEEL text; null where it is empty, or not FEEL. `result`: what it gives."""
        written = text_of(element)
        if not written:
            return NULL
        self._keep(element, written, None, result)
        return self._parsed(element, lambda: self._resolved(parse(written, self.names), element))

    def tests(self, element: etree._Element, kind: FeelType = ANY) -> n.UnaryTestList | Failing:
        """Return the tests of an input entry; none where it is empty. `kind` is the type of what is tested."""
        written = text_of(element) or "-"
        self._keep(element, written, kind, None)
        node = self._parsed(element, lambda: self._resolved(parse_unary(written, self.names), element))
        assert isinstance(node, n.UnaryTestList | Failing)
        return node

    def _keep(self, element: etree._Element, written: str, unary: FeelType | None, result: FeelType | None) -> None:
        place, known = (self.path, line_of(element), self.owner), (self.sight, self.spelled, self.complete)
        self.texts.append(Text(*place, written, *known, unary, result, self.where))

    def fails(self, element: etree._Element, message: str, cure: str = "") -> Failing:
        """Note a problem and return the node that says it whenever it is evaluated."""
        line = line_of(element)
        message = f"{self.where}：{message}" if self.where else message
        self.problems.append(Problem(self.path, line, self.owner, message, cure))
        return Failing(f"{self.path} 第 {line} 行：{message}", offset=0)

    def _parsed(self, element: etree._Element, read: Callable[[], n.Node]) -> n.Node:
        language = element.get("expressionLanguage") or ""
        if language and "feel" not in language.lower():
            return self.fails(element, f"表达式语言“{language[:80]}”不支持，请用 FEEL")
        try:
            return read()
        except FeelError as error:
            return self.fails(element, error.message)

    def _resolved(self, tree: n.Node, element: etree._Element) -> n.Node:
        """Write the model's own types out where the text names them."""

        def change(node: n.Node) -> n.Node:
            if isinstance(node, n.Type) and not node.arguments:
                found = self.items.find(node.name, element)
                return node if found is None else found.node()
            return node

        return n.replaced(tree, change)
