"""Going back: return (退回) by a handler, take back (撤回) of one's own decision."""

import uuid
from typing import Any

from sqlalchemy.orm import Session

from engine.bpm import runtime
from engine.bpm.acts import acted_since
from engine.bpm.commands import checks, opening
from engine.bpm.commands.case import Case
from engine.bpm.commands.complete import Done
from engine.bpm.commands.requests import keyed
from engine.bpm.extensions import ReturnRule
from engine.bpm.models import ItemKind, ItemState
from engine.errors import Conflict, Forbidden, Invalid
from engine.org.actor import Actor


@keyed
def send_back(
    session: Session,
    actor: Actor,
    item_id: uuid.UUID,
    *,
    to: str = "previous",
    mode: str | None = None,
    opinion: str = "",
    key: str | None = None,
) -> Done:
    """Return to `initiator`, `previous` or a step's id (退回); siblings that lie downstream of it are cancelled.

    `mode` rewalk: every step in between is handled again; jump: straight back here once the target is done; without it
    as the step says, and where it leaves the choice, rewalk. Refusals:
    NotFound, Forbidden, Conflict (closed; target in a parallel branch or never passed), Invalid (no reason given,
    a target that the step does not allow).
    """
    case, items = Case.by_item(session, actor, item_id, "return", key)
    if case.replayed is not None:
        return Done(case.row.id, item_id, "return", "return", decided=True, replayed=True)
    item = checks.own_open_item(case, items, item_id, actor)
    if item.kind == ItemKind.READ:
        raise Conflict("传阅的步骤不能退回，可以发表意见", code="read_item")
    rule = case.definition.tasks[item.step].returns
    checks.check_opinion(opinion, required=True, what="退回")
    mode = mode or ("jump" if rule.mode == "jump" else "rewalk")
    if mode not in ("rewalk", "jump"):
        raise Invalid("退回方式只能是 rewalk（重走流程）或 jump（办完直接回到我这里）", code="return_mode")
    if rule.mode not in ("choose", mode):
        raise Invalid(f"这一步退回后只能“{_MODES[rule.mode]}”", code="return_mode")
    target = _target(case, item.task_id, to)
    if rule.targets is not None and not _allowed(case, rule.targets, item.task_id, target):
        raise Invalid(f"这一步不允许退回到“{case.definition.names.get(target, target)}”", code="return_target")
    case.returned = True
    finished = {"state": ItemState.DONE, "outcome": "return", "opinion": opinion.strip(), "closed_at": case.now}
    case.update_item(item, **finished)
    case.close_round(item.round_id, "return", rest=ItemState.CLOSED, of=items, decided=item.id)
    case.settled.add(item.task_id)
    case.advance(runtime.GoBack(item.task_id, target, mode))
    opening.open_pending(case, actor.person_id)
    case.log("return", item=item, outcome="return", opinion=opinion.strip(), detail={"to": target, "mode": mode})
    case.save()
    return Done(case.row.id, item.id, "return", "return", decided=True)


_MODES = {"rewalk": "重走流程", "jump": "直接跳回"}


def targets(case: Case, task_id: int) -> list[str]:
    """Return the steps that an open task may return to, the nearest first."""
    return runtime.back_targets(case.definition, case.state, task_id)


def offered(definition: runtime.Definition, state: bytes, rule: ReturnRule, task_id: int) -> list[str]:
    """Return the steps that a return from an open task is offered to, by its step's rule; the nearest first."""
    if rule.targets == ():
        return []
    reachable = runtime.back_targets(definition, state, task_id)
    if rule.targets is None:
        return reachable
    aliases = {"initiator": definition.start_step, "previous": reachable[0] if reachable else None}
    allowed = {aliases.get(target, target) for target in rule.targets}
    return [step for step in reachable if step in allowed]


def _target(case: Case, task_id: int, to: str) -> str:
    reachable = targets(case, task_id)
    if to == "initiator":
        step = case.definition.start_step
        if step is None or step not in reachable:
            raise Conflict("这个流程没有可以退回的发起人步骤", code="unreachable_not_passed")
        return step
    if to == "previous":
        if not reachable:
            raise Conflict("前面没有可以退回的步骤", code="unreachable_not_passed")
        return reachable[0]
    return to


def _allowed(case: Case, allowed: tuple[str, ...], task_id: int, target: str) -> bool:
    """Whether the step lists the target: by its id, or as `initiator` or `previous`."""
    if target in allowed or ("initiator" in allowed and target == case.definition.start_step):
        return True
    return "previous" in allowed and targets(case, task_id)[:1] == [target]


@keyed
def take_back(session: Session, actor: Actor, item_id: uuid.UUID, *, key: str | None = None) -> Done:
    """Take back one's own handled item (撤回), while nobody has acted on what followed.

    Refusals: NotFound, Forbidden (somebody else's), Conflict (somebody has acted since, a system step has run, the
    branches have joined, or the instance has ended).
    """
    case, items = Case.by_item(session, actor, item_id, "take_back", key)
    if case.replayed is not None:
        return Done(case.row.id, item_id, "take_back", replayed=True)
    item = checks.item_of(case, items, item_id, actor)
    if item.assignee_id != actor.person_id:
        raise Forbidden("只能撤回自己办理的事项", code="not_assignee")
    case.require_running()
    if item.state != ItemState.DONE or item.kind == ItemKind.READ or item.outcome == "return":
        raise Conflict("这一项没有可以撤回的办理结果", code="nothing_to_take_back")
    if item.round_closed_at is None:
        _reopen_own(case, items, item)
    else:
        _undo_round(case, items, item)
    case.log("take_back", item=item)
    case.save()
    return Done(case.row.id, item.id, "take_back")


def _reopen_own(case: Case, items: list[Any], item: Any) -> None:
    """The round is still open: only the own item opens again."""
    queue = [i for i in items if i.position > item.position and i.state != ItemState.QUEUED]
    task = case.definition.tasks[item.step]
    if task.round.policy == "in_turn":
        if any(i.state != ItemState.OPEN for i in queue):
            raise Conflict("已经不能撤回：后面的人已办理", code="unreachable_acted")
        for other in queue:
            case.update_item(other, state=ItemState.QUEUED)
    case.update_item(item, state=ItemState.OPEN, outcome=None, opinion="", closed_at=None)
    case.woken.append(item.round_id)


def _undo_round(case: Case, items: list[Any], item: Any) -> None:
    """The round was decided: go back to its step, if nothing has happened since."""
    if acted_since(
        case.session,
        instance_id=case.row.id,
        item_id=item.id,
        round_id=item.round_id,
        closed_at=item.closed_at,
    ):
        raise Conflict(f"已经不能撤回：{checks.last_act(case)}", code="unreachable_acted")
    case.advance(runtime.TakeBack(item.task_id))
    case.returned = True
    again = next(o for o in case.pending if o.step == item.step)
    opening.resume_round(case, again, items, item)
    opening.open_pending(case, item.sender_id)
