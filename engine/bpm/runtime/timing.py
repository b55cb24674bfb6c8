"""Due moments of timer events: FEEL or plain ISO 8601 texts."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any

from engine import feel
from engine.bpm.runtime.types import RuntimeFault
from engine.clock import LOCAL

_ISO_DURATION = re.compile(r"-?P(?=.)(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
_CYCLE = re.compile(r"R(\d*)/(P.+)")
_LATER = feel.compile("moment + duration(length)")
_MOMENT = feel.compile("date and time(text)")


def later(moment: datetime, length: str) -> datetime:
    """Add an ISO 8601 duration (P2D, P1M, PT4H) to a moment, in the hospital's calendar."""
    result = _LATER.evaluate({"moment": moment.astimezone(LOCAL), "length": length})
    if isinstance(result, datetime):
        return result.astimezone(UTC)
    raise ValueError(f"not a duration: {length}")


def due(
    text: str | None, cycle: bool, now: datetime, evaluate: Callable[[str], Any], element: str
) -> tuple[datetime, int, str]:
    """Return a timer's first due moment, how often a cycle repeats (0: for ever) and its ISO interval.

    `text` is plain ISO 8601 or FEEL; `evaluate` gives plain values (dates and durations as ISO text).
    """
    plain = (text or "").strip()
    is_iso = bool(_ISO_DURATION.fullmatch(plain) or _CYCLE.fullmatch(plain) or re.match(r"\d{4}-\d\d-\d\d", plain))
    value = plain if is_iso else evaluate(plain)
    if not isinstance(value, str):
        raise RuntimeFault("timer", element, f"定时“{plain}”算不出时间或时长")
    try:
        if match := _CYCLE.fullmatch(value):
            return later(now, match[2]), int(match[1] or 0), match[2]
        if _ISO_DURATION.fullmatch(value):
            return later(now, value), 0, value
        if not cycle:
            return _moment(value), 0, ""
    except (ValueError, OverflowError) as error:
        raise RuntimeFault("timer", element, f"定时“{plain}”算不出时间：{value}") from error
    raise RuntimeFault("timer", element, f"循环定时“{plain}”要写成 R3/P1D 的样子")


def _moment(text: str) -> datetime:
    """Read a date or a moment; without a zone it is the hospital's; a date alone means the end of that day."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return datetime.combine(date.fromisoformat(text), time(23, 59, 59), LOCAL).astimezone(UTC)
    value = _MOMENT.evaluate({"text": text})
    if isinstance(value, datetime):
        return (value.replace(tzinfo=LOCAL) if value.tzinfo is None else value).astimezone(UTC)
    raise ValueError(text)
