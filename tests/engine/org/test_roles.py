"""Roles are granted by system admins, never to themselves."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from engine.errors import Conflict, EngineError, Forbidden, Invalid
from engine.org.actor import ADMIN, AUDITOR, DESIGNER, SYSTEM_ADMIN
from engine.org.models import Role, RoleMember
from engine.org.queries import actor_for
from engine.org.roles import ROLES, ensure_roles, grant, revoke
from tests.factories import org


def test_roles_are_made_once_and_keep_their_names(session: Session) -> None:
    ensure_roles(session)
    session.get_one(Role, "archivist").name = "档案管理员"
    session.flush()
    ensure_roles(session)
    assert set(session.scalars(select(Role.code))) == set(ROLES)
    assert session.get_one(Role, "archivist").name == "档案管理员"


def test_grant_and_revoke(session: Session) -> None:
    ensure_roles(session)
    person = org.person(session, staff_number="1001")
    for _ in range(2):
        grant(session, None, ADMIN, "1001")
    assert actor_for(session, person.id).roles == {ADMIN}
    revoke(session, None, ADMIN, "1001")
    assert actor_for(session, person.id).roles == frozenset()
    with pytest.raises(Conflict):
        revoke(session, None, ADMIN, "1001")


def test_grant_for_a_department(session: Session) -> None:
    ensure_roles(session)
    ward = org.department(session, code="EK")
    org.person(session, staff_number="1001")
    for _ in range(2):
        grant(session, None, "seal_keeper", "1001", "EK")
    assert session.scalars(select(RoleMember.department_id)).all() == [ward.id]
    with pytest.raises(Conflict):
        revoke(session, None, "seal_keeper", "1001")
    revoke(session, None, "seal_keeper", "1001", "EK")
    assert session.scalars(select(RoleMember)).all() == []


def test_who_may_grant(session: Session) -> None:
    ensure_roles(session)
    admin = org.actor(session, SYSTEM_ADMIN, staff_number="9001")
    org.person(session, staff_number="1001")
    grant(session, admin, ADMIN, "1001")
    with pytest.raises(Forbidden) as refused:
        grant(session, admin, ADMIN, "9001")
    assert refused.value.code == "self_grant"
    with pytest.raises(Forbidden):
        grant(session, org.actor(session), ADMIN, "1001")


@pytest.mark.parametrize("other", [SYSTEM_ADMIN, ADMIN, DESIGNER])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("department", [None, "EK"])
def test_who_audits_administers_nothing(session: Session, other: str, first: bool, department: str | None) -> None:
    ensure_roles(session)
    org.department(session, code="EK")
    person = org.person(session, staff_number="1001")
    held, wanted = (other, AUDITOR) if first else (AUDITOR, other)
    grant(session, None, held, "1001", department)
    with pytest.raises(Conflict, match="三员分立") as refused:
        grant(session, None, wanted, "1001")
    assert refused.value.code == "roles_apart"
    assert session.scalars(select(RoleMember.role).where(RoleMember.person_id == person.id)).all() == [held]
    revoke(session, None, held, "1001", department)
    grant(session, None, wanted, "1001")


def test_other_roles_go_together(session: Session) -> None:
    ensure_roles(session)
    person = org.person(session, staff_number="1001")
    for role in (SYSTEM_ADMIN, ADMIN, DESIGNER, "archivist"):
        grant(session, None, role, "1001")
    assert actor_for(session, person.id).roles == {SYSTEM_ADMIN, ADMIN, DESIGNER, "archivist"}


@pytest.mark.parametrize(
    ("role", "number", "department", "code"),
    [
        ("nothing", "1001", None, "unknown_role"),
        (ADMIN, "9999", None, "unknown_person"),
        (ADMIN, "1001", "ZZ", "unknown_department"),
    ],
)
def test_unknown_things(session: Session, role: str, number: str, department: str | None, code: str) -> None:
    ensure_roles(session)
    org.person(session, staff_number="1001")
    with pytest.raises(Invalid) as refused:
        grant(session, None, role, number, department)
    assert isinstance(refused.value, EngineError)
    assert refused.value.code == code


def test_the_database_keeps_a_role_single(session: Session) -> None:
    person = org.person(session)
    org.role(session, "clerk", person)
    with pytest.raises(IntegrityError), session.begin_nested():
        org.role(session, "clerk", person)
