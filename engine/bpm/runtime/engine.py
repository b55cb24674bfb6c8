"""Start and advance: load the flow, apply one event, run, and tell what changed by comparing before and after."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from SpiffWorkflow.bpmn.specs.event_definitions import MessageEventDefinition, SignalEventDefinition

from engine.bpm.runtime import specs
from engine.bpm.runtime.codec import decode, encode
from engine.bpm.runtime.definition import Definition
from engine.bpm.runtime.flow import Flow
from engine.bpm.runtime.tree import COMPLETED, READY, WAITING, Token, subtree
from engine.bpm.runtime.types import (
    Change,
    Closed,
    Complete,
    Data,
    Deliver,
    Due,
    Event,
    Fire,
    GoBack,
    Job,
    JobDone,
    JobFailed,
    Jump,
    Opened,
    RuntimeFault,
    TakeBack,
    Unreachable,
    Wait,
)

_NEVER = datetime.min.replace(tzinfo=UTC)  # for questions that set no timer


def start(definition: Definition, data: Mapping[str, Any], *, now: datetime) -> Change:
    """Start an instance with its data (plain JSON values; copied)."""
    flow = Flow(definition, deepcopy(dict(data)), now)
    flow.spread(flow.task_tree, flow.task_tree, flow.spec.start.outputs)
    flow.run()
    return _change(flow, {}, {}, None)


def advance(definition: Definition, state: bytes, data: Mapping[str, Any], event: Event, *, now: datetime) -> Change:
    """Apply one event to an instance.

    Raises Unreachable for a target that can't be returned to, RuntimeFault where the diagram has no way on,
    LookupError where the task isn't open (any more). Nothing is changed then: state and data are values.
    """
    flow = decode(definition, state, deepcopy(dict(data)), now)
    before = flow.open_tokens()
    due = {i: t.internal_data.get("due") for i, t in before.items()}
    _apply(flow, event)
    flow.run()
    return _change(flow, before, due, event.task_id if isinstance(event, Complete) else None)


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
    flow = decode(definition, state, deepcopy(dict(data)), now)
    flow.write(_open(flow, task_id).workflow, values)
    return encode(flow), flow.local


def open_job(definition: Definition, state: bytes, data: Mapping[str, Any], task_id: int) -> Job | None:
    """Return the job of a task that still waits for it, with its inputs as they are now."""
    flow = decode(definition, state, dict(data), _NEVER)
    token = flow.find(task_id)
    return _job(flow, token) if token is not None and token.is_open and isinstance(token.task_spec, specs.Job) else None


def catches(definition: Definition, state: bytes, data: Mapping[str, Any], task_id: int, code: str) -> bool:
    """Whether a boundary error event would take this error of a job."""
    flow = decode(definition, state, deepcopy(dict(data)), _NEVER)
    return flow.fail_job(_open(flow, task_id), code)


def scope(definition: Definition, state: bytes, data: Mapping[str, Any], task_id: int) -> Data:
    """Return everything that an expression at an open task may read: the data, its local scopes, `steps`, `outcome`."""
    flow = decode(definition, state, dict(data), _NEVER)
    token = flow.find(task_id)
    return dict(data) if token is None else flow.scope(token)


def element_of(definition: Definition, state: bytes, task_id: int) -> str | None:
    """Return the element that a task stands on, None where there is no such task."""
    flow = decode(definition, state, {}, _NEVER)
    token = flow.find(task_id)
    return None if token is None else flow.element(token.task_spec)


def back_targets(definition: Definition, state: bytes, task_id: int) -> list[str]:
    """Return the steps that an open user task may return to, the nearest first."""
    flow = decode(definition, state, {}, _NEVER)
    return [flow.element(n.task_spec) for n in _passed(flow, _open(flow, task_id))]


def _open(flow: Flow, task_id: int) -> Token:
    token = flow.find(task_id)
    if token is None or not token.is_open:
        raise LookupError(f"task {task_id} is not open")
    return token


def _apply(flow: Flow, event: Event) -> None:
    if isinstance(event, TakeBack):
        _take_back(flow, event)
        return
    token = _open(flow, event.task_id)
    match event:
        case Complete(outcome=outcome, data=values):
            _expect(token, specs.UserTask | specs.ManualTask, READY)
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
            _go_back(flow, token, event)
        case Jump():
            _jump(flow, token, event)


def _expect(token: Token, kind: Any, state: int) -> None:
    if not isinstance(token.task_spec, kind) or token._state != state:
        raise LookupError(f"task {token.id} does not wait for this")


def _outputs(flow: Flow, token: Token, result: Mapping[str, Any]) -> Data:
    operation = token.task_spec.extensions
    extra = {"result": dict(result)}
    return {
        name: flow.evaluate(token, value[1:], extra) if value.startswith("=") else value
        for name, value in operation.outputs
    }


# -- return, take back, jump ------------------------------------------------------------------------------------------


def _passed(flow: Flow, token: Token) -> list[Token]:
    """User tasks passed on the way to a token, the nearest first, outer processes included."""
    found: list[Token] = []
    here = flow.element(token.task_spec)
    node: Token | None = token
    while node is not None:
        node = node.parent if node._parent is not None else None
        if node is not None and node._parent is None and node.workflow is not flow:
            node = flow.find(node.workflow.parent_task_id)
        if node is not None and node._parent is not None and node._state == COMPLETED:
            step = flow.element(node.task_spec)
            if (
                isinstance(node.task_spec, specs.UserTask)
                and step != here
                and step not in {flow.element(f.task_spec) for f in found}
            ):
                found.append(node)
    return found


def _unit(token: Token) -> Token:
    """Return the boundary split around an activity, or the activity."""
    parent: Token = token.parent
    split = isinstance(parent.task_spec, specs.BoundarySplit) and parent.task_spec.main == token.task_spec.name
    return parent if split else token


def _visits(flow: Flow, unit: Token) -> list[int]:
    """Return the user tasks that were completed below a visit, sub-processes included."""
    found: list[int] = []
    for token in subtree(unit):
        if token._state == COMPLETED and isinstance(token.task_spec, specs.UserTask):
            found.append(token.id)
        inside = flow.subprocesses.get(token.id)
        if inside is not None:
            for child in inside.task_tree.children:
                found += _visits(flow, child)
    return found


def _reopen(flow: Flow, node: Token, spec_name: str) -> Token:
    """Cancel everything that came of a visit and put a new token at a spec in its place."""
    unit = _unit(node)
    parent, workflow, data = unit.parent, unit.workflow, node.data
    before = {k: v for k, v in data.items() if k != "outcome"}
    flow.undone += _visits(flow, unit)
    flow.drop(unit, tidying=False)
    spec = workflow.spec.task_specs[spec_name]
    token = flow.token(workflow, spec, parent)
    token.data = before
    spec._update(token)
    return token


def _go_back(flow: Flow, token: Token, event: GoBack) -> None:
    target = next((n for n in _passed(flow, token) if flow.element(n.task_spec) == event.step), None)
    if target is None:
        raise Unreachable("not_passed", "不能退回到这一步：它没有办过，或在另一条并行分支里")
    here = token.task_spec
    if event.mode == "jump":
        below = [t for t in subtree(_unit(target)) if t.is_open]
        alone = all(
            t is token or (t.parent is token.parent and isinstance(t.task_spec, specs.BoundaryEvent)) for t in below
        )
        if target.workflow is not token.workflow or not alone:
            raise Unreachable("parallel", "退回后不能直接跳回：中间还有并行的步骤，请选“重走流程”")
    entry = flow.definition.entry(event.step)
    assert entry is not None
    opened = _reopen(flow, target, entry[1])
    if event.mode == "jump":
        back = flow.definition.entry(flow.element(here))
        assert back is not None
        main = next((c for c in opened.children if c.task_spec.name == target.task_spec.name), opened)
        main.internal_data = {**main.internal_data, "jump": back[1]}


def _take_back(flow: Flow, event: TakeBack) -> None:
    node = flow.find(event.task_id)
    if node is None or node._state != COMPLETED or not isinstance(node.task_spec, specs.UserTask):
        raise Unreachable("gone", "已经不能撤回：后面的步骤已汇合、已返回或流程已结束")
    entry = flow.definition.entry(flow.element(node.task_spec))
    assert entry is not None
    _reopen(flow, node, entry[1])


def _jump(flow: Flow, token: Token, event: Jump) -> None:
    entry = flow.definition.entry(event.step)
    if entry is None or event.step not in flow.definition.tasks or entry[0] != token.workflow.spec.name:
        raise Unreachable("other_process", "只能跳转到同一个流程（或子流程）里的步骤")
    _reopen(flow, token, entry[1])


# -- what changed -----------------------------------------------------------------------------------------------------


def _change(flow: Flow, before: Mapping[int, Token], due: Mapping[int, Any], completed: int | None) -> Change:
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
            opened.append(Opened(task_id, element, flow.scope(token)))
        elif isinstance(spec, specs.Job):
            jobs.append(_job(flow, token))
        elif isinstance(spec, specs.Catch) and moment is None and (wait := _wait(token, element)) is not None:
            waits.append(wait)
    left = [i for i in before if i not in after]
    gone = [i for i in left if due.get(i) is not None or isinstance(before[i].task_spec, specs.Catch)]
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
        undone=tuple(flow.undone),
        thrown=tuple(flow.thrown),
        path=tuple(flow.path),
        finished=not after,
    )


def _job(flow: Flow, token: Token) -> Job:
    operation = token.task_spec.extensions
    inputs = {name: flow.value(token, value) for name, value in operation.inputs}
    return Job(token.id, flow.element(token.task_spec), operation.name, operation.retries, inputs)


def _wait(token: Token, element: str) -> Wait | None:
    definition = token.task_spec.event_definition
    if isinstance(definition, MessageEventDefinition):
        kind = "message"
    elif isinstance(definition, SignalEventDefinition):
        kind = "signal"
    else:
        return None  # errors and escalations are not waited for from outside
    return Wait(token.id, element, kind, definition.name, token.internal_data.get("correlation", ""))
