"""Doing what leased rows say; every result is recorded in a transaction."""

import logging
import secrets
import traceback
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.orm import Session

from engine import clock
from engine.batch import Batch, Statement
from engine.db import Database
from engine.errors import EngineError, Unavailable
from engine.outbox import breaker, rate
from engine.outbox.channels import Channel, channel_of, lane
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
from engine.outbox.leasing import Lost, hands, mark
from engine.outbox.tally import Tally
from engine.settings import ROOT

FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=1), timedelta(hours=1)

Result = Literal["done", "later", "dead", "lost"]
_DONE = Statement(
    "UPDATE outbox SET state = 'done', done_at = :now, lease_until = NULL "
    "WHERE id = :id AND state = 'pending' AND lease_owner = :owner AND attempts = :attempts"
)
_TOLD = (Transient, Permanent, Configuration, EngineError)  # their texts are meant for admins

log = logging.getLogger(__name__)


class Interrupted(Permanent):
    """Every worker that began the row ended with it."""


def run(db: Database, leased: Leased) -> Result:
    """Do what a leased row says and record how it went; "lost" if the row went to another worker meanwhile.

    Errors of the handler end here; errors of the database while recording go up, and the row returns after its lease.
    """
    found = handlers.get((leased.system, leased.topic))
    channel = channel_of(lane(leased.system, leased.topic))
    try:
        if found is None:
            raise LookupError("no handler")
        if leased.attempts > _interruptions(found):
            raise Interrupted("办理进程在执行中反复中断")
        if found.in_transaction:
            with db.unit_of_work() as session:
                _done(session, leased, Batch())  # first, because it locks the row: whoever comes late finds it taken
                found.run(session, leased)
        else:
            rate.begin()
            written = found.run(db, leased)
            with db.unit_of_work() as session:
                _answered(db, session, channel, leased)
                _done(session, leased, written if isinstance(written, Batch) else Batch(), alone=True)
            if channel:
                db.own(Tally).sent(channel.system)
    except Lost:
        return "lost"
    except Exception as error:
        if isinstance(error, Again) and found and not found.in_transaction:
            return _again(db, leased, channel)
        if isinstance(error, Configuration) and channel:
            return _halted(db, leased, channel, error)
        return _failed(db, leased, found, channel, error)
    return "done"


def _interruptions(found: Handler) -> int:
    """Return how often a row may be kept from running, by busy data or the end of a worker."""
    return PATIENT if callable(found.max_attempts) else found.max_attempts


def _done(session: Session, leased: Leased, batch: Batch, *, alone: bool = False) -> None:
    """Mark the row done behind what the batch writes; `alone`: in one round trip with the commit, where that may be."""
    batch.change(_DONE, hands(leased) | {"now": clock.now()})
    if (batch.apart(session) if alone else batch.run(session)) != [1]:
        raise Lost


def _answered(db: Database, session: Session, channel: Channel | None, leased: Leased) -> None:
    """Tell the breaker that the other side answers, where there is a doubt: the channel's row stays unlocked else.

    A row that has asked nothing of it doesn't tell; where it was to probe, the next one does.
    """
    if channel is None:
        return
    if not rate.asked():
        if leased.probe:
            breaker.pass_on(session, channel)
        return
    tally = db.own(Tally)
    if leased.probe or leased.troubled or tally.has_failed(channel.system):
        breaker.answered(session, channel)
        tally.failing(channel.system, since=False)


def _again(db: Database, leased: Leased, channel: Channel | None) -> Result:
    with db.unit_of_work() as session:
        _answered(db, session, channel, leased)
        session.info["outbox"] = True
        kept = mark(session, leased, **_back(leased, clock.now()), last_error="")
    return "later" if kept else "lost"


def _halted(db: Database, leased: Leased, channel: Channel, error: Configuration) -> Result:
    reason = str(error)[:400]
    log.error("channel paused: system=%s id=%d error=%s", leased.system, leased.id, place(error))
    with db.unit_of_work() as session:
        breaker.halt(session, channel, reason)
        kept = mark(session, leased, **_back(leased, clock.now()), last_error=reason)
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
        if isinstance(error, Permanent) and not isinstance(error, Interrupted):  # an answer too
            _answered(db, session, channel, leased)
        if channel:
            down = breaker.failed(session, channel, leased, error, reason)
            if isinstance(error, Transient):
                db.own(Tally).failing(channel.system, since=True)
            dead = dead and down is None
        if dead:
            kept = mark(session, leased, state="dead", done_at=clock.now(), lease_until=None, last_error=reason)
            if kept and found and found.on_dead:
                _tell(session, leased, found.on_dead, reason)
        else:
            asked = error.delay if isinstance(error, Transient) else None
            due_at = clock.now() + (asked or _delay(leased.attempts))
            if down is not None and asked is None:
                due_at = down
            values = {"due_at": due_at, "lease_until": None} if counted and not down else _back(leased, due_at)
            kept = mark(session, leased, **values, last_error=reason)
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
