"""How a round of work items is decided (办理方式): pure rules over the items' states.

The first outcome of a step is its positive one (同意); the others are refusals of some kind. Items that were passed on,
cancelled or stand by don't count.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from engine.bpm.extensions import RoundPolicy
from engine.bpm.models import ItemState

COUNTED = (ItemState.OPEN, ItemState.QUEUED, ItemState.DONE)


class Item(Protocol):
    """What the rules look at."""

    @property
    def state(self) -> str: ...
    @property
    def outcome(self) -> str | None: ...
    @property
    def position(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """A round's result."""

    outcome: str


def first_states(policy: RoundPolicy, count: int) -> list[ItemState]:
    """Return the states in which a round's items open: in turn only the first, otherwise all at once."""
    if policy.policy == "in_turn":
        return [ItemState.OPEN] + [ItemState.QUEUED] * (count - 1)
    return [ItemState.OPEN] * count


def decide(
    policy: RoundPolicy,
    outcomes: Sequence[str],
    items: Sequence[Item],
    holds: Callable[[Mapping[str, int]], bool] = lambda _: False,
) -> Decision | None:
    """Return the round's result, or None while it is open.

    any: the first outcome given. all, in_turn: when everybody has acted, the positive outcome if all agree, else
    the one most chosen. share, at_least: the positive outcome once enough chose it, the most chosen other one once
    that can't happen any more. expression: the positive outcome once it `holds` of the counts (`ROUND_NAMES`), the most
    chosen other one when everybody has acted without that. With a veto (一票否决) the first refusal decides.
    `outcomes` are the step's ids, positive first; a tie goes to the later one of them.
    """
    counted = [i for i in items if i.state in COUNTED]
    given = [i.outcome for i in counted if i.state == ItemState.DONE and i.outcome is not None]
    positive = outcomes[0]
    refusals = [o for o in given if o != positive]
    if policy.policy == "any":
        return Decision(given[0]) if given else None
    if policy.veto and refusals:
        return Decision(refusals[0])
    if policy.policy in ("share", "at_least"):
        needed = policy.value if policy.policy == "at_least" else ceil(len(counted) * policy.value / 100)
        needed = max(1, min(needed, len(counted)))
        agreed = len(given) - len(refusals)
        if agreed >= needed:
            return Decision(positive)
        undecided = len(counted) - len(given)
        return Decision(_most(outcomes, refusals)) if agreed + undecided < needed else None
    if policy.policy == "expression" and given:
        waiting = len(counted) - len(given)
        agreed = len(given) - len(refusals)
        if holds({"agreed": agreed, "others": len(refusals), "waiting": waiting, "total": len(counted)}):
            return Decision(positive)
    if len(given) < len(counted) or not counted:
        return None
    if policy.policy == "expression":
        return Decision(_most(outcomes, refusals) if refusals else positive)
    return Decision(positive if not refusals else _most(outcomes, given))


def read_enough(policy: RoundPolicy, read: int, total: int) -> bool:
    """Whether a read step (传阅) may end: everybody, a share, a number of readers, or nobody."""
    match policy.policy:
        case "none":
            return True
        case "any":
            return read >= 1 or total == 0
        case "share":
            return read >= ceil(total * policy.value / 100)
        case "at_least":
            return read >= min(policy.value, total)
        case _:
            return read >= total


def _most(outcomes: Sequence[str], given: Sequence[str]) -> str:
    counts = Counter(given)
    return max(given, key=lambda o: (counts[o], outcomes.index(o) if o in outcomes else 0))
