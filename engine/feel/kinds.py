"""What goes with what, by kind: found by asking the operators themselves with a sample of each kind."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache

from engine.feel.limits import Run
from engine.feel.operators import ARITHMETIC, ORDER, equal, negate
from engine.feel.paths import get_path
from engine.feel.values import FeelFunction, Range, Value, YearsMonthsDuration, kind

NAMES = {
    "number": "数字", "string": "文本", "boolean": "真假", "date": "日期", "time": "时间", "date and time": "日期时间",
    "days and time duration": "天数时长", "years and months duration": "年月时长", "list": "列表", "context": "上下文",
    "range": "区间", "function": "函数",
}  # fmt: skip
"""What the kinds are called in Chinese."""

_SAMPLES: dict[str, Value] = {
    "number": Decimal(1),
    "string": "a",
    "boolean": True,
    "date": date(2000, 1, 1),
    "time": time(tzinfo=UTC),
    "date and time": datetime(2000, 1, 1, tzinfo=UTC),
    "days and time duration": timedelta(days=1),
    "years and months duration": YearsMonthsDuration(1),
    "context": {},
    "range": Range(Decimal(1), Decimal(1), True, True),
    "function": FeelFunction((), lambda run, arguments: None),
}


def _pair(left: str, right: str) -> tuple[Value, Value]:
    """Return a sample of each kind; a list holds one of the other kind, lest a conversion go unnoticed."""
    if left == right == "list":
        return [], []
    if left == "list":
        return [_SAMPLES[right]], _SAMPLES[right]
    return _SAMPLES[left], [_SAMPLES[left]] if right == "list" else _SAMPLES[right]


def _kind(value: Value) -> str | None:
    return None if value is None else kind(value)


@cache
def arithmetic(op: str, left: str, right: str) -> str | None:
    """Return the kind of `left op right`, None when it is always null; the operands are kinds of `NAMES`."""
    return _kind(ARITHMETIC[op](*_pair(left, right)))


@cache
def comparable(op: str, left: str, right: str) -> bool:
    """Tell whether `left op right` can be anything but null."""
    pair = _pair(left, right)
    return (equal(*pair, Run()) if op in ("=", "!=") else ORDER[op](*pair)) is not None


@cache
def negatable(operand: str) -> bool:
    """Tell whether `-operand` can be anything but null."""
    return operand != "list" and negate(_SAMPLES[operand]) is not None


def property_kind(source: str, name: str) -> str | None:
    """Return the kind of a property of a simple kind, None when it has none of that name."""
    return _kind(get_path(_SAMPLES[source], name, Run()))
