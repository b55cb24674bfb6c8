"""Service tokens: made by system admins, narrowed to scopes, ended by time or by hand."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from engine import clock
from engine.errors import Forbidden, Invalid, NotFound, Unauthenticated
from engine.org.actor import SYSTEM_ADMIN, Actor
from engine.org.service_tokens import (
    authenticate_service,
    create_service_token,
    note_use,
    revoke_service_token,
    service_tokens,
)
from tests.factories import org


@pytest.fixture
def admin(session: Session) -> Actor:
    return org.actor(session, SYSTEM_ADMIN)


def test_a_token_acts_as_a_person_within_its_scopes(session: Session, admin: Actor) -> None:
    person = org.person(session, "接口")
    row, clear = create_service_token(
        session, admin, " HIS ", person.id, ["instances:start", "instances:read", "instances:read"]
    )
    assert clear.startswith("pyt_")
    assert clear.encode() not in row.token_hash
    actor, found = authenticate_service(session, clear)
    assert (actor.person_id, actor.name) == (person.id, "接口")
    assert actor.scopes == frozenset({"instances:read", "instances:start"})
    assert (found.id, found.name, found.created_by) == (row.id, "HIS", admin.person_id)


def test_only_system_admins_in_person_manage_tokens(session: Session, admin: Actor) -> None:
    row, clear = create_service_token(session, admin, "HIS", admin.person_id, ["people:read"])
    by_token = authenticate_service(session, clear)[0]
    assert by_token.has(SYSTEM_ADMIN)
    for actor in (org.actor(session), by_token):
        with pytest.raises(Forbidden):
            create_service_token(session, actor, "x", actor.person_id, ["people:read"])
        with pytest.raises(Forbidden):
            service_tokens(session, actor)
        with pytest.raises(Forbidden):
            revoke_service_token(session, actor, row.id)


@pytest.mark.parametrize(
    "scopes", [[], [""], ["all"], ["people:read instances:read"], ["People:read"], ["a:b", "x:" + "y" * 400]]
)
def test_scopes_are_checked(session: Session, admin: Actor, scopes: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        create_service_token(session, admin, "HIS", admin.person_id, scopes)
    assert refused.value.code == "bad_scopes"


def test_the_rest_is_checked(session: Session, admin: Actor) -> None:
    gone = org.person(session, disabled=True)
    for name, person_id, expires_at in (
        (" ", admin.person_id, None),
        ("x" * 81, admin.person_id, None),
        ("x\0", admin.person_id, None),
        ("x", gone.id, None),
        ("x", uuid.uuid4(), None),
        ("x", admin.person_id, datetime(2020, 1, 1, tzinfo=UTC)),
    ):
        with pytest.raises(Invalid):
            create_service_token(session, admin, name, person_id, ["people:read"], expires_at)
    assert service_tokens(session, admin) == []


def test_tokens_end(session: Session, admin: Actor) -> None:
    soon = clock.now() + timedelta(hours=1)
    person = org.person(session)
    _, expiring = create_service_token(session, admin, "a", admin.person_id, ["people:read"], soon)
    row, revoked = create_service_token(session, admin, "b", admin.person_id, ["people:read"])
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


def test_use_is_noted_once_an_hour(session: Session, admin: Actor) -> None:
    row, _ = create_service_token(session, admin, "a", admin.person_id, ["people:read"])
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
