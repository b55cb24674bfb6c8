"""The checks that commands share, each with its own answer: 404 before 403 before 409 before 422."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from engine.bpm import runtime, visibility
from engine.bpm.closings import BY_ITSELF, VERBS, closing
from engine.bpm.commands.case import Case
from engine.bpm.extensions import Outcome, TaskExtension
from engine.bpm.forms import Rights
from engine.bpm.models import ActionLog, ItemState
from engine.clock import LOCAL
from engine.errors import Conflict, Forbidden, Invalid
from engine.feel import to_plain
from engine.org.actor import ADMIN, Actor
from engine.org.models import Person

OPINION_LIMIT = 2000


def item_of(case: Case, items: list[Any], item_id: uuid.UUID, actor: Actor) -> Any:
    """Return the work item, if the actor may know of it (404)."""
    item = next(i for i in items if i.id == item_id)
    if item.assignee_id != actor.person_id and not visibility.may_see(case.session, actor, case.row.id):
        raise visibility.not_found()
    return item


def own_open_item(case: Case, items: list[Any], item_id: uuid.UUID, actor: Actor) -> Any:
    """Return the actor's own open work item: 404, 403, then 409 with who acted and when."""
    item = item_of(case, items, item_id, actor)
    if item.assignee_id != actor.person_id:
        raise Forbidden(f"这一项由{item.assignee_name}办理，您不能代办", code="not_assignee")
    require_open(case, item)
    return item


def require_open(case: Case, item: Any) -> None:
    """Refuse an item that is no longer open, saying what happened (409)."""
    if item.state == ItemState.OPEN:
        case.require_running()
        return
    raise Conflict(late(case, item), code="item_closed", state=item.state)


def late(case: Case, item: Any) -> str:
    """Say why an item can't be handled any more: by whom, when, how."""
    if item.state == ItemState.QUEUED:
        return "还没有轮到您办理，请等前面的人办完"
    act = closing(case.session, case.row.id, item)
    if item.state == ItemState.DONE and act is not None and act.via.startswith("oa."):
        return f"您已在OA处理（{_local(item.closed_at)}），无需再办理"
    if item.state == ItemState.DONE:
        return f"您已于 {_local(item.closed_at)} 办理过这一项"
    if item.state == ItemState.STANDBY:
        return f"这一项已由{act.name}于 {_local(act.at)} 签收；退签后您才能办理" if act else "这一项已由别人签收"
    if act is None:
        return "这一项已不需要办理：流程已离开这一步"
    if act.verb == "reassign" and item.state == ItemState.REASSIGNED:
        return f"这一项已由{act.name}于 {_local(act.at)} 转给{act.to}办理"
    if act.name is None:
        return f"这一步已于 {_local(act.at)} {BY_ITSELF.get(act.verb, '自动')}结束，无需再办理"
    outcome = case.definition.tasks[item.step].outcome(act.outcome) if act.outcome else None
    done = outcome.name if outcome else VERBS.get(act.verb, "办理")
    there = "在OA" if act.via.startswith("oa.") else ""
    return f"已由{act.name}于 {_local(act.at)} {there}{done}，无需再办理"


def last_act(case: Case) -> str:
    """Say who acted last on an instance, and when."""
    log = (
        select(Person.name, ActionLog.at)
        .outerjoin(Person, Person.id == ActionLog.actor_id)
        .where(ActionLog.instance_id == case.row.id)
        .order_by(ActionLog.at.desc(), ActionLog.actor_id.is_(None), ActionLog.id.desc())  # the act, not what followed
        .limit(1)
    )
    name, at = case.session.execute(log).one()
    return f"后面的步骤已由{name}于 {_local(at)} 办理" if name else f"后面的系统步骤已于 {_local(at)} 执行"


def _local(moment: Any) -> str:
    return str(moment.astimezone(LOCAL).strftime("%m-%d %H:%M"))


def outcome_of(task: TaskExtension, outcome_id: str, opinion: str) -> Outcome:
    """Return the outcome, if the step has it and the opinion fits it (422)."""
    outcome = task.outcome(outcome_id)
    if outcome is None:
        names = "、".join(f"{o.name}（{o.id}）" for o in task.outcomes)
        raise Invalid(
            f"这一步没有结果“{outcome_id}”，可选：{names}",
            code="outcome_unknown",
            errors=[_at("outcome", "请选择办理结果")],
        )
    check_opinion(opinion, required=outcome.opinion == "required", what=outcome.name)
    return outcome


def check_opinion(opinion: str, *, required: bool, what: str) -> None:
    """Refuse a missing or oversized opinion (422)."""
    if required and not opinion.strip():
        raise Invalid(f"“{what}”需要填写意见", code="opinion_required", errors=[_at("opinion", "请填写意见")])
    if len(opinion) > OPINION_LIMIT:
        raise Invalid(f"意见最多 {OPINION_LIMIT} 个字", code="opinion_too_long", errors=[_at("opinion", "请缩短意见")])
    if "\x00" in opinion:
        raise Invalid(
            "意见里有不能保存的字符，请删去后重试", code="opinion_characters", errors=[_at("opinion", "请删去特殊字符")]
        )


def _at(place: str, message: str) -> dict[str, str]:
    return {"place": place, "message": message}


def form_data(case: Case, step: str, submitted: Mapping[str, Any], task_id: int | None = None) -> dict[str, Any]:
    """Validate what was submitted against the step's form and rights (422 per field); unknown fields are dropped.

    `task_id` is the open task, whose local scope the form shows too.
    """
    form = case.version.form(step)
    granted = case.definition.tasks[step].rights
    rights = Rights(granted.default, dict(granted.fields))
    if form is None or not rights.edit_something:
        return {}
    return form.validate(
        submitted,
        current=case.data if task_id is None else runtime.scope(case.definition, case.state, case.data, task_id),
        rights=rights,
        evaluate=lambda text, names: to_plain(case.definition.expression(text).evaluate(names)),
    )


def require_version(case: Case, version: int | None) -> None:
    """Refuse where the instance was saved since the page was made (409); None skips the check."""
    if version is not None and version != case.row.version:
        raise Conflict("这件事刚刚被别人更新，请刷新后再办理", code="version", version=case.row.version)


def require_admin(case: Case, actor: Actor) -> None:
    """Refuse whoever is no process admin: 404 where the instance is none of their business, else 403."""
    if actor.has(ADMIN):
        return
    if not visibility.may_see(case.session, actor, case.row.id):
        raise visibility.not_found()
    raise Forbidden("只有流程管理员可以这样做", code="not_admin")


def require_person(case: Case, person_id: uuid.UUID) -> Person:
    """Return an active person to hand something to (422); a system account (系统账号) is nobody's colleague."""
    person = case.session.get(Person, person_id)
    if person is None or person.disabled_at is not None or person.system:
        raise Invalid(
            "没有这个人，或已停用，请重新选择", code="person_unknown", errors=[_at("person", "请重新选择人员")]
        )
    return person
