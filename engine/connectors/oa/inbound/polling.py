"""The OA's own lists, taken in person by person (轮询): what waits for them there, and what they have handled.

Who has logged in here today is looked at every few minutes, all others every few hours, and whoever opens the box at
once; all of them within a third of the site's rate. A list that can't be had is tried again later and later, and is
never a dead letter: nobody needs to act for it, the reason stands on `OAPoll`.
"""

import secrets
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import AMONG, Batch, Statement, asked, listed
from engine.connectors.oa import people
from engine.connectors.oa.adapters.protocol import Foreign, UnknownPerson
from engine.connectors.oa.inbound import entries
from engine.connectors.oa.sites import Connection, Sites, connected
from engine.db import Database
from engine.org.actor import Actor

POLL = "poll"
NOBODY = "没有对应的账号"
"""Why there is nothing to ask for: the people map gives no account."""
OVERLAP = timedelta(minutes=10)
"""How far each look at what was handled reaches back behind the last one."""
REST = timedelta(hours=4)
"""Between two looks at the lists of who hasn't logged in today."""
RARELY = timedelta(days=1)
"""Between two looks for somebody whom the OA doesn't know."""
DEBOUNCED = timedelta(seconds=30)
"""So soon after a look nobody's lists are asked for again, however often they open the box."""
_FIRST = timedelta(days=1)  # what the first look takes in of what was handled
_TODAY = timedelta(hours=12)
_HALT = timedelta(minutes=30)  # for everybody, where the OA refuses us
_COST, _SHARE, _SPREAD = 3, 3, 6  # requests of one look; a third of the rate; a sixth of that at once
_TRIES = 3
_BACK_OFF = 8  # doublings of a pause
_ASKED = datetime(2000, 1, 1, tzinfo=UTC)  # due, and before all others: the person looks at the box

_PEOPLE = Statement(
    "SELECT p.id FROM person p WHERE p.disabled_at IS NULL AND NOT p.system AND NOT EXISTS "
    "(SELECT 1 FROM oa_poll q WHERE q.site = :site AND q.person_id = p.id) ORDER BY p.id LIMIT :limit",
    id=uuid.UUID,
)
_ADD = Statement(
    "INSERT INTO oa_poll (site, person_id, due_at, failures, error) VALUES (:site, :person, :due_at, 0, '') "
    "ON CONFLICT (site, person_id) DO NOTHING"
)
_ACTIVE = "(SELECT s.person_id FROM login_session s WHERE s.created_at > :today)"
_WAKE = Statement(
    "UPDATE oa_poll SET due_at = :now WHERE site = :site AND failures = 0 "
    f"AND due_at > CASE WHEN polled_at IS NULL THEN :now ELSE :soon END AND person_id IN {_ACTIVE}"
)
_LATELY = Statement(
    "SELECT (SELECT count(*) FROM outbox o WHERE o.lane = :lane AND o.state = 'pending' AND o.topic = :topic) "
    "+ (SELECT count(*) FROM oa_poll WHERE site = :site AND polled_at > :minute) AS looks"
)
_DUE = Statement(
    "SELECT q.person_id FROM oa_poll q JOIN person p ON p.id = q.person_id WHERE q.site = :site AND q.due_at <= :now "
    "AND p.disabled_at IS NULL ORDER BY CASE WHEN q.due_at <= :asked THEN 0 "
    f"WHEN q.person_id IN {_ACTIVE} THEN 1 ELSE 2 END, q.due_at LIMIT :limit",
    person_id=uuid.UUID,
)
_CLAIM = Statement(f"UPDATE oa_poll SET due_at = :due_at WHERE site = :site AND person_id IN {AMONG}")
_ASK = Statement(
    "INSERT INTO oa_poll (site, person_id, due_at, failures, error) VALUES (:site, :person, :asked, 0, '') "
    "ON CONFLICT (site, person_id) DO UPDATE SET due_at = excluded.due_at "
    "WHERE oa_poll.polled_at IS NULL OR oa_poll.polled_at <= :before"
)
_WHO = Statement(
    "SELECT p.name, p.staff_number, p.mobile, p.email, a.account, q.account AS kept_of, q.handled_to, q.failures, "
    f"(p.id IN {_ACTIVE}) AS active FROM person p JOIN oa_poll q ON q.site = :site AND q.person_id = p.id "
    "LEFT JOIN oa_account a ON a.site = :site AND a.person_id = p.id WHERE p.id = :person AND p.disabled_at IS NULL",
    handled_to=datetime,
    active=bool,
)
_OF = Statement("SELECT account FROM oa_poll WHERE site = :site AND person_id = :person FOR UPDATE")
_BECOMES = Statement("UPDATE oa_poll SET account = :account WHERE site = :site AND person_id = :person")
_WELL = Statement(
    "UPDATE oa_poll SET polled_at = :now, due_at = :due_at, handled_to = :began, failures = 0, error = '' "
    "WHERE site = :site AND person_id = :person"
)
_FAILED = Statement(
    "UPDATE oa_poll SET polled_at = :now, due_at = :due_at, failures = failures + 1, error = :error "
    "WHERE site = :site AND person_id = :person"
)
_TOLD = Statement("UPDATE oa_poll SET error = :error WHERE site = :site AND person_id = :person")
_HALTED = Statement("UPDATE oa_poll SET due_at = :due_at WHERE site = :site AND due_at < :due_at")


def declare(system: str) -> None:
    """Declare what a site's channel does."""
    outbox.handler(system, POLL, in_transaction=False, newest=True, aside=True)(poll)


def polled(sites: Iterable[Connection]) -> list[Connection]:
    """Return the sites whose own lists are taken in."""
    return [found for found in sites if found.site.poll and found.adapter.polls]


def look(db: Database, limit: int) -> bool:
    """Queue those whose lists are due at all sites (tick); return whether there may be people to begin with."""
    more = False
    for connection in polled(connected(db)):
        with db.unit_of_work() as session:
            more = _begin(session, connection, limit) or more
            _wake(session, connection)
            _queue(session, connection)
    return more


def poll_now(session: Session, sites: Sites, actor: Actor) -> None:
    """Have the actor's own lists asked for before all others, unless that was done just now."""
    now = clock.now()
    for connection in polled(sites):
        batch = Batch()
        wish = {"site": connection.site.code, "person": actor.person_id, "asked": _ASKED}
        batch.change(_ASK, wish | {"before": now - DEBOUNCED})
        batch.run(session)
        _queue(session, connection)


def poll(db: Database, row: outbox.Leased) -> None:
    """Take in a person's lists."""
    connection = connected(db).serving(row.system)
    if not polled([connection]):
        return  # taken in no more
    person = uuid.UUID(row.payload["person"])
    where = {"site": connection.site.code, "person": person}
    began = clock.now()
    with db.reading() as session:
        rows = asked(session, _WHO, where | {"today": began - _TODAY})
    if not rows:
        return
    [found] = rows
    identity = people.Identity(found.name, found.staff_number, found.mobile, found.email, found.account)
    account, handled_to = people.account(connection.site, identity), found.handled_to
    if account != found.kept_of:
        handled_to = None
        with db.unit_of_work() as session:
            if found.kept_of is not None:
                entries.forget(session, connection.site.code, [person])
            batch = Batch()
            batch.change(_BECOMES, where | {"account": account})
            batch.run(session)
    if not account:
        _failed(db, where, NOBODY, RARELY)
        return
    try:
        waiting = connection.adapter.waiting(account)
        outbox.renew(db, row)
        done = connection.adapter.done_since(account, (handled_to or began - _FIRST) - OVERLAP)
    except UnknownPerson as error:
        _failed(db, where, str(error), RARELY)
    except outbox.Configuration as error:
        _failed(db, where, str(error), _HALT, everybody=True)
    except outbox.Permanent as error:
        _failed(db, where, str(error), _pause(connection, found.failures))
    except outbox.Transient as error:
        ended = error.counted and row.attempts >= _TRIES
        if error.counted:
            _failed(db, where, str(error), _pause(connection, found.failures) if ended else None)
        if not ended:
            raise  # the channel's breaker is to know
    else:
        pause = timedelta(minutes=connection.site.poll_minutes) if found.active else REST
        _take_in(db, where | {"account": account}, waiting, done, began, pause)


def _begin(session: Session, connection: Connection, limit: int) -> bool:
    """Give people a first look, spread over hours; who is here today gets it at once (`_wake`)."""
    site, now = connection.site, clock.now()
    found = asked(session, _PEOPLE, {"site": site.code, "limit": limit})
    if found:
        added, most = Batch(), int(REST.total_seconds())
        spread = [now + timedelta(seconds=1 + secrets.randbelow(most)) for _ in found]
        rows = [{"site": site.code, "person": each.id, "due_at": at} for each, at in zip(found, spread, strict=True)]
        added.add(_ADD, rows)
        added.run(session)
    return len(found) == limit


def _wake(session: Session, connection: Connection) -> None:
    """Let those who have logged in since not wait for hours."""
    site, now, batch = connection.site, clock.now(), Batch()
    soon = now + timedelta(minutes=site.poll_minutes)
    batch.add(_WAKE, {"site": site.code, "now": now, "soon": soon, "today": now - _TODAY})
    batch.run(session)


def _queue(session: Session, connection: Connection) -> None:
    """Write rows for people who are due: so many that a minute's looks stay within a third of the site's rate."""
    site, now = connection.site, clock.now()
    most = max(1, site.per_minute // _SHARE // _COST)
    lane = outbox.row(site.system, "", POLL, {}, now)["lane"]
    in_hand = {"lane": lane, "topic": POLL, "site": site.code, "minute": now - timedelta(minutes=1)}
    [lately] = asked(session, _LATELY, in_hand)
    limit = min(most - lately.looks, -(-most // _SPREAD))
    if limit <= 0:
        return
    who = {"site": site.code, "now": now, "asked": _ASKED, "today": now - _TODAY, "limit": limit}
    due = asked(session, _DUE, who)
    if not due:
        return
    ids, batch = [each.person_id for each in due], Batch()
    batch.add(_CLAIM, {"site": site.code, "ids": listed(ids), "due_at": now + timedelta(minutes=site.poll_minutes)})
    rows = (outbox.row(site.system, f"poll:{id_.hex}", POLL, {"person": id_.hex}, now) for id_ in ids)
    outbox.put(session, batch, rows)
    batch.run(session)


def _take_in(
    db: Database,
    where: dict[str, Any],
    waiting: Iterable[Foreign],
    done: Iterable[Foreign],
    began: datetime,
    pause: timedelta,
) -> None:
    """Write a person's lists, unless they have become somebody else's in the OA meanwhile."""
    now, batch = clock.now(), Batch()
    entries.write(batch, where, waiting, done, now)
    batch.add(_WELL, where | {"now": now, "began": began, "due_at": now + pause})
    with db.unit_of_work() as session:
        if [row.account for row in asked(session, _OF, where)] == [where["account"]]:
            batch.run(session)


def _failed(
    db: Database, where: dict[str, Any], reason: str, pause: timedelta | None, *, everybody: bool = False
) -> None:
    """Note why a list can't be had; `pause`: before the next look, None where this one is tried again."""
    now, batch, told = clock.now(), Batch(), where | {"error": entries.words(reason, 200)}
    if pause is None:
        batch.change(_TOLD, told)
    else:
        if everybody:
            batch.change(_HALTED, {"site": where["site"], "due_at": now + pause})
        batch.change(_FAILED, told | {"now": now, "due_at": now + pause})
    with db.unit_of_work() as session:
        batch.run(session)


def _pause(connection: Connection, failures: int) -> timedelta:
    doubled: timedelta = timedelta(minutes=connection.site.poll_minutes) * 2 ** min(failures + 1, _BACK_OFF)
    return min(doubled, RARELY)
