"""A reconciliation (对账) on its way: person after person, in the slow lane of the site's channel.

It is one row of the outbox that goes on again and again, so it delays no push, takes the site's rate, waits while the
channel is down or paused, and goes on behind the last person whom it has written when a worker is killed.
"""

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.audit import record
from engine.batch import Batch, Statement
from engine.connectors.oa import people, pushing
from engine.connectors.oa.adapters.protocol import UnknownPerson
from engine.connectors.oa.models import OACheck
from engine.connectors.oa.people import Identity
from engine.connectors.oa.reconciling import ours, theirs
from engine.connectors.oa.reconciling.findings import Finding
from engine.connectors.oa.reconciling.repairing import CAPPED, REPAIRED, judged, repair
from engine.connectors.oa.reconciling.unloaded import counted_from, unloaded
from engine.connectors.oa.rights import require_admin, require_mirror
from engine.connectors.oa.sites import Connection, Sites
from engine.db import Database, new_id
from engine.errors import Conflict
from engine.viewer import Doer

CHECK, VERB = "check", "oa_check"
RUNNING, DONE, FAILED = "running", "done", "failed"
NIGHTLY, PERSON, COMMAND = "nightly", "person", "command"
_KEY = "check"
_AT_ONCE, _ALONE = 25, 200  # people of one step: with their lists, and by our side alone
_STEP = 6.0  # seconds after which a step ends: others may have something in the lane
_TRIES = 3  # of somebody's lists, before it goes on without
_MOST_KEPT = 5000  # findings; the others are only counted
_FIRST = uuid.UUID(int=0)

_PEOPLE = Statement(
    "SELECT p.id, p.name, p.staff_number, p.mobile, p.email, a.account AS given FROM person p "
    "LEFT JOIN oa_account a ON a.site = :site AND a.person_id = p.id WHERE p.id > :after "
    "AND (p.id IN (SELECT m.person_id FROM oa_item m WHERE m.site = :site) "
    "OR p.id IN (SELECT i.assignee_id FROM work_item i WHERE i.state = 'open') "
    "OR (:all_ = 1 AND p.disabled_at IS NULL AND p.system = false)) ORDER BY p.id LIMIT :limit",
    id=uuid.UUID,
)
_ON = Statement(
    "UPDATE oa_check SET after = :after, people = people + :people, unread = unread + :unread, items = items + :items, "
    "missing = missing + :missing, ghost = ghost + :ghost, stale = stale + :stale, repaired = repaired + :repaired, "
    "capped = capped + :capped WHERE id = :id AND state = 'running' AND coalesce(after, :first) = :before"
)
_FINDING = Statement(
    "INSERT INTO oa_finding (check_id, kind, side, item_id, person_id, account, title, detail, result) "
    "VALUES (:check_id, :kind, :side, :item_id, :person_id, :account, :title, :detail, :result)"
)
_END = Statement(
    "UPDATE oa_check SET state = :state, ended_at = :now, reason = :reason WHERE id = :id AND state = 'running'"
)
_STALLED = Statement(
    "UPDATE oa_check SET state = 'failed', ended_at = :now, reason = :reason WHERE site = :site AND state = 'running' "
    "AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.system = :system AND o.key = :key AND o.state = 'pending')"
)
_RUNNING = Statement("SELECT count(*) AS running FROM oa_check WHERE site = :site AND state = 'running'")
_OLDEST = Statement(
    "SELECT m.item_id FROM oa_item m JOIN work_item i ON i.id = m.item_id WHERE m.site = :site "
    "AND m.shown IN ('todo', 'read') AND m.shown = m.wanted AND m.sending = '' AND i.state = 'open' "
    "ORDER BY m.shown_at, m.item_id LIMIT :limit",
    item_id=uuid.UUID,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Step:
    """What was compared of some people."""

    people: Sequence[uuid.UUID]
    findings: list[Finding]
    items: int
    unread: int = 0


def declare(system: str) -> None:
    """Declare what a site's channel does."""
    outbox.handler(system, CHECK, in_transaction=False, aside=True, on_dead=_given_up)(check)


def start(session: Session, actor: Doer | None, connection: Connection, *, repair: bool, by: str = PERSON) -> OACheck:
    """Begin a reconciliation of a site; `repair`: also mend what it finds, up to the site's cap.

    `by` says on the report who asked: nightly, person, command. Raises Forbidden but for a system admin or the command
    line, and Conflict where the site doesn't mirror or one is on its way.
    """
    require_admin(actor)
    require_mirror(connection)
    site, now, batch = connection.site, clock.now(), Batch()
    which = {"site": site.code, "system": site.system, "key": _KEY, "now": now}
    batch.change(_STALLED, which | {"reason": "中断：没有后台任务在继续它"})
    batch.query(_RUNNING, which)
    _, [row] = batch.run(session)
    if row.running:
        raise Conflict(f"“{site.name}”正在对账，请等它结束", code="oa_check_running")
    counted_from(session, connection)
    found = OACheck(
        id=new_id(), site=site.code, state=RUNNING, repair=repair, started_at=now, by=by, ended_at=None, after=None,
        started_by=None if actor is None else actor.person_id,
    )  # fmt: skip
    session.add(found)
    session.flush()
    outbox.enqueue(session, site.system, _KEY, CHECK, {"check": found.id.hex})
    if by != NIGHTLY:
        record(session, actor, VERB, {"site": site.code, "site_name": site.name, "repair": repair}, at=now)
    return found


def check(db: Database, row: outbox.Leased) -> None:
    """Compare some people more, and say so where there are others behind them."""
    sites = db.part(Sites)
    connection = None if sites is None else sites.of(row.system)
    if connection is None:
        raise outbox.Configuration("这个 OA 站点没有配置，或已被移走")
    with db.reading() as session:
        found = session.get(OACheck, uuid.UUID(row.payload["check"]))
    if found is None or found.state != RUNNING:
        return
    limit = _AT_ONCE if connection.adapter.reads_back else _ALONE
    with db.reading() as session:
        page = _page(session, connection, found, limit)
    if not page:
        _end(db, connection, found)
        return
    if connection.adapter.reads_back:
        _compare_each(db, row, connection, found, page)
    else:
        with db.reading() as session:
            step = _ours(session, connection, page)
        _write(db, connection, found, step)
    raise outbox.Again


def _page(session: Session, connection: Connection, found: OACheck, limit: int) -> list[tuple[uuid.UUID, str]]:
    """Return the next people with their accounts, "" where there is none."""
    site, batch = connection.site, Batch()
    asked = {"site": site.code, "after": found.after or _FIRST, "all_": int(found.by == NIGHTLY), "limit": limit}
    batch.query(_PEOPLE, asked)
    [rows] = batch.run(session)
    return [(p.id, people.account(site, Identity(p.name, p.staff_number, p.mobile, p.email, p.given))) for p in rows]


def _compare_each(
    db: Database,
    row: outbox.Leased,
    connection: Connection,
    found: OACheck,
    page: Sequence[tuple[uuid.UUID, str]],
) -> None:
    """Compare one person after the other, for a few seconds; where somebody's lists can't be had, it goes on without.

    Raises what says that the OA isn't to be had; the next try begins behind whom that was tried for a few times.
    """
    began = time.monotonic()
    for number, (person_id, account) in enumerate(page):
        if number:
            outbox.renew(db, row)
        try:
            step = _lists(db, connection, person_id, account)
        except (outbox.Transient, outbox.Permanent) as error:
            passes = isinstance(error, outbox.Transient)
            untried = isinstance(error, outbox.Transient) and not error.counted
            if passes and (untried or row.attempts < _TRIES or number > 0):
                raise
            log.warning("lists not read: site=%s error=%s", connection.site.code, type(error).__name__)
            with db.reading() as session:
                unread = _ours(session, connection, [(person_id, account)], unread=1)
            _write(db, connection, found, unread)
            if passes:
                raise
            continue
        _write(db, connection, found, step)
        if time.monotonic() - began > _STEP:
            break


def _ours(session: Session, connection: Connection, page: Sequence[tuple[uuid.UUID, str]], unread: int = 0) -> _Step:
    """Compare our own side of some people."""
    ids, accounts = [person_id for person_id, _ in page], dict(page)
    known = ours.Record(session, connection)
    rows, unknown = known.rows(ids), known.unknown(ids)
    due = [item for item in unknown if item.item_id not in unloaded(session, connection, unknown)]
    found = list(ours.compare(rows, due, accounts))
    return _Step(ids, found, sum(row.current in ("todo", "read") for row in rows) + len(unknown), unread)


def _lists(db: Database, connection: Connection, person_id: uuid.UUID, account: str) -> _Step:
    """Compare both sides of one person."""
    with db.reading() as session:
        before = {row.item_id: row for row in ours.Record(session, connection).rows([person_id])}
    accounts = {row.account for row in before.values() if row.shown in ("todo", "read")} | {account}
    asked_at, lists = clock.now(), {}
    for name in sorted(accounts - {""}):
        try:
            lists[name] = connection.adapter.shown(name)
        except UnknownPerson:
            lists[name] = []  # whoever isn't there has no list
    with db.reading() as session:
        known = ours.Record(session, connection)
        step = _ours(session, connection, [(person_id, account)])
        after = {row.item_id: row for row in known.rows([person_id])}
        looked = theirs.Looked(person_id, asked_at, before, after, lists)
        step.findings.extend(theirs.compare(looked, known))
    return step


def _write(db: Database, connection: Connection, found: OACheck, step: _Step) -> None:
    """Keep what was found, mend it, and note that these people are done, in one transaction.

    Raises Lost where another worker has gone on with the reconciliation.
    """
    now = clock.now()
    told = judged(step.findings, connection.site.repairs - found.repaired, repair=found.repair)
    kinds = [finding.kind for finding, _ in told]
    figures = {
        "people": 0 if step.unread else len(step.people), "unread": step.unread, "items": step.items,
        "missing": kinds.count("missing"), "ghost": kinds.count("ghost"), "stale": kinds.count("stale"),
        "repaired": sum(finding.cost for finding, result in told if result == REPAIRED),
        "capped": sum(result == CAPPED for _, result in told),
    }  # fmt: skip
    kept = max(0, _MOST_KEPT - found.missing - found.ghost - found.stale)
    with db.unit_of_work() as session:
        batch = Batch()
        cursor = {"after": step.people[-1], "before": found.after or _FIRST, "first": _FIRST, "id": found.id}
        batch.change(_ON, figures | cursor)
        if batch.run(session) != [1]:
            raise outbox.Lost
        if told:
            batch = Batch()
            batch.add(_FINDING, [_row(found, finding, result) for finding, result in told[:kept]])
            batch.run(session)
        repair(session, connection, [finding for finding, result in told if result == REPAIRED], now)
    found.after = step.people[-1]
    for name, value in figures.items():
        setattr(found, name, getattr(found, name) + value)


def _row(found: OACheck, finding: Finding, result: str) -> dict[str, Any]:
    return {
        "check_id": found.id, "kind": finding.kind, "side": finding.side, "item_id": finding.item_id,
        "person_id": finding.person_id, "account": finding.account[:80], "title": finding.title[:200],
        "detail": finding.detail[:200], "result": result,
    }  # fmt: skip


def _end(db: Database, connection: Connection, found: OACheck) -> None:
    """Say how it ended; where the OA's lists can't be read, what was put longest ago is put again instead."""
    site, told, now = connection.site, list[str](), clock.now()
    with db.unit_of_work() as session:
        if not connection.adapter.reads_back:
            told.append("这个 OA 的列表不能读回，只核对了我们这一侧")
            left = site.repairs - found.repaired
            if found.repair and left > 0:
                batch = Batch()
                batch.query(_OLDEST, {"site": site.code, "limit": left})
                [rows] = batch.run(session)
                if rows:
                    pushing.doubt(session, connection, [row.item_id for row in rows], quiet=True)
                told.append(f"重新推送了 {len(rows)} 条待办，一次最多 {site.repairs} 条，最久没有推送的在先")
        if found.unread:
            told.append(f"有 {found.unread} 人的列表没有读到")
        if waiting := counted_from(session, connection):
            told.append(f"另有 {waiting} 条待办在接入之前就有，还没有首次装载")
        if found.missing + found.ghost + found.stale > _MOST_KEPT:
            told.append(f"差异很多，只列出前 {_MOST_KEPT} 条")
        batch = Batch()
        batch.add(_END, {"id": found.id, "state": DONE, "now": now, "reason": "；".join(told)})
        batch.defer(session)
    log.info(
        "reconciled: site=%s people=%d missing=%d ghost=%d stale=%d repaired=%d",
        *(site.code, found.people, found.missing, found.ghost, found.stale, found.repaired),
    )


def _given_up(row: outbox.Leased, reason: str, session: Session) -> None:
    """Say on the report that it was given up."""
    batch = Batch()
    which = {"id": uuid.UUID(row.payload["check"]), "state": FAILED, "now": clock.now(), "reason": reason}
    batch.add(_END, which)
    batch.run(session)
