"""Equality, order and arithmetic of FEEL's values (DMN 1.5, 10.3.2.13 and tables 42-54).

Every function answers None (null) to kinds that do not go together.
"""

import operator
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Final

from engine.feel.errors import FeelLimitError
from engine.feel.limits import Run
from engine.feel.temporal import micros_of, seconds_of, to_utc
from engine.feel.values import CONTEXT, Range, Value, YearsMonthsDuration

_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE = CONTEXT.add, CONTEXT.subtract, CONTEXT.multiply, CONTEXT.divide
_DIRECT: Final = frozenset({Decimal, str, date, timedelta, YearsMonthsDuration})
_MICROSECOND = timedelta(microseconds=1)

Binary = Callable[[Value, Value], Value]
Predicate = Callable[[Value, Value], bool | None]


def _instants(left: Value, right: Value) -> tuple[Value, Value] | None:
    """Return two times or two dates and times on one clock; None when one has a zone and the other none."""
    kind = type(left)
    if kind is datetime and type(right) is datetime:
        if (left.tzinfo is None) != (right.tzinfo is None):
            return None
        if left.tzinfo is None:
            return left, right
        try:
            return to_utc(left), to_utc(right)
        except OverflowError:  # within a day of year 1 or of year 9999
            return None
    if kind is time and type(right) is time:
        (left_at, left_in), (right_at, right_in) = seconds_of(left), seconds_of(right)
        return (left_at, right_at) if left_in == right_in else None
    return None


def _comparable(left: Value, right: Value) -> tuple[Value, Value] | None:
    """Return what to compare of two times or two dates and times: the standard's `value()` counts whole seconds."""
    pair = _instants(left, right)
    if pair is None:
        return None
    if type(left) is time:
        return pair[0] // 1_000_000, pair[1] // 1_000_000
    return pair[0].replace(microsecond=0), pair[1].replace(microsecond=0)


def _order(compare: Callable[[Value, Value], bool]) -> Predicate:
    def ordered(left: Value, right: Value) -> bool | None:
        kind = type(left)
        if kind is type(right) and kind in _DIRECT:
            return compare(left, right)
        pair = _comparable(left, right)
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
    if kind is not type(right):
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
    pair = _comparable(left, right)
    return pair[0] == pair[1] if pair else (False if kind in (datetime, time) else left is right)


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
    """Return the opposite of a boolean."""
    return not value if type(value) is bool else None


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
            except Overflow:
                raise FeelLimitError("计算结果超出数字范围", "the result is out of the range of numbers") from None
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
    if type(left) in (timedelta, YearsMonthsDuration) and kind in (date, datetime, time):
        return _add(right, left)
    return None


def _shift(moment: Value, span: timedelta) -> Value:
    """Move a point in time by a days and time duration; a date by its midnight, a time around the clock."""
    kind = type(moment)
    if kind is timedelta:
        return moment + span
    if kind is datetime:
        zone = moment.tzinfo
        return moment + span if zone is None else (to_utc(moment) + span).astimezone(zone)
    if kind is date:
        return (datetime.combine(moment, time()) + span).date()
    if kind is time:
        shifted = datetime.combine(date(2000, 1, 1), moment.replace(tzinfo=None)) + timedelta(
            microseconds=micros_of(span) % 86_400_000_000
        )
        return shifted.time().replace(tzinfo=moment.tzinfo)
    return None


def _shift_months(moment: Value, months: int) -> Value:
    """Move by months; a day that the month lacks becomes its last (31 January + P1M: 28 or 29 February)."""
    if type(moment) is YearsMonthsDuration:
        return YearsMonthsDuration(moment.months + months)
    if type(moment) not in (date, datetime):
        return None
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, days_in_month(year, month + 1)))


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
    if kind is time and other is time:
        pair = _instants(left, right)
        return timedelta(microseconds=pair[0] - pair[1]) if pair else None
    if kind not in (date, datetime) or other not in (date, datetime):
        return None
    if kind is date and other is date:
        return left - right
    # A date beside a date and time means its midnight, in UTC if the other has a zone.
    if kind is date:
        left = datetime.combine(left, time(tzinfo=to_utc(right).tzinfo if right.tzinfo else None))
    elif other is date:
        right = datetime.combine(right, time(tzinfo=to_utc(left).tzinfo if left.tzinfo else None))
    pair = _instants(left, right)
    return pair[0] - pair[1] if pair else None


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
