"""What one event did to an instance: what is open now, compared with before."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from SpiffWorkflow.bpmn.specs.event_definitions import MessageEventDefinition, SignalEventDefinition

from engine.bpm.runtime import specs
from engine.bpm.runtime.codec import encode
from engine.bpm.runtime.flow import Flow
from engine.bpm.runtime.tree import Token
from engine.bpm.runtime.types import Change, Closed, Due, Job, Opened, Wait


def changed(flow: Flow, before: Mapping[int, Token], due: Mapping[int, Any], completed: int | None) -> Change:
    """Compare with the open tokens before and their due moments; `completed` is the user task that was."""
    after = flow.open_tokens()
    opened, timers, waits, jobs = [], [], [], []
    for task_id, token in after.items():
        spec, element = token.task_spec, flow.element(token.task_spec)
        moment = token.internal_data.get("due")
        if moment is not None and due.get(task_id) != moment:
            timers.append(Due(task_id, element, datetime.fromisoformat(moment)))
        if task_id in before:
            continue
        if isinstance(spec, specs.UserTask | specs.ManualTask):
            opened.append(Opened(task_id, element, flow.scope(token), deadline(token)))
        elif isinstance(spec, specs.Job):
            jobs.append(job(flow, token))
        elif isinstance(spec, specs.Catch) and moment is None and (waits_for := wait(token, element)) is not None:
            waits.append(waits_for)
    left = [i for i in before if i not in after]
    gone = [i for i in left if due.get(i) is not None or isinstance(before[i].task_spec, specs.Catch | specs.Job)]
    closed = [
        Closed(i, flow.element(before[i].task_spec), i == completed)
        for i in left
        if isinstance(before[i].task_spec, specs.UserTask | specs.ManualTask)
    ]
    return Change(
        state=encode(flow),
        data=flow.local,
        opened=tuple(opened),
        closed=tuple(closed),
        timers=tuple(timers),
        waits=tuple(waits),
        jobs=tuple(jobs),
        gone=tuple(gone),
        unarmed=tuple(i for i in gone if due.get(i) is not None),
        undone=tuple(flow.undone),
        thrown=tuple(flow.thrown),
        decided=tuple(flow.rulings),
        path=tuple(flow.path),
        finished=not after,
    )


def deadline(token: Token) -> datetime | None:
    """Return the earliest moment of the timers on the border of a step, None without any."""
    if not isinstance(token.parent.task_spec, specs.BoundarySplit):
        return None
    events = (node for node in token.parent.children if isinstance(node.task_spec, specs.BoundaryEvent))
    moments = (event.internal_data["due"] for event in events if event.is_open and "due" in event.internal_data)
    return min(map(datetime.fromisoformat, moments), default=None)


def job(flow: Flow, token: Token) -> Job:
    """Return the operation that a task waits for, with its inputs as they are now."""
    operation = token.task_spec.extensions
    inputs = {name: flow.value(token, value) for name, value in operation.inputs}
    return Job(token.id, flow.element(token.task_spec), operation.name, operation.retries, inputs)


def wait(token: Token, element: str) -> Wait | None:
    """Return the message or signal that a catching event waits for, None where it waits for something else."""
    definition = token.task_spec.event_definition
    if isinstance(definition, MessageEventDefinition):
        kind = "message"
    elif isinstance(definition, SignalEventDefinition):
        kind = "signal"
    else:
        return None  # errors and escalations are not waited for from outside
    return Wait(token.id, element, kind, definition.name, token.internal_data.get("correlation", ""))
