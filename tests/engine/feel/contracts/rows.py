"""Rows of the contract: what DMN 1.5 says that an expression means, written without a look at the implementation.

A row is `(text, value)` or `(text, value, context)` behind its clause.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine import feel
from engine.feel import Range, YearsMonthsDuration

FIELDS = ("clause", "text", "value", "context")
INVALID = object()


def rows(clause: str, *table: tuple[Any, ...]) -> list[Any]:
    """Return the parameters of one clause's rows."""
    found = []
    for row in table:
        text, value, context = row if len(row) == 3 else (*row, {})
        found.append(pytest.param(clause, text, value, context, id=f"{clause} {text}"[:110]))
    return found


def says(clause: str, text: str, value: Any, context: Mapping[str, Any]) -> None:
    """Assert that the expression has this value, kinds included."""
    actual = feel.compile(text, names=context).evaluate(context)
    assert same(actual, value), f"DMN 1.5, {clause}: {text} is {actual!r}, not {value!r}"


def same(actual: Any, wanted: Any) -> bool:
    """Return whether two values are the same of the same kind: no number for a boolean, no instant for another zone."""
    if isinstance(wanted, bool) or wanted is None:
        return actual is wanted
    if isinstance(wanted, int | Decimal):
        return isinstance(actual, Decimal) and actual == wanted
    if isinstance(wanted, list):
        return isinstance(actual, list) and len(actual) == len(wanted) and all(map(same, actual, wanted))
    if isinstance(wanted, dict):
        return (
            isinstance(actual, dict)
            and actual.keys() == wanted.keys()
            and all(same(actual[k], wanted[k]) for k in wanted)
        )
    if isinstance(wanted, datetime | time):
        return type(actual) is type(wanted) and actual == wanted and actual.utcoffset() == wanted.utcoffset()
    return type(actual) is type(wanted) and bool(actual == wanted)


def num(text: str) -> Decimal:
    return Decimal(text)


def day(text: str) -> date:
    return date.fromisoformat(text)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def clock(text: str) -> time:
    return time.fromisoformat(text)


def lasting(**parts: float) -> timedelta:
    return timedelta(**parts)


def months(count: int) -> YearsMonthsDuration:
    return YearsMonthsDuration(count)


def span(low: Any, high: Any, ends: str = "[]") -> Range:
    return Range(low, high, ends[0] == "[", ends[1] == "]")
