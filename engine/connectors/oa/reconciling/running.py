"""A reconciliation (对账) on its way: person after person, in the slow lane of the site's channel.

It is one row of the outbox that goes on again and again, so it delays no push, takes the site's rate, waits while the
channel is down or paused, and goes on behind the last person whom it has written when a worker is killed.
"""

import logging
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.audit import record
from engine.batch import Batch, Statement
from engine.connectors.oa import people, pushing
from engine.connectors.oa.adapters.protocol import Shown, UnknownPerson
from engine.connectors.oa.models import OACheck
from engine.connectors.oa.people import Identity
from engine.connectors.oa.reconciling import ours, theirs
from engine.connectors.oa.reconciling.findings import OPEN, Finding
from engine.connectors.oa.reconciling.repairing import CAPPED, REPAIRED, judged, repair
from engine.connectors.oa.reconciling.unloaded import counted_from, unloaded
from engine.connectors.oa.rights import require_admin, require_mirror
from engine.connectors.oa.sites import Connection, connected
from engine.db import Database, new_id
from engine.errors import Conflict
from engine.viewer import Doer

CHECK, VERB = "check", "oa_check"
RUNNING, DONE, FAILED = "running", "done", "failed"
NIGHTLY, PERSON, COMMAND = "nightly", "person", "command"
_KEY = "check"
_AT_ONCE, _ALONE = 50, 200  # people of one step: with their lists, and by our side alone
_STEP = 6.0  # seconds after which a step ends: others may have something in the lane
_RENEWED = 3.0  # seconds after which the row's lease is prolonged
_TRIES = 3  # of somebody's lists, before it goes on without
_MOST_KEPT = 5000  # findings; the others are only counted
_FIRST = uuid.UUID(int=0)

# all who are active: a list may hold what we have no record of
_PEOPLE = Statement(
    "SELECT p.id, p.name, p.staff_number, p.mobile, p.email, a.account AS given FROM person p "
    "LEFT JOIN oa_account a ON a.site = :site AND a.person_id = p.id WHERE p.id > :after "
    "AND ((p.disabled_at IS NULL AND p.system = false) "
    "OR p.id IN (SELECT m.person_id FROM oa_item m WHERE m.site = :site) "
    "OR p.id IN (SELECT i.assignee_id FROM work_item i WHERE i.state = 'open')) ORDER BY p.id LIMIT :limit",
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
    unread: int


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
    connection = connected(db).serving(row.system)
    with db.reading() as session:
        found = session.get(OACheck, uuid.UUID(row.payload["check"]))
    if found is None or found.state != RUNNING:
        return
    with db.reading() as session:
        page = _page(session, connection, found, _AT_ONCE if connection.adapter.reads_back else _ALONE)
    if not page:
        _end(db, connection, found)
        return
    lists = _Lists()
    if connection.adapter.reads_back:
        lists.read(db, row, connection, page)
        page = page[: len(lists.by_person) + lists.unread]
    if page:
        with db.reading() as session:
            step = _compared(session, connection, page, lists)
        _write(db, connection, found, step)
    raise lists.error or outbox.Again


def _page(session: Session, connection: Connection, found: OACheck, limit: int) -> list[tuple[uuid.UUID, str]]:
    """Return the next people with their accounts, "" where there is none."""
    site, batch = connection.site, Batch()
    batch.query(_PEOPLE, {"site": site.code, "after": found.after or _FIRST, "limit": limit})
    [rows] = batch.run(session)
    return [(p.id, people.account(site, Identity(p.name, p.staff_number, p.mobile, p.email, p.given))) for p in rows]


class _Lists:
    """The OA's lists of some people, one after the other, and our record of them from before."""

    def __init__(self) -> None:
        self.by_person: dict[uuid.UUID, dict[str, list[Shown]]] = {}
        self.before: dict[uuid.UUID, dict[uuid.UUID, Any]] = {}
        self.unread = 0
        self.error: Exception | None = None  # that the OA isn't to be had

    def read(
        self, db: Database, row: outbox.Leased, connection: Connection, page: Sequence[tuple[uuid.UUID, str]]
    ) -> None:
        """Ask for a few seconds; of whom it was asked in vain for a few times, it goes on without."""
        began = renewed = time.monotonic()
        self.asked_at = clock.now()
        with db.reading() as session:
            self.before = _by_person(ours.Record(session, connection).rows([person_id for person_id, _ in page]))
        for person_id, account in page:
            now = time.monotonic()
            if now - began > _STEP:
                break
            if now - renewed > _RENEWED:
                outbox.renew(db, row)
                renewed = now
            known = self.before.get(person_id, {}).values()
            accounts = {item.account for item in known if item.shown in OPEN} | {account}
            try:
                self.by_person[person_id] = {name: _list(connection, name) for name in sorted(accounts - {""})}
            except outbox.Permanent:
                self.unread += 1
            except outbox.Transient as error:
                self.error = error
                self.unread += error.counted and row.attempts >= _TRIES and not self.by_person
                break


def _list(connection: Connection, account: str) -> list[Shown]:
    try:
        return [theirs.readable(line) for line in connection.adapter.shown(account)]
    except UnknownPerson:
        return []  # whoever isn't there has no list


def _by_person(rows: Iterable[Any]) -> dict[uuid.UUID, dict[uuid.UUID, Any]]:
    found: dict[uuid.UUID, dict[uuid.UUID, Any]] = {}
    for row in rows:
        found.setdefault(row.person_id, {})[row.item_id] = row
    return found


def _compared(session: Session, connection: Connection, page: Sequence[tuple[uuid.UUID, str]], lists: _Lists) -> _Step:
    """Compare our side of some people, and theirs as far as their lists were read."""
    known, ids = ours.Record(session, connection), [person_id for person_id, _ in page]
    rows, unknown = known.rows(ids), known.unknown(ids)
    later = unloaded(session, connection, unknown) if unknown else set()
    due = [item for item in unknown if item.item_id not in later]
    found = list(ours.compare(rows, due, dict(page)))
    after = _by_person(rows)
    for person_id, mine in lists.by_person.items():
        before = lists.before.get(person_id, {})
        looked = theirs.Looked(person_id, lists.asked_at, before, after.get(person_id, {}), mine)
        found.extend(theirs.compare(looked, known))
    return _Step(ids, found, sum(row.current in OPEN for row in rows) + len(unknown), lists.unread)


def _write(db: Database, connection: Connection, found: OACheck, step: _Step) -> None:
    """Keep what was found, mend it, and note that these people are done, in one transaction.

    Raises Lost where another worker has gone on with the reconciliation.
    """
    now = clock.now()
    told = judged(step.findings, connection.site.repairs - found.repaired, repair=found.repair)
    kinds = [finding.kind for finding, _ in told]
    figures = {
        "people": len(step.people) - step.unread, "unread": step.unread, "items": step.items,
        "missing": kinds.count("missing"), "ghost": kinds.count("ghost"), "stale": kinds.count("stale"),
        "repaired": sum(result == REPAIRED for _, result in told),
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
