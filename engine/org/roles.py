"""The roles (角色) that come with the product, and who holds them."""

from collections.abc import Mapping

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from engine import clock
from engine.audit import record
from engine.errors import Conflict, Forbidden, Invalid
from engine.org.actor import ADMIN, AUDITOR, DESIGNER, SYSTEM_ADMIN, Actor
from engine.org.models import Department, Person, Role, RoleMember

# code: name, kind
ROLES: Mapping[str, tuple[str, str]] = {
    ADMIN: ("流程管理员", "system"),
    SYSTEM_ADMIN: ("系统管理员", "system"),
    AUDITOR: ("审计员", "system"),
    DESIGNER: ("流程设计员", "system"),
    "hospital_director": ("院长", "business"),
    "office_director": ("院办主任", "business"),
    "office_clerk": ("院办文书", "business"),
    "hr_head": ("人事科科长", "business"),
    "hr_clerk": ("人事科经办", "business"),
    "finance_head": ("财务科科长", "business"),
    "finance_clerk": ("财务科经办", "business"),
    "purchase_clerk": ("采购中心经办", "business"),
    "seal_keeper": ("印章管理员", "business"),
    "archivist": ("档案员", "business"),
    "doc_reader": ("公文传阅对象", "group"),
}

# 三员分立: who reads what all others did does none of it. Held for one department a role gives no such rights, but
# nobody needs it: it is refused as well.
APART: Mapping[str, frozenset[str]] = {
    AUDITOR: frozenset({SYSTEM_ADMIN, ADMIN, DESIGNER}),
    SYSTEM_ADMIN: frozenset({AUDITOR}),
    ADMIN: frozenset({AUDITOR}),
    DESIGNER: frozenset({AUDITOR}),
}
"""Roles that nobody holds beside one another (三员分立)."""


def ensure_roles(session: Session) -> None:
    """Create those of ROLES that aren't there yet; renamed ones keep their names."""
    stored = set(session.scalars(select(Role.code)))
    new = [{"code": code, "name": name, "kind": kind} for code, (name, kind) in ROLES.items() if code not in stored]
    if new:
        session.execute(insert(Role), new)


def officers(session: Session) -> frozenset[str]:
    """Return the staff numbers of those who hold a system role, everywhere or for one department."""
    held = select(RoleMember.person_id).join(Role, Role.code == RoleMember.role).where(Role.kind == "system")
    return frozenset(session.scalars(select(Person.staff_number).where(Person.id.in_(held))))


def grant(
    session: Session, actor: Actor | None, role: str, staff_number: str, department_code: str | None = None
) -> None:
    """Give a person a role, everywhere or for one department; once more changes nothing.

    `actor` is None on the command line. Raises Forbidden unless the actor is a system admin and another person than
    the one who gets the role, Invalid where role, person or department is unknown, Conflict where the person holds a
    role that this one must be kept apart from.
    """
    person, department = _checked(session, actor, role, staff_number, department_code)
    _keep_apart(session, role, person)
    if _member(session, role, person, department) is None:
        session.add(RoleMember(role=role, person_id=person.id, department_id=department and department.id))
        session.flush()
        _record(session, actor, "role_grant", role, person, department)


def revoke(
    session: Session, actor: Actor | None, role: str, staff_number: str, department_code: str | None = None
) -> None:
    """Take a role away again, with the same checks as `grant`; Conflict where the person doesn't hold it."""
    person, department = _checked(session, actor, role, staff_number, department_code)
    member = _member(session, role, person, department)
    if member is None:
        raise Conflict(f"{person.name} 没有这个角色", code="role_not_held")
    session.delete(member)
    session.flush()
    _record(session, actor, "role_revoke", role, person, department)


def listed(session: Session) -> list[tuple[str, str, int]]:
    """Return every role as (code, name, number of active people who hold it), by code: for the command line."""
    holders = select(RoleMember.role, Person.id).join(Person, Person.id == RoleMember.person_id)
    active = holders.where(Person.disabled_at.is_(None)).distinct().subquery()
    counted = (
        select(Role.code, Role.name, func.count(active.c.id))
        .outerjoin(active, active.c.role == Role.code)
        .group_by(Role.code, Role.name)
        .order_by(Role.code)
    )
    return [(code, name, count) for code, name, count in session.execute(counted)]


def numbered(session: Session, staff_number: str) -> Person:
    """Return the person with a staff number (工号). Raises Invalid where there is none."""
    person = session.scalar(select(Person).where(Person.staff_number == staff_number))
    if person is None:
        raise Invalid(f"没有工号为“{staff_number}”的职工，请核对", code="unknown_person")
    return person


def _checked(
    session: Session, actor: Actor | None, role: str, staff_number: str, department_code: str | None
) -> tuple[Person, Department | None]:
    if actor is not None and not actor.has(SYSTEM_ADMIN):
        raise Forbidden("只有系统管理员可以分配角色", code="not_system_admin")
    person = numbered(session, staff_number)
    if actor is not None and person.id == actor.person_id:
        raise Forbidden("不能给自己分配角色，请由另一位系统管理员办理", code="self_grant")
    if session.get(Role, role) is None:
        raise Invalid(f"没有角色“{role}”，请核对", code="unknown_role")
    if department_code is None:
        return person, None
    department = session.scalar(select(Department).where(Department.code == department_code))
    if department is None:
        raise Invalid(f"没有编码为“{department_code}”的部门，请核对", code="unknown_department")
    return person, department


def _keep_apart(session: Session, role: str, person: Person) -> None:
    apart = APART.get(role)
    if apart is None:
        return
    # two grants to one person at once wait for one another here
    session.execute(select(Person.id).where(Person.id == person.id).with_for_update())
    held = select(Role.name).join(RoleMember, RoleMember.role == Role.code).where(RoleMember.person_id == person.id)
    name = session.scalar(held.where(Role.code.in_(apart)).order_by(Role.code).limit(1))
    if name is not None:
        wanted = session.get_one(Role, role).name
        raise Conflict(
            f"{person.name}已是{name}，不能同时是{wanted}（三员分立）：请交给另一个人，或先收回“{name}”",
            code="roles_apart",
        )


def _record(
    session: Session, actor: Actor | None, verb: str, role: str, person: Person, department: Department | None
) -> None:
    detail = {
        "role": role,
        "role_name": session.get_one(Role, role).name,
        "number": person.staff_number,
        "name": person.name,
        "department": None if department is None else department.name,
    }
    record(session, actor, verb, detail, at=clock.now(), about=person.id)


def _member(session: Session, role: str, person: Person, department: Department | None) -> RoleMember | None:
    return session.scalar(
        select(RoleMember).where(
            RoleMember.role == role,
            RoleMember.person_id == person.id,
            RoleMember.department_id.is_(None) if department is None else RoleMember.department_id == department.id,
        )
    )
