"""Bringing an OA to show what our rows say (推送): one item at a time, the newest state alone.

What is sent is marked before and after, each in a transaction of its own: what was begun and has no known end is
doubtful, and put again. Where the end of an attempt was unknown the OA is looked after once more a little later, so
that a request that takes effect late doesn't have the last word.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import AMONG, Batch, Statement, asked, listed
from engine.bpm import definitions
from engine.connectors.oa import mirroring, people, todos
from engine.connectors.oa.adapters.protocol import State, Todo, Unknown, UnknownPerson
from engine.connectors.oa.models import IGNORED, REFUSED, UNMAPPED
from engine.connectors.oa.sites import Connection, connected
from engine.db import Database

CONFIRM = timedelta(minutes=2)
"""After an unknown end: a request that is on its way for longer is taken for lost."""
SETTLED = datetime(2000, 1, 1, tzinfo=UTC)
"""`doubtful_at` of a doubt that needs no second look once it is put."""

_ITEM = Statement(
    "SELECT m.instance_id, m.account, m.title, m.workflow, m.node, m.kind, m.urgency, "
    f"m.started_at, m.opened_at, m.shown, m.sending, m.stamp, m.quiet, m.doubtful_at, {mirroring.CURRENT} AS current, "
    "i.outcome, r.step, n.version_id, p.name AS p_name, p.staff_number AS p_number, p.mobile AS p_mobile, "
    "p.email AS p_email, a.account AS p_given, s.name AS s_name, s.staff_number AS s_number, s.mobile AS s_mobile, "
    "s.email AS s_email, b.account AS s_given FROM oa_item m JOIN work_item i ON i.id = m.item_id "
    "JOIN work_round r ON r.id = i.round_id JOIN instance n ON n.id = m.instance_id "
    "JOIN person p ON p.id = m.person_id LEFT JOIN oa_account a ON a.site = m.site AND a.person_id = p.id "
    "JOIN person s ON s.id = m.sender_id LEFT JOIN oa_account b ON b.site = m.site AND b.person_id = s.id "
    "WHERE m.site = :site AND m.item_id = :item",
    instance_id=uuid.UUID,
    started_at=datetime,
    opened_at=datetime,
    doubtful_at=datetime,
    version_id=uuid.UUID,
    quiet=bool,
)
_BEGIN = Statement(
    "UPDATE oa_item SET wanted = :state, sending = :state, account = :account, stamp = :stamp, problem = '', "
    "reason = '' WHERE site = :site AND item_id = :item"
)
_SHOWN = Statement(
    "UPDATE oa_item SET shown = :state, sending = '', doubtful_at = :doubtful_at, quiet = :quiet, problem = '', "
    "reason = '', shown_at = :now WHERE site = :site AND item_id = :item AND stamp = :stamp"
)
_NOTHING = Statement(
    "UPDATE oa_item SET wanted = :state, problem = '', reason = '' WHERE site = :site AND item_id = :item"
)
_NOT_SENT = Statement("UPDATE oa_item SET sending = :before WHERE site = :site AND item_id = :item")
_UNKNOWN = Statement("UPDATE oa_item SET doubtful_at = :now WHERE site = :site AND item_id = :item")
_PROBLEM = Statement("UPDATE oa_item SET problem = :problem, reason = :reason WHERE site = :site AND item_id = :item")
_GIVEN_UP = Statement(
    "UPDATE oa_item SET problem = CASE WHEN problem = '' THEN :problem ELSE problem END, reason = :reason, "
    "doubtful_at = :settled WHERE site = :site AND item_id = :item"
)
# a younger row has told what these could not
_FORGOTTEN = Statement(
    "UPDATE outbox SET state = 'done', done_at = :now, last_error = :why WHERE system = :system AND key = :key "
    "AND state = 'dead' AND id < :id"
)
_DOUBT = Statement(
    "UPDATE oa_item SET sending = CASE WHEN shown = '' THEN wanted ELSE shown END, doubtful_at = :settled, "
    f"quiet = :quiet WHERE site = :site AND item_id IN {AMONG}"
)
_DUE = Statement(
    "SELECT m.item_id FROM oa_item m WHERE m.site = :site AND m.doubtful_at > :settled AND m.doubtful_at <= :before "
    "AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.system = :system AND o.state = 'pending' "
    "AND o.key = replace(CAST(m.item_id AS VARCHAR(36)), '-', '')) ORDER BY m.doubtful_at LIMIT :limit",
    item_id=uuid.UUID,
)


class Unmapped(UnknownPerson):
    """The people map gives no account (没有对应账号)."""


@dataclass(frozen=True, slots=True)
class _Sending:
    """One push: what is put, and what was known of the item before."""

    todo: Todo
    state: State
    doubtful: bool
    seen: bool  # whether the OA has shown it before
    before: str  # `sending` as it was
    since: datetime | None  # `doubtful_at` as it was


def declare(system: str) -> None:
    """Declare what a site's channel does."""
    outbox.handler(system, mirroring.PUSH, in_transaction=False, newest=True, on_dead=_given_up)(push)


def push(db: Database, row: outbox.Leased) -> Batch | None:
    """Bring a site to show an item as our rows have it now; nothing is sent where it does already.

    Returns what is written with the end of the row.
    """
    sites = connected(db)
    connection = sites.serving(row.system)
    item_id = uuid.UUID(row.payload["item"])
    where = {"site": connection.site.code, "item": item_id}
    try:
        with db.unit_of_work() as session:
            sending = _begun(session, connection, sites.base_url, row, where)
        if sending is not None:
            return _put(db, connection, row, sending, where)
    except UnknownPerson as error:
        if connection.site.unmapped == "report":
            _mark(db, _PROBLEM, where | {"problem": UNMAPPED, "reason": str(error)[:200]})
            raise
        _mark(db, _PROBLEM, where | {"problem": IGNORED, "reason": ""})
    return None


def _put(db: Database, connection: Connection, row: outbox.Leased, sending: _Sending, where: dict[str, Any]) -> Batch:
    """Tell the OA; return what marks how it ended."""
    try:
        connection.adapter.put(sending.todo, sending.state, doubtful=sending.doubtful or sending.seen)
    except Unknown:
        _mark(db, _UNKNOWN, where | {"now": clock.now()})
        raise
    except (outbox.Transient, outbox.Permanent, outbox.Configuration):  # certainly without effect
        _mark(db, _NOT_SENT, where | {"before": sending.before})
        raise
    now, batch = clock.now(), Batch()
    done = {"state": str(sending.state), "doubtful_at": _looked_at(sending, now), "quiet": False, "now": now}
    batch.add(_SHOWN, where | done | {"stamp": sending.todo.stamp})
    batch.add(_FORGOTTEN, _forgotten(row))
    return batch


def doubt(session: Session, connection: Connection, item_ids: Collection[uuid.UUID], *, quiet: bool = True) -> None:
    """Put items again, because what we believe the OA shows of them is not to be trusted; `quiet`: without notifying.

    What an OA shows that it should not is taken away, what it lacks comes back.
    """
    site, batch = connection.site, Batch()
    given = {"site": site.code, "ids": listed(item_ids), "quiet": quiet, "settled": SETTLED}
    batch.add(_DOUBT, given)
    outbox.put(session, batch, [mirroring.pushing_row(site.system, item_id) for item_id in item_ids])
    batch.run(session)


def confirm(db: Database, limit: int) -> bool:
    """Put again what ended unknown a while ago, in all sites; return whether there may be more of it."""
    more = False
    for connection in connected(db):
        site = connection.site
        which = {"site": site.code, "system": site.system, "settled": SETTLED, "limit": limit}
        with db.unit_of_work() as session:
            due = asked(session, _DUE, which | {"before": clock.now() - CONFIRM})
            if due:
                doubt(session, connection, [row.item_id for row in due])
        more = more or len(due) == limit
    return more


def _begun(
    session: Session, connection: Connection, base_url: str, row: outbox.Leased, where: dict[str, Any]
) -> _Sending | None:
    """Return what is to be sent, marked as begun; None where the OA shows it already, or never heard of it."""
    site = connection.site
    rows = asked(session, _ITEM, where | mirroring.folded(connection))
    if not rows:
        return None
    [found] = rows
    state = State(found.current)
    there = found.shown not in ("", State.DELETED)
    if not found.sending and (state == found.shown or not (state.open or there)):
        _nothing(session, row, where | {"state": str(state)})  # what isn't there can't be done
        return None
    person = people.Identity(found.p_name, found.p_number, found.p_mobile, found.p_email, found.p_given)
    kept = found.account if there or found.sending else ""  # where nothing is yet, they may have another by now
    account = kept or people.account(site, person)
    if not account:
        raise Unmapped(f"{person.name}（{person.staff_number}）在“{site.name}”没有对应账号，请在“账号对照”里补上")
    stamp = max(int(clock.now().timestamp() * 1000), found.stamp + 1)
    batch = Batch()
    batch.add(_BEGIN, where | {"state": str(state), "account": account, "stamp": stamp})
    batch.defer(session)
    todo = _todo(session, connection, base_url, where["item"], found, person, account, stamp)
    return _Sending(todo, state, bool(found.sending), found.shown != "", found.sending, found.doubtful_at)


def _todo(
    session: Session,
    connection: Connection,
    base_url: str,
    item_id: uuid.UUID,
    found: Any,
    person: people.Identity,
    account: str,
    stamp: int,
) -> Todo:
    site = connection.site
    sender = people.Identity(found.s_name, found.s_number, found.s_mobile, found.s_email, found.s_given)
    outcomes = definitions.version(session, found.version_id).definition.tasks[found.step].outcomes
    return todos.described(
        site,
        base_url,
        item_id,
        found,
        person=person.name,
        account=account,
        sender=sender.name,
        sender_account=people.account(site, sender),
        outcome=found.outcome or "",
        positive=not outcomes or found.outcome == outcomes[0].id,
        stamp=stamp,
        quiet=found.quiet,
    )


def _looked_at(sending: _Sending, now: datetime) -> datetime | None:
    """Return when the OA must be looked after once more: not where no attempt ended unknown, or this was that look."""
    if not sending.doubtful or (sending.since is not None and sending.since <= now - CONFIRM):
        return None
    return now


def _mark(db: Database, statement: Statement, given: dict[str, Any]) -> None:
    with db.unit_of_work() as session:
        _run(session, statement, given)


def _nothing(session: Session, row: outbox.Leased, where: dict[str, Any]) -> None:
    batch = Batch()
    batch.add(_NOTHING, where)
    batch.add(_FORGOTTEN, _forgotten(row))
    batch.defer(session)


def _forgotten(row: outbox.Leased) -> dict[str, Any]:
    return {"system": row.system, "key": row.key, "id": row.id, "now": clock.now(), "why": outbox.SUPERSEDED}


def _given_up(row: outbox.Leased, reason: str, session: Session) -> None:
    """Say on the item why the OA can't be brought to show it."""
    found = {"site": row.system.removeprefix("oa."), "item": uuid.UUID(row.payload["item"])}
    batch = Batch()
    batch.add(_GIVEN_UP, found | {"problem": REFUSED, "reason": reason[:200], "settled": SETTLED})
    batch.add(_FORGOTTEN, _forgotten(row))  # one dead letter of an item tells enough
    batch.run(session)


def _run(session: Session, statement: Statement, given: dict[str, Any]) -> None:
    batch = Batch()
    batch.add(statement, given)
    batch.run(session)
