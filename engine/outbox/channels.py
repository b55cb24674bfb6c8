"""Channels (通道): the outside systems, each with threads, a rate and a breaker of its own, and a row for its state.

The state is in the database, so that all workers agree on it and it survives them. Whoever changes it holds the lock on
the channel's row, and takes it before any lock on the outbox.
"""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, Integer, String, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from engine import clock
from engine.db import Base
from engine.outbox.handlers import handlers

INSIDE = ""
"""The lane of everything that is done inside the database."""

_ASIDE = ".aside"  # after a channel's system: the lane of what may lag

_BIGID = BigInteger().with_variant(Integer(), "sqlite")


@dataclass(frozen=True, slots=True)
class Channel:
    """An outside system as it is declared: calls a minute, threads of each worker, failures in a row that open it."""

    system: str
    per_minute: int
    threads: int
    breaks_after: int


channels: dict[str, Channel] = {}


class OutboxChannel(Base):
    """How a channel is: paused, down, and how far its rate is used."""

    __tablename__ = "outbox_channel"

    system: Mapped[str] = mapped_column(String(20), primary_key=True)
    paused_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(String(400), default="")  # why it is paused, or the last failure
    failures: Mapped[int] = mapped_column(default=0)  # transient ones in a row; while open, those of probes
    open_until: Mapped[datetime | None]  # the breaker is open; from this moment on one row probes
    taken_to: Mapped[datetime | None]  # the rate is used up to this moment (GCRA's theoretical arrival time)
    sent: Mapped[int] = mapped_column(_BIGID, default=0)  # rows done, ever
    failed: Mapped[int] = mapped_column(_BIGID, default=0)  # attempts failed, ever


class ChannelIncident(Base):
    """Why a channel delivered nothing, from when to when: `paused` (已暂停) or `down` (通道中断)."""

    __tablename__ = "channel_incident"

    id: Mapped[int] = mapped_column(_BIGID, Identity(), primary_key=True)
    system: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(400))
    raised_at: Mapped[datetime]
    raised_by: Mapped[uuid.UUID | None]  # None: by itself
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[uuid.UUID | None]  # None: by itself

    __table_args__ = (
        Index(
            "uq_channel_incident_open",
            "system",
            "kind",
            unique=True,
            postgresql_where=text("resolved_at IS NULL"),
            sqlite_where=text("resolved_at IS NULL"),
        ),
    )


def channel(system: str, *, per_minute: int, threads: int = 2, breaks_after: int = 5) -> Channel:
    """Declare a system as a channel: what its handlers do outside of a transaction is worked by threads of its own.

    `per_minute`: the most `take`s that any 60 s of all workers together hold; `threads`: of each worker;
    `breaks_after`: so many transient failures in a row, of any rows, open the breaker. Raises RuntimeError for a second
    declaration.
    """
    if system in channels:
        raise RuntimeError(f"two channels {system}")
    channels[system] = Channel(system, per_minute, threads, breaks_after)
    return channels[system]


def limit(system: str, *, per_minute: int) -> None:
    """Set the rate of a channel that is declared, from the settings of its connector; all processes set the same."""
    channels[system] = replace(channels[system], per_minute=per_minute)


def lane(system: str, topic: str) -> str:
    """Return which threads do the rows of a topic: those of its channel, the one for what may lag, or the INSIDE ones.

    What a channel's system does in a transaction, such as a callback that it sent, is inside: it needs no channel.
    """
    found = handlers.get((system, topic))
    if system not in channels or (found and found.in_transaction):
        return INSIDE
    return system + _ASIDE if found and found.aside else system


def lanes() -> dict[str, int]:
    """Return the lanes of channels and how many threads of a worker each has."""
    found = {system: channel.threads for system, channel in sorted(channels.items())}
    lagging = {lane(system, topic) for system, topic in handlers}
    return found | {name: 1 for name in sorted(lagging) if is_aside(name)}


def is_aside(name: str) -> bool:
    """Return whether a lane is that of what may lag."""
    return name.endswith(_ASIDE)


def channel_of(name: str) -> Channel | None:
    """Return the channel of a lane, None for INSIDE."""
    return channels.get(name.removesuffix(_ASIDE))


def lanes_of(system: str) -> tuple[str, str]:
    """Return the lanes that a channel may have."""
    return system, system + _ASIDE


def locked(session: Session, system: str) -> OutboxChannel:
    """Return the state of a channel, its row locked until the transaction ends; the first to ask makes it."""
    query = select(OutboxChannel).where(OutboxChannel.system == system).with_for_update()
    query = query.execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        insert = insert_sqlite if session.get_bind().dialect.name == "sqlite" else insert_postgresql
        new = {"system": system, "reason": "", "failures": 0, "sent": 0, "failed": 0}
        session.execute(insert(OutboxChannel).values(new).on_conflict_do_nothing())
        found = session.scalars(query).one()
    return found


def raise_incident(session: Session, system: str, kind: str, reason: str, by: uuid.UUID | None = None) -> None:
    """Note that a channel stopped; the caller holds its lock. One that is noted already stays."""
    standing = select(ChannelIncident.id).where(*_standing(system, kind))
    if session.scalar(standing) is None:
        session.add(ChannelIncident(system=system, kind=kind, reason=reason[:400], raised_at=clock.now(), raised_by=by))
        session.flush()


def resolve(session: Session, system: str, kind: str, by: uuid.UUID | None = None) -> None:
    """Note that a channel goes on, by a person or by itself."""
    statement = update(ChannelIncident).where(*_standing(system, kind))
    session.execute(
        statement.values(resolved_at=clock.now(), resolved_by=by).execution_options(synchronize_session=False)
    )


def _standing(system: str, kind: str) -> tuple[Any, ...]:
    return ChannelIncident.system == system, ChannelIncident.kind == kind, ChannelIncident.resolved_at.is_(None)
