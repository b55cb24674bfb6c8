"""How a round decides, checked in full against a model written from docs/architecture.md (Rounds) alone."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from engine.bpm.extensions import RoundPolicy
from engine.bpm.models import ItemState
from engine.bpm.rounds import decide, first_states, read_enough

OUTCOMES = ("approve", "reject", "abstain")


@dataclass
class Part:
    """One person's part."""

    state: str = ItemState.OPEN
    outcome: str | None = None
    position: int = 0


def model(policy: RoundPolicy, votes: Sequence[str | None]) -> str | None:
    """Return the round's outcome after these votes, None while it is open."""
    cast = [v for v in votes if v is not None]
    others = [v for v in cast if v != "approve"]
    most = max(OUTCOMES, key=lambda o: (cast.count(o), OUTCOMES.index(o)))
    if policy.policy == "any":
        return cast[0] if cast else None
    if policy.veto and others:
        return others[0]
    if policy.policy in ("all", "in_turn"):
        return most if len(cast) == len(votes) else None
    needed = policy.value if policy.policy == "at_least" else math.ceil(len(votes) * policy.value / 100)
    if cast.count("approve") >= needed:
        return "approve"
    if cast.count("approve") + len(votes) - len(cast) >= needed:
        return None
    return max(OUTCOMES[1:], key=lambda o: (others.count(o), OUTCOMES.index(o)))


POLICIES = [
    RoundPolicy(name, value, veto)
    for name, value in [
        ("any", 0),
        ("all", 0),
        ("in_turn", 0),
        *(("share", value) for value in (1, 33, 34, 50, 51, 60, 67, 75, 100)),
        *(("at_least", value) for value in (1, 2, 3)),
    ]
    for veto in (False, True)
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: f"{p.policy}{p.value}{'v' if p.veto else ''}")
def test_every_vote_of_up_to_five_people_decides_as_the_model_says(policy: RoundPolicy) -> None:
    for people in range(1, 6):
        if policy.policy == "at_least" and policy.value > people:
            continue
        for votes in itertools.product(OUTCOMES, repeat=people):
            parts = [Part() for _ in range(people)]
            for number, vote in enumerate(votes):
                so_far = [*votes[:number], *[None] * (people - number)]
                if model(policy, so_far) is not None:
                    break
                parts[number].state, parts[number].outcome = ItemState.DONE, vote
                expected = model(policy, [*votes[: number + 1], *[None] * (people - number - 1)])
                decision = decide(policy, OUTCOMES, parts)
                assert (decision and decision.outcome) == expected, (policy, votes[: number + 1], people)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: f"{p.policy}{p.value}{'v' if p.veto else ''}")
def test_the_order_of_the_voters_does_not_matter(policy: RoundPolicy) -> None:
    """Whoever sits where: the same votes of the same number of people decide alike, ties among them."""
    for votes in itertools.product((*OUTCOMES, None), repeat=4):
        found = set()
        for order in set(itertools.permutations(votes)):
            parts = [Part(ItemState.DONE, v) if v else Part() for v in order]
            decision = decide(policy, OUTCOMES, parts)
            found.add(decision is None)
        assert len(found) == 1


@pytest.mark.parametrize("state", [ItemState.REASSIGNED, ItemState.CANCELLED, ItemState.STANDBY])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: f"{p.policy}{p.value}{'v' if p.veto else ''}")
def test_who_passed_it_on_does_not_count(policy: RoundPolicy, state: ItemState) -> None:
    for votes in itertools.product((*OUTCOMES, None), repeat=3):
        parts = [Part(ItemState.DONE, v) if v else Part() for v in votes]
        assert decide(policy, OUTCOMES, [*parts, Part(state)]) == decide(policy, OUTCOMES, parts)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: f"{p.policy}{p.value}{'v' if p.veto else ''}")
def test_nothing_is_decided_before_anybody_acted(policy: RoundPolicy) -> None:
    for people in range(1, 6):
        assert decide(policy, OUTCOMES, [Part() for _ in range(people)]) is None


def test_more_people_are_asked_for_than_there_are() -> None:
    """at_least 5 with three handlers: whoever is there decides; it neither hangs nor fails when all agree."""
    parts = [Part(ItemState.DONE, "approve") for _ in range(3)]
    decision = decide(RoundPolicy("at_least", 5), OUTCOMES, parts)
    assert decision is not None
    assert decision.outcome == "approve"
    assert decide(RoundPolicy("at_least", 5), OUTCOMES, [Part(), Part()]) is None


def test_in_turn_opens_one_and_the_others_open_all() -> None:
    assert first_states(RoundPolicy("in_turn"), 3) == [ItemState.OPEN, ItemState.QUEUED, ItemState.QUEUED]
    for policy in ("any", "all", "share", "at_least"):
        assert first_states(RoundPolicy(policy, 1), 3) == [ItemState.OPEN] * 3


@pytest.mark.parametrize("people", range(1, 8))
def test_readers_are_enough(people: int) -> None:
    for read in range(people + 1):
        assert read_enough(RoundPolicy("all"), read, people) == (read == people)
        assert read_enough(RoundPolicy("none"), read, people)
        for value in (1, 34, 50, 67, 100):
            assert read_enough(RoundPolicy("share", value), read, people) == (read * 100 >= value * people)
        assert read_enough(RoundPolicy("at_least", 2), read, people) == (read >= min(2, people))
