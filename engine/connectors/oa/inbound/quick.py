"""What people have handled of ours in the OA itself (快速审批、一键已阅): the same command, and the first one wins.

The OA is asked account by account in rounds, of those alone who have something open there, within a third of the site's
rate; each round reaches back behind the last, so `OATaken` keeps what was taken in already. What can't be decided so,
because the step wants a form or words, or the OA doesn't tell the outcome, stays open: it is put into the OA's list
again, and the person is told why. Who comes too late, here or there, is told who was first.
"""

import logging
import re
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from engine import clock, notices, outbox
from engine.batch import Batch, Statement, asked
from engine.bpm import commands
from engine.bpm.models import ItemKind, ItemState
from engine.connectors.oa import pushing
from engine.connectors.oa.adapters.protocol import Handled
from engine.connectors.oa.sites import Connection, connected
from engine.db import Database
from engine.errors import Conflict, EngineError, Invalid, Unavailable
from engine.org.actor import Actor
from engine.org.identity import actor_for

QUICK = "quick"
OVERLAP = timedelta(minutes=10)
"""How far each round reaches back behind the one before."""
KEPT = timedelta(days=90)
_FIRST = timedelta(days=1)
_EVERY = 10.0  # seconds between two questions
_SHARE = 3  # a third of the rate
_TRIES = 3
_TOLD = timedelta(hours=1)  # who is told why something came back isn't told again so soon
_ACKNOWLEDGE = "acknowledge"
_KEY = re.compile(r"[0-9a-f]{32}")

_ACCOUNTS = Statement(  # also of who could still handle there what is over here: they are to be told
    "SELECT DISTINCT account FROM oa_item WHERE site = :site AND shown IN ('todo', 'read') AND account > :after "
    "ORDER BY account LIMIT :limit"
)
_STATE = Statement(
    "SELECT after, began_at, asked_at, known_to FROM oa_quick WHERE site = :site",
    began_at=datetime,
    asked_at=datetime,
    known_to=datetime,
)
_WAITS = Statement(
    "SELECT count(*) AS waits FROM outbox WHERE system = :system AND key = :key AND state IN ('pending', 'dead')"
)
_KEEP = Statement(
    "INSERT INTO oa_quick (site, after, began_at, asked_at, known_to) VALUES (:site, :after, :began, :now, :known) "
    "ON CONFLICT (site) DO UPDATE SET after = excluded.after, began_at = excluded.began_at, "
    "asked_at = excluded.asked_at, known_to = excluded.known_to"
)
_ITEM = Statement(
    "SELECT m.item_id, m.instance_id, m.person_id, m.account, n.title, m.kind, m.shown, m.shown_at, i.state, "
    "i.outcome, t.at AS taken_for, t.taken_at FROM oa_item m JOIN work_item i ON i.id = m.item_id "
    "JOIN instance n ON n.id = m.instance_id "
    "LEFT JOIN oa_taken t ON t.site = m.site AND t.key = :key AND t.account = :account "
    "WHERE m.site = :site AND m.item_id = :item",
    item_id=uuid.UUID,
    instance_id=uuid.UUID,
    person_id=uuid.UUID,
    shown_at=datetime,
    taken_for=datetime,
    taken_at=datetime,
)
# two workers may have the same row in hand
_TAKE = Statement(
    "INSERT INTO oa_taken (site, key, account, outcome, opinion, at, taken_at, result) "
    "VALUES (:site, :key, :account, :outcome, :opinion, :at, :now, :result) ON CONFLICT (site, key, account) "
    "DO UPDATE SET outcome = excluded.outcome, opinion = excluded.opinion, at = excluded.at, "
    "taken_at = excluded.taken_at, result = excluded.result WHERE oa_taken.at < excluded.at"
)
_OLD = Statement("DELETE FROM oa_taken WHERE taken_at < :before")

log = logging.getLogger(__name__)


class _Undecided(Exception):
    """What the OA tells is too little for the step: the item stays open."""


def declare(system: str) -> None:
    """Declare what a site's channel does."""
    outbox.handler(system, QUICK, in_transaction=False, newest=True, aside=True)(ask)


def look(db: Database) -> None:
    """Queue a question to each site that can be asked (tick): one at a time, none while an earlier one is given up."""
    for connection in connected(db):
        site, now = connection.site, clock.now()
        if not (site.mirror and connection.adapter.quick):
            continue
        with db.unit_of_work() as session:
            state = _one(session, _STATE, {"site": site.code})
            pause = timedelta(seconds=max(_EVERY, 60 * _SHARE / site.per_minute))
            waits = _one(session, _WAITS, {"system": site.system, "key": QUICK}).waits
            if not waits and (state is None or now - state.asked_at >= pause * 0.9):
                outbox.enqueue(session, site.system, QUICK, QUICK, {})


def ask(db: Database, row: outbox.Leased) -> None:
    """Ask a site what was handled of ours there by the next accounts of the round, and do it here."""
    connection = connected(db).serving(row.system)
    if not connection.adapter.quick:
        return
    site, now = connection.site, clock.now()
    limit = max(1, int(site.per_minute / _SHARE * _EVERY / 60))
    with db.reading() as session:
        state = _one(session, _STATE, {"site": site.code})
        after, began = ("", now) if state is None or not state.after else (state.after, state.began_at)
        known = now - _FIRST if state is None else state.known_to
        accounts = [each.account for each in asked(session, _ACCOUNTS, _where(site.code, after, limit))]
    try:
        found = connection.adapter.handled(accounts, known - OVERLAP) if accounts else []
    except outbox.Configuration as error:
        raise outbox.Permanent(str(error)) from None  # only this is amiss: what waits for the OA goes on
    except outbox.Transient as error:
        if not error.counted or row.attempts < _TRIES:  # the channel's breaker is to know
            raise
        return
    for handled in found:
        outbox.renew(db, row)
        take(db, connection, handled)
    ended = len(accounts) < limit
    kept = {"site": site.code, "after": "" if ended else accounts[-1], "began": began, "now": now}
    with db.unit_of_work() as session:
        _run(session, _KEEP, kept | {"known": began if ended else known})


def take(db: Database, connection: Connection, handled: Handled) -> None:
    """Do here what somebody did in the OA, unless it is known already, none of their own, or too late."""
    key, account = handled.key.lower(), handled.account
    if not _KEY.fullmatch(key) or _plain(account) != account:
        return
    handled = replace(handled, outcome=_plain(handled.outcome), opinion=_plain(handled.opinion))
    where = {"site": connection.site.code, "key": key, "account": account.lower()}
    with db.reading() as session:
        item = _one(session, _ITEM, where | {"item": uuid.UUID(key)})
        if item is None or item.account.lower() != account.lower() or _known(item, handled):
            return
        try:
            actor = actor_for(session, item.person_id)
        except EngineError:
            return
    row = where | {"outcome": handled.outcome[:40], "opinion": handled.opinion, "at": handled.at}
    try:
        with db.unit_of_work() as session:
            if _taken(session, row, "已办理"):
                _decide(session, connection, actor, item, handled, key)
    except Unavailable:
        return  # the next round has it again
    except (Invalid, _Undecided) as error:
        _put_again(db, connection, item, row, error.message if isinstance(error, Invalid) else str(error))
    except EngineError as refusal:
        with db.unit_of_work() as session:
            _taken(session, row, refusal.message)
            if isinstance(refusal, Conflict) and item.outcome != handled.outcome:
                _tell(session, item, f"您在“{connection.site.name}”的办理没有生效：{refusal.message}")
        log.info("handled in the oa too late: site=%s item=%s code=%s", row["site"], key, refusal.code)


def purge(db: Database) -> None:
    """Forget what was taken in long ago: no round reaches back so far."""
    with db.unit_of_work() as session:
        _run(session, _OLD, {"before": clock.now() - KEPT})


def _known(item: Any, handled: Handled) -> bool:
    """Whether it was taken in before, and not put again since; or only says that what is over is over."""
    if item.taken_for is None:
        closed_by_us = item.shown not in ("todo", "read")  # and open again, which the OA is still to be told
        return not handled.outcome and (item.state != ItemState.OPEN or closed_by_us)
    again = item.shown_at is not None and item.shown_at >= item.taken_at
    return bool(handled.at <= item.taken_for or not again)


def _decide(session: Session, connection: Connection, actor: Actor, item: Any, handled: Handled, key: str) -> None:
    """Run the command. Raises _Undecided, Invalid where the step wants more, Conflict where somebody was first."""
    outcome = _ACKNOWLEDGE if item.kind == ItemKind.READ else handled.outcome
    if item.state == ItemState.OPEN and item.kind == ItemKind.FILL:
        raise _Undecided("这一步要填写表单，请在这里打开后办理")
    if item.state == ItemState.OPEN and not outcome:
        raise _Undecided(f"“{connection.site.name}”没有说明您的办理结果，请在这里打开后办理")
    at = int(handled.at.timestamp() * 1000)
    commands.complete(
        session,
        actor,
        item.item_id,
        outcome,
        opinion=handled.opinion,
        key=f"oa:{connection.site.code}:{key}:{handled.account.lower()}:{at}"[:100],
        via=connection.site.system,
    )


def _put_again(db: Database, connection: Connection, item: Any, row: dict[str, Any], reason: str) -> None:
    with db.unit_of_work() as session:
        if not _taken(session, row, reason):
            return
        pushing.doubt(session, connection, [item.item_id])
        if item.taken_at is None or item.taken_at < clock.now() - _TOLD:
            _tell(session, item, f"您在“{connection.site.name}”的办理没有生效：{reason}")


def _tell(session: Session, item: Any, text: str) -> None:
    batch = Batch()
    told = notices.NewNotice(item.person_id, "oa", item.title, text, instance_id=item.instance_id, item_id=item.item_id)
    notices.add_many(batch, [told])
    batch.run(session)


def _taken(session: Session, row: dict[str, Any], result: str) -> bool:
    """Note that it is taken in; False where another worker has done so."""
    batch = Batch()
    batch.change(_TAKE, row | {"now": clock.now(), "result": result[:200]})
    return bool(batch.run(session) == [1])


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable() or c == "\n").strip()[:2000]


def _where(code: str, after: str, limit: int) -> dict[str, Any]:
    return {"site": code, "after": after, "limit": limit}


def _one(session: Session, statement: Statement, given: dict[str, Any]) -> Any:
    rows = asked(session, statement, given)
    return rows[0] if rows else None


def _run(session: Session, statement: Statement, given: dict[str, Any]) -> None:
    batch = Batch()
    batch.change(statement, given)
    batch.run(session)
