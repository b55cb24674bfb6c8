"""Who does what: the registry of handlers, and how they say that there is more to do or why they fail."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, overload

from sqlalchemy.orm import Session

from engine.db import Database

PATIENT = 48  # attempts for what is expected to pass: a day and a half of outage
DEFECTIVE = 8  # attempts for an error that nobody expected: two minutes


@dataclass(frozen=True, slots=True)
class Leased:
    """A row in the hands of a worker."""

    id: int
    system: str
    key: str
    topic: str
    payload: dict[str, Any]
    attempts: int  # this one included
    created_at: datetime
    lease_owner: str
    lease_until: datetime
    probe: bool = False  # whether its channel is down and this row shows whether it still is
    troubled: bool = False  # whether its channel had failures in a row when it was leased


class Again(Exception):  # no error: a row that goes on
    """The handler has done a part and has more to do: the row is due at once, and no attempt is counted.

    For handlers outside of a transaction: in one, the part would be rolled back.
    """


class Transient(Exception):
    """The effect can't be had now (暂时失败): try again, after `delay` if the other side has said so.

    Without a `delay` it tells the breaker of a channel that the other side is not to be had. `counted=False`: nothing
    was tried, so no attempt is counted either.
    """

    def __init__(self, reason: str, *, delay: timedelta | None = None, counted: bool = True) -> None:
        super().__init__(reason)
        self.delay = delay
        self.counted = counted


class Permanent(Exception):
    """The effect can't be had by trying again (永久失败): a dead letter, with this reason."""


class Configuration(Exception):
    """The whole channel can't deliver until somebody mends its settings (配置错误): it pauses, its rows wait."""


InTransaction = Callable[[Session, Leased], object]
Outside = Callable[[Database, Leased], object]
OnDead = Callable[[Leased, str, Session], object]
OnRequeue = Callable[[dict[str, Any], Session], object]
MaxAttempts = int | Callable[[Leased], int]


@dataclass(frozen=True, slots=True)
class Handler:
    """How the rows of one topic are done."""

    run: Callable[[Any, Leased], object]
    in_transaction: bool
    max_attempts: MaxAttempts
    on_dead: OnDead | None
    on_requeue: OnRequeue | None
    newest: bool
    aside: bool

    def allowed(self, leased: Leased, *, expected: bool) -> int:
        """Return after how many attempts a row is given up whose error was expected, or wasn't."""
        if callable(self.max_attempts):
            return self.max_attempts(leased)
        return self.max_attempts if expected else min(self.max_attempts, DEFECTIVE)


declared: set[tuple[str, str]] = set()
handlers: dict[tuple[str, str], Handler] = {}


def declare(system: str, *topics: str) -> None:
    """Announce topics that the calling module writes; `check` finds those that nobody handles."""
    declared.update((system, topic) for topic in topics)


def is_declared(system: str, topic: str) -> bool:
    """Return whether rows of a topic may be written."""
    return (system, topic) in declared


@overload
def handler(
    system: str,
    topic: str,
    *,
    in_transaction: Literal[True],
    max_attempts: MaxAttempts = ...,
    on_dead: OnDead | None = ...,
    on_requeue: OnRequeue | None = ...,
    newest: bool = ...,
    aside: bool = ...,
) -> Callable[[InTransaction], InTransaction]: ...
@overload
def handler(
    system: str,
    topic: str,
    *,
    in_transaction: Literal[False],
    max_attempts: MaxAttempts = ...,
    on_dead: OnDead | None = ...,
    on_requeue: OnRequeue | None = ...,
    newest: bool = ...,
    aside: bool = ...,
) -> Callable[[Outside], Outside]: ...
def handler(
    system: str,
    topic: str,
    *,
    in_transaction: bool,
    max_attempts: MaxAttempts = PATIENT,
    on_dead: OnDead | None = None,
    on_requeue: OnRequeue | None = None,
    newest: bool = False,
    aside: bool = False,
) -> Callable[[Callable[[Any, Leased], object]], Callable[[Any, Leased], object]]:
    """Register the decorated function for the rows of a topic.

    With `in_transaction` it is called with the session that marks the row done: for effects in the database. Otherwise
    it is called with the database and no transaction open: for effects outside; a Batch that it returns is written when
    the row is marked done, which saves a transaction. It raises Again, Transient, Permanent
    or Configuration; Unavailable counts as Transient; any other error is tried a few times and then is dead. Where
    `max_attempts(row)` is a function it holds for both, but for Unavailable: that says nothing of the effect.
    `on_dead(row, reason, session)` runs in the transaction that marks the row dead, `on_requeue(payload, session)` in
    the one that brings it back: what was given up with it may be tried again by any row. With `newest` a row brings the
    other side to the present state, whatever it was written for: where a younger one of its shard and topic is due, it
    is done in passing. `aside`: the topic may lag; it has a slow lane of its channel, so that it never stands
    before what is urgent.
    """

    def register(run: Callable[[Any, Leased], object]) -> Callable[[Any, Leased], object]:
        if (system, topic) in handlers:
            raise RuntimeError(f"two handlers for {system}/{topic}")
        declare(system, topic)
        handlers[system, topic] = Handler(run, in_transaction, max_attempts, on_dead, on_requeue, newest, aside)
        return run

    return register


def check() -> None:
    """Raise RuntimeError if a declared topic has no handler; called once when all modules are imported."""
    if missing := sorted(declared - handlers.keys()):
        raise RuntimeError("no handler for " + ", ".join("/".join(pair) for pair in missing))
