"""What leaves the process where it is: comment (评论), urge (催办), copy (抄送), draft (暂存), first opened (已读)."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from math import ceil
from typing import Any

import orjson
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from engine import attachments, clock, notices, outbox
from engine.bpm import visibility
from engine.bpm.commands import checks
from engine.bpm.commands.case import LIVE, Case, idem
from engine.bpm.commands.complete import Done
from engine.bpm.commands.requests import keyed
from engine.bpm.models import ActionLog, Copy, Draft, ItemState, Process, WorkItem
from engine.bpm.telling import told
from engine.db import new_id
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.org.actor import ADMIN, Actor
from engine.org.models import Person

URGE_EVERY = timedelta(hours=1)
MOST_COMMENTS = 60  # of one person on one instance within an hour: more would push the trail out of sight
COPY_LIMIT = 200
DRAFT_LIMIT = 200_000  # bytes of JSON
MOST_DRAFTS = 100  # of one person, of instances not yet started
DRAFT_KEEPS = timedelta(days=30)  # how long the files of a draft wait for it


@keyed
def comment(session: Session, actor: Actor, instance_id: uuid.UUID, *, text: str, key: str | None = None) -> Done:
    """Add a comment to an instance that one may see (评论); allowed after its end too, 60 an hour."""
    case = _seen(session, actor, instance_id, "comment", key)
    if case.replayed is None:
        if not text.strip():
            raise Invalid("请填写评论", code="comment_empty", errors=[{"place": "text", "message": "请填写评论"}])
        checks.check_opinion(text, required=False, what="评论")
        mine = (
            ActionLog.instance_id == instance_id,
            ActionLog.actor_id == actor.person_id,
            ActionLog.verb == "comment",
        )
        lately = select(func.count()).where(*mine, ActionLog.at > case.now - timedelta(hours=1))
        if (session.scalar(lately) or 0) >= MOST_COMMENTS:
            raise Conflict(f"一小时内最多评论 {MOST_COMMENTS} 次，请稍后再评论", code="commented_too_often")
        case.log("comment", opinion=text.strip())
        case.save(touch=False)
    return Done(instance_id, None, "comment", replayed=case.replayed is not None)


@keyed
def urge(session: Session, actor: Actor, instance_id: uuid.UUID, *, text: str = "", key: str | None = None) -> Done:
    """Remind whoever else holds the instance (催办): by its initiator, a handler or an admin, once an hour each."""
    case = _seen(session, actor, instance_id, "urge", key)
    if case.replayed is not None:
        return Done(instance_id, None, "urge", replayed=True)
    involved = case.row.initiator_id == actor.person_id or actor.has(ADMIN) or _handled(session, actor, instance_id)
    if not involved:
        raise Forbidden("只有发起人、办理过的人和流程管理员可以催办", code="not_involved")
    case.require_running()
    checks.check_opinion(text, required=False, what="催办")
    since = select(func.max(ActionLog.at)).where(
        ActionLog.instance_id == instance_id, ActionLog.actor_id == actor.person_id, ActionLog.verb == "urge"
    )
    last = session.scalar(since)
    if last is not None and case.now - last < URGE_EVERY:
        minutes = ceil((URGE_EVERY - (case.now - last)).total_seconds() / 60)
        raise Conflict(f"一小时内只能催办一次，请 {minutes} 分钟后再催", code="urged_recently", minutes=minutes)
    holders = session.execute(
        select(WorkItem.id, WorkItem.assignee_id, Person.name)
        .join(Person, Person.id == WorkItem.assignee_id)
        .where(
            WorkItem.instance_id == instance_id,
            WorkItem.state == ItemState.OPEN,
            WorkItem.assignee_id != actor.person_id,
        )
        .order_by(WorkItem.id)
    ).all()
    if not holders:
        raise Conflict("现在没有别人等待办理，不需要催办", code="nobody_to_urge")
    words = text.strip() or f"{actor.name}催您尽快办理"
    payload = told(instance_id, "urge", [h.assignee_id for h in holders], words)
    outbox.put(session, case.batch, [outbox.row("notice", str(instance_id), "person", payload, case.now)])
    case.log("urge", opinion=text.strip(), detail={"to": [h.name for h in holders][:20], "count": len(holders)})
    case.save(touch=False)
    return Done(instance_id, None, "urge")


@keyed
def copy(
    session: Session,
    actor: Actor,
    instance_id: uuid.UUID,
    *,
    to: Sequence[uuid.UUID],
    reason: str = "",
    key: str | None = None,
) -> Done:
    """Copy an instance to people, with a reason (抄送); they read, they don't decide. Who has a copy is left out."""
    case = _seen(session, actor, instance_id, "copy", key)
    if case.replayed is not None:
        return Done(instance_id, None, "copy", replayed=True)
    if not (case.row.initiator_id == actor.person_id or actor.has(ADMIN) or _handled(session, actor, instance_id)):
        raise Forbidden("只有发起人、办理过的人和流程管理员可以抄送", code="not_involved")
    if not 1 <= len(to) <= COPY_LIMIT:
        raise Invalid(f"请选择 1 到 {COPY_LIMIT} 位抄送人", code="copy_people")
    checks.check_opinion(reason, required=False, what="抄送")
    if len(reason) > 200:
        raise Invalid(
            "抄送说明最多 200 个字", code="reason_too_long", errors=[{"place": "reason", "message": "请缩短说明"}]
        )
    known = set(session.scalars(select(Copy.person_id).where(Copy.instance_id == instance_id)))
    people = [checks.require_person(case, p) for p in dict.fromkeys(to) if p not in known]
    if not people:
        raise Conflict("所选的人都已收到抄送", code="already_copied")
    session.add_all(
        Copy(
            id=new_id(),
            instance_id=instance_id,
            person_id=p.id,
            sender_id=actor.person_id,
            reason=reason.strip(),
            created_at=case.now,
        )
        for p in people
    )
    payload = told(instance_id, "copy", [p.id for p in people], reason.strip() or f"{actor.name}抄送给您")
    outbox.put(session, case.batch, [outbox.row("notice", str(instance_id), "person", payload, case.now)])
    case.log("copy", opinion=reason.strip(), detail={"to": [p.name for p in people]})
    case.save(touch=False)
    return Done(instance_id, None, "copy")


def mark_opened(
    session: Session, actor: Actor, *, item_id: uuid.UUID | None = None, instance_id: uuid.UUID | None = None
) -> None:
    """Note that the actor has opened their own item, or their copy of an instance, for the first time.

    Their notices about the instance are read with it.
    """
    now = clock.now()
    if item_id is not None:
        session.execute(
            update(WorkItem)
            .where(WorkItem.id == item_id, WorkItem.assignee_id == actor.person_id, WorkItem.read_at.is_(None))
            .values(read_at=now)
        )
        notices.mark_seen(session, actor, select(WorkItem.instance_id).where(WorkItem.id == item_id).scalar_subquery())
    if instance_id is not None:
        session.execute(
            update(Copy)
            .where(Copy.instance_id == instance_id, Copy.person_id == actor.person_id, Copy.read_at.is_(None))
            .values(read_at=now)
        )
        notices.mark_seen(session, actor, instance_id)


def save_draft(
    session: Session,
    actor: Actor,
    *,
    content: Mapping[str, Any],
    item_id: uuid.UUID | None = None,
    process_key: str | None = None,
    draft_id: uuid.UUID | None = None,
    key: str | None = None,
) -> uuid.UUID:
    """Keep what a person has typed (暂存): for one of their open items, or for a new instance of a process.

    `content` holds data, opinion and outcome. A draft of an item is replaced; of a process there may be several, but
    not without end (Conflict). `draft_id` tells those apart: a form may name its draft before anything is saved. `key`
    is what the form will be sent under: once it was, nothing is kept beside it (Conflict).
    """
    if (item_id is None) == (process_key is None):
        raise Invalid("草稿要么属于一个待办，要么属于一个流程", code="draft_target")
    body = orjson.dumps(dict(content))
    if len(body) > DRAFT_LIMIT:
        raise Invalid("草稿太大，请缩短内容", code="draft_too_large")
    if item_id is not None:
        item = session.get(WorkItem, item_id)
        if item is None or item.assignee_id != actor.person_id or item.state != ItemState.OPEN:
            case, items = Case.by_item(session, actor, item_id, "draft")
            checks.own_open_item(case, items, item_id, actor)
        # two saves of the same draft at once wait for one another here
        session.execute(select(WorkItem.id).where(WorkItem.id == item_id).with_for_update(key_share=True))
    elif session.get(Process, process_key) is None:
        raise NotFound("没有这个流程", code="process_not_found")
    else:
        _wait_for_drafts(session, actor)
        if key is not None and session.scalar(select(ActionLog.id).where(ActionLog.idem_key == idem(actor, key))):
            raise Conflict("这份表单已经提交，不再存草稿", code="already_sent")
    mine = Draft.person_id == actor.person_id
    found = session.scalar(
        select(Draft)
        .where(mine, Draft.item_id == item_id if item_id is not None else Draft.id == draft_id)
        .with_for_update()
    )
    if found is None and draft_id is not None and session.get(Draft, draft_id) is not None:  # somebody else's
        raise NotFound("没有这份草稿", code="draft_not_found")
    if found is None and item_id is None:
        count = session.scalar(select(func.count()).where(mine, Draft.item_id.is_(None)))
        if (count or 0) >= MOST_DRAFTS:
            raise Conflict(
                f"您的草稿已有 {count} 份，最多 {MOST_DRAFTS} 份：请先发起或删去不用的草稿",
                code="draft_quota",
                limit=MOST_DRAFTS,
            )
    if found is None:
        found = Draft(id=draft_id or new_id(), person_id=actor.person_id, item_id=item_id, process_key=process_key)
        session.add(found)
    found.content, found.updated_at = body, clock.now()
    attachments.keep(session, actor, _named(content), clock.now() + DRAFT_KEEPS)
    session.flush()
    return found.id


def _named(content: Mapping[str, Any]) -> list[uuid.UUID]:
    """Return every id in a draft's fields; `keep` passes over those that are no staged attachment of the actor."""
    found = []
    values = content.get("data")
    for value in values.values() if isinstance(values, Mapping) else ():
        for text in value if isinstance(value, list) else [value]:
            with suppress(ValueError):
                found.append(uuid.UUID(str(text)))
    return found[:100]


def purge_drafts(session: Session) -> None:
    """Delete the drafts of items that nobody will handle any more: read, or closed by what others did."""
    wanted = select(WorkItem.id).where(WorkItem.id == Draft.item_id, WorkItem.state.in_(LIVE))
    session.execute(delete(Draft).where(Draft.item_id.is_not(None), ~wanted.exists()))


def use_up_draft(session: Session, actor: Actor, draft_id: uuid.UUID) -> None:
    """Delete the draft of what is being started; one that is being saved just now waits until that has ended."""
    _wait_for_drafts(session, actor)
    session.execute(delete(Draft).where(Draft.id == draft_id, Draft.person_id == actor.person_id))


def _wait_for_drafts(session: Session, actor: Actor) -> None:
    session.execute(select(Person.id).where(Person.id == actor.person_id).with_for_update(key_share=True))


def drop_draft(session: Session, actor: Actor, draft_id: uuid.UUID) -> None:
    """Throw a draft away."""
    gone = session.execute(
        delete(Draft).where(Draft.id == draft_id, Draft.person_id == actor.person_id).returning(Draft.id)
    )
    if gone.first() is None:
        raise NotFound("没有这份草稿", code="draft_not_found")


def _seen(session: Session, actor: Actor, instance_id: uuid.UUID, verb: str, key: str | None) -> Case:
    case = Case.by_id(session, actor, instance_id, verb, key)
    if not visibility.may_see(session, actor, instance_id):
        raise visibility.not_found()
    return case


def _handled(session: Session, actor: Actor, instance_id: uuid.UUID) -> bool:
    mine = (
        select(WorkItem.id).where(WorkItem.instance_id == instance_id, WorkItem.assignee_id == actor.person_id).limit(1)
    )
    return session.scalar(mine) is not None
