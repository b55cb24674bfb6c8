"""Source text to words, numbers, strings and operators; what no token can begin with is refused with its cure."""

import re
from dataclasses import dataclass

from engine.feel.errors import FeelSyntaxError, at

# DMN 1.5, 10.3.1.2, rules 28-30.
_START = (
    r"?A-Z_a-z\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u02FF\u0370-\u037D\u037F-\u1FFF\u200C\u200D\u2070-\u218F"
    r"\u2C00-\u2FEF\u3001-\uD7FF\uF900-\uFDCF\uFDF0-\uFFFD\U00010000-\U000EFFFF"
)
_PART = _START + r"0-9\u00B7\u0300-\u036F\u203F\u2040"

_RAW = re.compile(
    rf"""(?P<skip>[\s\u0085\u1680\u180E\u2000-\u200B\u2028\u2029\u202F\u205F\u3000\uFEFF]+|//[^\n]*|/\*(?s:.*?)\*/)
    |(?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<at>@"(?:[^"\\\n]|\\.)*")
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<word>[{_START}][{_PART}]*)
    |(?P<mark>['\u2019])
    |(?P<op>\*\*|\.\.|->|<=|>=|!=|[-+*/<>=()\[\]{{}},:.])""",
    re.VERBOSE,
)

FULLWIDTH = dict(zip("（），：；＝＞＜＋－＊／［］｛｝．！“”‘’。、", '(),:;=><+-*/[]{}.!"""".,', strict=True))


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind for the grammar, its text (a name with single spaces) and its place."""

    kind: str
    text: str
    offset: int


def raw_tokens(text: str) -> list[Token]:
    """Split `text` into words, numbers, strings and operators; FeelSyntaxError at anything else."""
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _RAW.match(text, position)
        if match is None:
            raise stray(text, position)
        if match.group() == "/" and text.startswith("/*", position):
            raise FeelSyntaxError("注释缺少结束的 */", "the comment is not closed", **at(text, position))
        kind = match.lastgroup
        if kind is not None and kind != "skip":
            tokens.append(Token(kind, match.group(), position))
        position = match.end()
    return tokens


def stray(text: str, position: int) -> FeelSyntaxError:
    """Return the refusal of a character that no token begins with."""
    character = text[position]
    if character == '"' or text.startswith('@"', position):
        return FeelSyntaxError("文本缺少结束的双引号", "the string is not closed", **at(text, position))
    if character in FULLWIDTH:
        return fullwidth(text, position)
    if character == "'":
        return FeelSyntaxError("文本请用双引号", "strings take double quotes", **at(text, position))
    return FeelSyntaxError(f"不认识的字符“{character}”", f"unexpected character {character!r}", **at(text, position))


def fullwidth(text: str, position: int) -> FeelSyntaxError:
    """Return the refusal of a full-width sign, which names the plain one."""
    character = text[position]
    plain = FULLWIDTH[character]
    said = '全角引号请改为半角 "' if character in "“”‘’" else f"全角符号“{character}”请改为半角 {plain}"
    return FeelSyntaxError(
        said,
        f"full-width {character!r}: write {plain} instead",
        **at(text, position),
    )
