"""The cases that conditions tell apart, and whether one of them holds in each.

Conditions that compare names with constants (and combine such comparisons) tell only finitely many cases apart: for a
text each constant, or each value that it can have, and one text more; for a number each constant and what lies between
two of them. So each case is one sample, and the conditions themselves are evaluated for it. A condition that does
anything else is not looked into.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise, product
from math import prod

from engine.feel import nodes as n
from engine.feel.compiler import compile_node
from engine.feel.limits import Run
from engine.feel.scope import Code, Scope, Used
from engine.feel.types import FeelType
from engine.feel.values import Value

MAX_WORK = 200_000
"""Nodes evaluated for one question; beyond that it is not decided."""
MAX_WORK_OF_ONE = 4_000
_LOCAL = frozenset({"?", "item", "partial"})

TypeOf = Callable[[str], FeelType | None]
Path = tuple[str, ...]
Case = Mapping[Path, Value]
"""A sample value for each path of names, such as `("steps", "review")`."""


class Other(str):
    """A text that is none of the constants."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """How conditions, tried in order, cover their cases.

    `covered`: in every case one surely holds. `gap`: a case in which surely none does, if there is one. `dead`: the
    indexes of conditions that are never the first to hold.
    """

    covered: bool
    gap: Case | None
    dead: tuple[int, ...]


@dataclass(slots=True)
class _Domain:
    """What is said of one path: the constants that it is compared with, by kind."""

    texts: set[str] = field(default_factory=set)
    numbers: set[Decimal] = field(default_factory=set)
    truth: bool = False
    null: bool = False
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class _Condition:
    codes: tuple[Code, ...]
    opaque: bool  # another alternative of it may hold too

    def holds(self, context: Mapping[str, Value]) -> bool:
        return any(code((context, Run())) is True for code in self.codes)


def coverage(conditions: Sequence[n.Node], type_of: TypeOf, *, in_order: bool = True) -> Coverage:
    """Return how conditions cover the cases that they tell apart; `in_order`: only the first that holds counts.

    A null counts as a case only for a path that some condition compares with null. What cannot be decided is neither
    covered, nor a gap, nor dead.
    """
    domains: dict[Path, _Domain] = {}
    read = [_read(condition, domains, type_of) for condition in conditions]
    cases = _cases(domains, type_of, MAX_WORK // (1 + sum(condition.weight for condition in conditions)))
    if cases is None:
        return Coverage(any(_literally_true(c) for c in conditions), None, ())
    alive = {index for index, condition in enumerate(read) if condition.opaque}
    gap: Case | None = None
    covered = True
    for case, usual in cases:
        context = _nested(case)
        holding = [index for index, condition in enumerate(read) if condition.holds(context)]
        alive.update(holding[:1] if in_order else holding)
        if not holding and usual:
            covered = False
            gap = gap or case
    dead = tuple(index for index in range(len(read)) if index not in alive)
    return Coverage(covered, None if any(c.opaque for c in read) else gap, dead)


def never(condition: n.Node, type_of: TypeOf) -> bool:
    """Tell whether a condition surely never holds."""
    domains: dict[Path, _Domain] = {}
    read = _read(condition, domains, type_of)
    if read.opaque or not domains:
        return False
    cases = _cases(domains, type_of, MAX_WORK_OF_ONE // condition.weight)
    return cases is not None and not any(read.holds(_nested(case)) for case, _ in cases)


def alternatives(tree: n.Node) -> list[n.Node]:
    """Return the operands of `or`, or the tree itself."""
    if isinstance(tree, n.Logic) and tree.op == "or":
        return [part for operand in tree.operands for part in alternatives(operand)]
    return [tree]


def path_of(node: n.Node) -> Path | None:
    """Return the names of `a.b.c`; None for anything else."""
    parts: list[str] = []
    while isinstance(node, n.Path):
        parts.append(node.name)
        node = node.source
    if not isinstance(node, n.Name) or node.name in _LOCAL:
        return None
    return (node.name, *reversed(parts))


def _literally_true(condition: n.Node) -> bool:
    return any(isinstance(part, n.Literal) and part.value is True for part in alternatives(condition))


def _read(condition: n.Node, domains: dict[Path, _Domain], type_of: TypeOf) -> _Condition:
    """Return the alternatives of a condition that can be evaluated, and note in `domains` what they compare."""
    codes = []
    parts = alternatives(condition)
    for part in parts:
        found: dict[Path, _Domain] = {}
        if _simple(part, found) and all(_is_plain(domain, _type(path, type_of)) for path, domain in found.items()):
            codes.append(compile_node(part, Scope(Used())))
            for path, domain in found.items():
                _merge(domains.setdefault(path, _Domain()), domain)
    return _Condition(tuple(codes), len(codes) < len(parts))


def _merge(into: _Domain, domain: _Domain) -> None:
    into.texts |= domain.texts
    into.numbers |= domain.numbers
    into.truth |= domain.truth
    into.null |= domain.null
    into.ordered |= domain.ordered


def _is_plain(domain: _Domain, known: FeelType | None) -> bool:
    """Tell whether a path may hold the simple values that it is compared with."""
    only_null = not (domain.texts or domain.numbers or domain.truth)
    return only_null or known is None or known.name in ("Any", "string", "number", "boolean")


def _type(path: Path, type_of: TypeOf) -> FeelType | None:
    found = type_of(path[0])
    for key in path[1:]:
        found = found.entry(key) if found is not None and found.name == "context" else None
    return found


def _simple(node: n.Node, found: dict[Path, _Domain]) -> bool:
    """Tell whether a condition only compares paths with constants, and note the constants."""
    match node:
        case n.Literal(value=bool()):
            return True
        case n.Logic(operands=operands):
            return all(_simple(operand, found) for operand in operands)
        case n.Call(function=n.Name(name="not"), arguments=(n.Argument(name=None, value=inner),)):
            return _simple(inner, found)
        case n.Comparison(op=op, left=n.Literal(value=value), right=right):
            return _compared(right, op, value, found)
        case n.Comparison(op=op, left=left, right=n.Literal(value=value)):
            return _compared(left, op, value, found)
        case n.Between(value=value, low=n.Literal(value=low), high=n.Literal(value=high)):
            return _compared(value, ">=", low, found) and _compared(value, "<=", high, found)
        case n.In(value=value, tests=tests):
            return all(_simple_test(value, test, found) for test in tests)
        case n.Name() | n.Path():
            path = path_of(node)
            if path is not None:
                found.setdefault(path, _Domain()).truth = True
            return path is not None
    return False


def _simple_test(value: n.Node, test: n.UnaryTest, found: dict[Path, _Domain]) -> bool:
    match test.operand:
        case n.Literal(value=constant):
            return _compared(value, test.op or "=", constant, found)
        case n.ListOf(elements=elements) if not test.op:
            return all(_simple_test(value, n.UnaryTest("", e, offset=e.offset), found) for e in elements)
        case n.RangeOf(low=n.Literal(value=low), high=n.Literal(value=high)) if not test.op:
            return _compared(value, ">=", low, found) and _compared(value, "<=", high, found)
    return False


def _compared(node: n.Node, op: str, constant: object, found: dict[Path, _Domain]) -> bool:
    path = path_of(node)
    if path is None:
        return False
    domain = found.setdefault(path, _Domain())
    match constant:
        case None:
            domain.null = True
        case bool():
            domain.truth = True
        case Decimal():
            domain.numbers.add(constant)
        case str():
            domain.texts.add(constant)
            domain.ordered |= op not in ("=", "!=")
        case _:
            return False
    return op in ("=", "!=") or isinstance(constant, Decimal | str)


def _cases(domains: Mapping[Path, _Domain], type_of: TypeOf, most: int) -> Iterable[tuple[Case, bool]] | None:
    """Return every combination of samples, each with whether it has only such nulls as conditions speak of."""
    paths = sorted(domains)
    if any(path[:length] in domains for path in paths for length in range(1, len(path))):
        return None
    samples = [_samples(domains[path], _type(path, type_of)) for path in paths]
    if any(not each for each in samples) or prod(len(each) + 1 for each in samples) > most:
        return None
    unspoken = [not domains[path].null for path in paths]
    return (
        (
            dict(zip(paths, values, strict=True)),
            not any(value is None and odd for value, odd in zip(values, unspoken, strict=True)),
        )
        for values in product(*([*each, None] for each in samples))
    )


def _samples(domain: _Domain, known: FeelType | None) -> list[Value]:
    """Return a sample of each case of one path; none where they can't be told."""
    name = "Any" if known is None else known.name
    kinds = [bool(domain.texts), bool(domain.numbers), domain.truth]
    if domain.ordered or sum(kinds) > 1:
        return []
    if domain.texts and name in ("Any", "string"):
        if known is not None and known.values:
            return list(dict.fromkeys((*known.values, *sorted(domain.texts))))
        return [*sorted(domain.texts), _other(domain.texts)]
    if domain.numbers and name in ("Any", "number"):
        return list(known.values) if known is not None and known.values else _between(sorted(domain.numbers))
    if domain.truth and name in ("Any", "boolean"):
        return [True, False]
    return [] if any(kinds) else [_other(())]  # only ever compared with null


def _other(texts: Iterable[str]) -> Other:
    other = "…"
    while other in texts:
        other += "…"
    return Other(other)


def _between(constants: list[Decimal]) -> list[Value]:
    middles = [(low + high) / 2 for low, high in pairwise(constants)]
    return sorted({*constants, *middles, constants[0] - 1, constants[-1] + 1})


def _nested(case: Case) -> dict[str, Value]:
    context: dict[str, Value] = {}
    for (*outer, last), value in case.items():
        inner = context
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return context
