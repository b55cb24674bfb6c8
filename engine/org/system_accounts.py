"""System accounts (系统账号): another system as a row among the people, which only service tokens act as.

It has no password, stands in no department's or post's steps and in no list of colleagues; roles it holds as everybody
does. So whatever another system does carries its own name, and no token ever acts as a person.
"""

import re

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from engine import clock
from engine.audit import record
from engine.errors import Conflict, Forbidden, Invalid
from engine.org.actor import SYSTEM_ADMIN, Actor
from engine.org.models import Department, Person
from engine.org.pinyin import search_keys

_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,20}")


def create_system_account(
    session: Session, actor: Actor | None, number: str, name: str, department_code: str
) -> Person:
    """Create a system account and return it; `number` stands where people have their staff number (工号).

    `department_code` names the department that answers for the other system. `actor` is None on the command line.
    Raises Forbidden unless the actor is a system admin, Invalid for what is missing or unknown, Conflict where the
    number is taken.
    """
    if actor is not None:
        _require_admin(actor)
    name = name.strip()
    if not _NUMBER.fullmatch(number):
        raise Invalid("系统账号的编号为 1 到 20 个字母、数字、- 或 _，例如 SYS-HIS", code="bad_account_number")
    if not name or len(name) > 40 or not name.isprintable():
        raise Invalid("请填写系统账号的名称，最多 40 个字", code="bad_account_name")
    department = session.scalar(select(Department).where(Department.code == department_code))
    if department is None or department.disabled_at is not None:
        raise Invalid(f"没有编码为“{department_code[:40]}”的部门，请核对", code="unknown_department")
    account = Person(staff_number=number, name=name, pinyin=search_keys(name), department_id=department.id, system=True)
    try:
        with session.begin_nested():
            session.add(account)
    except IntegrityError as error:
        raise Conflict(f"编号“{number}”已有人使用，请换一个", code="number_taken") from error
    detail = {"number": number, "name": name, "department": department.code}
    record(session, actor, "account_create", detail, at=clock.now(), about=account.id)
    return account


def system_accounts(session: Session, viewer: Actor) -> list[Person]:
    """Return all system accounts by number. Raises Forbidden unless the viewer is a system admin."""
    _require_admin(viewer)
    return list(session.scalars(select(Person).where(Person.system).order_by(Person.staff_number)))


def _require_admin(actor: Actor) -> None:
    if not actor.has(SYSTEM_ADMIN) or actor.scopes is not None:
        raise Forbidden("只有系统管理员可以管理系统账号", code="not_system_admin")
