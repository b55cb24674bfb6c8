"""The token game against playing every interleaving."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bpm.lint.tokens import Place, stuck_joins


def every_interleaving(places: dict[str, Place], entry: int) -> set[str]:
    """Parallel joins stuck in some dead marking, found by letting any node go first."""
    stuck: set[str] = set()
    seen: set[tuple[int, ...]] = {(entry,)}
    pending: list[tuple[int, ...]] = [(entry,)]
    while pending:
        marking = pending.pop()
        tokens = Counter(marking)
        moved = False
        for place in places.values():
            if place.join == "all":
                ways = [place.incoming] if all(tokens[e] for e in place.incoming) else []
            else:
                ways = [(e,) for e in place.incoming if tokens[e]]
            for consumed in ways:
                moved = True
                for alternative in place.alternatives:
                    following = tokens - Counter(consumed) + Counter(alternative)
                    successor = () if place.ends_all else tuple(sorted(following.elements()))
                    if successor not in seen:
                        seen.add(successor)
                        pending.append(successor)
        if not moved:
            stuck |= {name for name, place in places.items() for e in place.incoming if tokens[e]}
    return stuck


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, Place]:
    """Random games whose edges lead forward only, so that they end."""
    size = draw(st.integers(3, 7))
    edges: dict[int, tuple[int, int]] = {}
    for target in range(1, size):
        for source in draw(st.lists(st.integers(0, target - 1), min_size=1, max_size=2, unique=True)):
            edges[len(edges) + 1] = (source, target)
    places = {}
    for node in range(size):
        incoming = tuple(e for e, (_, t) in edges.items() if t == node) or (0,)
        outgoing = tuple(e for e, (s, _) in edges.items() if s == node)
        choose = draw(st.booleans())
        places[str(node)] = Place(
            join="all" if draw(st.booleans()) else "any",
            incoming=incoming,
            alternatives=tuple((e,) for e in outgoing) if choose and outgoing else (outgoing,),
            ends_all=not outgoing and draw(st.booleans()),
        )
    return places


@given(acyclic())
def test_one_order_finds_what_every_order_finds(places: dict[str, Place]) -> None:
    assert set(stuck_joins(places, 0)) == every_interleaving(places, 0)


def block(split: tuple[tuple[int, ...], ...], join: str) -> dict[str, Place]:
    """Split into edges 1 and 2, join them into 3, end."""
    return {
        "split": Place("any", (0,), split),
        "join": Place(join, (1, 2), ((3,),)),  # type: ignore[arg-type]
        "end": Place("any", (3,)),
    }


ONE, BOTH, SOME = ((1,), (2,)), ((1, 2),), ((1,), (2,), (1, 2))


@pytest.mark.parametrize(
    ("split", "join", "stuck"),
    [
        (ONE, "all", True),
        (SOME, "all", True),
        (BOTH, "all", False),
        (ONE, "any", False),
        (BOTH, "any", False),
        (ONE, "inclusive", False),
        (BOTH, "inclusive", False),
        (SOME, "inclusive", False),
    ],
)
def test_blocks(split: tuple[tuple[int, ...], ...], join: str, stuck: bool) -> None:
    assert ("join" in stuck_joins(block(split, join), 0)) == stuck


def test_a_join_that_waits_for_its_own_loop_is_stuck() -> None:
    places = {
        "join": Place("all", (0, 2), ((1,),)),
        "choice": Place("any", (1,), ((2,), (3,))),
        "end": Place("any", (3,)),
    }
    assert stuck_joins(places, 0) == {"join": 2}


def test_tokens_without_end_are_left_undecided() -> None:
    places = {"spring": Place("any", (0, 1), ((1, 2),)), "end": Place("any", (2,))}
    assert stuck_joins(places, 0) == {}
