"""What process admins mend: jump (跳转), retry (重试) and dismiss (忽略) incidents."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import Batch
from engine.bpm import runtime, visibility
from engine.bpm.commands import checks, opening
from engine.bpm.commands import statements as sql
from engine.bpm.commands.case import Case
from engine.bpm.commands.complete import Done
from engine.bpm.commands.requests import keyed
from engine.bpm.models import Incident, IncidentKind
from engine.errors import Conflict, NotFound
from engine.org.actor import Actor
from engine.org.models import Person


@keyed
def jump(
    session: Session,
    actor: Actor,
    instance_id: uuid.UUID,
    *,
    task_id: int,
    to: str,
    reason: str,
    key: str | None = None,
) -> Done:
    """Move an open step to another one of the same process (跳转)."""
    case = Case.by_id(session, actor, instance_id, "jump", key)
    if case.replayed is not None:
        return Done(instance_id, None, "jump", replayed=True)
    checks.require_admin(case, actor)
    case.require_running()
    checks.check_opinion(reason, required=True, what="跳转")
    batch = Batch()
    batch.query(sql.OPEN_ROUNDS, {"id": instance_id})
    source = next((r for r in batch.run(session)[0] if r.task_id == task_id), None)
    if source is None:
        raise Conflict("这一步已不在办理中，请刷新", code="step_closed")
    case.returned = True
    case.advance(runtime.Jump(task_id, to))
    opening.open_pending(case, None)
    case.log(
        "jump",
        round_id=source.id,
        step=source.step,
        step_name=source.step_name,
        opinion=reason.strip(),
        detail={"to": to},
    )
    case.save()
    return Done(instance_id, None, "jump")


def retry(session: Session, actor: Actor, incident_id: uuid.UUID) -> Done:
    """Try again what an incident stopped (重试): its job goes back to the outbox, its timer is due at once."""
    incident, case = _incident(session, actor, incident_id)
    if incident.kind == IncidentKind.NOBODY:
        raise Conflict("这条异常没有可以重试的步骤：请给待办换人，再点“忽略”", code="not_retryable")
    if incident.outbox_id is not None:
        outbox.requeue(session, actor, incident.outbox_id)
    elif incident.task_id is not None and runtime.has_timer(case.definition, case.state, incident.task_id):
        timer = {"instance_id": case.row.id, "task_id": incident.task_id, "element": incident.step, "due_at": case.now}
        case.batch.add(sql.INSERT_TIMER, timer)
    return _resolved(case, actor, incident, "retry")


def dismiss(session: Session, actor: Actor, incident_id: uuid.UUID) -> Done:
    """Mark an incident as mended without another try (忽略)."""
    incident, case = _incident(session, actor, incident_id)
    return _resolved(case, actor, incident, "dismiss")


def _incident(session: Session, actor: Actor, incident_id: uuid.UUID) -> tuple[Incident, Case]:
    incident = session.get(Incident, incident_id)
    if incident is None or not visibility.may_see(session, actor, incident.instance_id):
        raise NotFound("没有这条异常，或者您无权查看", code="incident_not_found")
    case = Case.by_id(session, actor, incident.instance_id)
    checks.require_admin(case, actor)
    session.refresh(incident)
    if incident.resolved_at is not None:
        name = session.scalar(select(Person.name).where(Person.id == incident.resolved_by))
        when = f"{incident.resolved_at.astimezone(clock.LOCAL):%m-%d %H:%M}"
        raise Conflict(f"这条异常已{f'由{name}' if name else ''}于 {when} 处理", code="incident_resolved")
    return incident, case


def _resolved(case: Case, actor: Actor, incident: Incident, verb: str) -> Done:
    incident.resolved_at, incident.resolved_by = clock.now(), actor.person_id
    case.log(verb, step=incident.step, detail={"incident": str(incident.id), "message": incident.message})
    case.save()
    return Done(case.row.id, None, verb)
