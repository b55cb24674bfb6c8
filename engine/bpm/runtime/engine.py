"""Start and advance: load the flow, apply one event, run, and tell what changed by comparing before and after."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from engine.bpm.runtime import moves, specs
from engine.bpm.runtime.changed import changed
from engine.bpm.runtime.codec import decode, encode
from engine.bpm.runtime.definition import Definition
from engine.bpm.runtime.flow import Flow
from engine.bpm.runtime.tree import COMPLETED, READY, WAITING, Token
from engine.bpm.runtime.types import (
    Change,
    Complete,
    Data,
    Deliver,
    Event,
    Fire,
    GoBack,
    JobDone,
    JobFailed,
    Jump,
    RuntimeFault,
    TakeBack,
)


def _copy(data: Mapping[str, Any]) -> Data:
    """Return a deep copy of plain JSON values."""
    copied: Data = orjson.loads(orjson.dumps(dict(data)))
    return copied


def start(definition: Definition, data: Mapping[str, Any], *, now: datetime) -> Change:
    """Start an instance with its data (plain JSON values; copied)."""
    flow = Flow(definition, _copy(data), now)
    flow.spread(flow.task_tree, flow.task_tree, flow.spec.start.outputs)
    flow.run()
    return changed(flow, {}, {}, None)


def advance(definition: Definition, state: bytes, data: Mapping[str, Any], event: Event, *, now: datetime) -> Change:
    """Apply one event to an instance.

    Raises Unreachable for a target that can't be returned to, RuntimeFault where the diagram has no way on,
    LookupError where the task isn't open (any more). Nothing is changed then: state and data are values.
    """
    flow = decode(definition, state, _copy(data), now)
    before = flow.open_tokens()
    due = {i: t.internal_data.get("due") for i, t in before.items()}
    _apply(flow, event)
    flow.run()
    return changed(flow, before, due, event.task_id if isinstance(event, Complete) else None)


def keep(
    definition: Definition,
    state: bytes,
    data: Mapping[str, Any],
    task_id: int,
    values: Mapping[str, Any],
    *,
    now: datetime,
) -> tuple[bytes, Data]:
    """Write form data at an open task, in its scope, without moving; returns state and data."""
    flow = decode(definition, state, _copy(data), now)
    flow.write(flow.open(task_id).workflow, values)
    return encode(flow), flow.local


def _apply(flow: Flow, event: Event) -> None:
    if isinstance(event, TakeBack):
        moves.take_back(flow, event)
        return
    token = flow.open(event.task_id)
    match event:
        case Complete(outcome=outcome, data=values, automatic=automatic):
            _expect(token, specs.UserTask | specs.ManualTask, READY)
            if not automatic:
                for node in (n for n in moves.above(flow, token) if n._state == COMPLETED):
                    node.internal_data = {**node.internal_data, "acted": 1}  # a take-back of it comes too late
            step = flow.element(token.task_spec)
            flow.write(token.workflow, values)
            flow.decided(token.workflow, step, outcome)
            token.data = {**token.data, "outcome": outcome}
            flow.finish(token, token.task_spec.outputs)
        case Fire():
            if "due" not in token.internal_data:
                raise LookupError(f"task {token.id} has no timer")
            flow.happen(token, {})
        case Deliver(payload=payload):
            _expect(token, specs.Catch, WAITING)
            flow.happen(token, payload)
        case JobDone(result=result):
            _expect(token, specs.Job, WAITING)
            flow.write(token.workflow, _outputs(flow, token, result))
            flow.finish(token, token.task_spec.outputs)
        case JobFailed(code=code):
            _expect(token, specs.Job, WAITING)
            if not flow.fail_job(token, code):
                raise RuntimeFault("job", flow.element(token.task_spec), f"操作报告错误“{code}”，没有边界错误事件来接")
        case GoBack():
            moves.go_back(flow, token, event)
        case Jump():
            moves.jump(flow, token, event)


def _expect(token: Token, kind: Any, state: int) -> None:
    if not isinstance(token.task_spec, kind) or token._state != state:
        raise LookupError(f"task {token.id} does not wait for this")


def _outputs(flow: Flow, token: Token, result: Mapping[str, Any]) -> Data:
    inside = {"result": dict(result)}
    return {name: flow.value(token, text, inside) for name, text in token.task_spec.extensions.outputs}
