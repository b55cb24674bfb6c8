"""Relations of points and ranges (DMN 1.5, 10.3.4.9, after Allen's interval algebra).

Each follows the standard's formula, with a point as the range that holds it alone. An end that is absent (`(> 5)`)
lies beyond every value, and two absent ends at the same side are the same.
"""

from engine.feel.functions.registry import Registry
from engine.feel.operators import less
from engine.feel.values import Range, Value

BUILTINS = Registry()


def _span(value: Value) -> Range:
    """Return a range as it is and a point as a range; ValueError for ranges that name no interval."""
    if type(value) is list and len(value) == 1:
        (value,) = value
    if not isinstance(value, Range):
        return Range(value, value, True, True)
    if value.op == "=":
        return Range(value.low, value.low, True, True)
    if value.op == "!=" or (not value.op and (value.low is None or value.high is None)):
        raise ValueError("the range is no interval")
    return value


def _below(left: Value, right: Value) -> bool:
    outcome = less(left, right)
    if outcome is None:
        raise ValueError("not comparable")
    return outcome


def _starts(left: Range, right: Range) -> int:
    """Return -1, 0 or 1: the first starts below, with or above the second, open ends aside."""
    return _order(left.low, right.low, absent=-1)


def _ends(left: Range, right: Range) -> int:
    """Return -1, 0 or 1: the first ends below, with or above the second, open ends aside."""
    return _order(left.high, right.high, absent=1)


def _order(left: Value, right: Value, *, absent: int) -> int:
    if left is None or right is None:
        return 0 if left is right else (absent if left is None else -absent)
    return -1 if _below(left, right) else int(_below(right, left))


def _gap(left: Range, right: Range) -> int:
    """Return -1, 0 or 1: the first ends below, at or above the start of the second."""
    if left.high is None or right.low is None:
        _comparable(left, right)
        return 1
    return _order(left.high, right.low, absent=1)


def _comparable(left: Range, right: Range) -> None:
    """Refuse (ValueError) ranges over different kinds whose ends in question are absent."""
    _below(*(bounds.high if bounds.low is None else bounds.low for bounds in (left, right)))


def _before(left: Range, right: Range) -> bool:
    gap = _gap(left, right)
    return gap < 0 or (gap == 0 and not (left.high_closed and right.low_closed))


def _starts_no_later(left: Range, right: Range) -> bool:
    start = _starts(left, right)
    return start < 0 or (start == 0 and (left.low_closed or not right.low_closed))


def _ends_no_later(left: Range, right: Range) -> bool:
    end = _ends(left, right)
    return end < 0 or (end == 0 and (right.high_closed or not left.high_closed))


@BUILTINS(
    "before(point1: value, point2: value)",
    "before(range1: value, range2: value)",
    "before(point: value, range: value)",
    "before(range: value, point: value)",
)
def before(left: Value, right: Value) -> bool:
    """Return whether the first ends before the second begins."""
    return _before(_span(left), _span(right))


@BUILTINS(
    "after(point1: value, point2: value)",
    "after(range1: value, range2: value)",
    "after(point: value, range: value)",
    "after(range: value, point: value)",
)
def after(left: Value, right: Value) -> bool:
    """Return whether the first begins after the second ends."""
    return _before(_span(right), _span(left))


@BUILTINS("meets(range1: range, range2: range)")
def meets(left: Range, right: Range) -> bool:
    """Return whether the second begins where the first ends."""
    first, second = _span(left), _span(right)
    return first.high_closed and second.low_closed and _gap(first, second) == 0


@BUILTINS("met by(range1: range, range2: range)")
def met_by(left: Range, right: Range) -> bool:
    """Return whether the first begins where the second ends."""
    return meets(right, left)


@BUILTINS("overlaps(range1: range, range2: range)")
def overlaps(left: Range, right: Range) -> bool:
    """Return whether two ranges have a point in common."""
    first, second = _span(left), _span(right)
    return not _before(first, second) and not _before(second, first)


@BUILTINS("overlaps before(range1: range, range2: range)")
def overlaps_before(left: Range, right: Range) -> bool:
    """Return whether the first begins before the second and ends inside it."""
    first, second = _span(left), _span(right)
    return not _starts_no_later(second, first) and not _before(first, second) and _ends_no_later(first, second)


@BUILTINS("overlaps after(range1: range, range2: range)")
def overlaps_after(left: Range, right: Range) -> bool:
    """Return whether the first begins inside the second, not with it, and ends no earlier."""
    first, second = _span(left), _span(right)
    return not _starts_no_later(first, second) and not _before(second, first) and _ends_no_later(second, first)


@BUILTINS("finishes(point: value, range: range)", "finishes(range1: value, range2: range)")
def finishes(left: Value, right: Range) -> bool:
    """Return whether the first lies in the second and ends with it."""
    first, second = _span(left), _span(right)
    same = _ends(first, second) == 0 and first.high_closed == second.high_closed
    return same and _starts_no_later(second, first)


@BUILTINS("finished by(range: range, point: value)", "finished by(range1: range, range2: value)")
def finished_by(left: Range, right: Value) -> bool:
    """Return whether the second lies in the first and ends with it."""
    return finishes(right, left)


@BUILTINS("includes(range: range, point: value)", "includes(range1: range, range2: value)")
def includes(left: Range, right: Value) -> bool:
    """Return whether the second lies in the first."""
    outer, inner = _span(left), _span(right)
    return _starts_no_later(outer, inner) and _ends_no_later(inner, outer)


@BUILTINS("during(point: value, range: range)", "during(range1: value, range2: range)")
def during(left: Value, right: Range) -> bool:
    """Return whether the first lies in the second."""
    return includes(right, left)


@BUILTINS("starts(point: value, range: range)", "starts(range1: value, range2: range)")
def starts(left: Value, right: Range) -> bool:
    """Return whether the first lies in the second and begins with it."""
    first, second = _span(left), _span(right)
    same = _starts(first, second) == 0 and first.low_closed == second.low_closed
    return same and _ends_no_later(first, second)


@BUILTINS("started by(range: range, point: value)", "started by(range1: range, range2: value)")
def started_by(left: Range, right: Value) -> bool:
    """Return whether the second lies in the first and begins with it."""
    return starts(right, left)


@BUILTINS("coincides(point1: value, point2: value)", "coincides(range1: range, range2: range)")
def coincides(left: Value, right: Value) -> bool:
    """Return whether two points or two ranges are the same."""
    first, second = _span(left), _span(right)
    if (first.low_closed, first.high_closed) != (second.low_closed, second.high_closed):
        return False
    return _starts(first, second) == 0 and _ends(first, second) == 0
