"""Ending an instance before its time: withdraw (撤销) by the initiator, terminate (终止) by an admin."""

import uuid

from sqlalchemy.orm import Session

from engine.batch import Statement
from engine.bpm import visibility
from engine.bpm.commands import checks
from engine.bpm.commands import statements as sql
from engine.bpm.commands.case import Case
from engine.bpm.commands.complete import Done
from engine.bpm.commands.requests import keyed
from engine.bpm.models import InstanceState
from engine.errors import Forbidden
from engine.org.actor import Actor

RESOLVE_INCIDENTS = Statement(
    "UPDATE incident SET resolved_at = :closed_at, resolved_by = :by WHERE instance_id = :id AND resolved_at IS NULL"
)


@keyed
def withdraw(session: Session, actor: Actor, instance_id: uuid.UUID, *, reason: str, key: str | None = None) -> Done:
    """End one's own instance with a reason (撤销); every open item closes.

    Refusals: NotFound, Forbidden (not the initiator), Conflict (it has ended), Invalid (no reason).
    """
    case = Case.by_id(session, actor, instance_id, "withdraw", key)
    if case.replayed is not None:
        return Done(instance_id, None, "withdraw", replayed=True)
    if case.row.initiator_id != actor.person_id:
        if not visibility.may_see(session, actor, instance_id):
            raise visibility.not_found()
        raise Forbidden("只有发起人可以撤销", code="not_initiator")
    return _end(case, actor, "withdraw", InstanceState.WITHDRAWN, reason)


@keyed
def terminate(session: Session, actor: Actor, instance_id: uuid.UUID, *, reason: str, key: str | None = None) -> Done:
    """End an instance as a process admin, with a reason (终止); every open item closes."""
    case = Case.by_id(session, actor, instance_id, "terminate", key)
    if case.replayed is not None:
        return Done(instance_id, None, "terminate", replayed=True)
    checks.require_admin(case, actor)
    return _end(case, actor, "terminate", InstanceState.TERMINATED, reason)


def _end(case: Case, actor: Actor, verb: str, state: InstanceState, reason: str) -> Done:
    case.require_running()
    checks.check_opinion(reason, required=True, what="撤销" if verb == "withdraw" else "终止")
    where = {"id": case.row.id, "closed_at": case.now}
    case.batch.add(sql.CLOSE_INSTANCE_ITEMS, where)
    case.batch.add(sql.CLOSE_INSTANCE_ROUNDS, where)
    case.batch.add(sql.DELETE_TIMERS, {"id": case.row.id})
    case.batch.add(sql.DELETE_SUBSCRIPTIONS, {"id": case.row.id})
    case.batch.add(RESOLVE_INCIDENTS, where | {"by": actor.person_id})  # nothing is left to retry
    case.instance_state, case.moved = state, True
    case.log(verb, opinion=reason.strip())
    case.save()
    return Done(case.row.id, None, verb)
