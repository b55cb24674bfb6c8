"""What a viewer has to do with an instance, where a link names the instance alone."""

import uuid

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from engine.bpm.models import ItemKind, ItemState, WorkItem
from engine.org.actor import Actor


def own_open_item(session: Session, viewer: Actor, instance_id: uuid.UUID) -> uuid.UUID | None:
    """Return the viewer's open item of an instance, one to handle before one to read; None where there is none."""
    mine = select(WorkItem.id).where(
        WorkItem.instance_id == instance_id,
        WorkItem.assignee_id == viewer.person_id,
        WorkItem.state == ItemState.OPEN,
    )
    reading_last = case((WorkItem.kind == ItemKind.READ, 1), else_=0)
    found: uuid.UUID | None = session.scalar(mine.order_by(reading_last, WorkItem.id).limit(1))
    return found
