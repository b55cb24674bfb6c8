"""Conditions of sequence flows: each knows its FEEL text and, on its own, whether it holds.

The values are computed here in plain Python, never by the product's FEEL, so that a fault there shows as a difference.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

UNKNOWN = "?"
"""The `outcome` of a token behind a join: which branch's outcome it carries is nobody's promise."""

FIELDS = frozenset({"amount", "类别", "urgent", "items", "steps"})
"""Names that are known everywhere; others are items of a multi-instance, known inside it, or `outcome`."""


def is_field(name: str) -> bool:
    """Say whether a name is that of a field or of an item of a multi-instance."""
    return (name in FIELDS and name != "steps") or name.removeprefix("item").isdecimal()


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Condition(Protocol):
    """A condition: its FEEL text and its truth in an environment of names and values."""

    def feel(self) -> str:
        """Return the text for `conditionExpression`."""

    def holds(self, names: Mapping[str, Any]) -> bool:
        """Say whether it is true; KeyError for a name that was never set."""

    def asks(self) -> frozenset[str]:
        """Return the names that occur in it."""


def literal(value: object) -> str:
    """Write a plain value as a FEEL literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


@dataclass(frozen=True)
class Compare:
    """`name op value`; with the name `outcome` it asks how the branch's last decided step ended."""

    name: str
    op: str
    value: int | str | bool

    def feel(self) -> str:
        return f"{self.name} {self.op} {literal(self.value)}"

    def holds(self, names: Mapping[str, Any]) -> bool:
        found = names[self.name]
        if self.name == "outcome" and found == UNKNOWN:
            raise AssertionError("the generator asked for `outcome` where no rule says what it is")
        return _COMPARE[self.op](found, self.value)

    def asks(self) -> frozenset[str]:
        return frozenset({self.name})


@dataclass(frozen=True)
class Within:
    """`name in [low..high]`."""

    name: str
    low: int
    high: int

    def feel(self) -> str:
        return f"{self.name} in [{self.low}..{self.high}]"

    def holds(self, names: Mapping[str, Any]) -> bool:
        return bool(self.low <= names[self.name] <= self.high)

    def asks(self) -> frozenset[str]:
        return frozenset({self.name})


@dataclass(frozen=True)
class StepEnded:
    """`steps.ID = outcome`: false while that step was never decided."""

    step: str
    outcome: str

    def feel(self) -> str:
        return f'steps.{self.step} = "{self.outcome}"'

    def holds(self, names: Mapping[str, Any]) -> bool:
        return bool(names["steps"].get(self.step) == self.outcome)

    def asks(self) -> frozenset[str]:
        return frozenset({"steps"})


@dataclass(frozen=True)
class Joined:
    """`a and b` or `a or b`."""

    word: str
    left: Condition
    right: Condition

    def feel(self) -> str:
        return f"({self.left.feel()}) {self.word} ({self.right.feel()})"

    def holds(self, names: Mapping[str, Any]) -> bool:
        left, right = self.left.holds(names), self.right.holds(names)
        return left and right if self.word == "and" else left or right

    def asks(self) -> frozenset[str]:
        return self.left.asks() | self.right.asks()


@dataclass(frozen=True)
class Negated:
    """`not(a)`."""

    inner: Condition

    def feel(self) -> str:
        return f"not({self.inner.feel()})"

    def holds(self, names: Mapping[str, Any]) -> bool:
        return not self.inner.holds(names)

    def asks(self) -> frozenset[str]:
        return self.inner.asks()
