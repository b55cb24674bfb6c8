"""Values as text (DMN 1.5, 10.3.4.1 `string`) and as JSON's plain values."""

import json
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from engine.feel.errors import FeelError
from engine.feel.far import DayTime, FarDate, FarDateTime, Moment, near_of
from engine.feel.limits import CHARS_PER_STEP, Limits, Run
from engine.feel.temporal import date_text, duration_text, time_text
from engine.feel.values import FeelFunction, Range, Value, YearsMonthsDuration


def text_of(value: Value, run: Run) -> str:
    """Return the text of a value; strings inside lists and contexts are quoted."""
    text: str = value if type(value) is str else _text(value, run)
    run.text(len(text))
    return text


def _text(value: Value, run: Run) -> str:
    kind = type(value)
    if kind is str:
        run.charge(len(value) // CHARS_PER_STEP)
        escaped: str = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is Decimal:
        number = number_text(value)
        run.charge(len(number) // CHARS_PER_STEP)
        return number
    if kind in (list, dict):
        run.enter()
        run.size(len(value))
        if kind is list:
            text = "[" + ", ".join(_text(element, run) for element in value) + "]"
        else:
            text = "{" + ", ".join(f"{_key(key)}: {_text(entry, run)}" for key, entry in value.items()) + "}"
        run.leave()
        run.text(len(text))
        return text
    if kind is Range:
        return _range_text(value, run)
    if kind is FeelFunction:
        return "function"
    return temporal_text(value)


def _key(key: str) -> str:
    return key if key.replace(" ", "_").isidentifier() else json.dumps(key, ensure_ascii=False)


def _range_text(value: Range, run: Run) -> str:
    if value.op:
        return f"({value.op} {_text(value.high if value.low is None else value.low, run)})"
    low, high = _text(value.low, run), _text(value.high, run)
    return f"{'[' if value.low_closed else '('}{low}..{high}{']' if value.high_closed else ')'}"


def number_text(value: Decimal) -> str:
    """Return a number without exponent and without zeros behind the last decimal."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def temporal_text(value: Value) -> str:
    """Return the ISO text of a date, time, date and time or duration."""
    if isinstance(value, DayTime):
        return f"{date_text(value)}T{time_text(near_of(value))}"  # type: ignore[arg-type]
    if isinstance(value, Moment):
        return date_text(value)
    return time_text(value) if isinstance(value, time) else duration_text(value)


def to_plain(value: Value, *, limits: Limits | None = None) -> Value:
    """Return a value as JSON knows it.

    Whole numbers of up to 34 digits become int; others the nearest float, so that `1 / 3` stays a number (17 digits of
    it); those beyond the range of floats their decimal text. Dates, times and durations become ISO text, ranges FEEL
    text. FeelError for functions; FeelLimitError when the data are too large or too deep (default: ten times the
    steps of one evaluation).
    """
    return _plain(value, Run(limits or Limits(steps=1_000_000)))


def _plain(value: Value, run: Run) -> Value:
    kind = type(value)
    run.charge(1)
    if value is None or kind in (str, bool, int, float):
        return value
    if kind is Decimal:
        return _plain_number(value)
    if kind in (list, dict):
        run.enter()
        run.size(len(value))
        plain: Value = (
            [_plain(element, run) for element in value]
            if kind is list
            else {key: _plain(entry, run) for key, entry in value.items()}
        )
        run.leave()
        return plain
    if kind is Range:
        return _range_text(value, run)
    if kind in (date, time, datetime, timedelta, YearsMonthsDuration, FarDate, FarDateTime):
        return temporal_text(value)
    raise FeelError("结果是函数，不能存为数据", "the result is a function, which is no data")


def _plain_number(value: Decimal) -> int | float | str:
    if value.adjusted() < 34 and value == value.to_integral_value():
        return int(value)
    nearest = float(value)
    return nearest if nearest and math.isfinite(nearest) else number_text(value)
