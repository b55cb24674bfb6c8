"""What the type check says: where, what, and what to write instead, in Chinese and English."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache

from engine.feel.errors import at
from engine.feel.kinds import NAMES
from engine.feel.types import FeelType

CODES = (
    "unknown_name", "unknown_function", "unknown_type", "unknown_path", "unknown_value", "type_operator",
    "type_condition", "type_result", "argument_count", "argument_name", "argument_type", "unreachable_branch",
)  # fmt: skip
"""What a problem may be."""
MAX_PROBLEMS = 20
"""Problems kept of one text."""
_SHOWN = 40  # characters of a name or value in a message


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that surely is not meant in an expression (类型检查的发现).

    `line` and `column` count from 1; `code` is one of CODES; `cure` is a Chinese sentence.
    """

    line: int
    column: int
    code: str
    message: str
    message_en: str
    cure: str


@dataclass(slots=True)
class Problems:
    """Collects the problems of one text."""

    text: str
    found: dict[Problem, None] = field(default_factory=dict)  # a set in order

    def add(self, offset: int, code: str, message: str, message_en: str, cure: str) -> None:
        """Keep a problem at a character offset, as long as there are not too many."""
        if len(self.found) < MAX_PROBLEMS:
            self.found[
                Problem(**at(self.text, offset), code=code, message=message, message_en=message_en, cure=cure)
            ] = None

    def unknown(self, offset: int, code: str, name: str, known: Iterable[str], what: tuple[str, str]) -> None:
        """Add a name that is not among the known ones, with the nearest of them."""
        if len(self.found) < MAX_PROBLEMS:
            near = _nearest(name[:64], tuple(each for each in known if len(each) <= 64)[:1_000])
            cure = f"是不是“{near}”" if near else "检查拼写，改成已有的名称"
            self.add(offset, code, what[0].format(clip(name)), what[1].format(clip(name)), cure)

    def unquoted(self, offset: int, name: str) -> None:
        """Add a name that is none, but a text without its quotes."""
        zh, en = f"“{clip(name)}”不是已知的名称；文本要加双引号", f"{clip(name)!r} is no name; a text takes quotes"
        self.add(offset, "unknown_name", zh, en, f'写成 "{clip(name)}"')


@lru_cache(maxsize=512)
def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    return next(iter(get_close_matches(name, known, 1)), None)


def clip(text: str) -> str:
    """Shorten a name or value for a message."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def shown(of: FeelType) -> str:
    """Return what a type is called in Chinese."""
    return NAMES.get(of.name, of.name)
