"""What waits for a person in the OAs' own processes (OA 待办), and what they have handled there (已办).

As the OAs' lists showed it when they were last asked.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal_column, or_, select, text
from sqlalchemy.orm import Session

from engine import clock
from engine.bpm.queries.boxes import CAP
from engine.bpm.queries.paging import Keyset, Page
from engine.connectors.oa.inbound.entries import HANDLED_KEPT
from engine.connectors.oa.inbound.polling import DEBOUNCED, NOBODY
from engine.connectors.oa.models import OAEntry, OAPoll
from engine.connectors.oa.sites import Connection
from engine.outbox import OutboxChannel
from engine.viewer import Viewer

# literally, because planners need it to use the index of these rows alone
_WAITING = text("oa_entry.gone_at IS NULL AND oa_entry.state IN ('todo', 'read')")
_COLUMNS: tuple[Any, ...] = (
    OAEntry.id, OAEntry.site, OAEntry.state, OAEntry.title, OAEntry.workflow, OAEntry.node, OAEntry.sender,
    OAEntry.link, OAEntry.mobile_link, OAEntry.received_at, OAEntry.handled_at,
    OAEntry.arrived_at,
)  # fmt: skip
_ENTRIES = Keyset("oa", ((OAEntry.received_at, datetime), (OAEntry.id, uuid.UUID)))
_HANDLED = text("oa_entry.gone_at IS NULL AND oa_entry.state IN ('done', 'finished')")
_DONE = Keyset("oa-handled", ((OAEntry.arrived_at, datetime), (OAEntry.id, uuid.UUID)))


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the box; `link` and `mobile_link` are http(s) addresses in the OA or empty.

    `handled_at` is when the viewer handled it, None where it waits, and where the OA doesn't tell; `arrived_at` is when
    it came to its list: that, or else when it was received.
    """

    id: uuid.UUID
    site: str
    state: str
    title: str
    workflow: str
    node: str
    sender: str
    link: str
    mobile_link: str
    received_at: datetime
    handled_at: datetime | None
    arrived_at: datetime


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh a person's list of one OA is: `at` when it was last had, None before the first time.

    `error` says why it can't be had now; `nobody`: they have no account there. `asked`: whether it is being asked for,
    or would be now.
    """

    name: str
    at: datetime | None
    error: str
    nobody: bool
    asked: bool


def entries(session: Session, viewer: Viewer, after: str | None = None, *, limit: int = 50) -> Page[Entry]:
    """Return a page of what waits for the viewer in the OAs, the last received first.

    Raises Invalid for a limit outside 1 to 100, and for a cursor that no page gave.
    """
    mine = select(*_COLUMNS).where(OAEntry.person_id == viewer.person_id, _WAITING)
    rows = [Entry(*row) for row in session.execute(_ENTRIES.narrowed(mine, after, limit))]
    return _ENTRIES.page(rows, [(row.received_at, row.id) for row in rows], limit)


def handled(session: Session, viewer: Viewer, after: str | None = None, *, limit: int = 50) -> Page[Entry]:
    """Return a page of what the viewer has handled in the OAs in the last 90 days, the last handled first.

    Where an OA doesn't tell when, a row stands where it was received, and stays for 90 days after it was last listed.
    Raises as `entries` does.
    """
    lately = func.coalesce(OAEntry.handled_at, OAEntry.seen_at) >= clock.now() - HANDLED_KEPT
    mine = select(*_COLUMNS).where(OAEntry.person_id == viewer.person_id, _HANDLED, lately)
    rows = [Entry(*row) for row in session.execute(_DONE.narrowed(mine, after, limit))]
    return _DONE.page(rows, [(row.arrived_at, row.id) for row in rows], limit)


def count(session: Session, viewer: Viewer) -> int:
    """Return how much waits for the viewer in the OAs: exact up to 999, 1000 for more."""
    rows: Any = select(literal_column("1")).select_from(OAEntry).where(OAEntry.person_id == viewer.person_id, _WAITING)
    bounded = rows.limit(literal_column(str(CAP + 1))).subquery()
    return session.scalar(select(func.count()).select_from(bounded)) or 0


def freshness(session: Session, viewer: Viewer, connections: Iterable[Connection]) -> list[Freshness]:
    """Return how fresh the viewer's lists are, of each of these sites."""
    now = clock.now()
    mine = select(OAPoll).where(OAPoll.person_id == viewer.person_id)
    found = {poll.site: poll for poll in session.scalars(mine)}
    stands = or_(OutboxChannel.paused_at.is_not(None), OutboxChannel.open_until.is_not(None))
    stopped = dict(session.execute(select(OutboxChannel.system, OutboxChannel.reason).where(stands)).all())
    told = list[Freshness]()
    for connection in connections:
        site, poll = connection.site, found.get(connection.site.code)
        error = (poll.error if poll is not None else "") or stopped.get(site.system, "")
        asked = poll is None or poll.polled_at is None or poll.polled_at <= now - DEBOUNCED
        told.append(Freshness(site.name, None if poll is None else poll.handled_to, error, error == NOBODY, asked))
    return told
