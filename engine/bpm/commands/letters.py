"""Dead letters (投递失败): what the outbox gave up is delivered again, one or all that failed alike."""

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import audit, clock, outbox
from engine.batch import Batch
from engine.bpm.letters import about_instances, given_up
from engine.bpm.models import Incident, Instance
from engine.errors import Conflict
from engine.org.actor import Actor
from engine.outbox import Outbox

AT_ONCE = 200
"""Letters that are requeued together."""


def requeue(session: Session, actor: Actor, letter_id: int) -> None:
    """Deliver a dead letter again (重新投递).

    Refusals: Forbidden (not a process admin), NotFound, Conflict (it is no longer dead; an incident stands for it).
    """
    row = outbox.requeue(session, actor, letter_id)
    if session.scalar(select(Incident.id).where(Incident.outbox_id == letter_id).limit(1)) is not None:
        raise Conflict("这一条已记为异常，请在异常里重试", code="letter_has_incident")
    _log(session, actor, row, _instances(session, [row]).get(row.id))


def requeue_all(session: Session, actor: Actor, *, system: str, topic: str, reason: str) -> int:
    """Deliver again what failed alike, the oldest 200; returns how many. Raises Forbidden."""
    outbox.require_requeuer(actor)
    alike = select(Outbox.id).where(*given_up(system, topic, reason)).order_by(Outbox.id).limit(AT_ONCE)
    ids = session.scalars(alike.with_for_update(of=Outbox, skip_locked=True)).all()
    rows = [outbox.requeue(session, actor, letter_id) for letter_id in ids]
    instances = _instances(session, rows)
    for row in rows:
        _log(session, actor, row, instances.get(row.id))
    return len(rows)


def _instances(session: Session, rows: Sequence[Outbox]) -> dict[int, uuid.UUID]:
    """Return the instances that letters are about and that are there, by the letters' ids."""
    about = about_instances(session, rows)
    there = set(session.scalars(select(Instance.id).where(Instance.id.in_(about.values()))))
    return {id_: instance_id for id_, instance_id in about.items() if instance_id in there}


def _log(session: Session, actor: Actor, row: Outbox, instance_id: uuid.UUID | None) -> None:
    """Add a row to the trail of the instance that the letter is about, or to the activities: a message has none."""
    detail = {"outbox": row.id, "system": row.system, "topic": row.topic, "reason": row.last_error}
    if instance_id is None:
        audit.record(session, actor, "requeue", detail, at=clock.now())
        return
    batch = Batch()
    batch.add(
        audit.INSERT_ACTION,
        audit.log_row(
            session.info["audit_key"],
            instance_id=instance_id,
            verb="requeue",
            at=clock.now(),
            actor_id=actor.person_id,
            detail=detail,
        ),
    )
    batch.run(session)
