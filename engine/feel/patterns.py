"""Regular expressions of XPath 3.1 (DMN 1.5, 10.3.4.3 `matches`, `replace`, `split`), without a way to hang.

A pattern is translated construct by construct to the `regex` package's syntax, whose searches stop when the run's time
is up; what XPath does not have (look-around, recursion, comments, named groups) is refused: the answer is null.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Final

from engine.feel.errors import FeelLimitError
from engine.feel.limits import Run

if TYPE_CHECKING:
    import regex

_MAX_PATTERN: Final = 1_000
_MAX_REPEAT: Final = 1_000

_NAME_START = r"_:\p{L}\p{Nl}"
_NAME_PART = _NAME_START + r"\-.\d\p{M}\p{Pc}"
_CLASSES = {
    "i": f"[{_NAME_START}]", "I": f"[^{_NAME_START}]", "c": f"[{_NAME_PART}]", "C": f"[^{_NAME_PART}]",
}  # fmt: skip
_ESCAPES = frozenset("nrt\\|.?*+(){}-[]^$dDwWsS")
_SPACES = " \t\n\r"


def search(text: str, pattern: str, flags: str, run: Run) -> bool:
    """Return whether the pattern is found; ValueError when it is none, FeelLimitError when it takes too long."""
    compiled = _compiled(pattern, flags)
    with _timed(run) as seconds:
        return compiled.search(text, timeout=seconds) is not None


def replace(text: str, pattern: str, replacement: str, flags: str, run: Run) -> str:
    """Return the text with every match replaced; errors as `search`, ValueError when the pattern matches nothing."""
    compiled = _compiled(pattern, flags)
    parts = [("", replacement)] if "q" in flags else _replacement(replacement, compiled.groups)
    result: list[str] = []
    position = 0
    for match in _matches(compiled, text, run):
        result.append(text[position : match.start()])
        made = [(match.group(int(group)) or "") if group else literal for group, literal in parts]
        run.text(sum(map(len, made)))
        result += made
        position = match.end()
    result.append(text[position:])
    run.text(sum(map(len, result)))
    return "".join(result)


def split(text: str, pattern: str, run: Run) -> list[str]:
    """Return what stands between the matches; errors as `replace`."""
    result: list[str] = []
    position = 0
    for match in _matches(_compiled(pattern, ""), text, run):
        result.append(text[position : match.start()])
        position = match.end()
    result.append(text[position:])
    run.size(len(result))
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


def _replacement(text: str, groups: int) -> list[tuple[str, str]]:
    r"""Return the parts of a replacement: `(group, "")` or `("", literal)`; `\$` and `\\` stand for themselves."""
    parts: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            if text[position + 1 : position + 2] not in ("\\", "$"):
                raise ValueError("a backslash in a replacement stands before $ or \\")
            parts.append(("", text[position + 1]))
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
            parts.append((str(number), "") if number <= groups else ("", ""))
            position = end
        else:
            parts.append(("", character))
            position += 1
    return parts


@lru_cache(maxsize=256)
def _compiled(pattern: str, flags: str) -> "regex.Pattern[str]":
    import regex  # slow to load, and few expressions have patterns

    if len(pattern) > _MAX_PATTERN or not set(flags) <= set("smixq"):
        raise ValueError("no such pattern")
    if "q" in flags:
        translated = regex.escape(pattern)
    else:
        translated = _translate(_without_spaces(pattern) if "x" in flags else pattern, flags)
    chosen = "".join(sorted(set(flags) & set("smi")))
    prefix = f"(?{chosen})" if chosen else ""
    try:
        return regex.compile(prefix + translated, regex.VERSION1)
    except (regex.error, RecursionError, MemoryError, OverflowError) as error:
        raise ValueError("no such pattern") from error


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


def _translate(pattern: str, flags: str) -> str:
    out: list[str] = []
    position, repeats = 0, 1
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
            repeats *= max(most, 1)
            if repeats > _MAX_REPEAT:
                raise ValueError("repeated too often")
        elif character in "*+?" and pattern.startswith("+", position + 1):
            raise ValueError("XPath has no possessive repeats")
        elif character == "$":
            piece, position = "$" if "m" in flags else r"\Z", position + 1
        elif character == ".":
            piece, position = "." if "s" in flags else r"[^\n\r]", position + 1
        else:
            piece, position = character, position + 1
        out.append(piece)
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
    counts = [int(part) for part in parts if part and len(part) < 6]
    if not counts or max(counts) > _MAX_REPEAT:
        raise ValueError("repeated too often")
    return pattern[position : end + 1], end + 1, max(counts)
