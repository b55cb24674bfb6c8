"""The outbox as admins see it (投递): what waits, since when, and what was given up (投递失败)."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine import outbox
from engine.bpm.letters import about_instances, given_up
from engine.bpm.models import Instance
from engine.bpm.queries.paging import Keyset, Page
from engine.bpm.queries.search import require_overseer
from engine.org.actor import Actor
from engine.org.models import Person
from engine.outbox import ChannelState, Depth, Outbox

MAX_REASONS = 100
"""Reasons that are told; the most frequent ones."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Dead letters of one kind that failed alike; `first` and `last`: when the oldest and the newest were written."""

    system: str
    topic: str
    reason: str
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter; where it is about an instance, which."""

    id: int
    system: str
    topic: str
    reason: str
    attempts: int
    created_at: datetime
    given_up_at: datetime
    instance_id: uuid.UUID | None
    title: str | None


_LETTERS = Keyset("letters", ((Outbox.id, int),))


@dataclass(frozen=True, slots=True)
class ChannelIncidentRow:
    """A time in which a channel delivered nothing: `kind` paused or down; raised or resolved by None: by itself."""

    id: int
    system: str
    kind: str
    reason: str
    raised_at: datetime
    raised_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None


def channels(session: Session, viewer: Actor) -> list[ChannelState]:
    """Return how each channel is. Raises Forbidden unless the viewer oversees processes."""
    require_overseer(viewer)
    return outbox.states(session)


def channel_incidents(session: Session, viewer: Actor, limit: int = 20) -> list[ChannelIncidentRow]:
    """Return the newest incidents of channels, those that stand first. Raises Forbidden."""
    require_overseer(viewer)
    found = outbox.incidents(session, limit)
    names = {
        row.id: row.name
        for row in session.execute(select(Person.id, Person.name).where(Person.id.in_(outbox.people(found))))
    }
    return [
        ChannelIncidentRow(
            row.id,
            row.system,
            row.kind,
            row.reason,
            row.raised_at,
            names.get(row.raised_by) if row.raised_by else None,
            row.resolved_at,
            names.get(row.resolved_by) if row.resolved_by else None,
        )
        for row in found
    ]


def channel_stopped(session: Session, viewer: Actor) -> bool:
    """Return whether a channel delivers nothing at present. Raises Forbidden."""
    require_overseer(viewer)
    return outbox.stopped(session)


def backlog(session: Session, viewer: Actor) -> list[Depth]:
    """Return what waits in the outbox, by system. Raises Forbidden unless the viewer oversees processes."""
    require_overseer(viewer)
    return outbox.depth(session)


def reasons(session: Session, viewer: Actor) -> list[Reason]:
    """Return the dead letters by system, topic and reason, the most frequent first. Raises Forbidden."""
    require_overseer(viewer)
    count = func.count()
    columns: tuple[Any, ...] = (Outbox.system, Outbox.topic, Outbox.last_error)
    statement = (
        select(*columns, count, func.min(Outbox.created_at), func.max(Outbox.created_at))
        .where(*given_up())
        .group_by(*columns)
        .order_by(count.desc(), *columns)
        .limit(MAX_REASONS)
    )
    rows: Sequence[Any] = session.execute(statement).all()
    return [Reason(*row) for row in rows]


def letters(
    session: Session,
    viewer: Actor,
    *,
    system: str | None = None,
    topic: str | None = None,
    reason: str | None = None,
    cursor: str | None = None,
    limit: int = 20,
) -> Page[Letter]:
    """Return dead letters, newest first. Raises Forbidden, and Invalid for a bad cursor."""
    require_overseer(viewer)
    statement = select(Outbox).where(*given_up(system, topic, reason))
    rows = list(session.scalars(_LETTERS.narrowed(statement, cursor, limit)))
    about = about_instances(session, rows)
    named = select(Instance.id, Instance.title).where(Instance.id.in_(about.values()))
    titles = {row.id: row.title for row in session.execute(named)}
    found = []
    for row in rows:
        instance_id = about.get(row.id)
        title = None if instance_id is None else titles.get(instance_id)
        moment = row.done_at or row.created_at
        what = (row.id, row.system, row.topic, row.last_error, row.attempts, row.created_at, moment)
        found.append(Letter(*what, instance_id, title))
    return _LETTERS.page(found, [(row.id,) for row in rows], limit)
