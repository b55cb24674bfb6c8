"""Regular expressions of XPath 3.1 (DMN 1.5, 10.3.4.3 `matches`, `replace`, `split`), without a way to hang.

A pattern is translated construct by construct to the `regex` package's syntax, whose searches stop when the run's time
is up; what XPath does not have (look-around, recursion, comments, named groups) is refused: the answer is null.
Patterns that are too large to compile are a FeelLimitError.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Final

from engine.feel.errors import FeelLimitError
from engine.feel.limits import Run

if TYPE_CHECKING:
    import regex

_MAX_PATTERN: Final = 1_000
_MAX_SIZE: Final = 10_000
"""Constructs of a pattern with its counted repeats written out, as the package compiles them."""

_NAME_START = r"_:\p{L}\p{Nl}"
_NAME_PART = _NAME_START + r"\-.\d\p{M}\p{Pc}"
_CLASSES = {
    "i": f"[{_NAME_START}]", "I": f"[^{_NAME_START}]", "c": f"[{_NAME_PART}]", "C": f"[^{_NAME_PART}]",
}  # fmt: skip
_ESCAPES = frozenset("nrt\\|.?*+(){}-[]^$dDwWsS")
_SPACES = " \t\n\r"


def search(text: str, pattern: str, flags: str, run: Run) -> bool:
    """Return whether the pattern is found; ValueError when it is none, FeelLimitError when it is too large or slow."""
    compiled = _compiled(pattern, flags)
    with _timed(run) as seconds:
        return compiled.search(text, timeout=seconds) is not None


def replace(text: str, pattern: str, replacement: str, flags: str, run: Run) -> str:
    """Return the text with every match replaced; errors as `search`, ValueError when the pattern matches nothing."""
    compiled = _compiled(pattern, flags)
    parts: list[Part] = [(None, replacement)] if "q" in flags else _replacement(replacement, compiled.groups)
    matches = _matches(compiled, text, run)
    run.charge(len(matches) * len(parts))
    run.text(len(text) + sum(_growth(match, parts) for match in matches))
    result: list[str] = []
    position = 0
    for match in matches:
        result.append(text[position : match.start()])
        result += [literal if group is None else match.group(group) or "" for group, literal in parts]
        position = match.end()
    result.append(text[position:])
    return "".join(result)


def _growth(match: "regex.Match[str]", parts: Sequence["Part"]) -> int:
    """Return by how many characters a replacement is longer than what it replaces."""
    made = (len(literal) if group is None else match.end(group) - match.start(group) for group, literal in parts)
    return sum(made) - (match.end() - match.start())


def split(text: str, pattern: str, run: Run) -> list[str]:
    """Return what stands between the matches; errors as `replace`."""
    matches = _matches(_compiled(pattern, ""), text, run)
    run.size(len(matches) + 1)
    result: list[str] = []
    position = 0
    for match in matches:
        result.append(text[position : match.start()])
        position = match.end()
    result.append(text[position:])
    return result


def _matches(compiled: "regex.Pattern[str]", text: str, run: Run) -> "list[regex.Match[str]]":
    found: list[regex.Match[str]] = []
    with _timed(run) as seconds:
        for match in compiled.finditer(text, timeout=seconds):
            if not match.group():
                raise ValueError("the pattern matches the empty string")
            run.charge(1)
            found.append(match)
    return found


@contextmanager
def _timed(run: Run) -> Iterator[float]:
    """Yield the seconds that the run has left for patterns and take off what the search used."""
    run.charge(1)
    start = perf_counter()
    try:
        if run.pattern_seconds <= 0:
            raise TimeoutError
        yield run.pattern_seconds
    except TimeoutError:
        raise _too_slow() from None
    finally:
        run.pattern_seconds -= perf_counter() - start


def _too_slow() -> FeelLimitError:
    return FeelLimitError("正则表达式匹配时间过长，请简化", "the regular expression takes too long; simplify it")


Part = tuple[int | None, str]
"""A part of a replacement: a group by its number, or a literal text."""


def _replacement(text: str, groups: int) -> list[Part]:
    r"""Return the parts of a replacement; `\$` and `\\` stand for themselves."""
    parts: list[Part] = []
    literal = ""
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            if text[position + 1 : position + 2] not in ("\\", "$"):
                raise ValueError("a backslash in a replacement stands before $ or \\")
            literal += text[position + 1]
            position += 2
        elif character == "$":
            end = position + 1
            while (
                end < len(text)
                and text[end] in "0123456789"
                and (end == position + 1 or int(text[position + 1 : end + 1]) <= groups)
            ):
                end += 1
            if end == position + 1:
                raise ValueError("$ in a replacement stands before a group's number")
            number = int(text[position + 1 : end])
            if number <= groups:
                parts += [(None, literal), (number, "")]
                literal = ""
            position = end
        else:
            literal += character
            position += 1
    return [*parts, (None, literal)]


@lru_cache(maxsize=256)
def _compiled(pattern: str, flags: str) -> "regex.Pattern[str]":
    import regex  # slow to load, and few expressions have patterns

    if len(pattern) > _MAX_PATTERN:
        raise FeelLimitError(
            f"正则表达式超过 {_MAX_PATTERN} 个字符，请缩短或拆成几个", f"the pattern exceeds {_MAX_PATTERN} characters"
        )
    if not set(flags) <= set("smixq"):
        raise ValueError("no such flag")
    if "q" in flags:
        translated = regex.escape(pattern)
    else:
        translated = _translate(_without_spaces(pattern) if "x" in flags else pattern, flags)
    chosen = "".join(sorted(set(flags) & set("smi")))
    prefix = f"(?{chosen})" if chosen else ""
    try:
        return regex.compile(prefix + translated, regex.VERSION1)
    except regex.error as error:
        raise ValueError("no such pattern") from error
    except (RecursionError, MemoryError, OverflowError):
        raise _too_large() from None


def _without_spaces(pattern: str) -> str:
    """Drop white space outside classes, as the flag `x` asks."""
    out: list[str] = []
    depth = position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            escaped = pattern[position + 1 :].lstrip(_SPACES)
            out.append("\\" + escaped[:1])
            position = len(pattern) - len(escaped) + 1
            continue
        depth += {"[": 1, "]": -1}.get(character, 0)
        if depth > 0 or character not in _SPACES:
            out.append(character)
        position += 1
    return "".join(out)


class _Size:
    """The size of a pattern while it is read: every counted repeat multiplies what stands before it."""

    def __init__(self) -> None:
        self._groups = [0]
        self._last = 0

    def add(self, construct: str) -> None:
        """Count a construct; `(` and `)` open and close what a repeat behind it multiplies."""
        if construct == "(":
            self._groups.append(0)
            return
        self._last = self._groups.pop() if construct == ")" and len(self._groups) > 1 else 1
        self._grow(self._last)

    def repeat(self, most: int) -> None:
        """Multiply what was counted last."""
        self._grow(self._last * (most - 1))
        self._last *= most

    def _grow(self, by: int) -> None:
        self._groups[-1] += by
        if self._groups[-1] > _MAX_SIZE:
            raise _too_large()


def _too_large() -> FeelLimitError:
    return FeelLimitError(
        f"正则表达式展开后超过 {_MAX_SIZE} 项，请减小花括号里的重复次数，或改用 * 和 +",
        f"the pattern is larger than {_MAX_SIZE} constructs with its repeats written out; repeat less, or by * and +",
    )


def _translate(pattern: str, flags: str) -> str:
    out: list[str] = []
    position, size = 0, _Size()
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            piece, position = _escape(pattern, position)
        elif character == "[":
            piece, position = _class(pattern, position)
        elif character == "(":
            if pattern.startswith("(?", position) and not pattern.startswith("(?:", position):
                raise ValueError("XPath has no such group")
            piece, position = ("(?:", position + 3) if pattern.startswith("(?:", position) else ("(", position + 1)
        elif character == "{":
            piece, position, most = _repeat(pattern, position)
            size.repeat(max(most, 1))
        elif character in "*+?" and pattern.startswith("+", position + 1):
            raise ValueError("XPath has no possessive repeats")
        elif character == "$":
            piece, position = "$" if "m" in flags else r"\Z", position + 1
        elif character == ".":
            piece, position = "." if "s" in flags else r"[^\n\r]", position + 1
        else:
            piece, position = character, position + 1
        out.append(piece)
        if character != "{":
            size.add(character)
    return "".join(out)


def _escape(pattern: str, position: int) -> tuple[str, int]:
    following = pattern[position + 1 : position + 2]
    if following in ("p", "P"):
        end = pattern.find("}", position)
        name = pattern[position + 3 : end]
        if end < 0 or pattern[position + 2] != "{" or not name.replace("-", "").isalnum():
            raise ValueError("no such category")
        # XPath's blocks are `IsBasicLatin`, the package's `InBasicLatin`.
        return rf"\{following}{{{'In' + name[2:] if name.startswith('Is') else name}}}", end + 1
    if following in _CLASSES:
        return _CLASSES[following], position + 2
    if following and (following in _ESCAPES or following in "123456789"):
        return pattern[position : position + 2], position + 2
    raise ValueError("no such escape")


def _class(pattern: str, position: int) -> tuple[str, int]:
    """Translate a character class; `[a-z-[aeiou]]` subtracts."""
    out = ["["]
    position += 1
    if pattern.startswith("^", position):
        out.append("^")
        position += 1
    first = True
    while position < len(pattern):
        character = pattern[position]
        if character == "]" and not first:
            return "".join([*out, "]"]), position + 1
        if character == "\\":
            if pattern[position + 1 : position + 2].isdigit():
                raise ValueError("no reference in a class")
            piece, position = _escape(pattern, position)
        elif pattern.startswith("-[", position):
            inner, position = _class(pattern, position + 1)
            piece = "--" + inner
        elif character in "[]":
            raise ValueError("a bracket in a class is escaped")
        else:
            piece = "\\" + character if character in "&|~#" else character
            position += 1
        out.append(piece)
        first = False
    raise ValueError("the class is not closed")


def _repeat(pattern: str, position: int) -> tuple[str, int, int]:
    end = pattern.find("}", position)
    parts = pattern[position + 1 : end].split(",") if end > 0 else []
    if not 1 <= len(parts) <= 2 or not (parts[0].isdigit() and (parts[-1].isdigit() or parts[-1] == "")):
        raise ValueError("no such repeat")
    if any(len(part) > 6 for part in parts):
        raise _too_large()
    return pattern[position : end + 1], end + 1, max(int(part) for part in parts if part)
