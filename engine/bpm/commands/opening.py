"""Opening rounds: who handles a step, what is decided without anybody, and what happens where nobody is found."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace as Namespace
from typing import Any

from engine.bpm import assignment, rounds, runtime
from engine.bpm.assignment import AssignmentContext, Handler
from engine.bpm.commands import merging
from engine.bpm.commands.case import Case
from engine.bpm.extensions import Assign, TaskExtension
from engine.bpm.models import IncidentKind, ItemState
from engine.bpm.rounds import first_states
from engine.db import new_id
from engine.errors import Invalid
from engine.feel import FeelError, to_plain
from engine.org.actor import ADMIN

AUTOMATIC = "auto"  # the verb of what the engine decides by a rule of the step
_LIMIT = 50  # steps in a row that decide themselves: more is a loop without people


def open_pending(case: Case, sender: uuid.UUID | None) -> None:
    """Open a round for each task that waits; steps that decide themselves advance the case again.

    `sender` is the person whose action led here (上一办理人).
    """
    for _ in range(_LIMIT):
        if not case.pending:
            return
        opened, case.pending = case.pending[0], case.pending[1:]
        try:
            _open(case, opened, sender)
        except FeelError as error:
            fault = runtime.RuntimeFault("expression", opened.step, f"办理人的表达式没有结果：{error.message}")
            raise case.fault(fault) from error
    raise case.fault(
        runtime.RuntimeFault("budget", case.definition.key, f"连续 {_LIMIT} 个步骤都自动办理，流程可能是死循环")
    )


def _open(case: Case, opened: runtime.Opened, sender: uuid.UUID | None) -> None:
    step, task = opened.step, case.definition.tasks[opened.step]
    handlers = handlers_of(case, task, opened.scope, sender)
    passed = None
    if task.same != "handle" and any(h.person_id == case.row.initiator_id for h in handlers):
        handlers, passed = _same_person(case, task, handlers, opened.scope, sender)
    if not handlers and passed is None:
        handlers, passed = _nobody(case, task, opened)
    row = new_round(case, opened, sender)
    items = [] if passed else _items(case, task, row, handlers)
    spared = merging.spared(case, task, step, items, sender)
    outcome = task.outcomes[0].id
    if spared and decided(case, step, [Namespace(**i) for i in items], lambda: opened.scope) is not None:
        passed, items = spared[-1][1], []  # the first outcome, for nobody was asked who could choose another
    for item, why in spared if items else ():
        _log(case, row, why, outcome, item_id=item["id"])
    case.opened += items
    if passed is not None or (task.kind == "read" and task.round.policy == "none"):
        row |= {"outcome": outcome, "closed_at": case.now}
        case.advance(runtime.Complete(opened.task_id, outcome, automatic=True))
        if passed is not None:
            _log(case, row, passed, outcome)


def decided(
    case: Case, step: str, items: Sequence[rounds.Item], scope: Callable[[], Mapping[str, Any]]
) -> rounds.Decision | None:
    """Return the result of a step's round, None while it is open; `scope` is what its expression reads, if it has one.

    Raises ProcessFault where the expression has no answer.
    """
    task = case.definition.tasks[step]

    def holds(counts: Mapping[str, int]) -> bool:
        return case.definition.expression(task.round.rule).evaluate({**scope(), **counts}) is True

    try:
        return rounds.decide(task.round, [o.id for o in task.outcomes], items, holds)
    except FeelError as error:
        fault = runtime.RuntimeFault("expression", step, f"办理方式的表达式没有结果：{error.message}")
        raise case.fault(fault) from error


def _log(case: Case, row: dict[str, Any], why: str, outcome: str, **item: uuid.UUID) -> None:
    where = {"round_id": row["id"], "step": row["step"], "step_name": row["step_name"]} | item
    case.log(AUTOMATIC, keyed=False, outcome=outcome, detail={"why": why}, **where)


def new_round(case: Case, opened: runtime.Opened, sender: uuid.UUID | None) -> dict[str, Any]:
    """Add the row of a new round of a step; it is written with the case."""
    step, task = opened.step, case.definition.tasks[opened.step]
    row = {
        "id": new_id(),
        "instance_id": case.row.id,
        "task_id": opened.task_id,
        "step": step,
        "step_name": case.definition.names[step][:80],
        "kind": task.kind,
        "sender_id": sender,
        "until_all": task.round.policy == "all",
        "outcome": None,
        "opened_at": case.now,
        "due_at": opened.due_at,
        "closed_at": None,
    }
    case.rounds.append(row)
    return row


def resume_round(case: Case, opened: runtime.Opened, old_items: list[Any], mine: Any) -> None:
    """Open a decided round again after a take-back: the others' decisions stand, `mine` is open again."""
    case.pending.remove(opened)
    row = new_round(case, opened, mine.sender_id)
    queued = case.definition.tasks[opened.step].round.policy == "in_turn"
    for item in old_items:
        if item.state not in (ItemState.DONE, ItemState.CLOSED):
            continue
        kept: dict[str, Any] = {"position": item.position, "origin": item.origin}
        if item.state == ItemState.DONE:  # it stands in the new round, or not at all
            case.update_item(item, state=ItemState.CANCELLED)
        if item.id != mine.id and item.state == ItemState.DONE:
            kept |= {"state": ItemState.DONE, "outcome": item.outcome, "opinion": item.opinion}
            kept |= {"opened_at": item.opened_at, "read_at": item.read_at, "closed_at": item.closed_at}
        elif item.id != mine.id and (queued or mine.claimed):
            kept["state"] = ItemState.QUEUED if queued else ItemState.STANDBY
        elif item.id == mine.id:
            kept["claimed"] = mine.claimed
        case.opened.append(new_item(case, row, item.assignee_id, item.why, **kept))


def handlers_of(
    case: Case,
    task: TaskExtension,
    scope: runtime.Data | Any,
    sender: uuid.UUID | None,
    rules: tuple[Assign, ...] | None = None,
) -> list[Handler]:
    """Resolve a step's assignment rules against the organisation as it is now."""
    context = AssignmentContext(
        initiator_id=case.row.initiator_id,
        initiator_department_id=case.row.department_id,
        previous_id=sender,
        data=scope,
        evaluate=lambda text: to_plain(case.definition.expression(text).evaluate(scope)),
        field_labels=case.version.labels,
    )
    return assignment.resolve(case.directory, task.assign if rules is None else rules, context)


def _items(case: Case, task: TaskExtension, row: dict[str, Any], handlers: list[Handler]) -> list[dict[str, Any]]:
    states = first_states(task.round, len(handlers))
    return [
        new_item(case, row, h.person_id, h.why, state=s, position=n)
        for n, (h, s) in enumerate(zip(handlers, states, strict=True))
    ]


def new_item(case: Case, row: Any, person_id: uuid.UUID, why: str, **values: Any) -> dict[str, Any]:
    """Return the row of a new work item of a round (`row` holds id and kind)."""
    return {
        "id": new_id(),
        "round_id": row["id"],
        "instance_id": case.row.id,
        "process_key": case.row.process_key,
        "urgency": case.row.urgency,
        "kind": row["kind"],
        "assignee_id": person_id,
        "state": ItemState.OPEN,
        "position": 0,
        "why": why[:200],
        "origin": "assigned",
        "parent_id": None,
        "claimed": False,
        "outcome": None,
        "opinion": "",
        "opened_at": case.now,
        "read_at": None,
        "closed_at": None,
    } | values


def _same_person(
    case: Case, task: TaskExtension, handlers: list[Handler], scope: Any, sender: uuid.UUID | None
) -> tuple[list[Handler], str | None]:
    """The initiator would handle their own request (办理人就是发起人): skip them, or their head handles it."""
    others = [h for h in handlers if h.person_id != case.row.initiator_id]
    if task.same == "skip":
        return others, None if others else "办理人就是发起人，按流程规定跳过"
    heads = handlers_of(case, task, scope, sender, (Assign("initiator_head"),))
    known = {h.person_id for h in others}
    return others + [h for h in heads if h.person_id not in known and h.person_id != case.row.initiator_id], None


def _nobody(case: Case, task: TaskExtension, opened: runtime.Opened) -> tuple[list[Handler], str | None]:
    """Nobody was found for a step (找不到办理人): pass on, refuse, named people, or the process admins."""
    name = case.definition.names[opened.step]
    if task.nobody == "pass":
        return [], "没有要阅知的人，按流程规定跳过" if task.kind == "read" else "找不到办理人，按流程规定自动通过"
    if task.nobody == "refuse":
        raise Invalid(
            f"步骤“{name}”找不到办理人，请检查所填的人员或部门，或联系流程管理员", code="nobody", step=opened.step
        )
    rules: tuple[Assign, ...] = (Assign("role", role=ADMIN),)
    if task.nobody == "persons":
        rules = (Assign("person", persons=task.nobody_persons), *rules)
    found = handlers_of(case, task, opened.scope, None, rules[:1]) or handlers_of(
        case, task, opened.scope, None, rules[-1:]
    )
    if not found:
        raise Invalid(f"步骤“{name}”找不到办理人，也没有流程管理员，请联系信息科", code="nobody", step=opened.step)
    taker = "指定人员" if task.nobody == "persons" else "流程管理员"
    case.incidents.append(
        {
            "id": new_id(),
            "instance_id": case.row.id,
            "task_id": opened.task_id,
            "step": opened.step,
            "kind": IncidentKind.NOBODY,
            "message": f"步骤“{name}”按规则找不到办理人，已转给{taker}",
            "created_at": case.now,
        }
    )
    return found, None
