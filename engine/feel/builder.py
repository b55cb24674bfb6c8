"""What the parser recognises to nodes of the syntax tree."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from lark import Token as LarkToken
from lark import Transformer

from engine.feel import nodes as n
from engine.feel.errors import FeelSyntaxError, at
from engine.feel.literals import at_literal, number_literal, string_literal
from engine.feel.operators import negate


class Refused(Exception):
    """A literal that cannot be; located once the text is at hand."""

    def __init__(self, offset: int, message: str, message_en: str) -> None:
        super().__init__(message_en)
        self.offset, self.message, self.message_en = offset, message, message_en

    def located(self, text: str) -> FeelSyntaxError:
        return FeelSyntaxError(self.message, self.message_en, **at(text, self.offset))


Child = Any  # a node, a token, a tuple of either, or None for an absent optional part


def _place(children: list[Child]) -> int:
    first = children[0]
    return int(first.start_pos or 0) if isinstance(first, LarkToken) else int(first.offset)


def _only(children: list[Child], kind: Any) -> tuple[Any, ...]:
    return tuple(child for child in children if isinstance(child, kind))


def _kind(child: Child) -> str:
    return str(child.type) if isinstance(child, LarkToken) else ""


def _literal(read: Callable[[str], object]) -> Callable[["TreeBuilder", list[Child]], n.Node]:
    def build(self: "TreeBuilder", children: list[Child]) -> n.Node:
        offset = _place(children)
        try:
            return n.Literal(read(str(children[0])), offset=offset)
        except ValueError as error:
            raise Refused(offset, *error.args) from None

    return build


class TreeBuilder(Transformer[LarkToken, n.Node]):
    """Builds the nodes bottom-up while the parser reduces; children are the tokens and nodes of the rule."""

    number = _literal(number_literal)
    string = _literal(string_literal)
    at_ = _literal(at_literal)
    true = _literal(lambda _: True)
    false = _literal(lambda _: False)
    null = _literal(lambda _: None)

    def expression(self, c: list[Child]) -> n.Node:
        return c[0]  # type: ignore[no-any-return]

    def parenthesis(self, c: list[Child]) -> n.Node:
        return c[1]  # type: ignore[no-any-return]

    def name(self, c: list[Child]) -> n.Node:
        return n.Name(str(c[0]), offset=_place(c))

    def unary(self, c: list[Child]) -> n.Node:
        return n.UnaryTestList(_only(c, n.UnaryTest), False, offset=_place(c))

    def unary_not(self, c: list[Child]) -> n.Node:
        return n.UnaryTestList(_only(c, n.UnaryTest), True, offset=_place(c))

    def test_value(self, c: list[Child]) -> n.Node:
        return n.UnaryTest("", c[0], offset=_place(c))

    def test_cmp(self, c: list[Child]) -> n.Node:
        return n.UnaryTest(str(c[0]), c[1], offset=_place(c))

    def or_(self, c: list[Child]) -> n.Node:
        return n.Logic("or", _only(c, n.Node), offset=_place(c))

    def and_(self, c: list[Child]) -> n.Node:
        return n.Logic("and", _only(c, n.Node), offset=_place(c))

    def compare(self, c: list[Child]) -> n.Node:
        return n.Comparison(str(c[1]), c[0], c[2], offset=_place(c))

    def between(self, c: list[Child]) -> n.Node:
        return n.Between(c[0], c[2], c[4], offset=_place(c))

    def in_value(self, c: list[Child]) -> n.Node:
        return n.In(c[0], (n.UnaryTest("", c[2], offset=c[2].offset),), offset=_place(c))

    def in_cmp(self, c: list[Child]) -> n.Node:
        return n.In(c[0], (n.UnaryTest(str(c[2]), c[3], offset=_place(c[2:])),), offset=_place(c))

    def in_tests(self, c: list[Child]) -> n.Node:
        return n.In(c[0], _only(c, n.UnaryTest), offset=_place(c))

    def chain(self, c: list[Child]) -> n.Node:
        rest = tuple((str(c[index]), c[index + 1]) for index in range(1, len(c), 2))
        return n.Chain(c[0], rest, offset=_place(c))

    def minus(self, c: list[Child]) -> n.Node:
        operand = c[1]
        if isinstance(operand, n.Literal) and isinstance(operand.value, Decimal):
            return n.Literal(negate(operand.value), offset=_place(c))
        return n.Negation(operand, offset=_place(c))

    def instance(self, c: list[Child]) -> n.Node:
        return n.InstanceOf(c[0], c[2], offset=_place(c))

    def path(self, c: list[Child]) -> n.Node:
        return n.Path(c[0], str(c[2]), offset=_place(c))

    def filter(self, c: list[Child]) -> n.Node:
        return n.Filter(c[0], c[2], offset=_place(c))

    def call(self, c: list[Child]) -> n.Node:
        arguments = c[2] if isinstance(c[2], tuple) else ()
        return n.Call(c[0], arguments, offset=_place(c))

    def positional(self, c: list[Child]) -> tuple[n.Argument, ...]:
        return tuple(n.Argument(None, value, offset=value.offset) for value in _only(c, n.Node))

    def named_list(self, c: list[Child]) -> tuple[n.Argument, ...]:
        return _only(c, n.Argument)

    def named(self, c: list[Child]) -> n.Node:
        return n.Argument(str(c[0]), c[2], offset=_place(c))

    def half_range(self, c: list[Child]) -> n.Node:
        op, operand = str(c[1]), c[2]
        low = operand if op in (">", ">=", "=", "!=") else None
        high = operand if op in ("<", "<=") else None
        return n.RangeOf(low, high, op in (">=", "="), op in ("<=", "="), op, offset=_place(c))

    def range_(self, c: list[Child]) -> n.Node:
        return n.RangeOf(c[1], c[3], _kind(c[0]) == "LSQB", _kind(c[4]) == "RSQB", offset=_place(c))

    def list_(self, c: list[Child]) -> n.Node:
        return n.ListOf(_only(c, n.Node), offset=_place(c))

    def context(self, c: list[Child]) -> n.Node:
        entries = _only(c, n.Entry)
        seen: set[str] = set()
        for entry in entries:
            if entry.key in seen:
                raise Refused(entry.offset, f"上下文中的键“{entry.key}”重复", f"duplicate key {entry.key!r}")
            seen.add(entry.key)
        return n.Context(entries, offset=_place(c))

    def entry(self, c: list[Child]) -> n.Node:
        key = string_literal(str(c[0])) if _kind(c[0]) == "STRING" else str(c[0])
        return n.Entry(key, c[2], offset=_place(c))

    def if_(self, c: list[Child]) -> n.Node:
        return n.If(c[1], c[3], c[5], offset=_place(c))

    def for_(self, c: list[Child]) -> n.Node:
        return n.For(_only(c, n.Iteration), c[-1], offset=_place(c))

    def quantified(self, c: list[Child]) -> n.Node:
        return n.Quantified(str(c[0]), _only(c, n.Iteration), c[-1], offset=_place(c))

    def function(self, c: list[Child]) -> n.Node:
        external = any(_kind(child) == "EXTERNAL" for child in c)
        return n.Function(_only(c, n.Parameter), c[-1], external, offset=_place(c))

    def iterator(self, c: list[Child]) -> n.Node:
        return n.Iteration(str(c[0]), c[2], c[4], offset=_place(c))

    def parameter(self, c: list[Child]) -> n.Node:
        return n.Parameter(str(c[0]), c[2], offset=_place(c))

    def type_name(self, c: list[Child]) -> n.Node:
        return n.Type("".join(str(token) for token in c), offset=_place(c))

    def type_generic(self, c: list[Child]) -> n.Node:
        return n.Type(str(c[0]), (c[2],), offset=_place(c))

    def type_context(self, c: list[Child]) -> n.Node:
        keys = tuple(str(token) for token in c[2:] if _kind(token) == "NAME")
        if not keys and str(c[0]) != "context":
            raise Refused(_place(c), f"{c[0]}<> 缺少元素的类型", f"{c[0]}<> lacks the type of its elements")
        return n.Type(str(c[0]), _only(c, n.Type), keys, offset=_place(c))

    def type_function(self, c: list[Child]) -> n.Node:
        return n.Type("function", _only(c, n.Type), offset=_place(c))
