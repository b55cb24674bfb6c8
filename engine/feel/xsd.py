"""Values of XML Schema's simple types as FEEL's values (DMN 1.5, 10.3.2.9.4 and table 41)."""

import re
from collections.abc import Callable
from datetime import timedelta

from engine.feel.errors import FeelError
from engine.feel.literals import number_literal
from engine.feel.temporal import parse_date, parse_datetime, parse_duration, parse_time
from engine.feel.values import Value, YearsMonthsDuration

_SPACES = " \t\n\r"
_DECIMAL = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_DECIMAL_RE = re.compile(_DECIMAL)
_FLOAT_RE = re.compile(rf"{_DECIMAL}(?:[eE][+-]?[0-9]+)?")
_INTEGER_RE = re.compile(r"[+-]?[0-9]+")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _number(pattern: re.Pattern[str], low: int | None = None, high: int | None = None) -> Callable[[str], Value]:
    def read(text: str) -> Value:
        if not pattern.fullmatch(text):
            return None
        value = number_literal(text)
        return value if (low is None or low <= value) and (high is None or value <= high) else None

    return read


def _bits(size: int, *, signed: bool) -> Callable[[str], Value]:
    return _number(_INTEGER_RE, -(2 ** (size - 1)) if signed else 0, 2 ** (size - 1 if signed else size) - 1)


def _in_xsd_zone(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """Leave out the zones that FEEL alone can spell: names, and the small `z`."""
    return lambda text: None if "@" in text or text.endswith("z") else parse(text)


def _duration(kind: type) -> Callable[[str], Value]:
    def read(text: str) -> Value:
        value = parse_duration(text)
        return value if type(value) is kind else None

    return read


_READERS: dict[str, Callable[[str], Value]] = {
    "boolean": _BOOLEANS.get,
    "decimal": _number(_DECIMAL_RE), "double": _number(_FLOAT_RE), "float": _number(_FLOAT_RE),
    "integer": _number(_INTEGER_RE),
    "positiveInteger": _number(_INTEGER_RE, 1), "nonNegativeInteger": _number(_INTEGER_RE, 0),
    "negativeInteger": _number(_INTEGER_RE, None, -1), "nonPositiveInteger": _number(_INTEGER_RE, None, 0),
    "long": _bits(64, signed=True), "int": _bits(32, signed=True),
    "short": _bits(16, signed=True), "byte": _bits(8, signed=True),
    "unsignedLong": _bits(64, signed=False), "unsignedInt": _bits(32, signed=False),
    "unsignedShort": _bits(16, signed=False), "unsignedByte": _bits(8, signed=False),
    "date": parse_date, "time": _in_xsd_zone(parse_time),
    "dateTime": _in_xsd_zone(lambda text: parse_datetime(text) if "T" in text else None),
    "duration": parse_duration,
    "dayTimeDuration": _duration(timedelta), "yearMonthDuration": _duration(YearsMonthsDuration),
}  # fmt: skip
_TEXTS: dict[str, Callable[[str], str]] = {
    "string": lambda text: text,
    "normalizedString": lambda text: re.sub(f"[{_SPACES}]", " ", text),
    "token": lambda text: re.sub(f"[{_SPACES}]+", " ", text).strip(" "),
    "anyURI": lambda text: text.strip(_SPACES),
}
_PREFIXES = frozenset({"", "xsd", "xs"})


def from_xsd(type: str, text: str | None) -> Value:  # noqa: A002
    """Return the FEEL value of a text of an XML Schema type; None (`xsi:nil`) is null.

    `type` is a simple type's name with the prefix `xsd:`, `xs:` or none: texts become strings, all numbers a number of
    34 digits, `duration` the one of FEEL's two durations that its text spells. FeelError for an unknown type, a text
    that is not of the type, and what FEEL has no value for: infinities, durations of months and days, dates with a
    zone. Source: DMN 1.5, 10.3.2.9.4; XML Schema 1.1 part 2.
    """
    prefix, _, name = type.rpartition(":")
    if prefix not in _PREFIXES or (name not in _READERS and name not in _TEXTS):
        raise FeelError(f"不认识 XML Schema 类型“{type[:60]}”", f"unknown XML Schema type {type[:60]!r}")
    if text is None:
        return None
    if name in _TEXTS:
        return _TEXTS[name](text)
    try:
        value = _READERS[name](text.strip(_SPACES))
    except ValueError:  # a number out of range
        value = None
    if value is None:
        shown = text if len(text) <= 60 else text[:59] + "…"
        raise FeelError(f"“{shown}”不是 XML Schema 的 {name}", f"{shown!r} is no XML Schema {name}")
    return value
