"""What may be asked of a saved instance; nothing is changed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from engine.bpm.runtime import changed, moves, specs
from engine.bpm.runtime.codec import decode
from engine.bpm.runtime.definition import Definition
from engine.bpm.runtime.types import Awaited, Data, Job

_NEVER = datetime.min.replace(tzinfo=UTC)  # no question sets a timer


def open_job(definition: Definition, state: bytes, data: Mapping[str, Any], task_id: int) -> Job | None:
    """Return the job of a task that still waits for it, with its inputs as they are now."""
    flow = decode(definition, state, dict(data), _NEVER)
    token = flow.find(task_id)
    return (
        changed.job(flow, token)
        if token is not None and token.is_open and isinstance(token.task_spec, specs.Job)
        else None
    )


def catches(definition: Definition, state: bytes, data: Mapping[str, Any], task_id: int, code: str) -> bool:
    """Whether a boundary error event would take this error of a job."""
    flow = decode(definition, state, orjson.loads(orjson.dumps(dict(data))), _NEVER)
    return flow.fail_job(flow.open(task_id), code)


def scope(definition: Definition, state: bytes, data: Mapping[str, Any], task_id: int) -> Data:
    """Return everything that an expression at an open task may read: the data, its local scopes, `steps`, `outcome`."""
    flow = decode(definition, state, dict(data), _NEVER)
    token = flow.find(task_id)
    return dict(data) if token is None else flow.scope(token)


def has_timer(definition: Definition, state: bytes, task_id: int) -> bool:
    """Whether a task is open and waits for a timer."""
    token = decode(definition, state, {}, _NEVER).find(task_id)
    return token is not None and token.is_open and "due" in token.internal_data


def element_of(definition: Definition, state: bytes, task_id: int) -> str | None:
    """Return the element that a task stands on, None where there is no such task."""
    flow = decode(definition, state, {}, _NEVER)
    token = flow.find(task_id)
    return None if token is None else flow.element(token.task_spec)


def awaited(definition: Definition, state: bytes) -> tuple[Awaited, ...]:
    """Return what an instance waits for beside its people, in the order in which it came to wait."""
    flow = decode(definition, state, {}, _NEVER)
    found = []
    for token in flow.open_tokens().values():
        spec, moment = token.task_spec, token.internal_data.get("due")
        if isinstance(spec, specs.Job):
            kind = "job"
        elif not isinstance(spec, specs.Catch) or isinstance(spec, specs.BoundaryEvent):
            continue
        elif moment is not None:
            kind = "timer"
        else:
            wait = changed.wait(token, flow.element(spec))
            if wait is None:
                continue
            kind = wait.kind
        element = flow.element(spec)
        due_at = None if moment is None else datetime.fromisoformat(moment)
        found.append(Awaited(element, definition.names[element], kind, due_at))
    return tuple(found)


def back_targets(definition: Definition, state: bytes, task_id: int) -> list[str]:
    """Return the steps that an open user task may return to, the nearest first."""
    flow = decode(definition, state, {}, _NEVER)
    return moves.targets(flow, flow.open(task_id))
