"""Reading steps (传阅): a reader acknowledges on rows alone; the engine is asked only when enough have read."""

import uuid
from typing import Any

from sqlalchemy.orm import Session

from engine import audit, clock, outbox
from engine.batch import Batch
from engine.bpm import definitions, rounds, runtime, visibility
from engine.bpm.commands import checks, opening, requests
from engine.bpm.commands import statements as sql
from engine.bpm.commands.case import Case, idem, same_request
from engine.bpm.commands.requests import keyed
from engine.bpm.models import InstanceState, ItemKind, ItemState
from engine.errors import Conflict, Forbidden
from engine.org.actor import Actor


@keyed
def acknowledge(
    session: Session, actor: Actor, item_id: uuid.UUID, *, opinion: str = "", key: str | None = None
) -> bool:
    """Acknowledge a read item (已阅); True the first time, False where it was done before.

    Takes no lock on the instance: hundreds of readers don't wait for one another. The last one leaves a row in the
    outbox that lets the instance go on. Refusals: NotFound, Forbidden, Conflict (the step has ended).
    """
    stored_key = idem(actor, key)
    checks.check_opinion(opinion, required=False, what="已阅")
    batch = Batch()
    batch.query(sql.ITEM, {"item": item_id})
    if stored_key is not None:
        batch.query(sql.REPLAY, {"idem_key": stored_key})
    found, *replayed = batch.look(session)
    if not found:
        raise visibility.not_found()
    item = found[0]
    if replayed and replayed[0]:
        same_request(session, replayed[0][0], "read", item_id)
        return False
    if item.assignee_id != actor.person_id or item.kind != ItemKind.READ or item.state != ItemState.OPEN:
        return _not_open(session, actor, item)
    _write(session, actor, item, opinion, stored_key)
    return True


def _not_open(session: Session, actor: Actor, item: Any) -> bool:
    case = Case.by_id(session, actor, item.instance_id)
    checks.item_of(case, [item], item.id, actor)
    if item.assignee_id != actor.person_id:
        raise Forbidden(f"这一项由{item.assignee_name}阅读，您不能代办", code="not_assignee")
    if item.kind != ItemKind.READ:
        raise Conflict("这一项需要办理，不只是阅读", code="not_read_item")
    if item.state == ItemState.DONE:
        return False  # reading twice is no mistake
    raise Conflict(checks.late(case, item), code="item_closed", state=item.state)


def _write(
    session: Session, actor: Actor, item: Any, opinion: str, stored_key: bytes | None, verb: str = "read"
) -> None:
    now = clock.now()
    row = audit.log_row(
        session.info["audit_key"],
        instance_id=item.instance_id,
        round_id=item.round_id,
        item_id=item.id,
        step=item.step,
        step_name=item.step_name,
        actor_id=actor.person_id,
        verb=verb,
        outcome="acknowledge",
        opinion=opinion.strip(),
        at=now,
        detail=None if stored_key is None else requests.noted(session),
        idem_key=stored_key,
    )
    batch = Batch()
    values = {"id": item.id, "opinion": opinion.strip(), "at": now}
    batch.add(sql.ACKNOWLEDGE, values, expect=1, why="待阅事项")
    batch.add(audit.INSERT_ACTION, row)
    if item.round_closed_at is not None:  # the step didn't wait
        batch.defer(session)
        return
    # the lock makes two last readers see one another; what follows it is asked behind it, in the same round trip
    batch.query(sql.LOCK_ROUND, {"id": item.round_id})
    policy = definitions.version(session, item.version_id).definition.tasks[item.step].round
    payload = {"instance": str(item.instance_id), "round": str(item.round_id)}
    settle = outbox.row("settle", str(item.instance_id), "round", payload, now)
    if policy.policy == "all":
        outbox.put_by(session, batch, sql.SETTLE_IF_READ, settle | {"round": item.round_id})
        batch.defer(session)
        return
    batch.query(sql.READ_COUNTS, {"id": item.round_id})
    open_, counts = batch.run(session)
    if open_ and rounds.read_enough(policy, counts[0].done or 0, counts[0].total):
        batch = Batch()
        outbox.put(session, batch, [settle])
        batch.defer(session)


def acknowledge_behind_lock(case: Case, item: Any, outcome: str, opinion: str) -> dict[str, Any]:
    """Acknowledge through `complete`; the same rows, under the lock that `complete` already holds."""
    assert case.actor is not None
    task = case.definition.tasks[item.step]
    checks.outcome_of(task, outcome, opinion)
    _write(case.session, case.actor, item, opinion, case.key, verb="complete")
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
