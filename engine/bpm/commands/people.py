"""Who holds an item: claim (签收), unclaim (退签), reassign (转办), circulate onward (续传)."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from engine.batch import Statement
from engine.bpm.commands import checks, opening
from engine.bpm.commands.case import Case
from engine.bpm.commands.complete import Done
from engine.bpm.commands.requests import keyed
from engine.bpm.models import InstanceState, ItemKind, ItemState
from engine.errors import Conflict, Forbidden, Invalid
from engine.org.actor import ADMIN, Actor

CIRCULATE_LIMIT = 500
# a step for which nobody was found has its handler now
RESOLVE_NOBODY = Statement(
    "UPDATE incident SET resolved_at = :at, resolved_by = :by WHERE instance_id = :id AND task_id = :task_id "
    "AND kind = 'nobody' AND resolved_at IS NULL"
)


@keyed
def claim(session: Session, actor: Actor, item_id: uuid.UUID, *, key: str | None = None) -> Done:
    """Take a step that several candidates could handle (签收); the others' items stand by."""
    case, items = Case.by_item(session, actor, item_id, "claim", key)
    if case.replayed is not None:
        return Done(case.row.id, item_id, "claim", replayed=True)
    item = checks.own_open_item(case, items, item_id, actor)
    policy = case.definition.tasks[item.step].round.policy
    if policy != "any" or item.kind == ItemKind.READ:
        raise Conflict("这一步每个人都要办理，不需要签收", code="not_claimable")
    if item.claimed:
        raise Conflict("您已签收这一项", code="already_claimed")
    case.update_item(item, claimed=True)
    for other in items:
        if other.id != item.id and other.state == ItemState.OPEN:
            case.update_item(other, state=ItemState.STANDBY)
    return _saved(case, item, "claim")


@keyed
def unclaim(session: Session, actor: Actor, item_id: uuid.UUID, *, key: str | None = None) -> Done:
    """Give a claimed step back to all candidates (退签)."""
    case, items = Case.by_item(session, actor, item_id, "unclaim", key)
    if case.replayed is not None:
        return Done(case.row.id, item_id, "unclaim", replayed=True)
    item = checks.own_open_item(case, items, item_id, actor)
    if not item.claimed:
        raise Conflict("您没有签收这一项", code="not_claimed")
    case.update_item(item, claimed=False)
    for other in items:
        if other.state == ItemState.STANDBY:
            case.update_item(other, state=ItemState.OPEN)
    case.woken.append(item.round_id)
    return _saved(case, item, "unclaim")


@keyed
def reassign(
    session: Session, actor: Actor, item_id: uuid.UUID, *, to: uuid.UUID, reason: str, key: str | None = None
) -> Done:
    """Hand an item to another person for good (转办); by its assignee, or by a process admin (换人).

    Refusals: NotFound, Forbidden, Conflict (closed; the person handles this round already), Invalid (no reason, no
    such person, oneself).
    """
    case, items = Case.by_item(session, actor, item_id, "reassign", key)
    if case.replayed is not None:
        return Done(case.row.id, item_id, "reassign", replayed=True)
    item = checks.item_of(case, items, item_id, actor)
    if item.assignee_id != actor.person_id and not actor.has(ADMIN):
        raise Forbidden(f"这一项由{item.assignee_name}办理，您不能转办", code="not_assignee")
    # who has left may stand by for a step that another has claimed: an admin hands that over too
    kept = (ItemState.OPEN, ItemState.QUEUED, *((ItemState.STANDBY,) if actor.has(ADMIN) else ()))
    if item.state not in kept:
        checks.require_open(case, item)
    case.require_running()
    checks.check_opinion(reason, required=True, what="转办")
    person = checks.require_person(case, to)
    if to == item.assignee_id:
        raise Invalid("不能转给办理人自己，请选择别人", code="same_person")
    if to == actor.person_id:
        raise Invalid("流程管理员不能把别人的事转给自己办，请选择别人", code="to_oneself")
    if to == case.row.initiator_id and case.definition.tasks[item.step].same != "handle":
        raise Invalid("这一步不能由发起人自己办理，请选择别人", code="initiator_own")
    if any(
        i.assignee_id == to and i.state in (ItemState.OPEN, ItemState.QUEUED, ItemState.STANDBY, ItemState.DONE)
        for i in items
    ):
        raise Conflict(f"{person.name}已在这一步的办理人中，请选择别人", code="already_handler")
    case.update_item(item, state=ItemState.REASSIGNED, claimed=False, closed_at=case.now)
    case.opened.append(
        _passed_on(case, item, to, f"由{actor.name}转办", origin="reassigned", state=item.state, claimed=item.claimed)
    )
    case.woken.append(item.round_id)
    mended = {"id": case.row.id, "task_id": item.task_id, "at": case.now, "by": actor.person_id}
    case.batch.add(RESOLVE_NOBODY, mended)
    case.log(
        "reassign",
        item=item,
        opinion=reason.strip(),
        detail={"to": str(to), "name": person.name, "from": item.assignee_name},
    )
    case.save()
    return Done(case.row.id, item.id, "reassign")


@keyed
def circulate(
    session: Session,
    actor: Actor,
    item_id: uuid.UUID,
    *,
    to: Sequence[uuid.UUID],
    reason: str = "",
    key: str | None = None,
) -> Done:
    """Let further people read (续传) from one's own read item; who reads already is left out."""
    case, items = Case.by_item(session, actor, item_id, "circulate", key)
    if case.replayed is not None:
        return Done(case.row.id, item_id, "circulate", replayed=True)
    item = checks.item_of(case, items, item_id, actor)
    if item.assignee_id != actor.person_id or item.kind != ItemKind.READ:
        raise Forbidden("只有传阅的阅读人可以续传", code="not_reader")
    if case.instance_state != InstanceState.COMPLETED:  # what was read may be passed on when the matter is closed
        case.require_running()
    if item.round_closed_at is not None and case.definition.tasks[item.step].round.policy != "none":
        raise Conflict("这次传阅已经结束，不能再续传", code="round_closed")
    checks.check_opinion(reason, required=False, what="续传")
    if not 1 <= len(to) <= CIRCULATE_LIMIT:
        raise Invalid(f"请选择 1 到 {CIRCULATE_LIMIT} 位阅读人", code="readers")
    known = {i.assignee_id for i in items}
    new = [p for p in dict.fromkeys(to) if p not in known]
    if not new:
        raise Conflict("所选的人都已在传阅范围内", code="already_reader")
    names = [checks.require_person(case, p).name for p in new]
    case.opened += [_passed_on(case, item, p, f"由{actor.name}续传", origin="circulated") for p in new]
    case.woken.append(item.round_id)
    case.log("circulate", item=item, opinion=reason.strip(), detail={"to": names})
    case.save()
    return Done(case.row.id, item.id, "circulate")


def _passed_on(case: Case, item: Any, person_id: uuid.UUID, why: str, **values: Any) -> dict[str, Any]:
    row = {"id": item.round_id, "kind": item.kind}
    return opening.new_item(case, row, person_id, why, parent_id=item.id, position=item.position, **values)


def _saved(case: Case, item: Any, verb: str) -> Done:
    case.log(verb, item=item)
    case.save()
    return Done(case.row.id, item.id, verb)
