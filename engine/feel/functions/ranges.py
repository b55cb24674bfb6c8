"""Relations of points and ranges (DMN 1.5, 10.3.4.9, after Allen's interval algebra)."""

from engine.feel.functions.registry import Registry
from engine.feel.operators import less
from engine.feel.values import Range, Value

BUILTINS = Registry()


def _span(value: Value) -> Range:
    """Return a range as it is and a point as the range that holds it alone; ValueError for open-ended ranges."""
    if isinstance(value, Range):
        if value.low is None or value.high is None or value.op:
            raise ValueError("the range has an open end")
        return value
    return Range(value, value, True, True)


def _below(left: Value, right: Value) -> bool:
    outcome = less(left, right)
    if outcome is None:
        raise ValueError("not comparable")
    return outcome


def _same(left: Value, right: Value) -> bool:
    return not _below(left, right) and not _below(right, left)


def _starts_no_later(left: Range, right: Range) -> bool:
    if _same(left.low, right.low):
        return left.low_closed or not right.low_closed
    return _below(left.low, right.low)


def _ends_no_later(left: Range, right: Range) -> bool:
    if _same(left.high, right.high):
        return right.high_closed or not left.high_closed
    return _below(left.high, right.high)


def _before(left: Range, right: Range) -> bool:
    if _same(left.high, right.low):
        return not (left.high_closed and right.low_closed)
    return _below(left.high, right.low)


@BUILTINS(
    "before(point1: value, point2: value)", "before(range1: value, range2: value)", "before(point: value, range: value)"
)
def before(left: Value, right: Value) -> bool:
    """Return whether the first ends before the second begins."""
    return _before(_span(left), _span(right))


@BUILTINS(
    "after(point1: value, point2: value)", "after(range1: value, range2: value)", "after(point: value, range: value)"
)
def after(left: Value, right: Value) -> bool:
    """Return whether the first begins after the second ends."""
    return _before(_span(right), _span(left))


@BUILTINS("meets(range1: range, range2: range)")
def meets(left: Range, right: Range) -> bool:
    """Return whether the second begins where the first ends."""
    first, second = _span(left), _span(right)
    return first.high_closed and second.low_closed and _same(first.high, second.low)


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
    return overlaps(first, second) and not _starts_no_later(second, first) and _ends_no_later(first, second)


@BUILTINS("overlaps after(range1: range, range2: range)")
def overlaps_after(left: Range, right: Range) -> bool:
    """Return whether the first begins inside the second and ends after it."""
    first, second = _span(left), _span(right)
    return overlaps(first, second) and _starts_no_later(second, first) and not _ends_no_later(first, second)


@BUILTINS("finishes(point: value, range: range)", "finishes(range1: value, range2: range)")
def finishes(left: Value, right: Range) -> bool:
    """Return whether the first lies in the second and ends with it."""
    first, second = _span(left), _span(right)
    return (
        first.high_closed == second.high_closed and _same(first.high, second.high) and _starts_no_later(second, first)
    )


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
    return first.low_closed == second.low_closed and _same(first.low, second.low) and _ends_no_later(first, second)


@BUILTINS("started by(range: range, point: value)", "started by(range1: range, range2: value)")
def started_by(left: Range, right: Value) -> bool:
    """Return whether the second lies in the first and begins with it."""
    return starts(right, left)


@BUILTINS("coincides(point1: value, point2: value)", "coincides(range1: range, range2: range)")
def coincides(left: Value, right: Value) -> bool:
    """Return whether two points or two ranges are the same."""
    first, second = _span(left), _span(right)
    return (
        (first.low_closed, first.high_closed) == (second.low_closed, second.high_closed)
        and _same(first.low, second.low)
        and _same(first.high, second.high)
    )
