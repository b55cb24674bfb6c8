"""Conversion functions (DMN 1.5, 10.3.4.1) and `not`."""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from engine.feel.far import DayTime, Moment, combined, day_of, in_zone, make_date, near_of
from engine.feel.functions.registry import Registry
from engine.feel.limits import Run
from engine.feel.literals import number_literal, string_literal
from engine.feel.operators import greater, less_equal, negated
from engine.feel.temporal import parse_at, parse_date, parse_datetime, parse_duration, parse_time, parse_zone
from engine.feel.texts import text_of
from engine.feel.values import Range, Value, YearsMonthsDuration

BUILTINS = Registry()

_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SEPARATORS = frozenset({" ", ",", "."})
_END = r'"(?:[^"\\]|\\.)*"|@"[^"]*"|-?[0-9]+(?:\.[0-9]+)?|(?:date and time|date|time|duration)\("[^"]*"\)'
_RANGE = re.compile(rf"\s*([\[\](])\s*({_END})?\s*\.\.\s*({_END})?\s*([\[\])])\s*")


@BUILTINS("not(negand: any)")
def not_(value: Value) -> bool | None:
    """Return the opposite of a boolean."""
    return negated(value)


@BUILTINS("date(from: string)")
def date_from_text(text: str) -> Moment | None:
    """Return the date of an ISO text."""
    return parse_date(text)


@BUILTINS("date(from: day)")
def date_from_day(moment: Moment) -> Moment:
    """Return the calendar day of a date and time."""
    return day_of(moment)


@BUILTINS("date(year: number, month: number, day: number)")
def date_of(year: Decimal, month: Decimal, day: Decimal) -> Moment | None:
    """Return the date of its three numbers; there is no year 0."""
    return make_date(_whole(year), _whole(month), _whole(day)) if year else None


@BUILTINS("date and time(from: string)")
def datetime_from_text(text: str) -> DayTime | None:
    """Return the date and time of an ISO text."""
    return parse_datetime(text)


@BUILTINS("date and time(from: day)")
def datetime_from_day(moment: Moment) -> DayTime:
    """Return a date and time as it is, a date's midnight."""
    return moment if isinstance(moment, DayTime) else combined(moment, time())


@BUILTINS("date and time(date: day, time: time)")
def datetime_of(day: Moment, clock: time) -> DayTime:
    """Return a day at a time; the zone is the time's."""
    return combined(day, clock)


@BUILTINS("date and time(date: day, timezone: string)")
def datetime_in_zone(moment: Moment, zone: str) -> DayTime:
    """Return a date and time carried over into a zone, or set in it when it has none."""
    return in_zone(moment, parse_zone(zone if zone[:1] in ("Z", "z", "+", "-") else f"@{zone}"))


@BUILTINS("time(from: string)")
def time_from_text(text: str) -> time | None:
    """Return the time of an ISO text."""
    return parse_time(text)


@BUILTINS("time(from: time)")
def time_from_time(clock: time) -> time:
    """Return a time as it is."""
    return clock


@BUILTINS("time(from: day)")
def time_from_day(moment: Moment) -> time:
    """Return the time of a date and time with its zone; of a date, midnight in UTC."""
    near = near_of(moment)
    return near.timetz() if isinstance(near, datetime) else time(tzinfo=UTC)


@BUILTINS("time(hour: number, minute: number, second: number, offset?: any)")
def time_of(hour: Decimal, minute: Decimal, second: Decimal, offset: Value) -> time:
    """Return the time of its parts; seconds may have a fraction."""
    micros = int((second % 1) * 1_000_000)
    zone = None
    if offset is not None:
        if not isinstance(offset, timedelta):
            raise ValueError("an offset is a days and time duration")
        seconds = int(offset.total_seconds())
        sign, seconds = ("-" if seconds < 0 else "+"), abs(seconds)
        zone = parse_zone(f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}")
    return time(_whole(hour), _whole(minute), int(second), micros, zone)


def _whole(value: Decimal) -> int:
    if value != value.to_integral_value() or abs(value) > 1_000_000_000:
        raise ValueError("not a whole number")
    return int(value)


@BUILTINS("duration(from: string)")
def duration_from_text(text: str) -> Value:
    """Return the duration of an ISO text."""
    return parse_duration(text)


@BUILTINS("duration(from: duration)")
def duration_from_duration(value: Value) -> Value:
    """Return a duration as it is."""
    return value


@BUILTINS("years and months duration(from: day, to: day)")
def months_between(start: Moment, end: Moment) -> YearsMonthsDuration:
    """Return the whole months between two days, negative when the second is the earlier."""
    if type(near_of(start)) is not type(near_of(end)):
        start, end = day_of(start), day_of(end)
    if greater(start, end):
        return YearsMonthsDuration(-months_between(end, start).months)
    first, last = near_of(start), near_of(end)
    months = (end.year - start.year) * 12 + last.month - first.month
    late = (first.day, _clock(first)) > (last.day, _clock(last))
    return YearsMonthsDuration(months - 1 if late else months)


def _clock(moment: date) -> time:
    return moment.time() if isinstance(moment, datetime) else time()


@BUILTINS("number(from: string, grouping separator?: any, decimal separator?: any)")
def number_from_text(text: str, grouping: Value, separator: Value) -> Decimal | None:
    """Return the number of a text whose thousands and decimals are parted by the given signs."""
    if grouping not in (None, *_SEPARATORS) or separator not in (None, ".", ","):
        return None
    if grouping is not None and grouping == separator:
        return None
    plain = text.replace(grouping, "") if grouping else text
    if separator and separator != ".":
        if "." in plain:
            return None
        plain = plain.replace(separator, ".")
    return number_literal(plain) if _NUMBER.fullmatch(plain) else None


@BUILTINS("number(from: number)")
def number_from_number(value: Decimal) -> Decimal:
    """Return a number as it is."""
    return value


@BUILTINS("string(from: any)", takes_run=True)
def string(run: Run, value: Value) -> str | None:
    """Return the text of a value; null stays null."""
    return None if value is None else text_of(value, run)


@BUILTINS("range(from: string)")
def range_from_text(text: str) -> Range | None:
    """Return the range that a text spells with literal ends; one may be absent beside a round bracket."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    low, high = (None if end is None else _end(end) for end in match.group(2, 3))
    low_closed, high_closed = match[1] == "[", match[4] == "]"
    if match[3] is None and not high_closed and low is not None:
        return Range(low, None, low_closed, False, ">=" if low_closed else ">")
    if match[2] is None and not low_closed and high is not None:
        return Range(None, high, False, high_closed, "<=" if high_closed else "<")
    if low is None or high is None or less_equal(low, high) is not True:
        return None
    return Range(low, high, low_closed, high_closed)


def _end(text: str) -> Value:
    if text.startswith('"'):
        return string_literal(text)
    if text.startswith("@"):
        return parse_at(text[2:-1])
    if text.endswith(")"):
        name, _, inside = text.partition("(")
        read = {"date": parse_date, "time": parse_time, "date and time": parse_datetime, "duration": parse_duration}
        return read[name](inside[1:-2])
    return number_literal(text)
