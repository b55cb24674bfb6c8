"""Jobs of service and script tasks: the operation and the step onward are one transaction."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.bpm import operations, runtime
from engine.bpm.commands import opening
from engine.bpm.commands.case import Case, ProcessFault
from engine.bpm.models import Incident, InstanceState
from engine.db import new_id


def run(session: Session, row: outbox.Leased) -> None:
    """Run a job's operation and let its instance go on (outbox handler); a job of a left task is dropped."""
    instance_id, task_id = uuid.UUID(row.payload["instance"]), int(row.payload["task"])
    case = Case.by_id(session, None, instance_id)
    job = runtime.open_job(case.definition, case.state, case.data, task_id)
    if job is None or case.instance_state != InstanceState.RUNNING:
        return
    operation = operations.find(job.operation)
    if operation is None:
        raise outbox.Permanent(f"没有登记操作“{job.operation}”")
    context = operations.Context(
        instance_id=instance_id,
        process_key=case.row.process_key,
        title=case.row.title,
        initiator_id=case.row.initiator_id,
        department_id=case.row.department_id,
        step=job.element,
        key=f"{instance_id}:{task_id}",
        now=case.now,
        data=case.data,
    )
    try:
        with session.begin_nested():
            result = operation(session, context, job.inputs)
        event: runtime.Event = runtime.JobDone(task_id, dict(result))
    except operations.OperationError as refusal:
        result, event = {"error": refusal.code}, runtime.JobFailed(task_id, refusal.code)
        caught = runtime.catches(case.definition, case.state, case.data, task_id, refusal.code)
        if not caught:
            raise outbox.Permanent(f"{refusal.message}（{refusal.code}）") from refusal
    _advance(case, event, job, result)


def attempts(row: outbox.Leased) -> int:
    """Return how often a job is tried: once, and as many times again as its operation says (`retries`)."""
    return int(row.payload["retries"]) + 1


@contextmanager
def stuck() -> Iterator[None]:
    """In an outbox handler: a diagram without a way on is dead at once, so that one incident tells of it."""
    try:
        yield
    except ProcessFault as fault:
        raise outbox.Permanent(fault.message) from fault


def _advance(case: Case, event: runtime.Event, job: runtime.Job, result: Mapping[str, Any]) -> None:
    with stuck():
        case.advance(event)
        opening.open_pending(case, None)
    case.log(
        "job",
        step=job.element,
        step_name=case.definition.names[job.element][:80],
        outcome="error" if "error" in result else None,
        detail={"operation": job.operation},
    )
    case.save()


def dead(row: outbox.Leased, reason: str, session: Session) -> None:
    """What the outbox gives up for an instance becomes an incident that an admin may retry (jobs, events, readings)."""
    instance_id = uuid.UUID(row.payload["instance"])
    task_id = row.payload.get("task")
    case = Case.by_id(session, None, instance_id)
    step = None if task_id is None else runtime.element_of(case.definition, case.state, int(task_id))
    known = select(Incident.id).where(
        Incident.instance_id == instance_id, Incident.outbox_id == row.id, Incident.resolved_at.is_(None)
    )
    if session.scalar(known) is None:
        session.add(
            Incident(
                id=new_id(),
                instance_id=instance_id,
                task_id=task_id,
                step=step,
                kind=row.system,
                message=f"系统步骤没有执行成功：{reason}"[:400],
                outbox_id=row.id,
                created_at=clock.now(),
            )
        )
