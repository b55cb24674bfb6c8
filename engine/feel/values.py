"""FEEL's values as Python values, and the way in from and out to JSON's plain values.

number `Decimal` (34 digits), string `str`, boolean `bool`, null `None`, list `list`, context `dict`, date `date`,
time `time`, date and time `datetime` (with or without zone), days and time duration `timedelta`, years and months
duration `YearsMonthsDuration`, range `Range`, function `FeelFunction`; dates and moments outside Python's years are
`FarDate` and `FarDateTime`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from math import isfinite
from typing import TYPE_CHECKING, Any

from engine.feel.errors import FeelError, FeelLimitError
from engine.feel.far import FarDate, FarDateTime
from engine.feel.limits import MAX_DEPTH, Run, too_deep

if TYPE_CHECKING:
    from engine.feel.types import FeelType

Value = Any
"""A FEEL value; `Any` because every operator accepts every kind and answers null to what it cannot do."""

# decimal128 (DMN 1.5, 10.3.2.3.1): one shared context whose methods are called directly, since the thread's own
# context may have any precision. Its traps raise; its flags are never read.
CONTEXT = Context(
    prec=34, rounding=ROUND_HALF_EVEN, Emin=-6143, Emax=6144, traps=[DivisionByZero, InvalidOperation, Overflow]
)


@dataclass(frozen=True, slots=True, order=True)
class YearsMonthsDuration:
    """A years and months duration, in months (negative: backwards)."""

    months: int


@dataclass(frozen=True, slots=True)
class Range:
    """An interval; an end that is None is open to infinity. `op` is set for `(< 10)` and the like."""

    low: Value
    high: Value
    low_closed: bool
    high_closed: bool
    op: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class FeelFunction:
    """A function value: `call(run, arguments)` with as many arguments as `parameters` names.

    A built-in has several signatures: it takes any number of positional arguments (`parameters` is None) and named
    ones through `call_named`, and answers null where none of its signatures fits. `type` is its FEEL type, None for a
    built-in.
    """

    parameters: tuple[str, ...] | None
    call: Callable[[Run, Sequence[Value]], Value]
    call_named: Callable[[Run, Mapping[str, Value]], Value] | None = None
    type: "FeelType | None" = None


def number(value: object) -> Value:
    """Return a FEEL value for a JSON plain value or a FEEL value: numbers become Decimal, containers are copied.

    FeelError for values that are no data (objects, sets, bytes), infinities and NaN, and keys that are no text, with
    the keys that lead there; FeelLimitError when data are nested too deeply or a number is beyond decimal128.
    """
    convert = _CONVERT.get(type(value))
    return convert(value, 0) if convert else _subclass(value, 0)


def _number(value: object, depth: int) -> Value:
    convert = _CONVERT.get(type(value))
    return convert(value, depth) if convert else _subclass(value, depth)


def _same(value: Value, depth: int) -> Value:
    return value


def _int(value: int, depth: int) -> Decimal:
    if value.bit_length() <= 112:  # up to 34 digits there is nothing to round
        return Decimal(value)
    if value.bit_length() > 20_500:
        raise FeelLimitError("数字超出范围", "a number is out of range")
    return CONTEXT.create_decimal(value)


def _float(value: float, depth: int) -> Decimal:
    if not isfinite(value):
        raise _infinite()
    return Decimal(repr(value))


def _infinite() -> FeelError:
    return FeelError("数据中有无穷大或非数（NaN）", "an infinity or NaN in the data")


def _decimal(value: Decimal, depth: int) -> Decimal:
    if not value.is_finite():
        raise _infinite()
    try:
        return CONTEXT.plus(value)
    except Overflow:
        raise FeelLimitError("数字超出范围", "a number is out of range") from None


def _list(value: Sequence[object], depth: int) -> list[Value]:
    if depth >= MAX_DEPTH:
        raise too_deep()
    return [_number(element, depth + 1) for element in value]


def _dict(value: Mapping[object, object], depth: int) -> dict[str, Value]:
    if depth >= MAX_DEPTH:
        raise too_deep()
    converted: dict[str, Value] = {}
    for key, entry in value.items():
        if not isinstance(key, str):
            raise _no_key(key)
        try:
            converted[str.__str__(key)] = _number(entry, depth + 1)
        except FeelLimitError:
            raise
        except FeelError as error:
            raise located(error, key) from None
    return converted


def _no_key(key: object) -> FeelError:
    short = isinstance(key, float | date) or (isinstance(key, int) and key.bit_length() <= 64)
    shown = str(key) if short else type(key).__name__
    return FeelError(f"数据中的键 {shown} 不是文本，请改成文本", f"the key {shown} in the data is no text")


def located(error: FeelError, name: str) -> FeelError:
    """Return an error about a value with the name of what holds the value before it."""
    shown = name if len(name) <= 60 else name[:59] + "…"
    return type(error)(f"“{shown}”：{error.message}", f"{shown!r}: {error.message_en}")


_CONVERT: dict[type, Callable[[Any, int], Value]] = {
    Decimal: _decimal, int: _int, float: _float, list: _list, tuple: _list, dict: _dict,
    str: _same, bool: _same, type(None): _same, date: _same, datetime: _same, time: _same, timedelta: _same,
    YearsMonthsDuration: _same, Range: _same, FeelFunction: _same, FarDate: _same, FarDateTime: _same,
}  # fmt: skip


def _subclass(value: object, depth: int) -> Value:
    """Convert instances of subclasses (enumerations of str, ordered dicts) to the plain type."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return _dict(value, depth)
    for kind in (Decimal, int, float, list, tuple):
        if isinstance(value, kind):
            return _CONVERT[kind](value, depth)
    raise FeelError(
        f"数据中有表达式不支持的类型：{type(value).__name__}", f"a value of type {type(value).__name__} is no data"
    )


def kind(value: Value) -> str:
    """Return the FEEL type of a value: `number`, `string`, … `null`."""
    return KINDS[type(value)]


KINDS: dict[type, str] = {
    FarDate: "date", FarDateTime: "date and time",  # first, so that the reverse leads to the common types
    Decimal: "number", str: "string", bool: "boolean", type(None): "null", list: "list", dict: "context",
    date: "date", time: "time", datetime: "date and time", timedelta: "days and time duration",
    YearsMonthsDuration: "years and months duration", Range: "range", FeelFunction: "function",
}  # fmt: skip
