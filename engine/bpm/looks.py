"""Mirrors that take the difference at once (镜像差异): by statements of their own, in the transaction of the change.

Others are told by a row of the outbox and look later (`engine.bpm.mirrors`).
"""

import uuid
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from engine.batch import Batch
from engine.db import Database


class Look(Protocol):
    """What a mirror adds to a batch."""

    def changed(self, session: Session, batch: Batch, instance_id: uuid.UUID, since: datetime | None) -> None:
        """Queue what follows from a change of an instance's items; `since` is when it changed, where that is known."""

    def read(self, session: Session, batch: Batch, item_id: uuid.UUID) -> None:
        """Queue what follows from a reader's acknowledging one item: that takes no lock and changes nothing else."""


def look(db: Database, system: str, taken: Look) -> None:
    """Let a mirror of this name look at each change."""
    db.looks[system] = taken
    db.mirrors = tuple(dict.fromkeys((*db.mirrors, system)))


def changed(session: Session, batch: Batch, instance_id: uuid.UUID, since: datetime | None) -> tuple[str, ...]:
    """Let mirrors look at a change; return the names of those that only want to be told of it."""
    looks: dict[str, Look] = session.info.get("looks", {})
    systems: tuple[str, ...] = session.info.get("mirrors", ())
    for system in systems:
        if system in looks:
            looks[system].changed(session, batch, instance_id, since)
    return tuple(system for system in systems if system not in looks)


def read(session: Session, batch: Batch, item_id: uuid.UUID) -> None:
    """Let mirrors look at an item that a reader acknowledges."""
    looks: dict[str, Look] = session.info.get("looks", {})
    for system in session.info.get("mirrors", ()):
        if system in looks:
            looks[system].read(session, batch, item_id)
