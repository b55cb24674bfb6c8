"""Leasing rows and doing what they say; every result is recorded in a transaction."""

import logging
import secrets
import traceback
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import orjson
from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from engine import clock
from engine.db import Database
from engine.errors import EngineError, Unavailable
from engine.outbox.handlers import DEFECTIVE, PATIENT, Handler, Leased, OnDead, Permanent, Transient, handlers
from engine.outbox.table import PENDING, Outbox, affected
from engine.settings import ROOT

LEASE = timedelta(seconds=15)
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=1), timedelta(hours=1)

log = logging.getLogger(__name__)


class Lost(Exception):
    """The row went to another worker while this one was slow."""


def lease(db: Database, owner: str, limit: int) -> list[Leased]:
    """Take up to `limit` due rows for 15 s: each the oldest pending one of its shard, the longest due first.

    `owner` names the thread that asks, uniquely among all processes.
    """
    now = clock.now()
    older = aliased(Outbox)
    picked = (
        select(Outbox.id)
        .where(
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
    with db.unit_of_work() as session:
        rows = session.execute(taken).all()
    return [
        Leased(id_, system, key, topic, orjson.loads(payload), attempts, created_at, owner, now + LEASE)
        for id_, system, key, topic, payload, attempts, created_at in sorted(rows, key=lambda found: found.id)
    ]


def release(db: Database, rows: Iterable[Leased]) -> None:
    """Give rows back that were leased and not begun, as if they never had been taken."""
    with db.unit_of_work() as session:
        for leased in rows:
            _mark(session, leased, lease_owner=None, lease_until=None, attempts=leased.attempts - 1)


def run(db: Database, leased: Leased) -> Literal["done", "later", "dead", "lost"]:
    """Do what a leased row says and record how it went; "lost" if the row went to another worker meanwhile.

    Errors of the handler end here; errors of the database while recording go up, and the row returns after its lease.
    """
    found = handlers.get((leased.system, leased.topic))
    try:
        if found is None:
            raise LookupError("no handler")
        if leased.attempts > _interruptions(found):
            raise Permanent("办理进程在执行中反复中断")
        if found.in_transaction:
            with db.unit_of_work() as session:
                _done(session, leased)  # first, because it locks the row: whoever comes late finds it taken
                found.run(session, leased)
        else:
            found.run(db, leased)
            with db.unit_of_work() as session:
                _done(session, leased)
    except Lost:
        return "lost"
    except Exception as error:
        return _failed(db, leased, found, error)
    return "done"


def _interruptions(found: Handler) -> int:
    """Return how often a row may be kept from running, by busy data or the end of a worker."""
    return PATIENT if callable(found.max_attempts) else found.max_attempts


def _done(session: Session, leased: Leased) -> None:
    if not _mark(session, leased, state="done", done_at=clock.now(), lease_until=None):
        raise Lost


def _failed(db: Database, leased: Leased, found: Handler | None, error: Exception) -> Literal["later", "dead", "lost"]:
    expected = isinstance(error, Transient | Unavailable)
    if found is None:
        allowed = DEFECTIVE
    elif isinstance(error, Unavailable):
        allowed = _interruptions(found)
    else:
        allowed = found.allowed(leased, expected=expected)
    dead = isinstance(error, Permanent) or leased.attempts >= allowed
    reason = (str(error) if isinstance(error, Transient | Permanent | EngineError) else place(error))[:400]
    log.log(
        logging.ERROR if dead else logging.WARNING,
        "outbox row failed: id=%d system=%s topic=%s attempts=%d dead=%s error=%s",
        *(leased.id, leased.system, leased.topic, leased.attempts, dead, place(error)),
    )
    with db.unit_of_work() as session:
        if dead:
            kept = _mark(session, leased, state="dead", done_at=clock.now(), lease_until=None, last_error=reason)
            if kept and found and found.on_dead:
                _tell(session, leased, found.on_dead, reason)
        else:
            asked = error.delay if isinstance(error, Transient) else None
            delay = asked or _delay(leased.attempts)
            kept = _mark(session, leased, due_at=clock.now() + delay, lease_until=None, last_error=reason)
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
