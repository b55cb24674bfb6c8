"""Leasing rows, and giving them back.

A lease of one lane is one round trip, the state of the channel included; where rows are done in passing there are more.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import update
from sqlalchemy.orm import Session

from engine import clock
from engine.batch import Batch, Statement, asked
from engine.db import Database
from engine.outbox import breaker, rate
from engine.outbox.channels import INSIDE, Channel, channel_of, lanes
from engine.outbox.handlers import Leased, handlers
from engine.outbox.table import PENDING, Outbox, affected
from engine.outbox.tally import Tally

LEASE = timedelta(seconds=15)
SUPERSEDED = "superseded"  # the last_error of a row that a younger one has made unnecessary

# The oldest of its shard, and the youngest like it, by scalar subqueries: what exists would be looked for in the whole
# backlog where the planner hasn't seen it grow.
_YOUNGEST = (
    "(SELECT max({0}.id) FROM outbox {0} WHERE {0}.system = {1}.system AND {0}.key = {1}.key AND {0}.topic = {1}.topic "
    "AND {0}.state = 'pending' AND {0}.due_at <= :now AND ({0}.lease_until IS NULL OR {0}.lease_until <= :now))"
)
_TAKE = (
    "WITH picked AS (SELECT o.id FROM outbox o WHERE o.lane = :lane AND o.state = 'pending' AND o.due_at <= :now "
    "AND (o.lease_until IS NULL OR o.lease_until <= :now) AND o.id = (SELECT min(e.id) FROM outbox e "
    "WHERE e.system = o.system AND e.key = o.key AND e.state = 'pending') "
    "AND NOT EXISTS (SELECT 1 FROM outbox_channel c WHERE c.system = :channel "
    "AND (c.paused_at IS NOT NULL OR c.open_until IS NOT NULL OR c.taken_to > :full)) "
    "ORDER BY o.due_at, o.id LIMIT :limit{lock}) "
    "UPDATE outbox SET lease_owner = :owner, lease_until = :until, attempts = attempts + 1 "
    "WHERE id IN (SELECT id FROM picked) RETURNING id, system, key, topic, payload, attempts, created_at, "
    f"coalesce({_YOUNGEST.format('y', 'outbox')} > outbox.id, false) AS passed"
)
_TAKEN = Statement(
    _TAKE.format(lock=" FOR UPDATE OF o SKIP LOCKED"), sqlite=_TAKE.format(lock=""), created_at=datetime, passed=bool
)
_STATE = Statement(
    "SELECT failures, open_until FROM outbox_channel WHERE system = :channel AND paused_at IS NULL",
    open_until=datetime,
)
_COUNT = Statement(
    "INSERT INTO outbox_channel (system, reason, failures, sent, failed) VALUES (:channel, '', 0, :sent, 0) "
    "ON CONFLICT (system) DO UPDATE SET sent = outbox_channel.sent + excluded.sent"
)
_DONE = "UPDATE outbox SET state = 'done', done_at = :now, lease_until = NULL, last_error = :why WHERE "
_BEFORE = "b.id >= h.id AND (b.id = h.id OR b.lease_until IS NULL) AND b.id < " + _YOUNGEST.format("y", "h")
_SHARD = "b.system = h.system AND b.key = h.key AND b.topic = h.topic AND b.state = 'pending'"
_HELD = "h.lease_owner = :owner AND h.lease_until = :until"
# Found by the ids, and from them by their shards, whatever PostgreSQL believes of the table: it may never have looked
# at it, and then thinks that next to nothing is pending and that reading all of it costs nothing. So conditions that
# would let it read the index of what is pending are hidden from it (coalesce), and rows come as arrays.
_SUPERSEDE = Statement(
    f"{_DONE}coalesce(state, '') = 'pending' AND id = ANY(ARRAY(SELECT unnest(ARRAY(SELECT b.id FROM outbox b "
    f"WHERE {_SHARD} AND {_BEFORE} ORDER BY b.id)) FROM (SELECT h.id, h.system, h.key, h.topic FROM outbox h "
    "WHERE h.id = ANY(ARRAY(SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(:ids AS json)))) "
    f"AND coalesce(h.state, '') = 'pending' AND {_HELD} OFFSET 0) h))",
    sqlite=f"{_DONE}state = 'pending' AND id IN (SELECT b.id FROM outbox h JOIN outbox b ON {_SHARD} AND {_BEFORE} "
    f"WHERE h.id IN (SELECT value FROM json_each(:ids)) AND h.state = 'pending' AND {_HELD})",
)
_DUE_LANES = Statement("SELECT DISTINCT lane FROM outbox WHERE state = 'pending' AND due_at <= :now")
_RENEW = Statement(
    "UPDATE outbox SET lease_until = :until "
    "WHERE id = :id AND state = 'pending' AND lease_owner = :owner AND attempts = :attempts"
)


class Lost(Exception):
    """The row went to another worker while this one was slow."""


def lease(db: Database, owner: str, limit: int, of: str | None = None) -> list[Leased]:
    """Take up to `limit` due rows for 15 s: each the oldest pending one of its shard, the longest due first.

    `owner` names the thread that asks, uniquely among all processes. `of` is a lane: INSIDE or one of a channel, which
    gives nothing while that is paused, down or at its rate's limit, but for one row to probe with; without it one
    query tells which have something to do, and those are asked one after the other. Rows whose handler wants the newest
    only are done in passing where a younger one of their shard and topic is due, which is taken in its turn.
    """
    if of is None:
        found: list[Leased] = []
        for name in _busy(db):
            if len(found) < limit:
                found += lease(db, owner, limit - len(found), name)
        return found
    channel = channel_of(of)
    if channel is None:
        with db.unit_of_work() as session:
            return _Taking(session, owner, of).newest(limit)
    tally = db.own(Tally)
    sent = tally.collect(channel.system)
    try:
        with db.unit_of_work() as session:
            return _of_channel(session, _Taking(session, owner, of, channel, sent), limit)
    except Exception:
        tally.sent(channel.system, sent)
        raise


def _busy(db: Database) -> list[str]:
    """Return the lanes with rows that are due or that were sent and not yet counted."""
    with db.reading() as session:
        due = {row.lane for row in asked(session, _DUE_LANES, {"now": clock.now()})}
    tally = db.own(Tally)
    return [name for name in (INSIDE, *lanes()) if name in due or tally.has_sent(name)]


def write_sent(db: Database) -> None:
    """Write how many rows this process has sent since its last leases: for who leases no more."""
    tally = db.own(Tally)
    for system in lanes():
        if sent := tally.collect(system):
            with db.unit_of_work() as session:
                batch = Batch()
                batch.add(_COUNT, {"channel": system, "sent": sent})
                batch.defer(session)


def _of_channel(session: Session, taking: "_Taking", limit: int) -> list[Leased]:
    assert taking.channel is not None
    rows = taking.newest(limit)
    if rows or not taking.may_probe or not breaker.may_probe(session, taking.channel, LEASE):
        return rows
    taking.probe = True
    rows = taking.newest(1)
    if not rows:
        breaker.pass_on(session, taking.channel)
    return rows


class _Taking:
    """One look at a lane: what its channel says, and the rows."""

    def __init__(self, session: Session, owner: str, lane: str, channel: Channel | None = None, sent: int = 0) -> None:
        self.channel, self.probe, self.may_probe = channel, False, False
        self._session, self._owner, self._lane, self._sent = session, owner, lane, sent
        self._now = clock.now()
        self._troubled = False

    def newest(self, limit: int) -> list[Leased]:
        """Take rows; where some are made unnecessary by younger ones, those in their place."""
        taken: list[Leased] = []
        while len(taken) < limit:
            rows = self._take(limit - len(taken))
            passed = {row.id for row in rows if row.passed and _newest(row)}
            taken += [self._leased(row) for row in rows if row.id not in passed]
            if not passed:
                break
            self._supersede(passed)
        return sorted(taken, key=lambda row: row.id)

    def _take(self, limit: int) -> list[Any]:
        batch = Batch()
        guarded = self.channel if not self.probe else None
        system = guarded.system if guarded else ""
        if guarded and self._sent:
            batch.add(_COUNT, {"channel": system, "sent": self._sent})
            self._sent = 0
        if guarded:
            batch.query(_STATE, {"channel": system})
        full = rate.full(guarded, self._now) if guarded else self._now
        which = {"lane": self._lane, "channel": system, "now": self._now, "full": full, "limit": limit}
        batch.query(_TAKEN, which | {"owner": self._owner, "until": self._now + LEASE})
        *states, rows = batch.apart(self._session)
        for state in states[0] if states else ():
            self._troubled = state.failures > 0
            self.may_probe = state.open_until is not None and state.open_until <= self._now
        return list(rows)

    def _supersede(self, ids: set[int]) -> None:
        batch = Batch()
        mine = {"ids": orjson.dumps(sorted(ids)).decode(), "owner": self._owner, "until": self._now + LEASE}
        batch.change(_SUPERSEDE, mine | {"now": self._now, "why": SUPERSEDED})
        batch.apart(self._session)
        self._session.info["outbox"] = True

    def _leased(self, row: Any) -> Leased:
        payload = orjson.loads(row.payload)
        given = (row.id, row.system, row.key, row.topic, payload, row.attempts, row.created_at)
        return Leased(*given, self._owner, self._now + LEASE, self.probe, self._troubled)


def _newest(row: Any) -> bool:
    found = handlers.get((row.system, row.topic))
    return found is not None and found.newest


def renew(db: Database, leased: Leased) -> None:
    """Prolong the lease of a row at work to 15 s from now: for a handler that does a lot in steps.

    Raises Lost, which the handler lets pass, where the row went to another worker meanwhile.
    """
    with db.unit_of_work() as session:
        batch = Batch()
        batch.change(_RENEW, hands(leased) | {"until": clock.now() + LEASE})
        if batch.apart(session) != [1]:
            raise Lost


def release(db: Database, rows: Iterable[Leased]) -> None:
    """Give rows back that were leased and not begun, as if they never had been taken."""
    with db.unit_of_work() as session:
        for leased in rows:
            mark(session, leased, lease_owner=None, lease_until=None, attempts=leased.attempts - 1)


def hands(leased: Leased) -> dict[str, Any]:
    """Return the parameters that say of a row that it still is in these hands: the same owner at the same attempt."""
    return {"id": leased.id, "owner": leased.lease_owner, "attempts": leased.attempts}


def mark(session: Session, leased: Leased, **values: Any) -> bool:
    """Change the row if it still is in these hands."""
    statement = (
        update(Outbox)
        .where(
            Outbox.id == leased.id,
            Outbox.state == PENDING,
            Outbox.lease_owner == leased.lease_owner,
            Outbox.attempts == leased.attempts,
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return affected(session.execute(statement)) == 1
