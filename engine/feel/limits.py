"""Bounds of one evaluation: no expression of a designer may hang or exhaust the process.

Straight-line code is bounded by the length of its source, so only what repeats pays: each turn of a loop costs the
number of nodes of its body, each built-in the size of what it reads and makes.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.feel.errors import FeelLimitError

MAX_SOURCE = 20_000
"""Characters of one expression."""
MAX_NESTING = 100
"""Levels of one expression."""
MAX_DEPTH = 64
"""Levels of nested data, and of calls of user-defined functions within each other."""
MAX_NOTES = 200
"""Messages, and traces, that one evaluation keeps beside its value."""
CHARS_PER_STEP = 100
"""Characters of text read or made that cost as much as one node."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one evaluation: `steps`, elements of one list, characters of one string."""

    steps: int = 100_000
    list_size: int = 50_000
    string_size: int = 100_000


DEFAULT_LIMITS = Limits()


class Run:
    """The account of one evaluation: what is left of its limits."""

    depth = 0
    pattern_seconds = 0.25
    """Time left for regular expressions, in seconds: the one cost that cannot be counted in steps."""
    reason_steps = 20_000
    """What is left for finding out why something is null."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.steps = limits.steps

    @cached_property
    def cache(self) -> dict[int, tuple[Any, Any]]:
        """Lists and contexts already converted, by their identity: the original, kept alive, and what it became."""
        return {}

    @cached_property
    def messages(self) -> list[str]:
        """Why something is null, in Chinese, in order."""
        return []

    @cached_property
    def trace(self) -> list[Any]:
        """What was decided on the way to the value, such as which rules hit, in order."""
        return []

    def note(self, message: str) -> None:
        """Say why something is null."""
        if len(self.messages) < MAX_NOTES:
            self.messages.append(message)

    def record(self, decided: Any) -> None:
        """Keep a trace of how the value came about."""
        if len(self.trace) < MAX_NOTES:
            self.trace.append(decided)

    def overflow(self) -> None:
        """Say that a number is null because it is beyond decimal128 (DMN 1.5, tables 57, 59 and 60)."""
        self.note("计算结果超出数字范围，为 null")

    def charge(self, steps: int) -> None:
        """Pay for work about to be done; FeelLimitError when the budget is spent."""
        self.steps -= steps
        if self.steps < 0:
            raise FeelLimitError(
                f"表达式的计算量超过上限（{self.limits.steps} 步），请缩小循环范围或列表",
                f"the evaluation exceeds its {self.limits.steps} steps; narrow the loop or the list",
            )

    def size(self, length: int) -> None:
        """Refuse a list of `length` elements when it is over the limit; pays one step per element."""
        if length > self.limits.list_size:
            raise FeelLimitError(
                f"列表长度超过上限（{self.limits.list_size} 项）",
                f"a list exceeds its limit of {self.limits.list_size} elements",
            )
        self.charge(length)

    def text(self, length: int) -> None:
        """Refuse a string of `length` characters when it is over the limit; pays by its length."""
        if length > self.limits.string_size:
            raise FeelLimitError(
                f"文本长度超过上限（{self.limits.string_size} 个字符）",
                f"a string exceeds its limit of {self.limits.string_size} characters",
            )
        self.charge(length // CHARS_PER_STEP)

    def enter(self) -> None:
        """Go one call or one level of data deeper; FeelLimitError when too deep. Pair with `leave`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise too_deep()
        self.charge(1)

    def leave(self) -> None:
        """Come back from one call or one level of data."""
        self.depth -= 1


def too_deep() -> FeelLimitError:
    """Return the refusal of data or calls nested too deeply."""
    return FeelLimitError(
        f"数据或函数调用的嵌套超过 {MAX_DEPTH} 层", f"data or calls are nested deeper than {MAX_DEPTH} levels"
    )
