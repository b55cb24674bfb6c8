"""A group chat about an instance (建群讨论), opened on demand: its people in WeCom, once, with a link to the matter.

The command writes a row and the worker makes the chat, so that nobody waits for WeCom. The chat's id is the
instance's, so that a repeated call finds it made. Each change of the instance is told to its chat too: whoever comes
to handle it later is added.
WeCom documents 90245 (create), 98913 (change), 90248 (send).
"""

import uuid

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import Batch, Statement
from engine.bpm import visibility
from engine.bpm.models import Instance, ItemKind, WorkItem
from engine.connectors.wecom.cards import cut
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.client.errors import Refused
from engine.connectors.wecom.messages import parts
from engine.connectors.wecom.models import WeComAccount, WeComChat
from engine.db import Database
from engine.errors import Conflict, Forbidden
from engine.org.actor import Actor
from engine.org.models import Person
from engine.viewer import Viewer

MOST = 500
_NAME = 50  # characters
_LEAST = 2

# two may ask for it at once
_INSERT = Statement(
    "INSERT INTO wecom_chat (instance_id, owner_id, members, created_at) "
    "VALUES (:instance_id, :owner_id, '', :created_at) ON CONFLICT DO NOTHING"
)


def may_open(session: Session, viewer: Viewer, instance_id: uuid.UUID) -> bool:
    """Whether the viewer is one of those whom a chat about the instance is for, and would not be alone in it."""
    members = _members(session, instance_id)
    return viewer.person_id in members and len(members) >= _LEAST


def open_chat(session: Session, actor: Actor, instance_id: uuid.UUID) -> None:
    """Let the chat about an instance be made, or be joined by whom it lacks; the actor owns a new one.

    Refusals: NotFound, Forbidden (not the initiator and no handler of it), Conflict (WeCom is off, no account
    there, or nobody else has one).
    """
    instance = visibility.require(session, actor, instance_id)
    members = _members(session, instance_id)
    if actor.person_id not in members:
        if not _takes_part(session, instance, actor.person_id):
            raise Forbidden("只有发起人和办理人可以建群讨论", code="not_involved")
        if "wecom" not in session.info.get("mirrors", ()):
            raise Conflict("没有启用企业微信，建不了群", code="wecom_off")
        raise Conflict("您还没有对应的企业微信账号，请先从企业微信进入一次批阅，或联系信息科", code="wecom_no_account")
    if len(members) < _LEAST:
        raise Conflict("这件事没有别的办理人在企业微信里，建不了群", code="wecom_alone")
    batch = Batch()
    batch.add(_INSERT, {"instance_id": instance_id, "owner_id": actor.person_id, "created_at": clock.now()})
    batch.run(session)
    _enqueue(session, instance_id)


@outbox.handler("wecom", "chat", in_transaction=False, newest=True)
def chat(db: Database, row: outbox.Leased) -> None:
    """Make the chat of an instance and send the link into it, or add whom it lacks."""
    wecom, links = parts(db)
    instance_id = uuid.UUID(row.payload["instance"])
    with db.reading() as session:
        found = session.get_one(WeComChat, instance_id)
        instance = session.get_one(Instance, instance_id)
        members = _members(session, instance_id)
    userids = [userid for userid in members.values() if wecom.visible(userid)]
    if found.opened_at is None:
        owner = members.get(found.owner_id, "")
        _create(wecom, instance, owner if owner in userids else "", userids)
        text = f"{instance.title}\n{instance.summary}".strip()
        content = f"{cut(text, 1500)}\n{links.open(instance_id)}"
        wecom.send_chat(instance_id.hex, {"msgtype": "text", "text": {"content": content}})
    else:
        known = set(found.members.split())
        lacking = [userid for userid in userids if userid not in known]
        if not lacking:
            return
        wecom.add_to_chat(instance_id.hex, lacking)
        userids = [*known, *lacking]
    with db.unit_of_work() as session:
        kept = session.get_one(WeComChat, instance_id)
        kept.opened_at, kept.members = kept.opened_at or clock.now(), " ".join(userids)


def _create(wecom: WeCom, instance: Instance, owner: str, userids: list[str]) -> None:
    """Make the chat; that it was made by a run which died before it could note it is seen by asking for it."""
    if len(userids) < _LEAST:
        raise outbox.Permanent("办理人都不在企业微信应用的可见范围里，建不了群：请在企业微信管理后台检查“可见范围”")
    chatid = instance.id.hex
    try:
        wecom.create_chat(instance.title[:_NAME], owner or userids[0], userids, chatid)
    except Refused:
        try:
            wecom.chat(chatid)
        except Refused:
            pass
        else:
            return
        raise


def _members(session: Session, instance_id: uuid.UUID) -> dict[uuid.UUID, str]:
    """Return the userids of the initiator and of whoever handles or handled the instance, as far as they have one."""
    handlers = select(WorkItem.assignee_id).where(WorkItem.instance_id == instance_id, WorkItem.kind != ItemKind.READ)
    initiator = select(Instance.initiator_id).where(Instance.id == instance_id)
    people = union(handlers, initiator).subquery()
    rows = session.execute(
        select(WeComAccount.person_id, WeComAccount.userid)
        .join(Person, Person.id == WeComAccount.person_id)
        .where(WeComAccount.person_id.in_(select(people)), WeComAccount.vanished_at.is_(None))
        .where(Person.disabled_at.is_(None))
        .order_by(WeComAccount.person_id)
        .limit(MOST)
    )
    return {row.person_id: row.userid for row in rows}


def _takes_part(session: Session, instance: Instance, person_id: uuid.UUID) -> bool:
    mine = select(WorkItem.id).where(
        WorkItem.instance_id == instance.id, WorkItem.assignee_id == person_id, WorkItem.kind != ItemKind.READ
    )
    return instance.initiator_id == person_id or session.scalar(mine.limit(1)) is not None


def _enqueue(session: Session, instance_id: uuid.UUID) -> None:
    outbox.enqueue(session, "wecom", f"chat:{instance_id}", "chat", {"instance": str(instance_id)})
