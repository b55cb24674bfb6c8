"""Far years behave as the near ones that they mirror: the calendar repeats every 400 years."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.feel import far
from engine.feel.temporal import date_text, parse_date

ZONES = st.sampled_from([None, UTC, ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Paris")])
NEAR = st.builds(datetime.combine, st.dates(date(2500, 1, 1), date(5000, 1, 1)), st.times(), ZONES)
CYCLES = st.sampled_from([-2_000_000, -20, -1, 0, 1, 20, 2_000_000])
SPANS = st.timedeltas(timedelta(days=-80_000), timedelta(days=80_000))


@given(NEAR, CYCLES, SPANS)
def test_moving_by_a_span_commutes_with_moving_by_cycles(near: datetime, cycles: int, span: timedelta) -> None:
    if cycles < 0:  # local mean time knows no summer time
        near = near.replace(tzinfo=None)
    moved = far.shifted(near, span)
    assert isinstance(moved, datetime)
    assert far.shifted(far.settle(near, cycles), span) == far.settle(moved, cycles)
    day = far.shifted(near.date(), span)
    assert isinstance(day, date)
    assert far.shifted(far.settle(near.date(), cycles), span) == far.settle(day, cycles)


@given(NEAR, NEAR, CYCLES)
def test_differences_and_order_are_those_of_the_near(one: datetime, other: datetime, cycles: int) -> None:
    one, other = one.replace(tzinfo=UTC), other.replace(tzinfo=UTC)
    gap = far.micros_from_start(far.settle(one, cycles)) - far.micros_from_start(far.settle(other, cycles))
    assert timedelta(microseconds=gap) == one - other


@given(st.integers(-far.MAX_YEAR, far.MAX_YEAR).filter(bool), st.integers(1, 12), st.integers(1, 28))
def test_every_date_survives_its_text(year: int, month: int, day: int) -> None:
    moment = far.make_date(year, month, day)
    assert parse_date(date_text(moment)) == moment
    assert moment.year == year
    assert far.day_of(far.combined(moment, time(8))) == moment
    assert far.is_far(moment) != (1 <= year <= 9999)


@given(st.dates(), st.integers(-3_000_000, 3_000_000))
def test_python_and_far_agree_where_both_reach(day: date, days: int) -> None:
    span = timedelta(days=days)
    there = far.shifted(day, span)
    assert far.shifted(there, -span) == day
    assert far.micros_from_start(there) - far.micros_from_start(day) == days * 86_400_000_000


def test_there_is_an_end() -> None:
    with pytest.raises(ValueError, match="year"):
        far.shifted(far.make_date(far.MAX_YEAR, 12, 31), timedelta(days=1))
    with pytest.raises(ValueError, match="year"):
        far.make_date(far.MAX_YEAR + 1, 1, 1)
