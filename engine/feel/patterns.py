"""Regular expressions of XPath 3.1 (DMN 1.5, 10.3.4.3 `matches`, `replace`, `split`), without a way to hang.

A pattern is translated to the `regex` package's syntax (`xpath`), whose searches stop when the run's time is up; what
XPath does not have (look-around, recursion, comments, named groups) is refused: the answer is null. Patterns that are
too large to compile are a FeelLimitError.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Final

from engine.feel.errors import FeelLimitError
from engine.feel.limits import Run
from engine.feel.xpath import too_large, translated, without_spaces

if TYPE_CHECKING:
    import regex

_MAX_PATTERN: Final = 1_000


def search(text: str, pattern: str, flags: str, run: Run) -> bool:
    """Return whether the pattern is found; ValueError when it is none, FeelLimitError when it is too large or slow."""
    with _timed(run) as seconds:
        return _compiled(pattern, flags).search(text, timeout=seconds) is not None


def replace(text: str, pattern: str, replacement: str, flags: str, run: Run) -> str:
    """Return the text with every match replaced; errors as `search`, ValueError when the pattern matches nothing."""
    with _timed(run):
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
    with _timed(run):
        compiled = _compiled(pattern, "")
    matches = _matches(compiled, text, run)
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
    """Yield the seconds that the run has left for patterns and take off what compiling or searching used."""
    run.charge(1)
    _package()
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


@cache
def _package() -> ModuleType:
    """Return the package, loaded when first asked for: it is slow to load, and few expressions have patterns."""
    import regex

    return regex


@lru_cache(maxsize=256)
def _compiled(pattern: str, flags: str) -> "regex.Pattern[str]":
    package = _package()
    if len(pattern) > _MAX_PATTERN:
        raise FeelLimitError(
            f"正则表达式超过 {_MAX_PATTERN} 个字符，请缩短或拆成几个", f"the pattern exceeds {_MAX_PATTERN} characters"
        )
    if not set(flags) <= set("smixq"):
        raise ValueError("no such flag")
    if "q" in flags:
        text = package.escape(pattern)
    else:
        text = translated(without_spaces(pattern) if "x" in flags else pattern, flags)
    chosen = "".join(sorted(set(flags) & set("smi")))
    prefix = f"(?{chosen})" if chosen else ""
    try:
        compiled: regex.Pattern[str] = package.compile(prefix + text, package.VERSION1)
    except package.error as error:
        raise ValueError("no such pattern") from error
    except (RecursionError, MemoryError, OverflowError):
        raise too_large() from None
    return compiled
