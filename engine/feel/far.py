"""Dates and moments of years that Python's `date` lacks: below 1 and beyond 9999, to ±999 999 999 (DMN 1.5, 10.3.4.1).

The Gregorian calendar repeats every 400 years, weekdays included. So such a value is a `near` one of Python's, the
same but for its year, and the number of cycles between. Only here, in `temporal` and in arithmetic does it matter.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, TypeGuard, overload

MAX_YEAR = 999_999_999
_CYCLE_YEARS = 400
_CYCLE_DAYS = 146_097
# Where the near years lie: local mean time before the common era, today's rules of summer time after it.
_EARLY, _LATE = 400, 9_200


@dataclass(frozen=True, slots=True)
class FarDate:
    """A date: `near` moved by `cycles` times 400 years."""

    near: date
    cycles: int

    @property
    def year(self) -> int:
        """The true year."""
        return self.near.year + self.cycles * _CYCLE_YEARS


@dataclass(frozen=True, slots=True)
class FarDateTime(FarDate):
    """A date and time: `near` moved by `cycles` times 400 years; the zone is `near`'s."""

    near: datetime


Moment = date | FarDate
"""A date, or a date and time, of any year."""
DayTime = datetime | FarDateTime
"""A date and time of any year."""


def is_far(value: object) -> TypeGuard[FarDate]:
    """Tell whether a value lies outside Python's years."""
    return isinstance(value, FarDate)


def near_of(value: Moment) -> date:
    """Return the value of Python's that has the same month, day, weekday and clock."""
    return value.near if is_far(value) else value  # type: ignore[return-value]


def _cycles(value: Moment) -> int:
    return value.cycles if is_far(value) else 0


@overload
def settle(near: datetime, cycles: int) -> DayTime: ...
@overload
def settle(near: date, cycles: int) -> Moment: ...
def settle(near: date, cycles: int) -> Moment:
    """Return `near` moved by `cycles`: a value of Python's where it has the year; ValueError beyond ±999 999 999."""
    year = near.year + cycles * _CYCLE_YEARS
    if 1 <= year <= 9999:
        return near.replace(year=year)
    if abs(year) > MAX_YEAR:
        raise ValueError("year out of range")
    cycles, rest = divmod(year, _CYCLE_YEARS)
    base = _EARLY if year < 1 else _LATE
    near = near.replace(year=base + rest)
    cycles -= base // _CYCLE_YEARS
    return FarDateTime(near, cycles) if isinstance(near, datetime) else FarDate(near, cycles)


def redated(value: Moment, year: int, month: int, day: int) -> Moment:
    """Return a value at another date; ValueError when there is no such day."""
    if 1 <= year <= 9999 and isinstance(value, date):
        return value.replace(year=year, month=month, day=day)
    near = near_of(value).replace(year=_LATE + year % _CYCLE_YEARS, month=month, day=day)
    return settle(near, (year - near.year) // _CYCLE_YEARS)


def make_date(year: int, month: int, day: int) -> Moment:
    """Return the date of three numbers; ValueError when there is none."""
    return date(year, month, day) if 1 <= year <= 9999 else redated(date.min, year, month, day)


def _lifted(value: Moment) -> tuple[date, int]:
    """Return a value as a near one far from the ends of Python's years, and its cycles."""
    if is_far(value):
        return value.near, value.cycles
    near = near_of(value)
    base = _EARLY if near.year < _LATE // 2 else _LATE
    return near.replace(year=base + near.year % _CYCLE_YEARS), (near.year - base) // _CYCLE_YEARS


def shifted(value: Moment, span: timedelta) -> Moment:
    """Return a value moved by a days and time duration, a date by whole days; ValueError out of range."""
    if isinstance(value, date):
        try:
            return _moved(value, span)
        except OverflowError:  # beyond Python's years
            pass
    near, cycles = _lifted(value)
    further, days = divmod(span.days, _CYCLE_DAYS)
    moved = _moved(near, timedelta(days=days, seconds=span.seconds, microseconds=span.microseconds))
    return settle(moved, cycles + further)


def _moved(value: date, span: timedelta) -> date:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return (value.astimezone(UTC) + span).astimezone(value.tzinfo)
    return value + span


def in_zone(value: Moment, zone: tzinfo) -> DayTime:
    """Return a date and time carried over into a zone, or set in it when it has none."""
    near, cycles = near_of(value), _cycles(value)
    if not isinstance(near, datetime):
        near = datetime.combine(near, time())
    if near.tzinfo is None:
        return settle(near.replace(tzinfo=zone), cycles)
    try:
        return settle(near.astimezone(zone), cycles)
    except OverflowError:  # at the ends of Python's years
        near, cycles = _lifted(near)
        return settle(near.astimezone(zone), cycles)  # type: ignore[attr-defined]


def without_zone(value: Any) -> Any:
    """Return what a time's or a date and time's own clock shows, whatever its zone."""
    return replace(value, near=without_zone(value.near)) if is_far(value) else value.replace(tzinfo=None)


def combined(day: Moment, clock: time) -> DayTime:
    """Return a day at a time; the zone is the time's."""
    near, cycles = near_of(day), _cycles(day)
    return settle(datetime.combine(near, clock), cycles)


def day_of(value: Moment) -> Moment:
    """Return the calendar day of a date or a date and time."""
    near = near_of(value)
    return settle(near.date() if isinstance(near, datetime) else near, _cycles(value))


def micros_from_start(value: Moment) -> int:
    """Return the microseconds from the first day of year 1, in UTC when the value has a zone."""
    near = near_of(value)
    micros = ((near.toordinal() - 1) + _cycles(value) * _CYCLE_DAYS) * 86_400_000_000
    if not isinstance(near, datetime):
        return micros
    offset = near.utcoffset() or timedelta()
    clock = timedelta(hours=near.hour, minutes=near.minute, seconds=near.second, microseconds=near.microsecond)
    return micros + (clock - offset) // timedelta(microseconds=1)
