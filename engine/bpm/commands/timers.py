"""Due timers (定时): found by an index on `due_at`, each fired in a transaction of its own."""

import logging
import uuid
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from engine import clock
from engine.bpm import runtime
from engine.bpm.commands import opening
from engine.bpm.commands.case import Case, ProcessFault
from engine.bpm.models import InstanceState, Timer
from engine.db import Database
from engine.errors import EngineError

log = logging.getLogger(__name__)
PUT_OFF = timedelta(seconds=30)


def fire_due(db: Database, limit: int = 100) -> int:
    """Fire what is due, oldest first; returns how many fired. What another worker was faster with is passed over.

    A timer whose diagram has no way on is disarmed, its incident lets an admin retry it; one that is put off (the
    instance is locked) is due again in half a minute, so that it never stands in the way of the others.
    """
    with db.reading() as session:
        due = session.execute(
            select(Timer.instance_id, Timer.task_id)
            .where(Timer.due_at <= clock.now())
            .order_by(Timer.due_at)
            .limit(limit)
        ).all()
    fired = 0
    for instance_id, task_id in due:
        try:
            with db.unit_of_work() as session:
                fired += fire(session, instance_id, task_id)
        except ProcessFault as fault:
            log.warning("timer of instance %s is stuck: %s", instance_id, fault.code)
            with db.unit_of_work() as session:
                _disarm(session, instance_id, task_id)
        except (EngineError, LookupError) as error:
            log.warning("timer of instance %s is put off: %s", instance_id, getattr(error, "code", error))
            with db.unit_of_work() as session:
                late = update(Timer).where(Timer.instance_id == instance_id, Timer.task_id == task_id)
                session.execute(late.values(due_at=clock.now() + PUT_OFF))
    return fired


def fire(session: Session, instance_id: uuid.UUID, task_id: int) -> bool:
    """Fire one timer, if it is still due behind the instance's lock; False where it isn't."""
    case = Case.by_id(session, None, instance_id)
    timer = session.get(Timer, (instance_id, task_id))
    if timer is None or timer.due_at > clock.now():
        return False
    if case.instance_state != InstanceState.RUNNING:
        _disarm(session, instance_id, task_id)
        return False
    element = timer.element
    rearmed = _fired(case, task_id)
    if not rearmed:
        _disarm(session, instance_id, task_id)
    case.log("timer", step=element, step_name=case.definition.names.get(element, "")[:80])
    case.save()
    return True


def _fired(case: Case, task_id: int) -> bool:
    """Let the case advance; True where a cycle armed the same timer again."""
    before, case.timer = case.now, task_id
    case.advance(runtime.Fire(task_id))
    opening.open_pending(case, None)
    return any(t == task_id and due > before for t, due in case.armed)


def _disarm(session: Session, instance_id: uuid.UUID, task_id: int) -> None:
    session.execute(delete(Timer).where(Timer.instance_id == instance_id, Timer.task_id == task_id))
