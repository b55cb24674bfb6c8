"""What admins and monitoring see of the outbox, and how a channel is paused and resumed by hand."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from engine import audit, clock
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.outbox.breaker import bring_back, halt
from engine.outbox.channels import ChannelIncident, OutboxChannel, channels, lanes_of, locked, resolve
from engine.outbox.table import DEAD, PENDING, Outbox
from engine.viewer import Doer

MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class Depth:
    """The backlog of one system: how many rows wait, since when the oldest, and what has failed once already."""

    system: str
    pending: int
    oldest: datetime
    failing: int


@dataclass(frozen=True, slots=True)
class ChannelState:
    """How a channel is: `paused_at`, or `down_until` where it is down (then one row probes), or neither.

    `reason`: why; `pending`, `oldest`: its backlog; `sent`: rows done, `failed`: attempts that failed, both ever.
    """

    system: str
    paused_at: datetime | None
    down_until: datetime | None
    reason: str
    pending: int
    oldest: datetime | None
    sent: int
    failed: int

    @property
    def state(self) -> str:
        """In one word: open, paused or down."""
        return "paused" if self.paused_at else "down" if self.down_until else "open"


def depth(session: Session) -> list[Depth]:
    """Return the backlog of each system that has one, by name."""
    failing = func.sum(case((Outbox.last_error != "", 1), else_=0))
    figures = select(Outbox.system, func.count(), func.min(Outbox.created_at), failing)
    rows = session.execute(figures.where(Outbox.state == PENDING).group_by(Outbox.system).order_by(Outbox.system))
    return [Depth(*row) for row in rows]


def dead(session: Session) -> dict[str, int]:
    """Return how many dead letters each system has that has some."""
    counted = select(Outbox.system, func.count()).where(Outbox.state == DEAD).group_by(Outbox.system)
    return dict(session.execute(counted).all())


def states(session: Session) -> list[ChannelState]:
    """Return the state of each channel that is declared, by name."""
    kept = {row.system: row for row in session.scalars(select(OutboxChannel))}
    every = [lane for system in channels for lane in lanes_of(system)]
    backlog = select(Outbox.system, func.count(), func.min(Outbox.created_at)).where(
        Outbox.state == PENDING, Outbox.lane.in_(every)
    )
    waiting = {system: (count, oldest) for system, count, oldest in session.execute(backlog.group_by(Outbox.system))}
    found = []
    for system in sorted(channels):
        row = kept.get(system) or OutboxChannel(system=system, reason="", sent=0, failed=0)
        figures = (*waiting.get(system, (0, None)), row.sent, row.failed)
        found.append(ChannelState(system, row.paused_at, row.open_until, row.reason, *figures))
    return found


def incidents(session: Session, limit: int) -> Sequence[ChannelIncident]:
    """Return the newest incidents of channels, the open ones first."""
    newest = select(ChannelIncident).order_by(ChannelIncident.resolved_at.is_not(None), ChannelIncident.id.desc())
    return session.scalars(newest.limit(limit)).all()


def stopped(session: Session) -> bool:
    """Return whether some channel delivers nothing."""
    standing = select(ChannelIncident.id).where(ChannelIncident.resolved_at.is_(None)).limit(1)
    return session.scalar(standing) is not None


def pause(session: Session, actor: Doer, system: str, reason: str) -> None:
    """Pause a channel by hand (暂停通道): nothing more is leased, what is at work ends.

    Raises Forbidden without the role process_admin or system_admin, NotFound, Invalid without a reason or for one
    over 200 characters, and Conflict if it is paused already.
    """
    _require(actor, system)
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise Invalid(f"请填写暂停的原因，最多 {MAX_REASON} 个字", code="channel_reason")
    if locked(session, system).paused_at is not None:
        raise Conflict("这个通道已经暂停", code="channel_paused")
    halt(session, channels[system], reason, actor.person_id)
    audit.record(session, actor, "channel_pause", {"system": system, "reason": reason}, at=clock.now())


def resume(session: Session, actor: Doer, system: str) -> None:
    """Let a channel that is paused go on, or one that is down probe at once (恢复通道); its delayed rows are due.

    Raises Forbidden without the role process_admin or system_admin, NotFound, and Conflict if it is neither.
    """
    _require(actor, system)
    state = locked(session, system)
    if state.paused_at is not None:
        state.paused_at, reason, state.reason = None, state.reason, ""
        resolve(session, system, "paused", actor.person_id)
    elif state.open_until is not None:
        state.open_until, reason = clock.now(), state.reason
    else:
        raise Conflict("这个通道正常，无需恢复", code="channel_open")
    bring_back(session, system)
    audit.record(session, actor, "channel_resume", {"system": system, "reason": reason}, at=clock.now())


def people(found: Sequence[ChannelIncident]) -> set[uuid.UUID]:
    """Return who raised or resolved some incidents."""
    return {person for row in found for person in (row.raised_by, row.resolved_by) if person is not None}


def _require(actor: Doer, system: str) -> None:
    if not actor.has("process_admin", "system_admin"):
        raise Forbidden("只有流程管理员和系统管理员可以暂停和恢复通道", code="channel_forbidden")
    if system not in channels:
        raise NotFound(f"没有通道 {system}", code="channel_not_found")
