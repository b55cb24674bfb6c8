"""Return (退回), take back (撤回) and jump (跳转): cut what came of a visit, and put a new token in its place."""

from collections.abc import Iterator
from typing import Any

from engine.bpm.runtime import specs, visits
from engine.bpm.runtime.flow import Flow
from engine.bpm.runtime.tree import COMPLETED, Token, ancestors, subtree
from engine.bpm.runtime.types import GoBack, Jump, TakeBack, Unreachable


def above(flow: Flow, token: Token) -> Iterator[Token]:
    """Yield the visits that led to a token, nearest first, those of the processes around it too."""
    node: Token | None = token
    while node is not None:
        yield from ancestors(node)
        holder = None if node.workflow is flow else flow.find(node.workflow.parent_task_id)
        if holder is not None:
            yield holder
        node = holder


def targets(flow: Flow, token: Token) -> list[str]:
    """Return the steps that an open user task may return to, the nearest first."""
    return list(_passed(flow, _in_its_place(flow, token)))


def _passed(flow: Flow, token: Token) -> dict[str, tuple[Token, str | None]]:
    """Return the steps passed on the way to a token, the nearest first: each with its visit.

    A step inside a sub-process that was left is given by the sub-process's visit and the step's spec inside.
    """
    found: dict[str, tuple[Token, str | None]] = {}
    for node in above(flow, token):
        if node._state != COMPLETED:
            continue
        if isinstance(node.task_spec, specs.UserTask):
            found.setdefault(flow.element(node.task_spec), (node, None))
        for name, *_ in node.internal_data.get("passed", ()):
            inside = flow.subprocess_specs[node.task_spec.spec].task_specs[name]
            found.setdefault(flow.element(inside), (node, name))
    found.pop(flow.element(token.task_spec), None)
    return found


def _in_its_place(flow: Flow, token: Token) -> Token:
    """Let the target of a jump, which stands in for a later step, stand where its own visit was: for a return from it.

    Only what lies before that visit was passed then. Any other token stays as it is.
    """
    if "jump" not in token.internal_data:
        return token
    visit = next(node for node in ancestors(token) if node.task_spec is token.task_spec)
    return _main(_reopen(flow, visit, _entry(flow, token.task_spec)), token.task_spec)


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
    """Cancel what came of a visit and put a new token at a spec in its place; what was passed before it stays so."""
    unit = _unit(node)
    parent, workflow, data = unit.parent, unit.workflow, node.data
    before = {k: v for k, v in data.items() if k != "outcome"}
    moment, done = visits.last(node), _visits(flow, unit)
    stay = visits.earlier(unit, moment)
    flow.undone += [visit for visit in done if visit not in {e.id for e in stay}]
    flow.drop(unit, tidying=False)
    spec = workflow.spec.task_specs[spec_name]
    token = flow.token(workflow, spec, parent)
    visits.come_back(stay, token, moment)
    token.data = before
    token.internal_data = {"enter": enter} if enter else {}
    spec._update(token)
    return token


def _entry(flow: Flow, spec: Any) -> str:
    """Return the name of the spec through which a token enters an element."""
    found = flow.definition.entry(flow.element(spec))
    assert found is not None
    return str(found[1])


def _main(entered: Token, spec: Any) -> Token:
    """Return the activity's token where its boundary split was entered."""
    return next((child for child in entered.children if child.task_spec is spec), entered)


def go_back(flow: Flow, token: Token, event: GoBack) -> None:
    """Return to a step passed before; raises Unreachable."""
    token = _in_its_place(flow, token)
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
    main = _main(opened, target.task_spec)
    main.internal_data = {**main.internal_data, "jump": back}


def take_back(flow: Flow, event: TakeBack) -> None:
    """Open a completed visit again, while nobody has completed a later one; raises Unreachable."""
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


def jump(flow: Flow, token: Token, event: Jump) -> None:
    """Move an open task to another step of its (sub-)process; raises Unreachable."""
    entry = flow.definition.entry(event.step)
    if entry is None or event.step not in flow.definition.tasks or entry[0] != token.workflow.spec.name:
        raise Unreachable("other_process", "只能跳转到同一个流程（或子流程）里的步骤")
    _reopen(flow, token, entry[1])
