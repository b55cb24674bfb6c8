"""Dates, times and durations: their texts (XML Schema, ISO 8601) and properties.

Seconds reach to the microsecond, as Python's do: further digits are cut. There is no year 0 in texts (XML Schema).
"""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from engine.feel.far import DayTime, Moment, combined, is_far, make_date, near_of, shifted
from engine.feel.values import CONTEXT, Value, YearsMonthsDuration

_DATE = r"(?P<year>-?(?:[1-9][0-9]{4,8}|(?!0000)[0-9]{4}))-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
_TIME = (
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2}(?::[0-9]{2})?|@[A-Za-z0-9_+/-]{1,64})?"
)
_OFFSET_RE = re.compile(r"[+-][0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
_DATE_RE = re.compile(_DATE)
_TIME_RE = re.compile(_TIME)
_DATETIME_RE = re.compile(rf"{_DATE}T{_TIME}")
_MONTHS_RE = re.compile(r"(?P<sign>-?)P(?=[0-9])(?:(?P<years>[0-9]{1,12})Y)?(?:(?P<months>[0-9]{1,12})M)?")
_DAYS_RE = re.compile(
    r"(?P<sign>-?)P(?=[0-9T])(?:(?P<days>[0-9]{1,12})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,12})H)?(?:(?P<minutes>[0-9]{1,12})M)?"
    r"(?:(?P<seconds>[0-9]{1,12})(?:\.(?P<fraction>[0-9]*))?S)?)?"
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def parse_date(text: str) -> Moment | None:
    """Return the date of `2026-07-01`, or None."""
    match = _DATE_RE.fullmatch(text)
    if match is None:
        return None
    try:
        return make_date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None


def parse_time(text: str) -> time | None:
    """Return the time of `08:30:00`, with fraction and `Z`, `+08:00` or `@Asia/Shanghai` if given, or None."""
    match = _TIME_RE.fullmatch(text)
    return _time(match) if match else None


def parse_datetime(text: str) -> DayTime | None:
    """Return the date and time of `2026-07-01T08:30:00+08:00` (a mere date means its midnight), or None."""
    match = _DATETIME_RE.fullmatch(text)
    if match is None:
        day = parse_date(text)
        return combined(day, time()) if day else None
    day, clock = parse_date(text[: match.end("day")]), _time(match)
    if day is None or clock is None:
        return None
    try:
        return combined(shifted(day, timedelta(days=1)) if match["hour"] == "24" else day, clock)
    except ValueError:  # beyond the last year
        return None


def _time(match: re.Match[str]) -> time | None:
    """Return the time of a match; 24:00:00 is the midnight at the end of the day (XML Schema, part 2, 3.2.8)."""
    micros = int(((match["fraction"] or "") + "000000")[:6])
    hour, minute, second = (int(match[part]) for part in ("hour", "minute", "second"))
    if hour == 24 and not (minute or second or (match["fraction"] or "").strip("0")):
        hour = 0
    try:
        return time(hour, minute, second, micros, parse_zone(match["zone"]) if match["zone"] else None)
    except ValueError:
        return None


@cache
def _zones() -> set[str]:
    """Return the zones by name: looked up here, no text of an expression is tried as the path of a file."""
    return available_timezones()


def parse_zone(text: str) -> tzinfo:
    """Return the zone of `Z`, `+08:00` or `@Asia/Shanghai`; ValueError when there is none such."""
    if text in ("Z", "z"):  # the small one stands in examples of 10.3.4.1 and 10.3.4.6
        return UTC
    if text.startswith("@"):
        if text[1:] not in _zones():
            raise ValueError("no such zone")
        return ZoneInfo(text[1:])
    if _OFFSET_RE.fullmatch(text) is None:
        raise ValueError("no such offset")
    parts = [int(part) for part in text[1:].split(":")]
    offset = timedelta(hours=parts[0], minutes=parts[1], seconds=parts[2] if len(parts) > 2 else 0)
    if offset > timedelta(hours=14) or parts[1] > 59:
        raise ValueError("offset out of range")
    return timezone(-offset if text[0] == "-" else offset)


def parse_duration(text: str) -> timedelta | YearsMonthsDuration | None:
    """Return the duration of `P1Y2M` (years and months) or `P1DT2H3M4.5S` (days and time), or None."""
    match = _MONTHS_RE.fullmatch(text)
    if match is not None:
        months = int(match["years"] or 0) * 12 + int(match["months"] or 0)
        return YearsMonthsDuration(-months if match["sign"] else months)
    match = _DAYS_RE.fullmatch(text)
    if match is None:
        return None
    try:
        span = timedelta(
            days=int(match["days"] or 0),
            hours=int(match["hours"] or 0),
            minutes=int(match["minutes"] or 0),
            seconds=int(match["seconds"] or 0),
            microseconds=int(((match["fraction"] or "") + "000000")[:6]),
        )
        return -span if match["sign"] else span
    except OverflowError:
        return None


def parse_at(text: str) -> Value:
    """Return the value of an @-literal's text: whichever of date and time, date, time or duration it is, or None."""
    if "P" in text[:2]:
        return parse_duration(text)
    if "T" in text.partition("@")[0]:
        return parse_datetime(text)
    return parse_date(text) or parse_time(text)


def zone_text(value: datetime | time) -> str:
    """Return `Z`, `+08:00`, `@Asia/Shanghai` or an empty string."""
    zone = value.tzinfo
    if zone is None:
        return ""
    if isinstance(zone, ZoneInfo):
        return f"@{zone.key}"
    offset = value.utcoffset() or timedelta()
    if not offset:
        return "Z"
    seconds = abs(int(offset.total_seconds()))
    text = f"{'-' if offset < timedelta() else '+'}{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return f"{text}:{seconds % 60:02}" if seconds % 60 else text


def date_text(value: Moment) -> str:
    """Return the date of a date or a date and time: `2026-07-01`, `-0044-03-15`, `12026-07-01`."""
    year = value.year
    return f"{'-' if year < 0 else ''}{abs(year):04}{near_of(value).isoformat()[4:10]}"


def time_text(value: datetime | time) -> str:
    """Return the time of day with its zone, fractions without trailing zeros."""
    text = f"{value.hour:02}:{value.minute:02}:{value.second:02}"
    if value.microsecond:
        text += f".{value.microsecond:06}".rstrip("0")
    return text + zone_text(value)


def duration_text(value: timedelta | YearsMonthsDuration) -> str:
    """Return the canonical XML Schema text: `P1Y2M`, `-P1DT2H`, `PT0S`, `P0M`."""
    if isinstance(value, YearsMonthsDuration):
        years, months = divmod(abs(value.months), 12)
        sign = "-" if value.months < 0 else ""
        return f"{sign}P" + ((f"{years}Y" if years else "") + (f"{months}M" if months else "") or "0M")
    micros = abs(micros_of(value))
    sign = "-" if value < timedelta() else ""
    seconds, fraction = divmod(micros, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    tail = f".{fraction:06}".rstrip("0") if fraction else ""
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    clock += f"{seconds}{tail}S" if seconds or fraction else ""
    return f"{sign}P" + ((f"{days}D" if days else "") + (f"T{clock}" if clock else "") or "T0S")


def micros_of(span: timedelta) -> int:
    """Return a days and time duration in microseconds."""
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def seconds_of(value: time) -> tuple[int, object]:
    """Return the microseconds since midnight, in UTC when the offset is fixed, and what zone they count in."""
    micros = ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    if value.tzinfo is None:
        return micros, None
    offset = value.utcoffset()
    if offset is None:  # a region whose offset depends on the day
        return micros, zone_text(value)
    return micros - micros_of(offset), "UTC"


def property_of(value: Value, name: str) -> Value:
    """Return a property of a date, time, date and time or duration (DMN 1.5, table 65); None if it has no such one."""
    if is_far(value):
        return Decimal(value.year) if name == "year" else property_of(value.near, name)
    read = _PROPERTIES.get(type(value), {}).get(name)
    if read is None:
        return None
    result = read(value)
    return Decimal(result) if type(result) is int else result


def _offset(value: datetime | time) -> timedelta | None:
    return value.utcoffset()


def _zone_name(value: datetime | time) -> str | None:
    return zone_text(value).removeprefix("@") or None


def _clock(value: timedelta) -> int:
    return int(abs(value).total_seconds()) % 86_400


def _decimal_seconds(micros: int) -> Decimal:
    return CONTEXT.divide(Decimal(micros), Decimal(1_000_000))


def _signed(value: timedelta, amount: int) -> int:
    return -amount if value < timedelta() else amount


def _months(value: YearsMonthsDuration, amount: int) -> int:
    return -amount if value.months < 0 else amount


_DATE_PROPERTIES = {
    "year": lambda value: value.year,
    "month": lambda value: value.month,
    "day": lambda value: value.day,
    "weekday": lambda value: value.isoweekday(),
}
_TIME_PROPERTIES = {
    "hour": lambda value: value.hour,
    "minute": lambda value: value.minute,
    "second": lambda value: _decimal_seconds(value.second * 1_000_000 + value.microsecond),
    "time offset": _offset,
    "timezone": _zone_name,
}
_PROPERTIES: dict[type, dict[str, Value]] = {
    date: _DATE_PROPERTIES,
    time: _TIME_PROPERTIES,
    datetime: {**_DATE_PROPERTIES, **_TIME_PROPERTIES},
    timedelta: {
        "days": lambda value: _signed(value, abs(value).days),
        "hours": lambda value: _signed(value, _clock(value) // 3600),
        "minutes": lambda value: _signed(value, _clock(value) // 60 % 60),
        "seconds": lambda value: _decimal_seconds(_signed(value, micros_of(abs(value)) % 60_000_000)),
    },
    YearsMonthsDuration: {
        "years": lambda value: _months(value, abs(value.months) // 12),
        "months": lambda value: _months(value, abs(value.months) % 12),
    },
}


def weekday_name(value: Moment) -> str:
    """Return the English name of a day's weekday."""
    return _WEEKDAYS[near_of(value).weekday()]
