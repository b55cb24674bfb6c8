"""Service tokens: made by system admins, narrowed to scopes, ended by time or by hand."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock
from engine.bpm.models import ActionLog
from engine.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from engine.org.actor import SYSTEM_ADMIN, Actor
from engine.org.directory import directory
from engine.org.models import Person
from engine.org.queries import actor_for, search_people
from engine.org.service_tokens import (
    authenticate_service,
    create_service_token,
    note_use,
    revoke_service_token,
    service_tokens,
)
from engine.org.system_accounts import create_system_account, system_accounts
from tests.factories import org


@pytest.fixture
def admin(session: Session) -> Actor:
    return org.actor(session, SYSTEM_ADMIN)


def test_a_token_acts_as_a_system_account_within_its_scopes(session: Session, admin: Actor) -> None:
    person = org.person(session, "接口", system=True)
    row, clear = create_service_token(
        session, admin, " HIS ", person.id, ["instances:start", "instances:read", "instances:read"]
    )
    assert clear.startswith("pyt_")
    assert clear.encode() not in row.token_hash
    actor, found = authenticate_service(session, clear)
    assert (actor.person_id, actor.name, actor.token_id) == (person.id, "接口", row.id)
    assert actor.scopes == frozenset({"instances:read", "instances:start"})
    assert (found.id, found.name, found.created_by) == (row.id, "HIS", admin.person_id)


@pytest.fixture
def account(session: Session) -> Person:
    return org.person(session, "接口", system=True)


def test_a_token_never_acts_as_a_person(session: Session, admin: Actor) -> None:
    nurse = org.person(session)
    with pytest.raises(Invalid) as refused:
        create_service_token(session, admin, "HIS", nurse.id, ["people:read"])
    assert refused.value.code == "not_system_account"
    account = org.person(session, system=True)
    row, clear = create_service_token(session, admin, "HIS", account.id, ["people:read"])
    row.person_id = nurse.id  # as one that was made by an earlier version
    session.flush()
    with pytest.raises(Unauthenticated):
        authenticate_service(session, clear)
    with pytest.raises(NotFound):
        actor_for(session, account.id)


def test_the_trail_tells_who_gave_and_took_tokens(session: Session, admin: Actor, account: Person) -> None:
    row, _ = create_service_token(session, admin, "HIS", account.id, ["people:read"])
    for _ in range(2):
        revoke_service_token(session, admin, row.id)
    told = [(log.verb, log.actor_id, log.item_id) for log in session.scalars(select(ActionLog))]
    assert told == [(verb, admin.person_id, row.id) for verb in ("token_issue", "token_revoke")]


def test_a_system_account_stands_in_no_step_and_no_list(session: Session, admin: Actor) -> None:
    ward = org.department(session, code="EK")
    nurse = org.person(session, "单静", of=ward, post="护士")
    account = create_system_account(session, admin, "SYS-HIS", "挂号系统", "EK")
    account.post = "护士"
    session.flush()
    found = directory(session)
    assert [place.person.id for place in found.members[ward.id]] == [nurse.id]
    assert [person.id for person in found.holders["护士"]] == [nurse.id]
    assert [person.id for person in search_people(session, admin, "", ward.id).people] == [nurse.id]
    assert [row.id for row in system_accounts(session, admin)] == [account.id]
    with pytest.raises(Conflict):
        create_system_account(session, None, "SYS-HIS", "挂号系统", "EK")
    for number, name, department in (("系统", "x", "EK"), ("", "x", "EK"), ("x", " ", "EK"), ("x", "x", "ZZ")):
        with pytest.raises(Invalid):
            create_system_account(session, None, number, name, department)
    for other in (org.actor(session), replace(admin, scopes=frozenset())):
        with pytest.raises(Forbidden):
            create_system_account(session, other, "SYS-2", "x", "EK")
        with pytest.raises(Forbidden):
            system_accounts(session, other)


def test_only_system_admins_in_person_manage_tokens(session: Session, admin: Actor, account: Person) -> None:
    org.role(session, SYSTEM_ADMIN, account)
    row, clear = create_service_token(session, admin, "HIS", account.id, ["people:read"])
    by_token = authenticate_service(session, clear)[0]
    assert by_token.has(SYSTEM_ADMIN)
    for actor in (org.actor(session), by_token):
        with pytest.raises(Forbidden):
            create_service_token(session, actor, "x", account.id, ["people:read"])
        with pytest.raises(Forbidden):
            service_tokens(session, actor)
        with pytest.raises(Forbidden):
            revoke_service_token(session, actor, row.id)


@pytest.mark.parametrize(
    "scopes", [[], [""], ["all"], ["people:read instances:read"], ["People:read"], ["a:b", "x:" + "y" * 400]]
)
def test_scopes_are_checked(session: Session, admin: Actor, account: Person, scopes: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        create_service_token(session, admin, "HIS", account.id, scopes)
    assert refused.value.code == "bad_scopes"


def test_the_rest_is_checked(session: Session, admin: Actor, account: Person) -> None:
    gone = org.person(session, disabled=True, system=True)
    for name, person_id, expires_at in (
        (" ", account.id, None),
        ("x" * 81, account.id, None),
        ("x\0", account.id, None),
        ("x", gone.id, None),
        ("x", uuid.uuid4(), None),
        ("x", account.id, datetime(2020, 1, 1, tzinfo=UTC)),
    ):
        with pytest.raises(Invalid):
            create_service_token(session, admin, name, person_id, ["people:read"], expires_at)
    assert service_tokens(session, admin) == []


def test_tokens_end(session: Session, admin: Actor, account: Person) -> None:
    soon = clock.now() + timedelta(hours=1)
    person = org.person(session, system=True)
    _, expiring = create_service_token(session, admin, "a", account.id, ["people:read"], soon)
    row, revoked = create_service_token(session, admin, "b", account.id, ["people:read"])
    _, left = create_service_token(session, admin, "c", person.id, ["people:read"])
    assert [token.name for token in service_tokens(session, admin)] == ["c", "b", "a"]
    revoke_service_token(session, admin, row.id)
    at = row.revoked_at
    revoke_service_token(session, admin, row.id)
    assert row.revoked_at == at
    person.disabled_at = clock.now()
    session.flush()
    assert authenticate_service(session, expiring)
    clock.freeze(soon)
    try:
        for clear in (expiring, revoked, left, "", "pyt_x", "\ud800"):
            with pytest.raises(Unauthenticated):
                authenticate_service(session, clear)
    finally:
        clock.freeze(None)
    with pytest.raises(NotFound):
        revoke_service_token(session, admin, uuid.uuid4())


def test_use_is_noted_once_an_hour(session: Session, admin: Actor, account: Person) -> None:
    row, _ = create_service_token(session, admin, "a", account.id, ["people:read"])
    noon = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    noted = []
    try:
        for minutes in (0, 30, 61):
            clock.freeze(noon + timedelta(minutes=minutes))
            note_use(session, row)
            session.refresh(row)
            noted.append(row.last_used_at)
    finally:
        clock.freeze(None)
    assert noted == [noon, noon, noon + timedelta(minutes=61)]
