"""String functions (DMN 1.5, 10.3.4.3). Positions count characters from 1, from the end when negative."""

from decimal import Decimal

from engine.feel import patterns
from engine.feel.functions.positions import section
from engine.feel.functions.registry import Registry
from engine.feel.limits import Run
from engine.feel.texts import text_of
from engine.feel.values import Value

BUILTINS = Registry()


@BUILTINS("substring(string: string, start position: number, length?: number)")
def substring(text: str, start: Decimal, length: Decimal | None) -> str:
    """Return the part of a text from a position, of a length or to its end; null beyond either (footnote 1)."""
    begin, end = section(start, length, len(text))
    return text[begin:end]


@BUILTINS("string length(string: string)")
def string_length(text: str) -> Decimal:
    """Return the number of characters."""
    return Decimal(len(text))


@BUILTINS("upper case(string: string)", takes_run=True)
def upper_case(run: Run, text: str) -> str:
    """Return a text in capitals, which may be longer (ß: SS)."""
    return text_of(text.upper(), run)


@BUILTINS("lower case(string: string)", takes_run=True)
def lower_case(run: Run, text: str) -> str:
    """Return a text in small letters."""
    return text_of(text.lower(), run)


@BUILTINS("substring before(string: string, match: string)")
def substring_before(text: str, match: str) -> str:
    """Return what stands before the first match, or nothing."""
    before, found, _ = text.partition(match) if match else ("", "", "")
    return before if found else ""


@BUILTINS("substring after(string: string, match: string)")
def substring_after(text: str, match: str) -> str:
    """Return what stands after the first match, or nothing."""
    return text.partition(match)[2] if match else text


@BUILTINS("contains(string: string, match: string)")
def contains(text: str, match: str) -> bool:
    """Return whether a text holds another."""
    return match in text


@BUILTINS("starts with(string: string, match: string)")
def starts_with(text: str, match: str) -> bool:
    """Return whether a text begins with another."""
    return text.startswith(match)


@BUILTINS("ends with(string: string, match: string)")
def ends_with(text: str, match: str) -> bool:
    """Return whether a text ends with another."""
    return text.endswith(match)


@BUILTINS("matches(input: string, pattern: string, flags?: any)", takes_run=True)
def matches(run: Run, text: str, pattern: str, flags: Value) -> bool:
    """Return whether an XPath regular expression is found in a text."""
    return patterns.search(text, pattern, _flags(flags), run)


@BUILTINS("replace(input: string, pattern: string, replacement: string, flags?: any)", takes_run=True)
def replace(run: Run, text: str, pattern: str, replacement: str, flags: Value) -> str:
    """Return a text with each match of an XPath regular expression replaced; `$1` stands for a group."""
    return patterns.replace(text, pattern, replacement, _flags(flags), run)


@BUILTINS("split(string: string, delimiter: string)", takes_run=True)
def split(run: Run, text: str, delimiter: str) -> list[str]:
    """Return the parts of a text between the matches of an XPath regular expression."""
    return patterns.split(text, delimiter, run)


def _flags(flags: Value) -> str:
    if flags is not None and type(flags) is not str:
        raise ValueError("flags are text")
    return flags or ""


@BUILTINS("string join(list: list, delimiter?: any)", takes_run=True)
def string_join(run: Run, texts: list[Value], delimiter: Value) -> str | None:
    """Return the texts of a list, nulls left out, with a delimiter between them."""
    if delimiter is not None and type(delimiter) is not str:
        return None
    present = [text for text in texts if text is not None]
    if not all(type(text) is str for text in present):
        return None
    run.text(sum(map(len, present)) + len(delimiter or "") * len(present))
    return text_of((delimiter or "").join(present), run)
