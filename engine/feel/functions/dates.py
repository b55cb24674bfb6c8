"""Functions of dates and times (DMN 1.5, 10.3.4.6 and 10.3.4.7)."""

from datetime import date, datetime
from decimal import Decimal

from engine import clock
from engine.feel.far import Moment, is_far, near_of
from engine.feel.functions.registry import Registry
from engine.feel.limits import Run
from engine.feel.operators import equal
from engine.feel.temporal import weekday_name, zone_text
from engine.feel.values import Value, kind

BUILTINS = Registry()

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@BUILTINS("now()")
def now() -> datetime:
    """Return the present moment in the hospital's zone."""
    return clock.now().astimezone(clock.LOCAL)


@BUILTINS("today()")
def today() -> date:
    """Return the hospital's calendar day."""
    return clock.today()


@BUILTINS("day of year(date: day)")
def day_of_year(day: Moment) -> Decimal:
    """Return the number of the day in its year, from 1."""
    return Decimal(near_of(day).timetuple().tm_yday)


@BUILTINS("day of week(date: day)")
def day_of_week(day: Moment) -> str:
    """Return the English name of the weekday."""
    return weekday_name(day)


@BUILTINS("month of year(date: day)")
def month_of_year(day: Moment) -> str:
    """Return the English name of the month."""
    return _MONTHS[near_of(day).month - 1]


@BUILTINS("week of year(date: day)")
def week_of_year(day: Moment) -> Decimal:
    """Return the ISO 8601 number of the week."""
    return Decimal(near_of(day).isocalendar().week)


@BUILTINS("is(value1: any, value2: any)", takes_run=True)
def is_(run: Run, left: Value, right: Value) -> bool:
    """Return whether two values are the same element: of one kind, equal, and in the same zone."""
    if kind(left) != kind(right):
        return False
    if kind(left) in ("time", "date and time") and _zone(left) != _zone(right):
        return False
    return equal(left, right, run) is True


def _zone(value: Value) -> str:
    near: Value = value.near if is_far(value) else value
    return zone_text(near)
