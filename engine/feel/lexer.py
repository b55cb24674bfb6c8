"""Source text to tokens.

FEEL's names may hold spaces (`申请 天数`, `date and time`) and even operators and keywords, which no LALR grammar can
split. So names are joined here, before parsing, by three rules: the longest known name that matches token by token
wins (known: `names` of the caller, keys and parameters in the same text, and the built-ins); a keyword is a keyword
unless it follows a dot or is a key; and neighbouring words that are neither are one name, since no grammar rule lets
two names stand side by side. Brackets that open or close ranges the wrong way round (`]1..9[`) get kinds of their own.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from engine.feel.errors import FeelSyntaxError, at
from engine.feel.scanner import FULLWIDTH, Token, fullwidth, raw_tokens, stray

_OPERATORS = {
    "**": "POW", "..": "DOTS", "->": "ARROW", "<=": "CMP", ">=": "CMP", "!=": "CMP", "<": "CMP", ">": "CMP",
    "=": "CMP", "+": "PLUS", "-": "MINUS", "*": "STAR", "/": "SLASH", "(": "LPAR", ")": "RPAR", "[": "LSQB",
    "]": "RSQB", "{": "LBRACE", "}": "RBRACE", ",": "COMMA", ":": "COLON", ".": "DOT",
}  # fmt: skip
_KEYWORDS = frozenset("if then else for in return some every satisfies and or between function true false null".split())
_LOOKALIKES = _KEYWORDS - {"null", "function"} | {"not"}
_TYPE_NAMES = ("date and time", "years and months duration", "days and time duration")
_NAME_SIGNS = frozenset("+-*/.")
_GENERIC = frozenset({"list", "range", "context", "function"})
_OPERAND_ENDS = frozenset(
    {"NAME", "NUMBER", "STRING", "AT", "TRUE", "FALSE", "NULL", "RPAR", "RSQB", "RBRACE", "RRANGE"}
)
_OPERAND_STARTS = frozenset({"number", "string", "at", "word"})
_NOT_OPERANDS = frozenset({"then", "else", "return", "satisfies", "and", "or", "between", "in", "instance"})


class KnownNames:
    """Names of one or more tokens, as a tree of token texts; the key None holds the name that ends there.

    `others` are known too.
    """

    def __init__(self, names: Iterable[str] = (), others: "KnownNames | None" = None) -> None:
        self._tree: dict[str | None, Any] = {}
        self._others = others
        for name in names:
            try:
                parts = [token.text for token in raw_tokens(name)]
            except FeelSyntaxError:  # a key that no expression can spell
                continue
            self.add(parts, " ".join(name.split()))

    def add(self, parts: Sequence[str], name: str) -> None:
        """Make the sequence of token texts `parts` known as `name`; a lone keyword stays a keyword."""
        if not parts or (len(parts) == 1 and parts[0] in _KEYWORDS):
            return
        tree = self._tree
        for part in parts:
            tree = tree.setdefault(part, {})
        tree[None] = name

    def match(self, tokens: Sequence[Token], index: int) -> tuple[str, int] | None:
        """Return the longest known name at `index` and its number of tokens."""
        tree = self._tree
        found = None if self._others is None else self._others.match(tokens, index)
        for position in range(index, len(tokens)):
            tree = tree.get(tokens[position].text, {})
            if not tree:
                break
            if None in tree and (found is None or position + 1 - index >= found[1]):
                found = (tree[None], position + 1 - index)
        return found


_TYPES = KnownNames(_TYPE_NAMES)


def tokens_of(text: str, names: Iterable[str] | None = None) -> list[Token]:
    """Return the tokens of `text` with names joined and brackets told apart; FeelSyntaxError."""
    raw = raw_tokens(text)
    known = KnownNames(others=_known(frozenset(names or ())))
    _declare_names(text, raw, known)
    return _Joiner(text, raw, known).run()


@lru_cache(maxsize=32)
def _known(names: frozenset[str]) -> KnownNames:
    """Return the names of a caller, who has many texts with the same ones."""
    return KnownNames(names)


def _declare_names(text: str, raw: list[Token], known: KnownNames) -> None:
    """Make known what the text itself names: keys of contexts, arguments and parameters with operators in them."""
    brackets: list[str] = []
    for index, token in enumerate(raw):
        if token.kind != "op":
            continue
        if token.text in "([{":
            brackets.append(token.text)
        elif token.text in ")]}" and brackets:
            brackets.pop()
        if brackets and token.text in (brackets[-1], ",") and brackets[-1] != "[":
            parts = _before_colon(raw, index + 1)
            # Words alone join anyway, and a call must not make `a and b` a name elsewhere.
            if parts and (brackets[-1] == "{" or any(part.kind in ("op", "mark") for part in parts)):
                name = " ".join(text[parts[0].offset : parts[-1].offset + len(parts[-1].text)].split())
                known.add([part.text for part in parts], name)


def _before_colon(raw: list[Token], start: int) -> list[Token]:
    """Return the tokens of what may be a name with a colon behind it."""
    end = start
    while end < len(raw) and (raw[end].kind in ("word", "number", "mark") or raw[end].text in _NAME_SIGNS):
        end += 1
    is_name = start < end < len(raw) and raw[end].text == ":" and raw[start].kind == "word"
    return raw[start:end] if is_name else []


class _Joiner:
    """One pass over the raw tokens of a text."""

    def __init__(self, text: str, raw: list[Token], known: KnownNames) -> None:
        self.text, self.raw, self.known = text, raw, known
        self.out: list[Token] = []
        self.brackets: list[tuple[str, int]] = []  # opening kind, position of its range dots (-1: none yet)

    def run(self) -> list[Token]:
        index = 0
        while index < len(self.raw):
            index += self._next(index)
        return self.out

    def _last(self) -> str:
        return self.out[-1].kind if self.out else ""

    def _peek(self, index: int) -> str:
        return self.raw[index].text if index < len(self.raw) else ""

    def _emit(self, kind: str, token: Token, text: str | None = None) -> None:
        self.out.append(Token(kind, token.text if text is None else text, token.offset))

    def _next(self, index: int) -> int:
        token = self.raw[index]
        if token.kind == "op":
            self._operator(token, index)
            return 1
        if token.kind == "word":
            return self._word(token, index)
        if token.kind == "mark":  # an apostrophe stands in known names only
            raise stray(self.text, token.offset)
        self._emit(token.kind.upper(), token)
        return 1

    def _word(self, token: Token, index: int) -> int:
        last = self._last()
        if token.text == "instance" and self._peek(index + 1) == "of" and last in _OPERAND_ENDS:
            self._emit("INSTANCEOF", token, "instance of")
            return 2
        in_type = last in ("INSTANCEOF", "TLT", "ARROW", "COLON") or (last == "COMMA" and self._in_type())
        built_in, known = _TYPES.match(self.raw, index), self.known.match(self.raw, index)
        longer = built_in and known and known[1] > built_in[1]
        if built_in and not longer and (in_type or self._peek(index + built_in[1]) == "("):
            self._emit("NAME", token, built_in[0])
            return built_in[1]
        if known:
            self._emit("NAME", token, known[0])
            return known[1]
        if token.text == "function" and last in ("INSTANCEOF", "TLT", "ARROW"):
            self._emit("FUNCTION", token)
            return 1
        if token.text in _KEYWORDS and last != "DOT" and not self._is_key(index):
            self._emit(token.text.upper(), token)
            return 1
        if token.text == "external" and last == "RPAR" and self._peek(index + 1) == "{":
            self._emit("EXTERNAL", token)
            return 1
        return self._name(token, index)

    def _name(self, token: Token, index: int) -> int:
        end = index + 1
        while end < len(self.raw) and self.raw[end].kind == "word" and not self._ends_name(end):
            end += 1
        parts = [part.text for part in self.raw[index:end]]
        if self._last() != "DOT":
            for part in self.raw[index:end]:
                wide = next((place for place, character in enumerate(part.text) if character in FULLWIDTH), None)
                if wide is not None:
                    raise fullwidth(self.text, part.offset + wide)
        if len(parts) > 1 and self._last() != "DOT":
            self._refuse_operators(self.raw[index:end])
        self._emit("NAME", token, " ".join(parts))
        return end - index

    def _refuse_operators(self, words: Sequence[Token]) -> None:
        """Refuse `not x` and `a AND b`, which would pass for names of several words and be null for ever."""
        for word in words:
            plain = word.text.lower()
            if plain in _LOOKALIKES:
                cure = "not(…)" if plain == "not" else plain
                raise FeelSyntaxError(
                    f"“{word.text}”在此会被当作名称的一部分，请写 {cure}",
                    f"{word.text!r} reads as a part of a name here; write {cure}",
                    **at(self.text, word.offset),
                )

    def _ends_name(self, index: int) -> bool:
        word = self.raw[index].text
        return word in _KEYWORDS or (word == "instance" and self._peek(index + 1) == "of")

    def _is_key(self, index: int) -> bool:
        return self._peek(index + 1) == ":" and self._last() in ("LBRACE", "COMMA", "LPAR")

    def _in_type(self) -> bool:
        return bool(self.brackets) and self.brackets[-1][0] == "TLT"

    def _operator(self, token: Token, index: int) -> None:
        text, last = token.text, self._last()
        kind = _OPERATORS[text]
        if text == "<" and self.out and self._opens_type():
            kind = "TLT"
            self.brackets.append((kind, -1))
        elif text == ">" and self._in_type():
            kind = "TGT"
            self.brackets.pop()
        elif text in "({" or (text == "[" and not self._closes_range(index)):
            self.brackets.append((kind, -1))
        elif text == "]" and last not in _OPERAND_ENDS and last != "LSQB":
            kind = "LRANGE"
            self.brackets.append((kind, -1))
        elif text in ")]}[":
            kind = "RRANGE" if text == "[" else kind
            if self.brackets:
                self.brackets.pop()
        elif text == ".." and self.brackets:
            self.brackets[-1] = (self.brackets[-1][0], index)
        self._emit(kind, token)

    def _opens_type(self) -> bool:
        before = self.out[-2].kind if len(self.out) > 1 else ""
        in_type = before in ("INSTANCEOF", "TLT", "ARROW", "COLON") or (before == "COMMA" and self._in_type())
        return in_type and self.out[-1].text in _GENERIC

    def _closes_range(self, index: int) -> bool:
        """Tell the end of `[1..9[` from a filter: after a range's dots, with no operand behind it."""
        if not self.brackets or self.brackets[-1][1] < 0 or self._last() not in _OPERAND_ENDS:
            return False
        if index + 1 >= len(self.raw):
            return True
        behind = self.raw[index + 1]
        return not (
            (behind.kind in _OPERAND_STARTS and behind.text not in _NOT_OPERANDS) or behind.text in ("(", "[", "{", "-")
        )
