"""Reading steps (传阅): a reader acknowledges on rows alone; the engine is asked only when enough have read."""

import uuid
from typing import Any

from sqlalchemy.orm import Session

from engine import audit, clock
from engine.batch import Batch
from engine.bpm import figures, looks, rounds, runtime, visibility
from engine.bpm.commands import checks, opening, requests
from engine.bpm.commands import statements as sql
from engine.bpm.commands.case import Case, idem, same_request
from engine.bpm.models import InstanceState, ItemKind, ItemState
from engine.errors import Conflict, Forbidden, Unavailable
from engine.org.actor import Actor


def acknowledge(
    session: Session, actor: Actor, item_id: uuid.UUID, *, opinion: str = "", key: str | None = None
) -> bool:
    """Acknowledge a read item (已阅); True the first time, also when sent again under its key; False if it was read.

    Takes no lock on the instance: hundreds of readers don't wait for one another. What may be done is done in one
    round trip that is a transaction of its own (where the caller's has said something before, it is part of that);
    only where nothing was done it is asked why. Whoever may end the step leaves a row in the outbox that lets the
    instance go on. Refusals: NotFound, Forbidden, Conflict (the step has ended).
    """
    checks.check_opinion(opinion, required=False, what="已阅")
    row = audit.read_row(
        session.info["audit_key"],
        item_id=item_id,
        actor_id=actor.person_id,
        token_id=actor.token_id,
        opinion=opinion.strip(),
        at=clock.now(),
        idem_key=idem(actor, key),
    )
    return _write(session, row) or _not_done(session, actor, row)


def _write(session: Session, row: dict[str, Any]) -> bool:
    """Change the item, log it, and wake the instance where its step may end; False where nothing was to be done."""
    batch = Batch()
    for statement in (sql.ACKNOWLEDGE, sql.LOG_READ, sql.SETTLE_READ):
        batch.change(statement, row)
    figures.enqueue(session, batch, row["actor_id"])
    looks.read(session, batch, row["item_id"])
    changed, _, settling = batch.apart(session)
    if settling:
        session.info["outbox"] = True
    return bool(changed)


def _not_done(session: Session, actor: Actor, row: dict[str, Any]) -> bool:
    """Say why nothing was done: True where this very request did it, False where another did; else a refusal."""
    batch = Batch()
    batch.query(sql.ITEM, {"item": row["item_id"]})
    batch.query(sql.REPLAY, row)
    found, replayed = batch.run(session)
    if not found:
        raise visibility.not_found()
    if replayed:
        same_request(session, replayed[0], "read", row["item_id"], same=replayed[0].opinion == row["opinion"])
        return True
    item = found[0]
    case = Case.by_id(session, actor, item.instance_id)
    checks.item_of(case, [item], item.id, actor)
    if item.assignee_id != actor.person_id:
        raise Forbidden(f"这一项由{item.assignee_name}阅读，您不能代办", code="not_assignee")
    if item.kind != ItemKind.READ:
        raise Conflict("这一项需要办理，不只是阅读", code="not_read_item")
    if item.state == ItemState.DONE:
        return False  # reading twice is no mistake
    raise Conflict(checks.late(case, item), code="item_closed", state=item.state)


def acknowledge_behind_lock(case: Case, item: Any, outcome: str, opinion: str, via: str = "") -> dict[str, Any]:
    """Acknowledge through `complete`; the same rows, under the lock that `complete` already holds."""
    assert case.actor is not None
    task = case.definition.tasks[item.step]
    checks.outcome_of(task, outcome, opinion)
    row = audit.log_row(
        case.session.info["audit_key"],
        instance_id=item.instance_id,
        round_id=item.round_id,
        item_id=item.id,
        step=item.step,
        step_name=item.step_name,
        actor_id=case.actor.person_id,
        token_id=case.actor.token_id,
        verb="complete",
        outcome="acknowledge",
        opinion=opinion.strip(),
        at=case.now,
        detail=({"via": via} if via else {}) | ({} if case.key is None else requests.noted(case.session)),
        idem_key=case.key,
    )
    if not _write(case.session, row):
        raise Unavailable("数据刚刚被别人修改（待阅事项），请刷新后重试", code="concurrent_change")
    return {"instance_id": case.row.id, "item_id": item.id, "verb": "complete", "outcome": outcome}


def settle(session: Session, instance_id: uuid.UUID, round_id: uuid.UUID) -> bool:
    """Let an instance go on whose readers are enough (outbox handler); False where somebody else did."""
    case = Case.by_id(session, None, instance_id)
    batch = Batch()
    batch.query(sql.OPEN_ROUNDS, {"id": instance_id})
    batch.query(sql.READ_COUNTS, {"id": round_id})
    live, counts = batch.run(session)
    row = next((r for r in live if r.id == round_id), None)
    if row is None or case.instance_state != InstanceState.RUNNING:
        return False
    task = case.definition.tasks[row.step]
    if not rounds.read_enough(task.round, counts[0].done or 0, counts[0].total):
        return False
    case.close_round(round_id, task.outcomes[0].id, rest=ItemState.CLOSED)
    case.settled.add(row.task_id)
    case.advance(runtime.Complete(row.task_id, task.outcomes[0].id))
    opening.open_pending(case, None)
    case.log("settle", round_id=round_id, step=row.step, step_name=row.step_name)
    case.save()
    return True
