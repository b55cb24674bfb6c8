"""Due timers (定时): found by an index on `due_at`, each fired in a transaction of its own."""

import logging
import uuid
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from engine import clock
from engine.bpm import runtime
from engine.bpm.commands import opening
from engine.bpm.commands.case import Case, ProcessFault, record
from engine.bpm.models import Incident, IncidentKind, Instance, InstanceState, Timer
from engine.db import Database
from engine.errors import EngineError, Unavailable
from engine.outbox.handling import place

log = logging.getLogger(__name__)
BUSY, DEFECT = timedelta(seconds=30), timedelta(minutes=5)  # until a timer that could not be fired is due again


def fire_due(db: Database, limit: int = 100) -> int:
    """Fire what is due, oldest first; returns how many fired. An instance that is being worked on is passed over.

    No timer stands in the way of the others: one whose diagram has no way on is disarmed, its incident lets an admin
    retry it; one that fails is due again in half a minute where the database was busy, else in five minutes, with an
    incident until it fires. Raises what the database raises where not even that can be written.
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
                done = _claim(session, instance_id, task_id) and fire(session, instance_id, task_id)
        except Exception as error:  # a defect too: the list is ordered, one bad timer must not starve the younger
            _set_aside(db, instance_id, task_id, error)
        else:
            fired += done
    return fired


def _claim(session: Session, instance_id: uuid.UUID, task_id: int) -> bool:
    """Lock the instance of a timer that is still due; False where somebody else has it, a worker or a person.

    It is the instance that is claimed, not the timer's row: a command locks its instance first and then deletes the
    row, so the other order would be a deadlock.
    """
    statement = select(Instance.id).join(Timer, Timer.instance_id == Instance.id)
    statement = statement.where(
        Timer.instance_id == instance_id, Timer.task_id == task_id, Timer.due_at <= clock.now()
    ).with_for_update(of=Instance, key_share=True, skip_locked=True)
    return session.scalar(statement) is not None


def _set_aside(db: Database, instance_id: uuid.UUID, task_id: int, error: Exception) -> None:
    """Disarm or put off a timer that could not be fired."""
    level = logging.WARNING if isinstance(error, ProcessFault | Unavailable) else logging.ERROR
    log.log(level, "timer failed: instance=%s task=%d error=%s", instance_id, task_id, place(error))
    try:
        with db.unit_of_work() as session:
            if isinstance(error, ProcessFault):
                _disarm(session, instance_id, task_id)
            elif isinstance(error, Unavailable):
                _put_off(session, instance_id, task_id, BUSY)
            else:
                _put_off(session, instance_id, task_id, DEFECT)
                _tell(session, instance_id, task_id, error)
    except Unavailable as busy:  # the row is locked: whoever holds it fires it or takes it away
        log.warning("timer stays due: instance=%s task=%d error=%s", instance_id, task_id, place(busy))


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
    mended = update(Incident).where(Incident.instance_id == instance_id, Incident.task_id == task_id)
    session.execute(
        mended.where(Incident.kind == IncidentKind.TIMER, Incident.resolved_at.is_(None)).values(resolved_at=case.now)
    )
    case.items_changed = True  # something is overdue from now on
    case.log("timer", step=element, step_name=case.definition.names.get(element, "")[:80])
    case.save()
    return True


def _fired(case: Case, task_id: int) -> bool:
    """Let the case advance; True where a cycle armed the same timer again."""
    before, case.timer = case.now, task_id
    case.advance(runtime.Fire(task_id))
    opening.open_pending(case, None)
    return any(t == task_id and due > before for t, due in case.armed)


def _tell(session: Session, instance_id: uuid.UUID, task_id: int, error: Exception) -> None:
    """Let an incident tell where a timer failed; of an error that is no refusal its type and place, never its words."""
    timer = session.get(Timer, (instance_id, task_id))
    if timer is None:  # somebody else has fired it, or it is void
        return
    reason = error.message if isinstance(error, EngineError) else place(error)
    record(
        session,
        {
            "instance_id": instance_id,
            "task_id": task_id,
            "step": timer.element,
            "kind": IncidentKind.TIMER,
            "message": f"定时到点后没有触发，每 5 分钟再试一次：{reason}"[:400],
            "created_at": clock.now(),
        },
    )


# Both leave a timer alone that somebody else has armed again meanwhile.


def _disarm(session: Session, instance_id: uuid.UUID, task_id: int) -> None:
    mine = delete(Timer).where(Timer.instance_id == instance_id, Timer.task_id == task_id)
    session.execute(mine.where(Timer.due_at <= clock.now()))


def _put_off(session: Session, instance_id: uuid.UUID, task_id: int, delay: timedelta) -> None:
    now = clock.now()
    mine = update(Timer).where(Timer.instance_id == instance_id, Timer.task_id == task_id)
    session.execute(mine.where(Timer.due_at <= now).values(due_at=now + delay))
