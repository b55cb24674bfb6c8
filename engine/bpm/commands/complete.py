"""Decide or fill a work item (办理): 同意, 不同意, or any outcome that the step names."""

import functools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from engine.bpm import runtime
from engine.bpm.commands import attaching, checks, opening, reading
from engine.bpm.commands import statements as sql
from engine.bpm.commands.case import Case
from engine.bpm.commands.requests import keyed
from engine.bpm.models import ItemKind, ItemState
from engine.errors import Conflict
from engine.org.actor import Actor


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an action: `decided` when it closed the round, `replayed` when the key had been used before."""

    instance_id: uuid.UUID
    item_id: uuid.UUID | None
    verb: str
    outcome: str | None = None
    decided: bool = False
    replayed: bool = False


@keyed
def complete(
    session: Session,
    actor: Actor,
    item_id: uuid.UUID,
    outcome: str,
    *,
    opinion: str = "",
    data: Mapping[str, Any] | None = None,
    version: int | None = None,
    key: str | None = None,
    via: str = "",
) -> Done:
    """Complete a work item with an outcome; a read item is acknowledged.

    `via` is the outside system in which the actor did it, such as `oa.ekp`; the trail says so.

    Refusals in this order: NotFound (unknown or invisible), Forbidden (somebody else's), Conflict (no longer open, with
    who and when; or `version` is not the instance's), Invalid (outcome, opinion, form per field). The same `key`
    again answers as the first time did.
    """
    case, items = Case.by_item(session, actor, item_id, "complete", key)
    if case.replayed is not None:
        first = next((i for i in items if i.id == item_id), None)  # it decided if the round closed with it
        decided = first is not None and first.closed_at is not None and first.closed_at == first.round_closed_at
        return Done(case.row.id, item_id, "complete", case.replayed.outcome, decided=decided, replayed=True)
    item = checks.own_open_item(case, items, item_id, actor)
    checks.require_version(case, version)
    if item.kind == ItemKind.READ:
        return Done(**reading.acknowledge_behind_lock(case, item, outcome, opinion, via))
    task = case.definition.tasks[item.step]
    chosen = checks.outcome_of(task, outcome, opinion)
    values = checks.form_data(case, item.step, data or {}, item.task_id) if chosen.form == "required" else {}
    finished = {"state": ItemState.DONE, "outcome": outcome, "opinion": opinion.strip(), "closed_at": case.now}
    case.update_item(item, **finished)
    after = [i if i.id != item.id else i._replace(**finished) for i in items]
    scope = functools.partial(runtime.scope, case.definition, case.state, case.data | values, item.task_id)
    decision = opening.decided(case, item.step, after, scope)
    case.approving = task.kind == "decide" and outcome == task.outcomes[0].id
    if decision is not None:
        case.close_round(item.round_id, decision.outcome, rest=ItemState.CLOSED, of=after, decided=item.id)
        case.advance(runtime.Complete(item.task_id, decision.outcome, values))
        opening.open_pending(case, actor.person_id)
    else:
        if values:
            case.keep(values, item.task_id)
        _next_in_turn(case, after)
    attaching.bind(case, item.step, values, item.id, item.task_id)
    detail = {"via": via} if via else {}
    case.log("complete", item=item, outcome=outcome, opinion=opinion.strip(), detail=detail)
    if item.drafted:
        case.batch.add(sql.DELETE_DRAFT, {"item_id": item.id, "person_id": actor.person_id})
    case.save()
    return Done(case.row.id, item.id, "complete", outcome, decided=decision is not None)


def _next_in_turn(case: Case, items: list[Any]) -> None:
    """In turn (依次): when nobody's item is open, the next one opens."""
    if any(i.state == ItemState.OPEN for i in items):
        return
    queued = next((i for i in items if i.state == ItemState.QUEUED), None)
    if queued is None:
        raise Conflict("这一轮已没有待办的人，请联系流程管理员", code="round_stuck")
    case.update_item(queued, state=ItemState.OPEN, opened_at=case.now)
    case.woken.append(queued.round_id)
