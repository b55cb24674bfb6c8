"""Equality, order and arithmetic of FEEL's values (DMN 1.5, 10.3.2.13 and tables 42-54).

Every function answers None (null) to kinds that do not go together. Arithmetic beyond decimal128 is null too (tables
57, 59 and 60), but raises decimal's Overflow here: who calls it says so in the run's messages (`Run.overflow`).
"""

import operator
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import Final

from engine.feel.far import (
    FarDate,
    FarDateTime,
    combined,
    micros_from_start,
    near_of,
    redated,
    shifted,
    without_zone,
)
from engine.feel.limits import Run
from engine.feel.temporal import micros_of, seconds_of
from engine.feel.values import CONTEXT, KINDS, Range, Value, YearsMonthsDuration

_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE = CONTEXT.add, CONTEXT.subtract, CONTEXT.multiply, CONTEXT.divide
_DIRECT: Final = frozenset({Decimal, str, date, timedelta, YearsMonthsDuration})
_DAYS: Final = frozenset({date, FarDate})
_MOMENTS: Final = frozenset({datetime, FarDateTime})
_MICROSECOND = timedelta(microseconds=1)

Binary = Callable[[Value, Value], Value]
Predicate = Callable[[Value, Value], bool | None]


def _instants(left: Value, right: Value) -> tuple[int, int] | None:
    """Return the microseconds of two points in time on one clock; None when one has a zone and the other none."""
    kind, other = type(left), type(right)
    if kind in _MOMENTS and other in _MOMENTS:
        return (micros_from_start(left), micros_from_start(right)) if _zoned(left) == _zoned(right) else None
    if kind is time and other is time:
        (left_at, left_in), (right_at, right_in) = seconds_of(left), seconds_of(right)
        return (left_at, right_at) if left_in == right_in else None
    if kind in _DAYS and other in _DAYS:
        return micros_from_start(left), micros_from_start(right)
    return None


def _zoned(moment: Value) -> bool:
    clock: Value = moment if type(moment) is time else near_of(moment)
    return clock.tzinfo is not None


def _seconds(left: Value, right: Value) -> tuple[int, int] | None:
    """Return what to compare of two points in time: the standard's `value()` counts whole seconds."""
    pair = _instants(left, right)
    return (pair[0] // 1_000_000, pair[1] // 1_000_000) if pair else None


def _ordered(left: Value, right: Value) -> tuple[int, int] | None:
    """Return the seconds by which two points in time are ordered.

    Where one alone has a zone, the other counts in the same (table 54): both are read off their clocks.
    """
    kind, other = type(left), type(right)
    clocks = (kind in _MOMENTS and other in _MOMENTS) or (kind is time and other is time)
    if clocks and _zoned(left) != _zoned(right):
        left, right = without_zone(left), without_zone(right)
    return _seconds(left, right)


def _order(compare: Callable[[Value, Value], bool]) -> Predicate:
    def ordered(left: Value, right: Value) -> bool | None:
        kind = type(left)
        if kind is type(right) and kind in _DIRECT:
            return compare(left, right)
        pair = _ordered(left, right)
        return compare(*pair) if pair else None

    return ordered


less = _order(operator.lt)
less_equal = _order(operator.le)
greater = _order(operator.gt)
greater_equal = _order(operator.ge)


def equal(left: Value, right: Value, run: Run) -> bool | None:
    """Return whether two values are equal; None when their kinds differ. Null equals only null."""
    kind = type(left)
    if left is None or right is None:
        return left is right
    if kind is not type(right) and KINDS[kind] != KINDS[type(right)]:
        return None
    if kind in _DIRECT or kind is bool:
        return bool(left == right)
    if kind is list:
        if len(left) != len(right):
            return False
        return _all_equal(zip(left, right, strict=True), run)
    if kind is dict:
        if left.keys() != right.keys():
            return False
        return _all_equal(((value, right[key]) for key, value in left.items()), run)
    if kind is Range:
        if (left.low_closed, left.high_closed, left.op) != (right.low_closed, right.high_closed, right.op):
            return False
        return _all_equal(((left.low, right.low), (left.high, right.high)), run)
    pair = _seconds(left, right)
    return pair[0] == pair[1] if pair else (False if kind is time or kind in _MOMENTS else left is right)


def _all_equal(pairs: object, run: Run) -> bool:
    run.enter()
    try:
        for left, right in pairs:  # type: ignore[attr-defined]
            run.charge(1)
            if equal(left, right, run) is not True:
                return False
        return True
    finally:
        run.leave()


def negated(value: Value) -> bool | None:
    """Return the opposite of a boolean, or of the only element of a list (DMN 1.5, 10.3.2.9.4)."""
    if type(value) is bool:
        return not value
    return not value[0] if type(value) is list and len(value) == 1 and type(value[0]) is bool else None


def within(value: Value, bounds: Range, run: Run) -> bool | None:
    """Return whether a value lies in a range; None when it cannot be compared with an end, or an end is null."""
    if bounds.op in ("=", "!="):
        same = equal(value, bounds.low, run)
        return None if same is None else same is (bounds.op == "=")
    if not bounds.op and (bounds.low is None or bounds.high is None):
        return None
    above: bool | None = True
    below: bool | None = True
    if bounds.low is not None:
        above = (less_equal if bounds.low_closed else less)(bounds.low, value)
    if bounds.high is not None:
        below = (greater_equal if bounds.high_closed else greater)(bounds.high, value)
    if above is None or below is None:
        return None
    return above and below


def _numeric(operation: Callable[[Decimal, Decimal], Decimal], other: Binary) -> Binary:
    def apply(left: Value, right: Value) -> Value:
        if type(left) is Decimal and type(right) is Decimal:
            try:
                return operation(left, right)
            except (DivisionByZero, InvalidOperation):
                return None
        try:
            return other(left, right)
        except (OverflowError, ValueError):
            return None

    return apply


def _add(left: Value, right: Value) -> Value:
    kind = type(right)
    if kind is str and type(left) is str:
        return left + right
    if kind is timedelta:
        return _shift(left, right)
    if kind is YearsMonthsDuration:
        return _shift_months(left, right.months)
    if type(left) in (timedelta, YearsMonthsDuration) and (kind is time or kind in _DAYS or kind in _MOMENTS):
        return _add(right, left)
    return None


def _shift(moment: Value, span: timedelta) -> Value:
    """Move a point in time by a days and time duration; a date by its midnight, a time around the clock."""
    kind = type(moment)
    if kind is timedelta:
        return moment + span
    if kind in _DAYS or kind in _MOMENTS:
        return shifted(moment, span)
    if kind is time:
        later = datetime.combine(date(2000, 1, 1), moment.replace(tzinfo=None)) + timedelta(
            microseconds=micros_of(span) % 86_400_000_000
        )
        return later.time().replace(tzinfo=moment.tzinfo)
    return None


def _shift_months(moment: Value, months: int) -> Value:
    """Move by months; a day that the month lacks becomes its last (31 January + P1M: 28 or 29 February)."""
    if type(moment) is YearsMonthsDuration:
        return YearsMonthsDuration(moment.months + months)
    if type(moment) not in _DAYS and type(moment) not in _MOMENTS:
        return None
    near = near_of(moment)
    year, month = divmod(moment.year * 12 + near.month - 1 + months, 12)
    return redated(moment, year, month + 1, min(near.day, days_in_month(year, month + 1)))


def days_in_month(year: int, month: int) -> int:
    """Return the number of days of a month."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _subtract(left: Value, right: Value) -> Value:
    kind, other = type(left), type(right)
    if other is timedelta:
        return _shift(left, -right)
    if other is YearsMonthsDuration:
        return _shift_months(left, -right.months)
    # A date beside a date and time means its midnight in UTC (table 57), so the other needs a zone.
    if kind in _DAYS and other in _MOMENTS:
        left = combined(left, time(tzinfo=UTC))
    elif kind in _MOMENTS and other in _DAYS:
        right = combined(right, time(tzinfo=UTC))
    pair = _instants(left, right)
    return timedelta(microseconds=pair[0] - pair[1]) if pair else None


def _multiply(left: Value, right: Value) -> Value:
    if type(left) is Decimal:
        left, right = right, left
    if type(right) is not Decimal:
        return None
    if type(left) is timedelta:
        return _micros(_MULTIPLY(Decimal(micros_of(left)), right))
    if type(left) is YearsMonthsDuration:
        return _months(_MULTIPLY(Decimal(left.months), right))
    return None


def _divide(left: Value, right: Value) -> Value:
    try:
        if type(left) is timedelta:
            if type(right) is timedelta:
                return _DIVIDE(Decimal(micros_of(left)), Decimal(micros_of(right)))
            return _micros(_DIVIDE(Decimal(micros_of(left)), right)) if type(right) is Decimal else None
        if type(left) is YearsMonthsDuration:
            if type(right) is YearsMonthsDuration:
                return _DIVIDE(Decimal(left.months), Decimal(right.months))
            return _months(_DIVIDE(Decimal(left.months), right)) if type(right) is Decimal else None
    except (DivisionByZero, InvalidOperation):
        return None
    return None


def _micros(amount: Decimal) -> timedelta | None:
    return None if amount.adjusted() > 24 else int(amount) * _MICROSECOND


def _months(amount: Decimal) -> YearsMonthsDuration | None:
    return None if amount.adjusted() > 12 else YearsMonthsDuration(int(amount))


def _power(left: Decimal, right: Decimal) -> Decimal:
    if not left and right <= 0:  # the module answers infinity to 0 ** -1 and refuses 0 ** 0, which IEEE 754 makes 1
        return CONTEXT.divide(Decimal(1), left) if right else Decimal(1)
    return CONTEXT.power(left, right)


def _nothing(left: Value, right: Value) -> Value:
    return None


add = _numeric(_ADD, _add)
subtract = _numeric(_SUBTRACT, _subtract)
multiply = _numeric(_MULTIPLY, _multiply)
divide = _numeric(_DIVIDE, _divide)
power = _numeric(_power, _nothing)

ARITHMETIC: dict[str, Binary] = {"+": add, "-": subtract, "*": multiply, "/": divide, "**": power}
PYTHON_ORDER: dict[str, Callable[[Value, Value], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ORDER: dict[str, Predicate] = {"<": less, "<=": less_equal, ">": greater, ">=": greater_equal}


def negate(value: Value) -> Value:
    """Return the negative of a number or a duration."""
    kind = type(value)
    if kind is Decimal:
        return CONTEXT.minus(value)
    if kind is timedelta:
        return timedelta() - value if value != timedelta.min else None
    return YearsMonthsDuration(-value.months) if kind is YearsMonthsDuration else None
