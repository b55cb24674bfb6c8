"""The operation `bpm.urge`: a reminder sent by the diagram itself, usually behind a timer (到期提醒)."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import outbox
from engine.bpm.models import ItemState, WorkItem, WorkRound
from engine.bpm.operations import Context, operation
from engine.bpm.telling import told


@operation("bpm.urge")
def urge(session: Session, context: Context, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Remind whoever holds a step now: inputs `step` (its id; all open steps without it) and `text`; result `count`."""
    holders = (
        select(WorkItem.assignee_id)
        .join(WorkRound, WorkRound.id == WorkItem.round_id)
        .where(WorkItem.instance_id == context.instance_id, WorkItem.state == ItemState.OPEN)
        .distinct()
    )
    if inputs.get("step"):
        holders = holders.where(WorkRound.step == str(inputs["step"]))
    people: list[uuid.UUID] = list(session.scalars(holders))
    text = str(inputs.get("text") or "请尽快办理")
    if people:
        payload = told(context.instance_id, "urge", people, text)
        outbox.enqueue(session, "notice", str(context.instance_id), "person", payload, idem_key=f"urge:{context.key}")
    return {"count": len(people)}
