"""The token game of one scope: can a join be left waiting for ever?

A node consumes one token of one incoming edge (`any`), of each (`all`), or of each that can still get one
(`inclusive`), and puts tokens on the edges of one of its alternatives. Edges have one consumer, so nodes never compete
for tokens: following ONE node that can go, with all its alternatives, finds every dead end that all interleavings
would (a persistent set, Godefroid 1996), and a diagram's markings stay few.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MAX_MARKINGS = 5_000
"""Markings looked at before the question counts as undecidable."""
MAX_TOKENS_ON_EDGE = 3
"""Tokens piled up on one edge before its marking is left alone."""

Marking = tuple[int, ...]
"""The edges that hold a token, sorted, one entry per token."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node of the game: how it joins its `incoming` edges, and the `alternatives` of edges that it marks.

    `ends_all`: when reached, every other token of the scope vanishes (a terminate or error end event).
    """

    join: Literal["any", "all", "inclusive"]
    incoming: tuple[int, ...]
    alternatives: tuple[tuple[int, ...], ...] = ((),)
    ends_all: bool = False


def stuck_joins(places: Mapping[str, Place], entry: int) -> dict[str, int]:
    """Return the joins that can be left waiting for ever, each with an incoming edge that stays empty.

    `entry` is the edge that holds the first token. What isn't decided within the limits is not reported.
    """
    game = _Game(places)
    stuck: dict[str, int] = {}
    first: Marking = (entry,)
    seen, pending = {first}, [first]
    while pending and len(seen) <= MAX_MARKINGS:
        marking = pending.pop()
        following = game.step(marking)
        if following is None:
            stuck.update(game.waiting(marking))
            continue
        for successor in following:
            if successor not in seen:
                seen.add(successor)
                pending.append(successor)
    return stuck


class _Game:
    def __init__(self, places: Mapping[str, Place]) -> None:
        self.places = places
        self.consumer = {edge: name for name, place in places.items() for edge in place.incoming}
        self.producer = {e: name for name, place in places.items() for out in place.alternatives for e in out}
        self.sources: dict[tuple[str, int], frozenset[int]] = {}

    def step(self, marking: Marking) -> list[Marking] | None:
        """Return what may follow when one node goes; None where none can."""
        tokens = Counter(marking)
        inclusive: set[str] = set()
        for edge in tokens:
            name = self.consumer[edge]
            place = self.places[name]
            if place.join == "any":
                return self._fire(tokens, place, (edge,))
            if place.join == "all" and all(tokens[e] for e in place.incoming):
                return self._fire(tokens, place, place.incoming)
            if place.join == "inclusive":
                inclusive.add(name)
        released: list[Marking] | None = None
        for name in sorted(inclusive):
            if not self._may_come(tokens, name):
                place = self.places[name]
                consumed = tuple(e for e in place.incoming if tokens[e])
                released = (released or []) + self._fire(tokens, place, consumed)
        return released

    def waiting(self, marking: Marking) -> dict[str, int]:
        """Return the joins that hold a token in a marking in which nothing can go, with an empty edge of each."""
        tokens = Counter(marking)
        names = {self.consumer[edge] for edge in tokens}
        return {name: next(e for e in self.places[name].incoming if not tokens[e]) for name in names}

    def _fire(self, tokens: Counter[int], place: Place, consumed: tuple[int, ...]) -> list[Marking]:
        if place.ends_all:
            return [()]
        rest = tokens - Counter(consumed)
        following = (rest + Counter(alternative) for alternative in place.alternatives)
        return [
            tuple(sorted(marking.elements()))
            for marking in following
            if all(count <= MAX_TOKENS_ON_EDGE for count in marking.values())
        ]

    def _may_come(self, tokens: Counter[int], name: str) -> bool:
        """Tell whether a token can reach an empty edge of an inclusive join, and none that has one (BPMN 13.4.3)."""
        empty, full = set[int](), set[int]()
        for edge in self.places[name].incoming:
            (full if tokens[edge] else empty).update(self._sources(name, edge))
        return not (empty - full).isdisjoint(tokens)

    def _sources(self, name: str, target: int) -> frozenset[int]:
        """Return the edges from which a token can reach `target` without passing the node `name`."""
        if (name, target) not in self.sources:
            found, pending = set[int](), [target]
            while pending:
                producer = self.producer.get(pending.pop())
                if producer is not None and producer != name:
                    fresh = set(self.places[producer].incoming) - found
                    found |= fresh
                    pending.extend(fresh)
            self.sources[name, target] = frozenset(found)
        return self.sources[name, target]
