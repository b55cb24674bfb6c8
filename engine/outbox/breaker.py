"""When a channel delivers: its breaker, and its pause.

So many transient failures in a row open the breaker: nothing is leased for a while, then one row probes. A failed probe
opens it again, for twice as long, at most 5 minutes; no attempts are counted meanwhile. Any answer of the other side
closes it and brings the delayed rows back at once. So a channel that was down for hours drains as soon as it is back.
"""

import secrets
import uuid
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from engine import clock
from engine.outbox.channels import Channel, OutboxChannel, lanes_of, locked, raise_incident, resolve
from engine.outbox.handlers import Leased, Transient
from engine.outbox.rate import PATIENCE, wait
from engine.outbox.table import PENDING, Outbox

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)


def may_probe(session: Session, channel: Channel, lease: timedelta) -> bool:
    """Return whether a channel is down and it is the caller's turn to probe with one row.

    Who is told so has taken the turn until `lease` from now, and holds the lock; `pass_on` gives it back.
    """
    state, now = locked(session, channel.system), clock.now()
    if state.open_until is None or state.open_until > now or state.paused_at is not None:
        return False
    if wait(channel, state.taken_to, 1, now) > PATIENCE:
        return False
    state.open_until = now + lease
    return True


def pass_on(session: Session, channel: Channel) -> None:
    """Give back the turn to probe where there was no row to probe with."""
    locked(session, channel.system).open_until = clock.now()


def answered(session: Session, channel: Channel) -> None:
    """Note that the other side answers. Locks the channel."""
    state = locked(session, channel.system)
    if state.open_until is not None:
        resolve(session, channel.system, "down")
        bring_back(session, channel.system)
    if state.failures or state.open_until is not None:
        _close(state)


def failed(session: Session, channel: Channel, leased: Leased, error: Exception, reason: str) -> datetime | None:
    """Note a failed attempt; return until when the channel is down, or None where it isn't. Locks the channel.

    Only what is Transient says something of the other side. With a `delay` that side has said when, which opens
    nothing; a probe that was told so is followed by one then.
    """
    state, now = locked(session, channel.system), clock.now()
    if not isinstance(error, Transient):
        state.failed += 1
        return None
    state.failed += int(error.counted)
    if error.delay is not None:
        if leased.probe and state.open_until is not None:
            state.open_until = now + min(error.delay, LONGEST_PAUSE)
    elif state.open_until is None or leased.probe:
        state.failures, state.reason = state.failures + 1, reason
        if state.failures >= channel.breaks_after:
            if state.open_until is None:
                raise_incident(session, channel.system, "down", reason)
            state.open_until = now + _pause(state.failures - channel.breaks_after)
    return state.open_until


def halt(session: Session, channel: Channel, reason: str, by: uuid.UUID | None = None) -> OutboxChannel:
    """Pause a channel with an incident, by a person or because its settings are wrong. Locks the channel."""
    state = locked(session, channel.system)
    if state.open_until is not None:
        resolve(session, channel.system, "down", by)
    _close(state)
    if state.paused_at is None:
        state.paused_at, state.reason = clock.now(), reason[:400]
        raise_incident(session, channel.system, "paused", reason, by)
    return state


def bring_back(session: Session, system: str) -> None:
    """Make the rows of a channel due that wait because they failed; the caller holds its lock.

    One that was told by the other side when to come again comes early, and is told again.
    """
    now = clock.now()
    delayed = (
        select(Outbox.id)
        .where(
            Outbox.lane.in_(lanes_of(system)),
            Outbox.state == PENDING,
            Outbox.due_at > now,
            Outbox.last_error != "",
            Outbox.lease_until.is_(None),
        )
        .with_for_update(skip_locked=True)
    )
    session.execute(
        update(Outbox).where(Outbox.id.in_(delayed)).values(due_at=now).execution_options(synchronize_session=False)
    )
    session.info["outbox"] = True


def _close(state: OutboxChannel) -> None:
    state.failures, state.open_until = 0, None
    if state.paused_at is None:
        state.reason = ""


def _pause(probes: int) -> timedelta:
    """5 s, doubled after each failed probe, at most 5 minutes; ± 20 % so that workers don't come as a crowd."""
    base: timedelta = min(FIRST_PAUSE * 2 ** min(probes, 10), LONGEST_PAUSE)
    return min(base * (80 + secrets.randbelow(41)) / 100, LONGEST_PAUSE)
