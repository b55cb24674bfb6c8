"""Text of literals to values."""

import re
from decimal import Decimal, InvalidOperation, Overflow

from engine.feel.temporal import parse_at
from engine.feel.values import CONTEXT

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{6})|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\"}


def number_literal(text: str) -> Decimal:
    """Return a number rounded to 34 digits; ValueError(message, English) beyond the range of decimal128."""
    try:
        return CONTEXT.create_decimal(text)
    except (InvalidOperation, Overflow):
        raise ValueError("数字超出范围", "the number is out of range") from None


def string_literal(text: str) -> str:
    r"""Return the value of a quoted string; unknown escapes such as `\d` stay as they are (patterns use them).

    ValueError(message, English) when `\u` escapes make half of a surrogate pair or no character at all.
    """
    body = text[1:-1]
    if "\\" not in body:
        return body

    def unescape(match: re.Match[str]) -> str:
        short, long, simple = match.groups()
        if simple is not None:
            return _SIMPLE.get(simple, match.group())
        code = int(short or long, 16)
        if code > 0x10FFFF:
            raise ValueError("转义字符超出 Unicode 范围", "the escape is no Unicode character")
        return chr(code)

    value = _ESCAPE.sub(unescape, body)
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ValueError("转义字符不成对（代理对缺一半）", "the escape is half of a surrogate pair") from None


def at_literal(text: str) -> object:
    """Return the date, time, date and time or duration of `@"…"`; None (null) when it is none of them."""
    return parse_at(string_literal(text[1:]))
