"""The engine's outbox handlers: jobs, events, settled read steps, and the in-app notices (站内通知)."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import notices, outbox
from engine.batch import Batch, Statement
from engine.bpm import definitions, mirrors
from engine.bpm.commands import describing, events, jobs, reading
from engine.bpm.commands.jobs import stuck
from engine.bpm.models import ActionLog, InstanceState, ItemKind

outbox.handler("job", "run", in_transaction=True, max_attempts=jobs.attempts, on_dead=jobs.dead)(jobs.run)
outbox.handler("event", "thrown", in_transaction=True)(events.spread)
outbox.handler("event", "deliver", in_transaction=True, on_dead=jobs.dead)(events.deliver)


@outbox.handler("settle", "round", in_transaction=True, on_dead=jobs.dead)
def settle(session: Session, row: outbox.Leased) -> None:
    """Let an instance go on whose readers are enough."""
    with stuck():
        reading.settle(session, uuid.UUID(row.payload["instance"]), uuid.UUID(row.payload["round"]))


_INSTANCE = Statement(
    "SELECT id, version_id, title, state, initiator_id, ended_at FROM instance WHERE id = :id",
    id=uuid.UUID,
    version_id=uuid.UUID,
    initiator_id=uuid.UUID,
    ended_at=datetime,
)
_LAST = Statement(
    "SELECT l.actor_id, l.verb, l.step, l.step_name, l.outcome, l.opinion, l.at, p.name "
    "FROM action_log l JOIN person p ON p.id = l.actor_id "
    "WHERE l.instance_id = :id AND l.verb IN (:verb, :other) ORDER BY l.id DESC LIMIT 1",
    actor_id=uuid.UUID,
    at=datetime,
)
_UNTOLD = Statement(
    "SELECT i.id, i.assignee_id, i.kind, i.round_id, r.step_name, r.opened_at "
    "FROM work_item i JOIN work_round r ON r.id = i.round_id WHERE i.instance_id = :id AND i.state = 'open' "
    "AND NOT EXISTS (SELECT 1 FROM notice n WHERE n.instance_id = :id AND n.item_id = i.id) ORDER BY i.id",
    id=uuid.UUID,
    assignee_id=uuid.UUID,
    round_id=uuid.UUID,
    opened_at=datetime,
)
_FREED = Statement(
    "SELECT DISTINCT i.assignee_id FROM work_item i JOIN instance o ON o.id = i.instance_id WHERE o.id = :id "
    "AND i.state = 'cancelled' AND i.closed_at = o.ended_at AND i.kind <> 'read' AND i.assignee_id <> o.initiator_id",
    assignee_id=uuid.UUID,
)


@outbox.handler("notice", "items", in_transaction=True)
def notice_items(session: Session, row: outbox.Leased) -> None:
    """Tell the assignees of the items that are open now; who was told of an item before is not told again."""
    instance, returned, untold = _read(session, row, "return", "", _UNTOLD)
    rounds = {uuid.UUID(r) for r in row.payload["rounds"]}
    written = []
    for item in untold:
        if item.round_id not in rounds:
            continue
        kind, text = ("read", "请阅读") if item.kind == ItemKind.READ else ("todo", "请办理")
        text = f"{text}：{item.step_name}"
        if returned is not None and returned.at == item.opened_at:
            kind, text = "return", f"{returned.name}退回：{returned.opinion}。{text}"
        written.append(
            notices.NewNotice(item.assignee_id, kind, instance.title, text, instance_id=instance.id, item_id=item.id)
        )
    _write(session, instance, row, written)


@outbox.handler("notice", "agreed", in_transaction=True)
def notice_agreed(session: Session, row: outbox.Leased) -> None:
    """Tell the initiator that all have agreed so far, where the instance waited for a time or a message after it.

    It may wait no more: a time that was due already, as that of a leave from today on, can be quicker than this.
    """
    instance, agreed, _ = _read(session, row, "complete")
    told = []
    if instance.state == InstanceState.RUNNING and agreed is not None and agreed.actor_id != instance.initiator_id:
        told.append(_to_initiator(instance, "agreed", f"{agreed.step_name}：{agreed.name}已同意"))
    _write(session, instance, row, told)


@outbox.handler("notice", "changed", in_transaction=True)
def notice_changed(session: Session, row: outbox.Leased) -> None:
    """Tell nobody; items have changed all the same."""
    instance, *_ = _read(session, row)
    _write(session, instance, row, [])


@outbox.handler("notice", "ended", in_transaction=True)
def notice_ended(session: Session, row: outbox.Leased) -> None:
    """Tell the initiator how their instance ended, and who was to act that nothing is to be done any more."""
    state = row.payload["state"]
    if state == InstanceState.COMPLETED:
        instance, last, _ = _read(session, row, "complete")
        told = [_to_initiator(instance, "ended", _result(session, instance, last))]
    else:
        instance, ending, freed = _read(session, row, "withdraw", "terminate", _FREED)
        name, reason = describing.STATE_NAMES[state], "" if ending is None else f"：{ending.opinion}"
        told = [
            notices.NewNotice(
                person.assignee_id, "ended", instance.title, f"已{name}，不用再办{reason}", instance_id=instance.id
            )
            for person in freed
        ]
        if state == InstanceState.TERMINATED:
            told.insert(0, _to_initiator(instance, "ended", f"您发起的事项已{name}{reason}"))
    _write(session, instance, row, told, "urge")


def _read(
    session: Session, row: outbox.Leased, verb: str = "", other: str = "", more: Statement | None = None
) -> tuple[Any, Any, list[Any]]:
    """Return the instance of a row, the newest row of its trail by one of two verbs (or None), and what `more` asks."""
    batch, params = Batch(), {"id": uuid.UUID(row.payload["instance"])}
    batch.query(_INSTANCE, params)
    if verb:
        batch.query(_LAST, params | {"verb": verb, "other": other})
    if more is not None:
        batch.query(more, params)
    [instance], *answers = batch.run(session)
    last = answers.pop(0) if verb else []
    return instance, last[0] if last else None, answers[0] if answers else []


def _write(
    session: Session, instance: Any, row: outbox.Leased, told: Sequence[notices.NewNotice], settled: str = ""
) -> None:
    """Write notices, let what asks for nothing any more count as read, and the mirrors look again: in one statement."""
    batch = Batch()
    notices.add_many(batch, told)
    notices.mark_settled(batch, instance.id, settled)
    mirrors.changed(session, batch, instance.id, row.created_at)
    batch.defer(session)


def _to_initiator(instance: Any, kind: str, text: str) -> notices.NewNotice:
    return notices.NewNotice(instance.initiator_id, kind, instance.title, text, instance_id=instance.id)


def _result(session: Session, instance: Any, last: Any) -> str:
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
    task = None if last is None else definition.tasks.get(last.step)
    if last is None or task is None or task.kind != ItemKind.DECIDE or last.outcome == task.outcomes[0].id:
        return text
    outcome = task.outcome(last.outcome)
    said = f"：{last.opinion}" if last.opinion else ""
    return f"{text}。{last.step_name} {last.name}{'' if outcome is None else outcome.name}{said}"


@outbox.handler("notice", "person", in_transaction=True)
def notice_person(session: Session, row: outbox.Leased) -> None:
    """Tell named people something about an instance: a copy, an urge."""
    instance, *_ = _read(session, row)
    people = [uuid.UUID(p) for p in row.payload["persons"]]
    kind, text = row.payload["kind"], row.payload["text"]
    batch = Batch()
    notices.add_many(batch, [notices.NewNotice(p, kind, instance.title, text, instance_id=instance.id) for p in people])
    mirrors.changed(session, batch, instance.id)
    batch.defer(session)
