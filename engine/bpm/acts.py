"""What has happened since: the one rule that both the take-back and its button ask (撤回)."""

import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.bpm.models import ActionLog, ItemState, WorkItem, WorkRound

_ACTS = ("complete", "return", "job", "timer", "event", "jump")  # after these nothing is taken back


def acted_since(
    session: Session, *, instance_id: uuid.UUID, item_id: uuid.UUID, round_id: uuid.UUID, closed_at: datetime
) -> bool:
    """Whether anybody, or a system step, has acted since a work item decided its round."""
    last = session.scalar(
        select(ActionLog.id)
        .where(ActionLog.item_id == item_id, ActionLog.verb == "complete")
        .order_by(ActionLog.id.desc())
        .limit(1)
    )
    if last is None:
        return True
    logged = select(ActionLog.id).where(
        ActionLog.instance_id == instance_id, ActionLog.id > last, ActionLog.verb.in_(_ACTS)
    )
    if session.scalar(logged.limit(1)) is not None:
        return True
    done = (
        select(WorkItem.id)
        .join(WorkRound, WorkRound.id == WorkItem.round_id)
        .where(
            WorkItem.instance_id == instance_id,
            WorkItem.state == ItemState.DONE,
            WorkRound.opened_at >= closed_at,
            WorkRound.id != round_id,
        )
    )
    return session.scalar(done.limit(1)) is not None
