"""Numeric functions (DMN 1.5, 10.3.4.5)."""

from datetime import timedelta
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    ROUND_UP,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
)

from engine.feel.functions.registry import Registry
from engine.feel.operators import negate
from engine.feel.values import CONTEXT, Value, YearsMonthsDuration

BUILTINS = Registry()

_MIN_SCALE, _MAX_SCALE = -6111, 6176
_EXACT = Context(prec=12_400, traps=[DivisionByZero, InvalidOperation])
"""Holds the quotient of any two numbers of decimal128, as a remainder needs."""


def _rounded(value: Decimal, scale: Decimal | None, rounding: str) -> Decimal:
    places = Decimal(0) if scale is None else scale
    whole = int(places) if abs(places) < 10_000 else 10_000
    if not _MIN_SCALE <= whole <= _MAX_SCALE:
        raise ValueError("scale out of range")
    exponent = -whole
    if not value.is_zero() and value.adjusted() - exponent >= CONTEXT.prec:
        return value  # more digits than fit: nothing to round off
    return value.quantize(Decimal((0, (1,), exponent)), rounding=rounding, context=CONTEXT)


@BUILTINS("decimal(n: number, scale: number)")
def decimal(value: Decimal, scale: Decimal) -> Decimal:
    """Return a number rounded half to even."""
    return _rounded(value, scale, ROUND_HALF_EVEN)


@BUILTINS("floor(n: number, scale?: number)")
def floor(value: Decimal, scale: Decimal | None) -> Decimal:
    """Return a number rounded towards minus infinity."""
    return _rounded(value, scale, ROUND_FLOOR)


@BUILTINS("ceiling(n: number, scale?: number)")
def ceiling(value: Decimal, scale: Decimal | None) -> Decimal:
    """Return a number rounded towards infinity."""
    return _rounded(value, scale, ROUND_CEILING)


@BUILTINS("round up(n: number, scale: number)")
def round_up(value: Decimal, scale: Decimal) -> Decimal:
    """Return a number rounded away from zero."""
    return _rounded(value, scale, ROUND_UP)


@BUILTINS("round down(n: number, scale: number)")
def round_down(value: Decimal, scale: Decimal) -> Decimal:
    """Return a number rounded towards zero."""
    return _rounded(value, scale, ROUND_DOWN)


@BUILTINS("round half up(n: number, scale: number)")
def round_half_up(value: Decimal, scale: Decimal) -> Decimal:
    """Return a number rounded, halves away from zero."""
    return _rounded(value, scale, ROUND_HALF_UP)


@BUILTINS("round half down(n: number, scale: number)")
def round_half_down(value: Decimal, scale: Decimal) -> Decimal:
    """Return a number rounded, halves towards zero."""
    return _rounded(value, scale, ROUND_HALF_DOWN)


@BUILTINS("abs(n: number)")
def absolute(value: Decimal) -> Decimal:
    """Return a number without its sign."""
    return CONTEXT.abs(value)


@BUILTINS("abs(n: duration)")
def absolute_duration(value: Value) -> Value:
    """Return a duration without its sign."""
    zero: Value = timedelta() if isinstance(value, timedelta) else YearsMonthsDuration(0)
    return negate(value) if value < zero else value


@BUILTINS("modulo(dividend: number, divisor: number)")
def modulo(dividend: Decimal, divisor: Decimal) -> Decimal:
    """Return the remainder `dividend - divisor * floor(dividend / divisor)`, which has the divisor's sign."""
    rest = CONTEXT.plus(_EXACT.remainder(dividend, divisor))
    return CONTEXT.add(rest, divisor) if rest and (rest < 0) != (divisor < 0) else rest


@BUILTINS("sqrt(number: number)")
def sqrt(value: Decimal) -> Decimal:
    """Return the square root."""
    return CONTEXT.sqrt(value)


@BUILTINS("log(number: number)")
def log(value: Decimal) -> Decimal | None:
    """Return the natural logarithm of a positive number."""
    return CONTEXT.ln(value) if value > 0 else None


@BUILTINS("exp(number: number)")
def exp(value: Decimal) -> Decimal:
    """Return Euler's number to a power."""
    return CONTEXT.exp(value)


@BUILTINS("odd(number: number)")
def odd(value: Decimal) -> bool:
    """Return whether a number is odd."""
    return abs(_EXACT.remainder(value, Decimal(2))) == 1


@BUILTINS("even(number: number)")
def even(value: Decimal) -> bool:
    """Return whether a number is even."""
    return _EXACT.remainder(value, Decimal(2)) == 0
