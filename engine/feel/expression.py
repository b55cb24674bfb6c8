"""Compiled expressions and unary tests: what the rest of the engine holds."""

from collections.abc import Iterable, Mapping

from engine.feel.comparison import compile_tests
from engine.feel.compiler import compile_node
from engine.feel.errors import FeelLimitError
from engine.feel.limits import DEFAULT_LIMITS, Limits, Run, too_deep
from engine.feel.nodes import Node, UnaryTestList
from engine.feel.parser import parse, parse_unary
from engine.feel.scope import FIRST_LOCAL, Code, Scope, Used
from engine.feel.values import Value, number


class Expression:
    """A compiled expression: immutable, shared between threads, without side effects.

    `names` are the names it surely takes from the context; `possible_names` those used inside a filter, which are
    keys of the filtered elements or else of the context.
    """

    __slots__ = ("_code", "names", "possible_names", "text", "tree")

    def __init__(self, text: str, tree: Node, code: Code, used: Used) -> None:
        self.text = text
        self.tree = tree
        self._code = code
        self.names = frozenset(used.certain)
        self.possible_names = frozenset(used.possible - used.certain)

    def evaluate(self, context: Mapping[str, object], *, limits: Limits = DEFAULT_LIMITS) -> Value:
        """Return the value over a context of JSON plain values or FEEL values; a missing name is null.

        FeelLimitError beyond the limits; FeelError for a value of the context that is no data.
        """
        try:
            return self._code((context, Run(limits)))
        except RecursionError:
            raise too_deep() from None

    def run(self, context: Mapping[str, object], run: Run) -> Value:
        """Return the value as a part of a larger evaluation, whose account it shares; errors as `evaluate`."""
        try:
            return self._code((context, run))
        except RecursionError:
            raise too_deep() from None

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


class UnaryTests:
    """Compiled unary tests (the cell of a decision table): `> 7`, `"儿科", "内科"`, `not([1..3])`, `-`."""

    __slots__ = ("_tests", "names", "possible_names", "text", "tree")

    def __init__(self, text: str, tree: UnaryTestList, tests: Code | None, used: Used) -> None:
        self.text = text
        self.tree = tree
        self._tests = tests
        self.names = frozenset(used.certain)
        self.possible_names = frozenset(used.possible - used.certain)

    def matches(self, value: object, context: Mapping[str, object], *, limits: Limits = DEFAULT_LIMITS) -> bool:
        """Return whether an input value passes; errors as `Expression.evaluate`."""
        return self.run(value, context, Run(limits))

    def run(self, value: object, context: Mapping[str, object], run: Run) -> bool:
        """Return the same as a part of a larger evaluation, whose account it shares."""
        if self._tests is None:
            return True
        try:
            return self._tests((context, run, number(value))) is True
        except RecursionError:
            raise too_deep() from None

    def __repr__(self) -> str:
        return f"UnaryTests({self.text!r})"


def compile(text: str, *, names: Iterable[str] | None = None) -> Expression:  # noqa: A001
    """Compile an expression once, to evaluate often.

    `names` are known names of the context: those with operators or keywords in them (`加班-天数`, `date of birth`)
    are recognised only when known; mere spaces need no telling. FeelSyntaxError with the place; FeelLimitError when
    the text is longer than 20 000 characters or nested deeper than 100 levels.
    """
    return compile_tree(parse(text, names), text)


def compile_tree(tree: Node, text: str) -> Expression:
    """Compile a syntax tree, of whatever it was made; `text` is how it shows itself. FeelLimitError as `compile`."""
    used = Used()
    try:
        return Expression(text, tree, compile_node(tree, Scope(used)), used)
    except RecursionError:
        raise _too_nested() from None


def compile_unary(text: str, *, names: Iterable[str] | None = None) -> UnaryTests:
    """Compile the unary tests of a decision table's cell; `?` is the input value. Errors as `compile`."""
    used = Used()
    try:
        tree = parse_unary(text, names)
        scope = Scope(used).bind("?")
        tests = compile_tests(tree, scope, FIRST_LOCAL, compile_node) if tree.tests else None
    except RecursionError:
        raise _too_nested() from None
    return UnaryTests(text, tree, tests, used)


def _too_nested() -> FeelLimitError:
    return FeelLimitError("表达式嵌套过深", "the expression is nested too deeply")
