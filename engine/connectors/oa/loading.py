"""The first load (首次装载): what was open before a site was connected, brought there page by page.

It keeps few rows in the site's channel, about what that takes in two seconds, so that what opens now is there at once
however much is still to be loaded; the channel's own rate says how fast it goes. Where it stands is in `OALoad`,
written with each page, so it goes on wherever it was interrupted.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock
from engine.audit import record
from engine.batch import Batch, Statement
from engine.connectors.oa import mirroring
from engine.connectors.oa.models import OALoad
from engine.connectors.oa.rights import require_admin, require_mirror, require_reader
from engine.connectors.oa.sites import Connection, connected
from engine.db import Database
from engine.errors import Conflict
from engine.viewer import Doer, Viewer

RUNNING, PAUSED, DONE = "running", "paused", "done"
VERB = "oa_load"
_FEWEST, _PER_BACKLOG = 20, 30  # rows; a thirtieth of a minute is two seconds
_MOST = 1000  # rows of a page, however fast the OA is
_FIRST = uuid.UUID(int=0)
_MEASURED = timedelta(minutes=1)

_OPEN = "SELECT count(*) AS total, max(CAST(i.id AS VARCHAR(36))) AS newest FROM work_item i WHERE i.state = 'open'"
_BEGUN = Statement(f"{_OPEN} AND {mirroring.UNSEEN}")
_BACKLOG = (
    "(SELECT count(*) FROM outbox o WHERE o.system = :system AND o.lane = :system AND o.state = 'pending') AS backlog, "
    "(SELECT count(*) FROM outbox_channel c WHERE c.system = :system "
    "AND (c.paused_at IS NOT NULL OR c.open_until IS NOT NULL)) AS stopped"
)
_STATE = Statement(
    f"SELECT l.state, l.after, l.until, {_BACKLOG} FROM oa_load l WHERE l.site = :site FOR UPDATE",
    after=uuid.UUID,
    until=uuid.UUID,
)
_PAGE = Statement(
    "SELECT i.id, (SELECT m.seq FROM oa_item m WHERE m.site = :site AND m.item_id = i.id) IS NOT NULL AS there "
    f"FROM work_item i WHERE {mirroring.OLD}ORDER BY i.id LIMIT :limit",
    id=uuid.UUID,
    there=bool,
)
_GO_ON = Statement("UPDATE oa_load SET after = :after, queued = queued + :queued WHERE site = :site")
_END = Statement("UPDATE oa_load SET state = 'done', ended_at = :now WHERE site = :site")
_PROGRESS = Statement(
    "SELECT l.state, l.total, l.queued, l.started_at, l.ended_at, p.name AS started_by, "
    "l.state = 'done' AND l.until IS NULL AS needless, "
    f"(SELECT count(*) FROM oa_item m WHERE m.site = l.site AND m.item_id <= l.until AND {mirroring.BEHIND} "
    "AND m.problem <> 'ignored') AS behind, "
    "(SELECT count(*) FROM oa_item m WHERE m.site = l.site AND m.item_id <= l.until "
    "AND m.problem IN ('unmapped', 'refused')) AS failed, "
    "(SELECT count(*) FROM outbox o WHERE o.system = :system AND o.topic = 'push' AND o.state = 'done' "
    "AND o.done_at > :since) AS lately FROM oa_load l LEFT JOIN person p ON p.id = l.started_by WHERE l.site = :site",
    started_at=datetime,
    ended_at=datetime,
    needless=bool,
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a first load is. `rate`: items a minute, as measured over the last one; `eta`: when it will be done."""

    state: str  # running, paused, done
    total: int  # open when it began, and not there yet
    queued: int
    shown: int
    failed: int  # the OA has refused them, or knows nobody by the account
    rate: float
    eta: datetime | None
    started_at: datetime
    started_by: str | None  # None: the command line
    ended_at: datetime | None
    needless: bool  # nobody began it: a reconciliation has noted that the OA had all that was open


def start(session: Session, actor: Doer | None, connection: Connection, *, again: bool = False) -> None:
    """Begin the first load of a site; `again`: also where one was done.

    Raises Forbidden but for a system admin or the command line, and Conflict where the site doesn't mirror, or one is
    on its way, paused, or done.
    """
    require_admin(actor)
    require_mirror(connection)
    site = connection.site
    found = _locked(session, site.code)
    if found is not None and found.state == DONE and found.until is not None and not again:
        raise Conflict(f"“{site.name}”的首次装载已经完成；确要再来一遍，请选“重新装载”", code="oa_load_done")
    if found is not None and found.state != DONE:
        how = "已暂停，请“继续”" if found.state == PAUSED else "正在进行"
        raise Conflict(f"“{site.name}”的首次装载{how}", code=f"oa_load_{found.state}")
    batch, now = Batch(), clock.now()
    batch.query(_BEGUN, {"site": site.code})
    [[open_]] = batch.run(session)
    values: dict[str, Any] = {
        "state": RUNNING if open_.total else DONE, "after": None, "total": open_.total, "queued": 0,
        "until": uuid.UUID(open_.newest) if open_.newest else _FIRST, "started_at": now, "ended_at": None,
        "started_by": None if actor is None else actor.person_id,
    }  # fmt: skip
    if not open_.total:
        values["ended_at"] = now
    if found is None:
        session.add(OALoad(site=site.code, **values))
    else:
        for name, value in values.items():
            setattr(found, name, value)
    session.flush()
    _record(session, actor, connection, "start", {"total": open_.total})


def pause(session: Session, actor: Doer | None, connection: Connection) -> None:
    """Let a first load rest; the few rows that it has written are still pushed. Raises Forbidden, Conflict."""
    _turn(session, actor, connection, RUNNING, PAUSED, "pause")


def resume(session: Session, actor: Doer | None, connection: Connection) -> None:
    """Let a first load that rests go on where it was. Raises Forbidden, Conflict."""
    _turn(session, actor, connection, PAUSED, RUNNING, "resume")


def progress(session: Session, viewer: Viewer | None, code: str) -> Progress | None:
    """Return how far the first load of a site is, None where none was begun. Raises Forbidden."""
    require_reader(viewer)
    now, batch = clock.now(), Batch()
    batch.query(_PROGRESS, {"site": code, "system": f"oa.{code}", "since": now - _MEASURED})
    [rows] = batch.run(session)
    if not rows:
        return None
    row = rows[0]
    measured = min(_MEASURED, max(now - row.started_at, timedelta(seconds=1)))
    rate = row.lately * (_MEASURED / measured)
    shown = max(0, row.queued - row.behind)
    left = row.total - shown - row.failed
    eta = now + timedelta(minutes=left / rate) if row.state == RUNNING and rate and left > 0 else None
    return Progress(
        row.state,
        row.total,
        row.queued,
        shown,
        row.failed,
        rate,
        eta,
        row.started_at,
        row.started_by,
        row.ended_at,
        row.needless,
    )


def top_up(db: Database) -> bool:
    """Write the next page of each first load that is on its way; return whether some site would take more at once."""
    more = False
    for connection in connected(db):
        more = _page(db, connection) or more
    return more


def _page(db: Database, connection: Connection) -> bool:
    """Write a page where the channel has nearly nothing left to do; return whether it takes another."""
    site = connection.site
    where = {"site": site.code, "system": site.system}
    with db.reading() as session:
        running = session.scalar(select(OALoad.state).where(OALoad.site == site.code))
    if running != RUNNING:
        return False
    with db.unit_of_work() as session:
        batch = Batch()
        batch.query(_STATE, where)
        [rows] = batch.run(session)
        load = rows[0]
        room = max(_FEWEST, site.per_minute // _PER_BACKLOG) - load.backlog
        if load.state != RUNNING or load.stopped or room <= 0:
            return False
        limit, after = min(room, _MOST), load.after or _FIRST
        batch = Batch()
        batch.query(_PAGE, where | {"after": after, "until": load.until, "limit": limit})
        [page] = batch.run(session)
        batch = Batch()
        if not page:
            batch.add(_END, where | {"now": clock.now()})
        else:
            mirroring.add_page(connection, session, batch, after, page[-1].id, limit)
            queued = sum(not item.there for item in page)
            batch.add(_GO_ON, where | {"after": page[-1].id, "queued": queued})
        batch.run(session)
    return bool(page) and limit < room


def _turn(session: Session, actor: Doer | None, connection: Connection, before: str, after: str, did: str) -> None:
    require_admin(actor)
    found = _locked(session, connection.site.code)
    if found is None or found.state != before:
        stands = {RUNNING: "正在进行", PAUSED: "已经暂停", DONE: "已经完成"}
        how = "还没有开始" if found is None else stands[found.state]
        raise Conflict(f"“{connection.site.name}”的首次装载{how}，请刷新后再看", code="oa_load_state")
    found.state = after
    session.flush()
    _record(session, actor, connection, did, {})


def _locked(session: Session, code: str) -> OALoad | None:
    return session.get(OALoad, code, with_for_update=True, populate_existing=True)


def _record(session: Session, actor: Doer | None, connection: Connection, did: str, more: dict[str, Any]) -> None:
    site = connection.site
    record(session, actor, VERB, {"site": site.code, "site_name": site.name, "did": did, **more}, at=clock.now())
