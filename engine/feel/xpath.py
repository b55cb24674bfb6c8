"""XPath 3.1's regular expressions in the syntax of the `regex` package, construct by construct, for `patterns`."""

from typing import Final

from engine.feel.errors import FeelLimitError

_MAX_SIZE: Final = 10_000
"""Constructs of a pattern with its counted repeats written out, as the package compiles them."""

_NAME_START = r"_:\p{L}\p{Nl}"
_NAME_PART = _NAME_START + r"\-.\d\p{M}\p{Pc}"
_CLASSES = {
    "i": f"[{_NAME_START}]", "I": f"[^{_NAME_START}]", "c": f"[{_NAME_PART}]", "C": f"[^{_NAME_PART}]",
}  # fmt: skip
_ESCAPES = frozenset("nrt\\|.?*+(){}-[]^$dDwWsS")
_SPACES = " \t\n\r"


def without_spaces(pattern: str) -> str:
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
        self._last = max(self._groups.pop(), 1) if construct == ")" and len(self._groups) > 1 else 1
        self._grow(self._last)

    def repeat(self, most: int) -> None:
        """Multiply what was counted last."""
        self._grow(self._last * (most - 1))
        self._last *= most

    def _grow(self, by: int) -> None:
        self._groups[-1] += by
        if self._groups[-1] > _MAX_SIZE:
            raise too_large()


def too_large() -> FeelLimitError:
    """Return the refusal of a pattern that is too large to compile."""
    return FeelLimitError(
        f"正则表达式展开后超过 {_MAX_SIZE} 项，请减小花括号里的重复次数，或改用 * 和 +",
        f"the pattern is larger than {_MAX_SIZE} constructs with its repeats written out; repeat less, or by * and +",
    )


def translated(pattern: str, flags: str) -> str:
    """Return a pattern in the package's syntax; ValueError when it is none, FeelLimitError when it is too large."""
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
        raise too_large()
    return pattern[position : end + 1], end + 1, max(int(part) for part in parts if part)
