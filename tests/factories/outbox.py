"""The registry of the outbox, emptied for tests that name their topics and channels as they like; a channel at noon."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from engine import clock, outbox
from engine.db import Database
from engine.outbox import ChannelIncident, Outbox, OutboxChannel, channels, handlers

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@contextmanager
def registry() -> Iterator[tuple[Any, ...]]:
    """Let a test declare what it likes, and put back what was there."""
    registered: tuple[Any, ...] = (handlers.declared, handlers.handlers, channels.channels)
    kept = [each.copy() for each in registered]
    yield registered
    for each, before in zip(registered, kept, strict=True):
        each.clear()
        each.update(before)


@contextmanager
def emptied() -> Iterator[None]:
    """Give the test an empty registry, and put back what was there."""
    with registry() as registered:
        for each in registered:
            each.clear()
        yield


@contextmanager
def wecom_at_noon() -> Iterator[None]:
    """Declare one channel, wecom with the topic tell and 600 calls a minute, and hold the clock."""
    with emptied():
        outbox.channel("wecom", per_minute=600)
        outbox.declare("wecom", "tell")
        clock.freeze(NOON)
        yield
    clock.freeze(None)


def write(db: Database, *keys: str, system: str = "wecom", topic: str = "tell") -> None:
    """Write a row for each key, numbered."""
    with db.unit_of_work() as session:
        for number, key in enumerate(keys):
            outbox.enqueue(session, system, key, topic, {"n": number})


def stored(db: Database) -> list[Outbox]:
    """Return all rows, the oldest first."""
    with db.reading() as session:
        return list(session.scalars(select(Outbox).order_by(Outbox.id)))


def states(db: Database) -> list[str]:
    """Return the states of all rows, the oldest first."""
    return [row.state for row in stored(db)]


def state(db: Database) -> OutboxChannel:
    """Return how the channel is."""
    with db.reading() as session:
        return session.get_one(OutboxChannel, "wecom")


def incidents(db: Database) -> list[tuple[str, str, bool]]:
    """Return the kind and reason of each incident, and whether it is over."""
    with db.reading() as session:
        rows = session.scalars(select(ChannelIncident).order_by(ChannelIncident.id))
        return [(row.kind, row.reason, row.resolved_at is not None) for row in rows]


def drain(db: Database, of: str | None = None) -> list[str]:
    """Do all that is due and return what became of it."""
    results: list[str] = []
    while rows := outbox.lease(db, "w", 8, of):
        results += [outbox.run(db, row) for row in rows]
    return results
