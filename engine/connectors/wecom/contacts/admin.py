"""What system admins see of the synchronisation of contacts, and what they say to it: which department is which."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from engine import clock
from engine.audit import record
from engine.bpm.models import ActionLog
from engine.connectors.wecom.contacts.syncing import REFUSED, VERB, require_admin
from engine.connectors.wecom.models import WeComDepartment
from engine.errors import Conflict, Invalid
from engine.org.actor import Actor
from engine.org.models import Department, Person

MOST = 10
"""Runs that are told."""


@dataclass(frozen=True, slots=True)
class Run:
    """A synchronisation that was written or refused; `actor` is None for the nightly one, events and the command line.

    `detail`: `by`, and the numbers of `contacts.Done`, or of a refusal `vanished` and `allowed`.
    """

    at: datetime
    refused: bool
    actor: str | None
    detail: Mapping[str, Any]


def runs(session: Session, viewer: Actor) -> list[Run]:
    """Return the last synchronisations, newest first. Raises Forbidden."""
    require_admin(viewer)
    rows = session.execute(
        select(ActionLog.at, ActionLog.verb, Person.name, ActionLog.detail)
        .outerjoin(Person, Person.id == ActionLog.actor_id)
        .where(ActionLog.instance_id.is_(None), ActionLog.verb.in_((VERB, REFUSED)))
        .order_by(ActionLog.at.desc(), ActionLog.id.desc())
        .limit(MOST)
    )
    return [Run(at, verb == REFUSED, name, orjson.loads(detail)) for at, verb, name, detail in rows]


def map_department(session: Session, actor: Actor | None, wecom_id: int, code: str) -> None:
    """Say which department of ours one of WeCom's is, by our code (部门编码), in place of any other.

    Raises Forbidden, Invalid for an unknown code, Conflict where another one of WeCom's is that department.
    """
    require_admin(actor)
    department = session.scalar(select(Department).where(Department.code == code.strip()))
    if department is None:
        raise Invalid(f"没有编码为“{code[:40]}”的部门，请核对", code="unknown_department")
    if not 1 <= wecom_id < 2**63:
        raise Invalid("企业微信部门的编号不正确，请在企业微信管理后台核对", code="bad_wecom_department")
    taken = session.scalar(select(WeComDepartment.id).where(WeComDepartment.department_id == department.id))
    if taken not in (None, wecom_id):
        raise Conflict(f"{department.name}已对应企业微信的部门 {taken}，请核对", code="department_taken")
    session.execute(delete(WeComDepartment).where(WeComDepartment.id == wecom_id))
    session.add(WeComDepartment(id=wecom_id, department_id=department.id))
    session.flush()
    detail = {"wecom": wecom_id, "code": department.code, "name": department.name}
    record(session, actor, "contacts_map", detail, at=clock.now(), about=department.id)
