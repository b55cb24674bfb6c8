"""A column of a decision table as a finite set: its domain cut into atoms, each cell the set of those it accepts.

Numbers, dates and durations are cut at every bound that a cell names, texts at every text, booleans in two. What
depends on more than the input (`> limit`, a function) can't be told beforehand: it is `UNKNOWN`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from engine.bpm.decisions.tables import Input
from engine.feel import FeelError, Limits, Range, YearsMonthsDuration, to_plain
from engine.feel import nodes as n
from engine.feel.expression import compile_tree
from engine.feel.limits import Run

UNKNOWN = -1
"""A cell that can't be told beforehand; every other is a bit mask of atoms."""
MAX_ATOMS = 400
_CONSTANT = Limits(steps=100)
"""What the evaluation of one cell's constant may cost: it is no more than a sum of literals."""
_ORDERED = (Decimal, date, datetime, time, timedelta, YearsMonthsDuration)
_LOW, _HIGH = "low", "high"

Bound = tuple[Any, int]
"""A value and the side of it: 0 lies just below, 1 just above."""
Piece = tuple[str, Any, Any]
"""("value", v, None), or ("span", low bound or None, high bound or None)."""


@dataclass(frozen=True, slots=True)
class Column:
    """The atoms of one input: what each cell accepts of them, and a value of each, to show."""

    label: str
    cells: tuple[int, ...]
    domain: int
    examples: tuple[str, ...]

    def example(self, mask: int) -> str:
        """Return how a value of the first of some atoms is written, `天数 = 8`."""
        atom = (mask & -mask).bit_length() - 1
        return f"{self.label} = {self.examples[atom]}"


def column(source: Input, cells: Iterable[Any]) -> Column:
    """Return the column of an input and its cells (`UnaryTestList`, or what can't be compiled)."""
    read = [_pieces(cell) for cell in cells]
    allowed = source.values if source.values is not None else source.wanted and source.wanted.allowed_tree
    domain = None if allowed is None else _pieces(allowed)
    kinds = {type(value) for pieces in (*read, domain) if pieces for value in _values(pieces[0])}
    if source.wanted is not None and source.wanted.base == "boolean":
        kinds.add(bool)
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is bool:
        return _discrete(source.label, read, _pieces_of([True, False]), lambda value: "true" if value else "false")
    if kind is str:
        return _discrete(source.label, read, domain, lambda value: f'"{value}"')
    if kind in _ORDERED and _fits(kind, read, domain):
        return _ordered(source.label, kind, read, domain)
    whole = tuple(1 if pieces is not None and not pieces[0] and not pieces[1] else UNKNOWN for pieces in read)
    return Column(source.label, whole, 1, ("任意值",))


Pieces = tuple[list[Piece], bool] | None
"""What a cell accepts, and whether it is negated; no pieces and not negated: everything. None: unknown."""


def _pieces(cell: object) -> Pieces:
    if not isinstance(cell, n.UnaryTestList):
        return None
    found: list[Piece] = []
    for test in cell.tests:
        constant = _constant(test.operand)
        if constant is None:
            return None
        pieces = _of_test(test.op, constant[0])
        if pieces is None:
            return None
        found += pieces
    return found, cell.negated


def _pieces_of(values: Iterable[object]) -> Pieces:
    return [("value", value, None) for value in values], False


def _constant(node: n.Node) -> tuple[Any] | None:
    """Return the value of an expression that is the same in every evaluation."""
    try:
        expression = compile_tree(node, "")
        if expression.names or expression.possible_names or _calls(node):
            return None
        run = Run(_CONSTANT)
        run.pattern_seconds = 0  # a table has thousands of cells
        return (expression.run({}, run),)
    except FeelError:
        return None


def _calls(node: n.Node) -> bool:
    """Tell whether a node asks for the clock."""
    if isinstance(node, n.Call) and isinstance(node.function, n.Name) and node.function.name in ("now", "today"):
        return True
    return (isinstance(node, n.Name) and node.name == "?") or any(map(_calls, node.children()))


def _of_test(op: str, value: Any) -> list[Piece] | None:
    if op in ("", "="):
        if isinstance(value, Range):
            return None if value.op in ("=", "!=") else [_of_range(value)]
        if isinstance(value, list):
            parts = [_of_test("", one) for one in value]
            return None if None in parts else [piece for part in parts if part for piece in part]
        return [("value", value, None)] if isinstance(value, (*_ORDERED, str, bool)) else None
    if not isinstance(value, _ORDERED):
        return None
    below, above = (value, 0), (value, 1)
    spans: dict[str, list[Piece]] = {
        "<": [("span", None, below)],
        "<=": [("span", None, above)],
        ">": [("span", above, None)],
        ">=": [("span", below, None)],
        "!=": [("span", None, below), ("span", above, None)],
    }
    return spans[op]


def _of_range(value: Range) -> Piece:
    low = None if value.low is None else (value.low, 0 if value.low_closed else 1)
    high = None if value.high is None else (value.high, 1 if value.high_closed else 0)
    return "span", low, high


def _values(pieces: list[Piece]) -> Iterator[Any]:
    for form, first, second in pieces:
        if form == "value":
            yield first
        else:
            yield from (bound[0] for bound in (first, second) if bound is not None)


def _fits(kind: Any, read: list[Pieces], domain: Pieces) -> bool:
    bounds = {bound for pieces in (*read, domain) if pieces for piece in pieces[0] for bound in _bounds(kind, piece)}
    zoned = {bound[0].utcoffset() is not None for bound in bounds} if kind in (datetime, time) else set()
    return len(bounds) < MAX_ATOMS and len(zoned) < 2  # with a zone and without don't compare


def _discrete(label: str, read: list[Pieces], domain: Pieces, show: Callable[[Any], str]) -> Column:
    closed = domain is not None and not domain[1]
    lists = [domain] if closed else [*read, domain]
    values = list(dict.fromkeys(v for pieces in lists if pieces for v in _values(pieces[0])))[:MAX_ATOMS]
    examples = [show(value) for value in values] + ([] if closed else ["其他"])
    whole = (1 << len(examples)) - 1
    atoms = {value: 1 << at for at, value in enumerate(values)}

    def mask(pieces: Pieces) -> int:
        if pieces is None:
            return UNKNOWN
        found, negated = pieces
        if not found:
            return whole
        bits = 0
        for value in _values(found):
            bits |= atoms.get(value, 0)
        return whole & ~bits if negated else bits

    excluded = mask(domain) if domain is not None and domain[1] else whole
    return Column(label, tuple(map(mask, read)), excluded, tuple(examples))


def _ordered(label: str, kind: Any, read: list[Pieces], domain: Pieces) -> Column:
    found = {bound for pieces in (*read, domain) if pieces for piece in pieces[0] for bound in _bounds(kind, piece)}
    cuts: list[Any] = [_LOW, *sorted(found), _HIGH]
    places = {cut: at for at, cut in enumerate(cuts)}
    atoms = list(pairwise(cuts))
    whole = (1 << len(atoms)) - 1

    def mask(pieces: Pieces) -> int:
        if pieces is None:
            return UNKNOWN
        if not pieces[0]:
            return whole
        bits = 0
        for piece in pieces[0]:
            low, high = _ends(kind, piece)
            first = 0 if low is None else places[low]
            last = len(atoms) if high is None else places[high]
            bits |= (1 << max(first, last)) - (1 << first)
        return whole & ~bits if pieces[1] else bits

    inside = whole if domain is None else mask(domain)
    return Column(label, tuple(map(mask, read)), inside, tuple(_between(kind, *atom) for atom in atoms))


def _ends(kind: Any, piece: Piece) -> tuple[Bound | None, Bound | None]:
    form, first, second = piece
    low, high = ((first, 0), (first, 1)) if form == "value" else (first, second)
    return _normal(kind, low), _normal(kind, high)


def _normal(kind: Any, bound: Bound | None) -> Bound | None:
    """Days and months have successors: just above one is just below the next."""
    if bound is None or not bound[1] or kind not in (date, YearsMonthsDuration):
        return bound
    return _next(kind, bound[0]), 0


def _bounds(kind: Any, piece: Piece) -> list[Bound]:
    return [bound for bound in _ends(kind, piece) if bound is not None]


def _next(kind: Any, value: Any, by: int = 1) -> Any:
    if kind is YearsMonthsDuration:
        return YearsMonthsDuration(value.months + by)
    try:
        return value + (Decimal(by) if kind is Decimal else timedelta(days=by))
    except (OverflowError, TypeError):  # the calendar's end; times of day have no tomorrow
        return value


def _between(kind: Any, low: Any, high: Any) -> str:
    """Return how a value between two cuts is written."""
    if low == _LOW and high == _HIGH:
        return "任意值"
    if low == _LOW:
        value = high[0] if high[1] else _next(kind, high[0], -1)
    elif high == _HIGH:
        value = low[0] if not low[1] else _next(kind, low[0])
    elif not low[1]:
        value = low[0]
    elif kind is Decimal:
        value = _inside(low[0], high[0])
    else:
        value = low[0] + (high[0] - low[0]) / 2 if kind in (datetime, timedelta) else low[0]
    return f'"{to_plain(value)}"' if kind is not Decimal else str(to_plain(value))


def _inside(low: Decimal, high: Decimal) -> Decimal:
    """Return a number between two, a whole one where there is one."""
    above = low.to_integral_value(rounding="ROUND_FLOOR") + 1
    return above if above < high else (low + high) / 2
