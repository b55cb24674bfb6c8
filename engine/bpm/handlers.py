"""The engine's outbox handlers: jobs, events, settled read steps, and the in-app notices (站内通知)."""

import uuid
from typing import Any

import orjson
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from engine import notices, outbox
from engine.bpm import definitions, mirrors
from engine.bpm.commands import describing, events, jobs, reading
from engine.bpm.commands.jobs import stuck
from engine.bpm.models import ActionLog, Instance, InstanceState, ItemKind, ItemState, WorkItem, WorkRound
from engine.org.models import Person

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
    instance = _instance(session, row)
    told = select(notices.Notice.item_id).where(
        notices.Notice.instance_id == instance.id, notices.Notice.item_id.is_not(None)
    )
    found = session.execute(
        select(WorkItem.id, WorkItem.assignee_id, WorkItem.kind, WorkRound.step_name, WorkRound.opened_at)
        .join(WorkRound, WorkRound.id == WorkItem.round_id)
        .where(WorkItem.round_id.in_([uuid.UUID(r) for r in row.payload["rounds"]]))
        .where(WorkItem.state == ItemState.OPEN, WorkItem.id.not_in(told))
    ).all()
    returned = _last(session, instance, ActionLog.verb == "return")
    written = []
    for item in found:
        kind, text = ("read", "请阅读") if item.kind == ItemKind.READ else ("todo", "请办理")
        text = f"{text}：{item.step_name}"
        if returned is not None and returned.at == item.opened_at:
            kind, text = "return", f"{returned.name}退回：{returned.opinion}。{text}"
        written.append(
            notices.NewNotice(item.assignee_id, kind, instance.title, text, instance_id=instance.id, item_id=item.id)
        )
    notices.add_many(session, written)
    _settle(session, instance, row)


@outbox.handler("notice", "agreed", in_transaction=True)
def notice_agreed(session: Session, row: outbox.Leased) -> None:
    """Tell the initiator that all have agreed so far, where the instance waited for a time or a message after it.

    It may wait no more: a time that was due already, as that of a leave from today on, can be quicker than this.
    """
    instance = _instance(session, row)
    agreed = _last(session, instance, ActionLog.verb == "complete")
    if instance.state == InstanceState.RUNNING and agreed is not None and agreed.actor_id != instance.initiator_id:
        _tell_initiator(session, instance, "agreed", f"{agreed.step_name}：{agreed.name}已同意")
    _settle(session, instance, row)


@outbox.handler("notice", "changed", in_transaction=True)
def notice_changed(session: Session, row: outbox.Leased) -> None:
    """Tell nobody; items have changed all the same."""
    _settle(session, _instance(session, row), row)


@outbox.handler("notice", "ended", in_transaction=True)
def notice_ended(session: Session, row: outbox.Leased) -> None:
    """Tell the initiator how their instance ended, and who was to act that nothing is to be done any more."""
    instance, state = _instance(session, row), row.payload["state"]
    name = describing.STATE_NAMES[state]
    if state == InstanceState.COMPLETED:
        _tell_initiator(session, instance, "ended", _result(session, instance))
    else:
        ending = _last(session, instance, ActionLog.verb.in_(("withdraw", "terminate")))
        reason = "" if ending is None else f"：{ending.opinion}"
        if state == InstanceState.TERMINATED:
            _tell_initiator(session, instance, "ended", f"您发起的事项已{name}{reason}")
        freed = select(WorkItem.assignee_id).where(
            WorkItem.instance_id == instance.id,
            WorkItem.state == ItemState.CANCELLED,
            WorkItem.closed_at == instance.ended_at,
            WorkItem.kind != ItemKind.READ,
            WorkItem.assignee_id != instance.initiator_id,
        )
        text = f"已{name}，不用再办{reason}"
        people = session.scalars(freed.distinct())
        notices.add_many(
            session, [notices.NewNotice(p, "ended", instance.title, text, instance_id=instance.id) for p in people]
        )
    _settle(session, instance, row, "urge")


def _instance(session: Session, row: outbox.Leased) -> Instance:
    return session.get_one(Instance, uuid.UUID(row.payload["instance"]))


def _last(session: Session, instance: Instance, condition: ColumnElement[bool]) -> Any:
    """Return the newest row of the trail of a kind with its actor's name, None where there is none."""
    columns = ActionLog.actor_id, ActionLog.step, ActionLog.step_name, ActionLog.outcome, ActionLog.opinion
    return session.execute(
        select(*columns, ActionLog.at, Person.name)
        .join(Person, Person.id == ActionLog.actor_id)
        .where(ActionLog.instance_id == instance.id, condition)
        .order_by(ActionLog.id.desc())
        .limit(1)
    ).first()


def _settle(session: Session, instance: Instance, row: outbox.Leased, *kinds: str) -> None:
    """Let what asks for nothing any more count as read, and the mirrors look again."""
    closed = select(WorkItem.id).where(WorkItem.instance_id == instance.id, WorkItem.state != ItemState.OPEN)
    notices.mark_settled(session, instance.id, closed, *kinds)
    mirrors.changed(session, instance.id, row.created_at)


def _tell_initiator(session: Session, instance: Instance, kind: str, text: str) -> None:
    told = notices.NewNotice(instance.initiator_id, kind, instance.title, text, instance_id=instance.id)
    notices.add_many(session, [told])


def _result(session: Session, instance: Instance) -> str:
    """Return how an instance came out: the end that it reached, and who refused it in what words."""
    definition = definitions.version(session, instance.version_id).definition
    paths = session.scalars(
        select(ActionLog.path)
        .where(ActionLog.instance_id == instance.id, ActionLog.path != "[]")
        .order_by(ActionLog.id.desc())
        .limit(5)
    )
    walked = [element for path in paths for element in reversed(orjson.loads(path))]
    ends = (definition.names[element] for element in walked if element in definition.ends)
    text = f"您发起的事项已办结：{next(ends, '')}".removesuffix("：已办结").removesuffix("：")
    last = _last(session, instance, ActionLog.verb == "complete")
    task = None if last is None else definition.tasks.get(last.step)
    if last is None or task is None or task.kind != ItemKind.DECIDE or last.outcome == task.outcomes[0].id:
        return text
    outcome = task.outcome(last.outcome)
    said = f"：{last.opinion}" if last.opinion else ""
    return f"{text}。{last.step_name} {last.name}{'' if outcome is None else outcome.name}{said}"


@outbox.handler("notice", "person", in_transaction=True)
def notice_person(session: Session, row: outbox.Leased) -> None:
    """Tell named people something about an instance: a copy, an urge."""
    instance = _instance(session, row)
    people = [uuid.UUID(p) for p in row.payload["persons"]]
    kind, text = row.payload["kind"], row.payload["text"]
    notices.add_many(
        session, [notices.NewNotice(p, kind, instance.title, text, instance_id=instance.id) for p in people]
    )
    mirrors.changed(session, instance.id)
