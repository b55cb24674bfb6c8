"""Who is who (企业微信账号): a member of the corp as a person of ours, by itself, by proof, or by an administrator."""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from engine import clock, notices
from engine.audit import record
from engine.batch import Batch, Statement
from engine.connectors.wecom.models import WeComAccount
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.org import auth, roles
from engine.org.actor import SYSTEM_ADMIN, Actor
from engine.org.identity import actor_for
from engine.org.models import Person

USERID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")  # document 90195

# two windows of one person may come in at once, and one while the contacts are written
INSERT_ACCOUNT = Statement(
    "INSERT INTO wecom_account (person_id, userid, userid_key, joined_at) "
    "VALUES (:person_id, :userid, :userid_key, :joined_at) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Linked:
    """A person and the member that they are in WeCom; `userid` is empty where there is none."""

    number: str
    name: str
    userid: str
    joined_at: datetime | None

    def __str__(self) -> str:
        """Return a line for the command line."""
        joined = "还没有进入过"
        if self.joined_at is not None:
            joined = f"{self.joined_at.astimezone(clock.LOCAL):%Y-%m-%d %H:%M} 首次进入"
        return f"{self.name}（{self.number}）：" + (f"{self.userid}，{joined}" if self.userid else "没有企业微信账号")


def key_of(userid: str) -> str:
    """Return a userid as it is compared: WeCom doesn't tell cases apart."""
    return userid.lower()


def account_of(session: Session, userid: str) -> WeComAccount | None:
    """Return the account of a member, None where we don't know them."""
    return session.scalar(select(WeComAccount).where(WeComAccount.userid_key == key_of(userid)))


def same_number(session: Session, userid: str) -> Person | None:
    """Return the one person whose staff number is the userid and who has no account yet; None for nobody."""
    taken = select(WeComAccount.person_id)
    found = session.scalars(
        select(Person).where(
            func.lower(Person.staff_number) == key_of(userid), Person.system.is_(False), Person.id.not_in(taken)
        )
    ).all()
    return found[0] if len(found) == 1 else None


def open_account(session: Session, person: Person, userid: str, by: str) -> WeComAccount:
    """Return a member's account, made where there is none, and entered now if it never was, or is back.

    `by` says on the trail what it rests on: staff_number, account (it was there), mobile, sms, mail. Raises Conflict
    where the member or the person has another one.
    """
    now = clock.now()
    batch = Batch()
    batch.add(
        INSERT_ACCOUNT, {"person_id": person.id, "userid": userid, "userid_key": key_of(userid), "joined_at": now}
    )
    batch.run(session)
    account = account_of(session, userid)
    if account is None or account.person_id != person.id:
        raise Conflict(
            "这位职工或这个企业微信账号已经与别人对应，不能重复绑定。请联系信息科核对",
            code="wecom_account_taken",
        )
    account.joined_at, account.vanished_at, account.by_hand = now, None, False
    session.flush()
    _record(session, actor_for(session, person.id), "wecom_join", person, {"userid": userid, "by": by})
    return account


def shown(session: Session, actor: Actor | None, number: str) -> Linked:
    """Return a person's account. Raises Forbidden but for a system admin or the command line, Invalid, NotFound."""
    person = _person(session, actor, number)
    account = session.get(WeComAccount, person.id)
    return _linked(person, account)


def link(session: Session, actor: Actor | None, number: str, userid: str) -> Linked:
    """Give a person the account of a member, in place of any other; at the next entry it is verified anew.

    It is verified by a code wherever the person can be sent one, also where nobody else is (`verify_joining` off), and
    the person is told. Their sessions end: they may have been somebody else's. Raises Forbidden but for a system admin
    or the command line, Forbidden for one's own account, NotFound, Invalid, and Conflict where the member is another
    person.
    """
    person = _person(session, actor, number)
    _not_oneself(actor, person)
    userid = userid.strip()
    if not USERID.fullmatch(userid):
        message = "企业微信账号是 1 到 64 个字母、数字或 _-.@，以字母或数字开头，请到企业微信管理后台的通讯录里核对"
        raise Invalid(message, code="wecom_userid", errors=[{"place": "userid", "message": message}])
    other = account_of(session, userid)
    if other is not None and other.person_id != person.id:
        owner = session.get_one(Person, other.person_id)
        raise Conflict(
            f"企业微信账号“{userid}”已经是{owner.name}（{owner.staff_number}）的，请先解除那一个",
            code="wecom_account_taken",
        )
    account = session.get(WeComAccount, person.id)
    if account is None:
        account = WeComAccount(person_id=person.id)
        session.add(account)
    account.userid, account.userid_key = userid, key_of(userid)
    account.joined_at, account.vanished_at, account.by_hand = None, None, True
    session.flush()
    auth.end_sessions(session, person.id)
    _tell(session, person, userid)
    _record(session, actor, "wecom_link", person, {"userid": userid})
    return _linked(person, account)


def unlink(session: Session, actor: Actor | None, number: str) -> None:
    """Take a person's account away, and end their sessions; a matching staff number may make it again.

    Raises as `link` does, and NotFound where there is none.
    """
    person = _person(session, actor, number)
    _not_oneself(actor, person)
    account = session.get(WeComAccount, person.id)
    if account is None:
        raise NotFound(f"{person.name}（{person.staff_number}）没有对应的企业微信账号", code="wecom_account_not_found")
    session.execute(delete(WeComAccount).where(WeComAccount.person_id == person.id))
    auth.end_sessions(session, person.id)
    _record(session, actor, "wecom_unlink", person, {"userid": account.userid})


def people_of(session: Session, userids: list[str]) -> list[tuple[str, uuid.UUID, str]]:
    """Return (userid as asked, person, name) of those members who are active people of ours, in the order asked.

    Whoever has vanished from WeCom is none: their userid may be somebody else's by now.
    """
    by_key = {key_of(userid): userid for userid in userids}
    rows = session.execute(
        select(WeComAccount.userid_key, Person.id, Person.name)
        .join(Person, Person.id == WeComAccount.person_id)
        .where(WeComAccount.userid_key.in_(by_key), WeComAccount.vanished_at.is_(None))
        .where(Person.disabled_at.is_(None), Person.system.is_(False))
    )
    found = {key: (by_key[key], person_id, name) for key, person_id, name in rows}
    return [found[key] for key in by_key if key in found]


def _person(session: Session, actor: Actor | None, number: str) -> Person:
    if actor is not None and not actor.has(SYSTEM_ADMIN):
        raise Forbidden("只有系统管理员可以查看和修改企业微信账号", code="not_system_admin")
    person = roles.numbered(session, number)
    if person.system:
        raise Conflict("系统账号没有企业微信账号", code="system_account")
    return person


def _not_oneself(actor: Actor | None, person: Person) -> None:
    if actor is not None and actor.person_id == person.id:
        raise Forbidden("不能改自己的企业微信账号，请由另一位系统管理员办理", code="self_grant")


def _tell(session: Session, person: Person, userid: str) -> None:
    text = f"信息科把企业微信账号 {userid} 绑定到您的工号；不是您本人的请立即联系信息科"
    batch = Batch()
    notices.add_many(batch, [notices.NewNotice(person.id, "account", "企业微信账号有变更", text)])
    batch.run(session)


def _linked(person: Person, account: WeComAccount | None) -> Linked:
    return Linked(
        number=person.staff_number,
        name=person.name,
        userid="" if account is None else account.userid,
        joined_at=None if account is None else account.joined_at,
    )


def _record(session: Session, actor: Actor | None, verb: str, person: Person, more: dict[str, Any]) -> None:
    detail = {"number": person.staff_number, "name": person.name, **more}
    record(session, actor, verb, detail, at=clock.now(), about=person.id)
