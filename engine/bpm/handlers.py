"""The engine's outbox handlers: jobs, events, settled read steps, and the in-app notices (站内通知)."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import notices, outbox
from engine.bpm.commands import describing, events, jobs, reading
from engine.bpm.commands.jobs import stuck
from engine.bpm.models import Instance, ItemState, WorkItem, WorkRound

outbox.handler("job", "run", in_transaction=True, max_attempts=jobs.attempts, on_dead=jobs.dead)(jobs.run)
outbox.handler("event", "thrown", in_transaction=True)(events.spread)
outbox.handler("event", "deliver", in_transaction=True, on_dead=jobs.dead)(events.deliver)


@outbox.handler("settle", "round", in_transaction=True, on_dead=jobs.dead)
def settle(session: Session, row: outbox.Leased) -> None:
    """Let an instance go on whose readers are enough."""
    with stuck():
        reading.settle(session, uuid.UUID(row.payload["instance"]), uuid.UUID(row.payload["round"]))


@outbox.handler("notice", "items", in_transaction=True)
def notice_items(session: Session, row: outbox.Leased) -> None:
    """Tell the assignees of the items that are open now; who was told of an item before is not told again."""
    instance = session.get(Instance, uuid.UUID(row.payload["instance"]))
    assert instance is not None
    told = select(notices.Notice.item_id).where(
        notices.Notice.instance_id == instance.id, notices.Notice.item_id.is_not(None)
    )
    found = session.execute(
        select(WorkItem.id, WorkItem.assignee_id, WorkItem.kind, WorkRound.step_name)
        .join(WorkRound, WorkRound.id == WorkItem.round_id)
        .where(WorkItem.round_id.in_([uuid.UUID(r) for r in row.payload["rounds"]]))
        .where(WorkItem.state == ItemState.OPEN, WorkItem.id.not_in(told))
    )
    notices.add_many(
        session,
        [
            notices.NewNotice(
                item.assignee_id,
                "read" if item.kind == "read" else "todo",
                instance.title,
                f"{'请阅读' if item.kind == 'read' else '请办理'}：{item.step_name}",
                instance_id=instance.id,
                item_id=item.id,
            )
            for item in found
        ],
    )


@outbox.handler("notice", "ended", in_transaction=True)
def notice_ended(session: Session, row: outbox.Leased) -> None:
    """Tell the initiator how their instance ended."""
    instance = session.get(Instance, uuid.UUID(row.payload["instance"]))
    assert instance is not None
    text = f"您发起的事项已{describing.STATE_NAMES[row.payload['state']]}"
    notices.add_many(
        session, [notices.NewNotice(instance.initiator_id, "ended", instance.title, text, instance_id=instance.id)]
    )


@outbox.handler("notice", "person", in_transaction=True)
def notice_person(session: Session, row: outbox.Leased) -> None:
    """Tell named people something about an instance: a copy, an urge."""
    instance = session.get(Instance, uuid.UUID(row.payload["instance"]))
    assert instance is not None
    people = [uuid.UUID(p) for p in row.payload["persons"]]
    kind, text = row.payload["kind"], row.payload["text"]
    notices.add_many(
        session, [notices.NewNotice(p, kind, instance.title, text, instance_id=instance.id) for p in people]
    )
