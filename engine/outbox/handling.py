"""Leasing rows and doing what they say; every result is recorded in a transaction."""

import logging
import secrets
import traceback
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import orjson
from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from engine import clock
from engine.db import Database
from engine.errors import EngineError, Unavailable
from engine.outbox import breaker
from engine.outbox.channels import INSIDE, Channel, channels, lane, lanes
from engine.outbox.handlers import (
    DEFECTIVE,
    PATIENT,
    Again,
    Configuration,
    Handler,
    Leased,
    OnDead,
    Permanent,
    Transient,
    handlers,
)
from engine.outbox.table import PENDING, Outbox, affected
from engine.settings import ROOT

LEASE = timedelta(seconds=15)
SUPERSEDED = "superseded"  # the last_error of a row that a younger one has made unnecessary
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=1), timedelta(hours=1)

Result = Literal["done", "later", "dead", "lost"]
_TOLD = (Transient, Permanent, Configuration, EngineError)  # their texts are meant for admins

log = logging.getLogger(__name__)


class Interrupted(Permanent):
    """Every worker that began the row ended with it."""


class Lost(Exception):
    """The row went to another worker while this one was slow."""


def lease(db: Database, owner: str, limit: int, of: str | None = None) -> list[Leased]:
    """Take up to `limit` due rows for 15 s: each the oldest pending one of its shard, the longest due first.

    `owner` names the thread that asks, uniquely among all processes. `of` is a lane: INSIDE or a channel's system,
    which gives nothing while it is paused, down or at its rate's limit, but for one row to probe with; without it all
    are asked, one after the other.
    """
    if of is None:
        found: list[Leased] = []
        for name in (INSIDE, *lanes()):
            if len(found) < limit:
                found += lease(db, owner, limit - len(found), name)
        return found
    channel = channels.get(of)
    with db.unit_of_work() as session:
        if channel is None:
            return _take(session, owner, limit, of)
        admitted, probe = breaker.admits(session, channel, LEASE)
        if not admitted:
            return []
        rows = _take(session, owner, 1 if probe else limit, of, probe=probe)
        if probe and not rows:
            breaker.pass_on(session, channel)
        return rows


def _take(session: Session, owner: str, limit: int, of: str, *, probe: bool = False) -> list[Leased]:
    now = clock.now()
    older = aliased(Outbox)
    picked = (
        select(Outbox.id)
        .where(
            Outbox.lane == of,
            Outbox.state == PENDING,
            Outbox.due_at <= now,
            or_(Outbox.lease_until.is_(None), Outbox.lease_until <= now),
            ~exists().where(
                older.system == Outbox.system,
                older.key == Outbox.key,
                older.state == PENDING,
                older.id < Outbox.id,
            ),
        )
        .order_by(Outbox.due_at, Outbox.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    taken = (
        update(Outbox)
        .where(Outbox.id.in_(select(picked.c.id)))
        .values(lease_owner=owner, lease_until=now + LEASE, attempts=Outbox.attempts + 1)
        .returning(
            Outbox.id, Outbox.system, Outbox.key, Outbox.topic, Outbox.payload, Outbox.attempts, Outbox.created_at
        )
        .execution_options(synchronize_session=False)
    )
    return [
        Leased(id_, system, key, topic, orjson.loads(payload), attempts, created_at, owner, now + LEASE, probe)
        for id_, system, key, topic, payload, attempts, created_at in sorted(
            session.execute(taken).all(), key=lambda found: found.id
        )
    ]


def renew(db: Database, leased: Leased) -> None:
    """Prolong the lease of a row at work to 15 s from now: for a handler that does a lot in steps.

    Raises Lost, which the handler lets pass, where the row went to another worker meanwhile.
    """
    with db.unit_of_work() as session:
        if not _mark(session, leased, lease_until=clock.now() + LEASE):
            raise Lost


def release(db: Database, rows: Iterable[Leased]) -> None:
    """Give rows back that were leased and not begun, as if they never had been taken."""
    with db.unit_of_work() as session:
        for leased in rows:
            _mark(session, leased, lease_owner=None, lease_until=None, attempts=leased.attempts - 1)


def run(db: Database, leased: Leased) -> Result:
    """Do what a leased row says and record how it went; "lost" if the row went to another worker meanwhile.

    Errors of the handler end here; errors of the database while recording go up, and the row returns after its lease.
    """
    found = handlers.get((leased.system, leased.topic))
    channel = channels.get(lane(leased.system, leased.topic))
    try:
        if found is None:
            raise LookupError("no handler")
        if leased.attempts > _interruptions(found):
            raise Interrupted("办理进程在执行中反复中断")
        if found.newest and _superseded(db, leased):
            return "done"
        if found.in_transaction:
            with db.unit_of_work() as session:
                _done(session, leased)  # first, because it locks the row: whoever comes late finds it taken
                found.run(session, leased)
        else:
            found.run(db, leased)
            with db.unit_of_work() as session:
                if channel:
                    breaker.answered(session, channel, sent=True)
                _done(session, leased)
    except Lost:
        return "lost"
    except Exception as error:
        if isinstance(error, Again) and found and not found.in_transaction:
            return _again(db, leased, channel)
        if isinstance(error, Configuration) and channel:
            return _halted(db, leased, channel, error)
        return _failed(db, leased, found, channel, error)
    return "done"


def _superseded(db: Database, leased: Leased) -> bool:
    """Mark a row done, and those of its shard and topic between, if a younger one will do the same."""
    alike = (
        Outbox.system == leased.system,
        Outbox.key == leased.key,
        Outbox.topic == leased.topic,
        Outbox.state == PENDING,
    )
    with db.unit_of_work() as session:
        youngest = session.scalar(select(func.max(Outbox.id)).where(*alike, Outbox.due_at <= clock.now()))
        if youngest is None or youngest <= leased.id:
            return False
        passed = {"state": "done", "done_at": clock.now(), "lease_until": None, "last_error": SUPERSEDED}
        if not _mark(session, leased, **passed):
            raise Lost
        between = update(Outbox).where(*alike, Outbox.id > leased.id, Outbox.id < youngest)
        session.execute(between.values(passed).execution_options(synchronize_session=False))
        session.info["outbox"] = True
    return True


def _interruptions(found: Handler) -> int:
    """Return how often a row may be kept from running, by busy data or the end of a worker."""
    return PATIENT if callable(found.max_attempts) else found.max_attempts


def _done(session: Session, leased: Leased) -> None:
    if not _mark(session, leased, state="done", done_at=clock.now(), lease_until=None):
        raise Lost


def _again(db: Database, leased: Leased, channel: Channel | None) -> Result:
    with db.unit_of_work() as session:
        if channel:
            breaker.answered(session, channel, sent=False)
        session.info["outbox"] = True
        kept = _mark(session, leased, **_back(leased, clock.now()), last_error="")
    return "later" if kept else "lost"


def _halted(db: Database, leased: Leased, channel: Channel, error: Configuration) -> Result:
    reason = str(error)[:400]
    log.error("channel paused: system=%s id=%d error=%s", leased.system, leased.id, place(error))
    with db.unit_of_work() as session:
        breaker.halt(session, channel, reason)
        kept = _mark(session, leased, **_back(leased, clock.now()), last_error=reason)
    return "later" if kept else "lost"


def _back(leased: Leased, due_at: datetime) -> dict[str, Any]:
    """Return the values of a row that goes back as if it had not been tried."""
    return {"due_at": due_at, "lease_until": None, "attempts": leased.attempts - 1}


def _failed(db: Database, leased: Leased, found: Handler | None, channel: Channel | None, error: Exception) -> Result:
    expected = isinstance(error, Transient | Unavailable)
    if found is None:
        allowed = DEFECTIVE
    elif isinstance(error, Unavailable):
        allowed = _interruptions(found)
    else:
        allowed = found.allowed(leased, expected=expected)
    counted = not isinstance(error, Transient) or error.counted
    dead = isinstance(error, Permanent) or (counted and leased.attempts >= allowed)
    reason = (str(error) if isinstance(error, _TOLD) else place(error))[:400]
    with db.unit_of_work() as session:
        down = None
        if channel and isinstance(error, Permanent) and not isinstance(error, Interrupted):  # an answer too
            breaker.answered(session, channel, sent=False)
        if channel:
            down = breaker.failed(session, channel, leased, error, reason)
            dead = dead and down is None
        if dead:
            kept = _mark(session, leased, state="dead", done_at=clock.now(), lease_until=None, last_error=reason)
            if kept and found and found.on_dead:
                _tell(session, leased, found.on_dead, reason)
        else:
            asked = error.delay if isinstance(error, Transient) else None
            due_at = clock.now() + (asked or _delay(leased.attempts))
            if down is not None and asked is None:
                due_at = down
            values = {"due_at": due_at, "lease_until": None} if counted and not down else _back(leased, due_at)
            kept = _mark(session, leased, **values, last_error=reason)
    log.log(
        logging.ERROR if dead else logging.WARNING,
        "outbox row failed: id=%d system=%s topic=%s attempts=%d dead=%s error=%s",
        *(leased.id, leased.system, leased.topic, leased.attempts, dead, place(error)),
    )
    return ("dead" if dead else "later") if kept else "lost"


def _tell(session: Session, leased: Leased, on_dead: OnDead, reason: str) -> None:
    """A defect in the hook must not keep the row alive."""
    try:
        with session.begin_nested():
            on_dead(leased, reason, session)
    except Exception as error:
        log.error("outbox on_dead failed: id=%d error=%s", leased.id, place(error))


def _mark(session: Session, leased: Leased, **values: Any) -> bool:
    """Change the row if it still is in these hands: the same owner at the same attempt."""
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


def _delay(attempts: int) -> timedelta:
    """1 s after the first attempt, doubled after each, at most 1 h; ± 20 % so that rows don't come back as a crowd."""
    base: timedelta = FIRST_DELAY * 2 ** min(attempts - 1, 12)
    return min(base * (80 + secrets.randbelow(41)) / 100, LONGEST_DELAY)


def place(error: BaseException) -> str:
    """Name an error by its type and the place in our code, without its message: that may name people."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f.filename.startswith(str(ROOT)) and "site-packages" not in f.filename]
    for frame in (ours or frames)[-1:]:
        return f"{type(error).__name__} ({'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno})"
    return type(error).__name__
