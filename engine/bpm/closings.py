"""How a work item came to be closed: the act on the trail that its assignee is told of, on pages and on cards."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.bpm.models import ActionLog, ItemState
from engine.org.models import Person

VERBS = {
    "complete": "办理",
    "return": "退回",
    "take_back": "撤回",
    "withdraw": "撤销",
    "terminate": "终止",
    "reassign": "转办",
    "jump": "跳转",
    "event": "发来消息",
}
BY_ITSELF = {"timer": "到时", "event": "收到消息后", "job": "系统步骤执行后", "settle": "传阅完成后"}


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did, or (`name` None) what happened by itself; `to` is who has the item after a reassignment.

    `via` is the outside system in which it was done, "" where that was here.
    """

    name: str | None
    verb: str
    outcome: str | None
    opinion: str
    at: datetime
    to: str
    via: str = ""


def closing(session: Session, instance_id: uuid.UUID, item: Any) -> Act | None:
    """Return the act that closed an item (its id, round, state, outcome, closed_at), None where none is known.

    Of one that stands by it is the claim, of a reassigned one the reassignment, of one that its assignee has handled
    (and may have taken back) that; of others the act in their round, or one elsewhere that left the step.
    """
    if item.state == ItemState.STANDBY:
        return _newest(session, instance_id, ActionLog.round_id == item.round_id, ActionLog.verb == "claim")
    if item.state == ItemState.REASSIGNED:
        passed = _newest(session, instance_id, ActionLog.item_id == item.id, ActionLog.verb == "reassign")
        if passed is not None:
            return passed
    if item.state == ItemState.CANCELLED and item.outcome is not None:  # handled, and undone by a take-back
        return _newest(session, instance_id, ActionLog.item_id == item.id)
    if item.state == ItemState.DONE:
        return _newest(session, instance_id, ActionLog.item_id == item.id, ActionLog.verb.in_(("complete", "return")))
    others = ActionLog.item_id.is_distinct_from(item.id)
    if item.state == ItemState.CANCELLED:
        return _first(session, instance_id, others, ActionLog.at >= item.closed_at)
    return _newest(session, instance_id, others, ActionLog.round_id == item.round_id, Person.id.is_not(None))


def _newest(session: Session, instance_id: uuid.UUID, *where: Any) -> Act | None:
    return _act(session, instance_id, *where, order=ActionLog.id.desc())


def _first(session: Session, instance_id: uuid.UUID, *where: Any) -> Act | None:
    return _act(session, instance_id, *where, order=ActionLog.id)


def _act(session: Session, instance_id: uuid.UUID, *where: Any, order: Any) -> Act | None:
    columns = (ActionLog.verb, ActionLog.outcome, ActionLog.opinion, ActionLog.at, ActionLog.detail)
    found = session.execute(
        select(Person.name, *columns)
        .outerjoin(Person, Person.id == ActionLog.actor_id)
        .where(ActionLog.instance_id == instance_id, *where)
        .order_by(order)
        .limit(1)
    ).first()
    if found is None:
        return None
    name, verb, outcome, opinion, at, detail = found
    told = orjson.loads(detail)
    return Act(name, verb, outcome, opinion, at, told.get("name", "别人"), told.get("via", ""))
