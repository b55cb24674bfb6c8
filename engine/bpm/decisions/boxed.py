"""Boxed expressions (盒装表达式) to FEEL's syntax trees (DMN 1.5, 7.3 and 10.2.2).

The standard defines what a boxed expression means by the FEEL text that says the same; so here it becomes that text's
tree, and the compiler, its scopes and its limits know nothing of boxes. Only decision tables and conversions to a
declared type have no text: they are nodes of their own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lxml import etree

from engine.bpm.decisions.document import BOXED, child, children, local, name_of, type_ref
from engine.bpm.decisions.items import ItemType
from engine.bpm.decisions.reading import NULL, Reader, fit
from engine.bpm.decisions.tables import read_table
from engine.feel import FeelFunction
from engine.feel import nodes as n
from engine.feel.limits import Run
from engine.feel.scope import Code, Env, Scope
from engine.feel.values import Value

_RESULT = "‹结果›"  # the key of a context's last entry, which has no name and is the context's value


def _literal(reader: Reader, element: etree._Element) -> n.Node:
    if child(element, "importedValues") is not None:
        return reader.fails(element, "不支持从外部文件导入的值（importedValues）")
    return reader.text(element)


def _context(reader: Reader, element: etree._Element) -> n.Node:
    entries: list[n.Entry] = []
    for source in children(element, "contextEntry"):
        variable = child(source, "variable")
        value = reader.inner(source)
        if variable is None:
            context = n.Context((*entries, n.Entry(_RESULT, value, offset=0)), offset=0)
            return n.Path(context, _RESULT, offset=0)
        name = name_of(variable)
        wanted = reader.items.find(type_ref(variable), variable)
        entries.append(n.Entry(name, reader.typed(value, wanted, reader.what(source)), offset=0))
        reader = reader.seeing(name, wanted)
    return n.Context(tuple(entries), offset=0)


def _invocation(reader: Reader, element: etree._Element) -> n.Node:
    arguments = [
        n.Argument(name_of(parameter), reader.inner(binding), offset=0)
        for binding in children(element, "binding")
        for parameter in children(binding, "parameter")
    ]
    return n.Call(reader.inner(element), tuple(arguments), offset=0)


@dataclass(frozen=True, slots=True)
class Typed(n.Foreign):
    """A function whose arguments are made of their declared types; null where one can't be (DMN 1.5, 10.3.2.13.2)."""

    function: n.Node
    parameters: tuple[tuple[str, ItemType | None], ...]
    owner: str

    def code(self, scope: Scope, compile_node: Callable[[n.Node, Scope], Code]) -> Code:
        """Return the code."""
        function = compile_node(self.function, scope)
        names = tuple(name for name, _ in self.parameters)

        def make(env: Env) -> FeelFunction:
            plain = function(env)
            return FeelFunction(names, lambda run, given: self._called(plain, run, given))

        return make

    def _called(self, plain: FeelFunction, run: Run, given: Sequence[Value]) -> Value:
        arguments = []
        for (name, wanted), value in zip(self.parameters, given, strict=True):
            argument = fit(value, wanted, f"“{self.owner}”的参数“{name}”", run)
            if argument is None and value is not None:
                return None
            arguments.append(argument)
        return plain.call(run, arguments)


def function(reader: Reader, element: etree._Element) -> n.Node:
    """Return the tree of a function definition: a boxed one, or a business knowledge model's encapsulated logic."""
    declared = tuple(
        (name_of(one), reader.items.find(type_ref(one), one)) for one in children(element, "formalParameter")
    )
    external = element.get("kind", "FEEL").upper() != "FEEL"
    inner = reader
    for name, wanted in declared:
        inner = inner.seeing(name, wanted)
    body = NULL if external else inner.inner(element)
    plain = n.Function(tuple(n.Parameter(name, None, offset=0) for name, _ in declared), body, external, offset=0)
    return Typed(plain, declared, reader.owner, offset=0) if any(wanted for _, wanted in declared) else plain


def parameters(element: etree._Element | None) -> tuple[str, ...]:
    """Return the names of a function definition's parameters."""
    return () if element is None else tuple(name_of(one) for one in children(element, "formalParameter"))


def _list(reader: Reader, element: etree._Element) -> n.Node:
    return n.ListOf(tuple(reader.node(one) for one in element if local(one) in BOXED), offset=0)


def _relation(reader: Reader, element: etree._Element) -> n.Node:
    columns = [(name_of(one), reader.items.find(type_ref(one), one)) for one in children(element, "column")]
    rows = []
    for row in children(element, "row"):
        cells = [one for one in row if local(one) in BOXED]
        if len(cells) != len(columns):
            message = f"这一行有 {len(cells)} 格，表头有 {len(columns)} 列；请补齐或删去多余的格"
            return reader.fails(row, message)
        rows.append(
            n.Context(
                tuple(
                    n.Entry(name, reader.typed(reader.node(cell), wanted, reader.what(cell)), offset=0)
                    for (name, wanted), cell in zip(columns, cells, strict=True)
                ),
                offset=0,
            )
        )
    return n.ListOf(tuple(rows), offset=0)


@dataclass(frozen=True, slots=True)
class Conditional(n.Foreign):
    """A boxed conditional: unlike FEEL's `if`, null where its condition is neither a boolean nor null."""

    condition: n.Node
    then: n.Node
    otherwise: n.Node

    def code(self, scope: Scope, compile_node: Callable[[n.Node, Scope], Code]) -> Code:
        """Return the code."""
        condition, then, otherwise = (compile_node(part, scope) for part in (self.condition, self.then, self.otherwise))

        def choose(env: Env) -> Value:
            chosen = condition(env)
            if chosen is None or type(chosen) is bool:
                return then(env) if chosen else otherwise(env)
            env[1].note("条件表达式的条件不是布尔值")
            return None

        return choose


def _conditional(reader: Reader, element: etree._Element) -> n.Node:
    condition, then, otherwise = (reader.inner(child(element, tag)) for tag in ("if", "then", "else"))
    return Conditional(condition, then, otherwise, offset=0)


def _filter(reader: Reader, element: etree._Element) -> n.Node:
    source = reader.inner(child(element, "in"))
    inner = replace(reader.seeing("item"), complete=False)  # an element's keys are in sight too
    return n.Filter(source, inner.inner(child(element, "match")), offset=0)


def _iteration(reader: Reader, element: etree._Element) -> tuple[tuple[n.Iteration, ...], Reader]:
    name = " ".join((element.get("iteratorVariable") or "").split())
    source = reader.inner(child(element, "in"))
    return (n.Iteration(name, source, None, offset=0),), reader.seeing(name).seeing("partial")


def _for(reader: Reader, element: etree._Element) -> n.Node:
    iterators, inner = _iteration(reader, element)
    return n.For(iterators, inner.inner(child(element, "return")), offset=0)


def _quantified(reader: Reader, element: etree._Element) -> n.Node:
    iterators, inner = _iteration(reader, element)
    return n.Quantified(local(element), iterators, inner.inner(child(element, "satisfies")), offset=0)


READERS: dict[str, Any] = {
    "literalExpression": _literal,
    "context": _context,
    "invocation": _invocation,
    "functionDefinition": function,
    "list": _list,
    "relation": _relation,
    "decisionTable": read_table,
    "conditional": _conditional,
    "filter": _filter,
    "for": _for,
    "some": _quantified,
    "every": _quantified,
}


def names_of(elements: Iterable[etree._Element]) -> frozenset[str]:
    """Return every name that a part of these elements bears: expressions may name it behind a dot."""
    return frozenset(name_of(part) for element in elements for part in element.iter() if part.get("name"))
