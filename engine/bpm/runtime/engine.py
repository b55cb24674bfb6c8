"""Start and advance: load the flow, apply one event, run, and tell what changed by comparing before and after."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from SpiffWorkflow.bpmn.specs.event_definitions import MessageEventDefinition, SignalEventDefinition

from engine.bpm.runtime import specs
from engine.bpm.runtime.codec import decode, encode
from engine.bpm.runtime.definition import Definition
from engine.bpm.runtime.flow import Flow
from engine.bpm.runtime.tree import COMPLETED, READY, WAITING, Token, ancestors, subtree
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


def _copy(data: Mapping[str, Any]) -> Data:
    """Return a deep copy of plain JSON values."""
    copied: Data = orjson.loads(orjson.dumps(dict(data)))
    return copied


def start(definition: Definition, data: Mapping[str, Any], *, now: datetime) -> Change:
    """Start an instance with its data (plain JSON values; copied)."""
    flow = Flow(definition, _copy(data), now)
    flow.spread(flow.task_tree, flow.task_tree, flow.spec.start.outputs)
    flow.run()
    return _change(flow, {}, {}, None)


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
    flow = decode(definition, state, _copy(data), now)
    flow.write(_open(flow, task_id).workflow, values)
    return encode(flow), flow.local


def open_job(definition: Definition, state: bytes, data: Mapping[str, Any], task_id: int) -> Job | None:
    """Return the job of a task that still waits for it, with its inputs as they are now."""
    flow = decode(definition, state, dict(data), _NEVER)
    token = flow.find(task_id)
    return _job(flow, token) if token is not None and token.is_open and isinstance(token.task_spec, specs.Job) else None


def catches(definition: Definition, state: bytes, data: Mapping[str, Any], task_id: int, code: str) -> bool:
    """Whether a boundary error event would take this error of a job."""
    flow = decode(definition, state, _copy(data), _NEVER)
    return flow.fail_job(_open(flow, task_id), code)


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


def back_targets(definition: Definition, state: bytes, task_id: int) -> list[str]:
    """Return the steps that an open user task may return to, the nearest first."""
    flow = decode(definition, state, {}, _NEVER)
    return list(_passed(flow, _open(flow, task_id)))


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
        case Complete(outcome=outcome, data=values, automatic=automatic):
            _expect(token, specs.UserTask | specs.ManualTask, READY)
            if not automatic:
                for node in (n for n in _above(flow, token) if n._state == COMPLETED):
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


def _above(flow: Flow, token: Token) -> Iterator[Token]:
    """Yield the visits that led to a token, nearest first, those of the processes around it too."""
    node: Token | None = token
    while node is not None:
        yield from ancestors(node)
        holder = None if node.workflow is flow else flow.find(node.workflow.parent_task_id)
        if holder is not None:
            yield holder
        node = holder


def _passed(flow: Flow, token: Token) -> dict[str, tuple[Token, str | None]]:
    """Return the steps passed on the way to a token, the nearest first: each with its visit.

    A step inside a sub-process that was left is given by the sub-process's visit and the step's spec inside.
    """
    found: dict[str, tuple[Token, str | None]] = {}
    here = flow.element(token.task_spec)
    # the target of a jump stands in for a later step: only what lies before its own visit was passed
    skipping = "jump" in token.internal_data
    for node in _above(flow, token):
        spec = node.task_spec
        if skipping:
            skipping = spec is not token.task_spec
        elif node._state == COMPLETED and isinstance(spec, specs.UserTask):
            found.setdefault(flow.element(spec), (node, None))
        for name, _ in node.internal_data.get("passed", ()) if node._state == COMPLETED else ():
            inside = flow.subprocess_specs[spec.spec].task_specs[name]
            found.setdefault(flow.element(inside), (node, name))
    found.pop(here, None)
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


def _reopen(flow: Flow, node: Token, spec_name: str, enter: str | None = None) -> Token:
    """Cancel everything that came of a visit and put a new token at a spec in its place."""
    unit = _unit(node)
    parent, workflow, data = unit.parent, unit.workflow, node.data
    before = {k: v for k, v in data.items() if k != "outcome"}
    flow.undone += _visits(flow, unit)
    flow.drop(unit, tidying=False)
    spec = workflow.spec.task_specs[spec_name]
    token = flow.token(workflow, spec, parent)
    token.data = before
    token.internal_data = {"enter": enter} if enter else {}
    spec._update(token)
    return token


def _entry(flow: Flow, spec: Any) -> str:
    """Return the name of the spec through which a token enters an element."""
    found = flow.definition.entry(flow.element(spec))
    assert found is not None
    return str(found[1])


def _go_back(flow: Flow, token: Token, event: GoBack) -> None:
    passed = _passed(flow, token).get(event.step)
    if passed is None:
        raise Unreachable("not_passed", "不能退回到这一步：它没有办过，或在另一条并行分支里")
    target, inside = passed
    if inside is not None:
        spec = flow.subprocess_specs[target.task_spec.spec].task_specs[inside]
        if event.mode == "jump":
            raise Unreachable("sub_process", "退回到子流程里面后不能直接跳回，请选“重走流程”")
        _reopen(flow, target, _entry(flow, target.task_spec), _entry(flow, spec))
    elif event.mode == "rewalk":
        _reopen(flow, target, _entry(flow, target.task_spec))
    else:
        _go_back_to_jump(flow, token, target)


def _go_back_to_jump(flow: Flow, token: Token, target: Token) -> None:
    """Let the target stand in for this step, below all that was passed: that stays reachable after the jump.

    From inside a sub-process to a step before it, the sub-process waits to be entered again where it was left.
    """
    here, back = token, [_entry(flow, token.task_spec), None]
    if token.workflow is not target.workflow:
        holder = flow.find(token.workflow.parent_task_id)
        if holder is None or holder.workflow is not target.workflow or token.workflow.local is not None:
            raise Unreachable("sub_process", "从这个子流程退回到外面后不能直接跳回，请选“重走流程”")
        here, back = holder, [_entry(flow, holder.task_spec), back[0]]
    beside = [*subtree(_unit(target)), *(token.workflow.tasks.values() if here is not token else ())]
    mine = {token.id, here.id}
    alone = all(
        t.id in mine or (isinstance(t.task_spec, specs.BoundaryEvent) and t.parent in (token.parent, here.parent))
        for t in beside
        if t.is_open
    )
    if not alone:
        raise Unreachable("parallel", "退回后不能直接跳回：中间还有并行的步骤，请选“重走流程”")
    opened = _reopen(flow, here, _entry(flow, target.task_spec))
    main = next((c for c in opened.children if c.task_spec.name == target.task_spec.name), opened)
    main.internal_data = {**main.internal_data, "jump": back}


def _take_back(flow: Flow, event: TakeBack) -> None:
    node = flow.find(event.task_id)
    if node is None and (inside := _left_inside(flow, event.task_id)) is not None:
        holder, name = inside
        spec = flow.subprocess_specs[holder.task_spec.spec].task_specs[name]
        if "acted" in holder.internal_data:
            raise Unreachable("acted", "已经不能撤回：后面的步骤已有人办理")
        _reopen(flow, holder, _entry(flow, holder.task_spec), _entry(flow, spec))
        return
    if node is None or node._state != COMPLETED or not isinstance(node.task_spec, specs.UserTask):
        raise Unreachable("gone", "已经不能撤回：后面的步骤已汇合、已返回或流程已结束")
    if "acted" in node.internal_data:
        raise Unreachable("acted", "已经不能撤回：后面的步骤已有人办理")
    _reopen(flow, node, _entry(flow, node.task_spec))


def _left_inside(flow: Flow, task_id: int) -> tuple[Token, str] | None:
    """Return the sub-process that was left through a user task's visit, and the task's spec, if it is its last one."""
    for workflow in flow.workflows():
        for token in workflow.tasks.values():
            passed = token.internal_data.get("passed")
            if passed and token._state == COMPLETED and passed[0][1] == task_id:
                return token, passed[0][0]
    return None


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
