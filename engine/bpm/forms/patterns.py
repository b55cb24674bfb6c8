"""Regular expressions of designers: what could take for ever is refused before it is compiled.

Searches stop after a time as well (`validating`); but a repetition of repetitions already takes for ever to compile,
and a form that can only ever answer "too slow" should be refused when it is written.
"""

import regex

MAX_LENGTH = 500
MAX_SIZE = 5_000
"""Characters that a pattern may stand for once its counted repetitions are written out."""

_QUANTIFIER = regex.compile(r"[*+?]|\{(\d{1,9})(,?)(\d{0,9})\}")
_CLASS = regex.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", regex.DOTALL)
_GROUP = regex.compile(r"\((?:\?(?:[:=!]|<[=!]|<[A-Za-z]\w*>))?")
# Recursion, conditions, comments, inline flags and verbs of the library; JavaScript has none of them.
_FOREIGN = regex.compile(r"\((?:\?(?![:=!<])|\*)|\\[gLNKGRX]|\[[^\]]*\[")


class Unsafe(ValueError):
    """A pattern that is malformed or may run too long; the message says why, in Chinese."""


def compile_pattern(text: str) -> "regex.Pattern[str]":
    """Return the compiled pattern of JavaScript's syntax as form-js has it (unanchored); Unsafe when it is refused."""
    if len(text) > MAX_LENGTH:
        raise Unsafe(f"正则表达式超过 {MAX_LENGTH} 个字符")
    if _FOREIGN.search(text):
        raise Unsafe("正则表达式使用了不支持的语法")
    _measure(text)
    try:
        return regex.compile(text)
    except (regex.error, ValueError, OverflowError, RecursionError):
        raise Unsafe("正则表达式有误，请检查括号和重复次数") from None


def _measure(text: str) -> None:
    """Refuse a repetition inside a repetition, and counts that multiply."""
    # One entry for each open group: its size so far, and whether something in it repeats a varying number of times.
    groups: list[tuple[int, bool]] = [(0, False)]
    position = 0
    while position < len(text):
        size, varies = 1, False
        char = text[position]
        if char == "\\":
            position += 2
        elif char == "[" and (found := _CLASS.match(text, position)):
            position = found.end()
        elif char == "(" and (found := _GROUP.match(text, position)):
            groups.append((0, False))
            position = found.end()
            continue
        elif char == ")" and len(groups) > 1:
            size, varies = groups.pop()
            position += 1
        else:
            position += 1
        quantifier = _QUANTIFIER.match(text, position)
        if quantifier:
            position = quantifier.end()
            most, changes = _most(quantifier)
            if varies and (most > 1 or most == 0):
                raise Unsafe("正则表达式在重复中嵌套重复，可能极慢；请改写，使 ( ) 中不再有 + * 后又整体重复")
            varies = varies or changes
            size *= max(most, 1)
            if position < len(text) and text[position] in "?+":
                position += 1
        total, any_varies = groups[-1]
        total += size
        if total > MAX_SIZE:
            raise Unsafe(f"正则表达式的重复次数过大，展开后至多 {MAX_SIZE} 个字符")
        groups[-1] = (total, any_varies or varies)


def _most(quantifier: "regex.Match[str]") -> tuple[int, bool]:
    """Return the greatest count (0: unbounded), and whether the count varies (`?` counts as fixed)."""
    if quantifier[0] == "?":
        return 1, False
    if quantifier[0] in ("*", "+"):
        return 0, True
    if not quantifier[2]:
        return int(quantifier[1]), False
    return (int(quantifier[3]), quantifier[1] != quantifier[3]) if quantifier[3] else (0, True)
