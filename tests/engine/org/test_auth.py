"""Logging in: passwords, lockout, sessions, the demo's login."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine import clock
from engine.bpm.models import ActionLog
from engine.db import Database
from engine.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from engine.org import auth, guesses, passwords
from engine.org.actor import SYSTEM_ADMIN
from engine.org.models import KnownDevice, LoginSession, Person, WrongPassword
from engine.org.passwords import check_password_rule, hash_password, password_fits
from engine.org.queries import actor_for
from tests.factories import org
from tests.faults.crowd import await_waiting

PASSWORD = "correct horse 9"
MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _monday() -> Iterator[None]:
    clock.freeze(MONDAY)
    yield
    clock.freeze(None)


@pytest.fixture
def nurse(session: Session) -> Person:
    return org.person(session, "单静", staff_number="10027", password_hash=hash_password(PASSWORD))


def refusal(session: Session, staff_number: str, password: str, **browser: str) -> tuple[str, str]:
    """Try to log in as a request does, and return the refusal."""
    with pytest.raises(Unauthenticated) as refused:
        auth.login(session, staff_number, password, **browser)  # type: ignore[arg-type]
    if refused.value.afterwards is not None:
        refused.value.afterwards(session)
        session.flush()
    return refused.value.code, refused.value.message


def sessions(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(LoginSession)) or 0


def test_login_gives_a_session_that_is_recognised(session: Session, nurse: Person) -> None:
    org.role(session, "clerk", nurse)
    login = auth.login(session, " 10027 ", PASSWORD, address="127.0.0.1", agent="x" * 300 + "\0", hours=2)
    actor, row = auth.authenticate(session, login.token)
    assert actor == actor_for(session, nurse.id)
    assert actor.roles == {"clerk"}
    assert row.token_hash == hashlib.sha256(login.token.encode()).digest()
    assert (row.expires_at, row.address, len(row.agent)) == (MONDAY + timedelta(hours=2), "127.0.0.1", 200)
    assert len(login.token) >= 43
    assert row.csrf not in (login.token, "")


def test_every_refusal_is_the_same(session: Session, nurse: Person) -> None:
    org.person(session, staff_number="gone", password_hash=hash_password(PASSWORD), disabled=True)
    org.person(session, staff_number="unset")
    org.person(session, staff_number="SYS-1", system=True, password_hash=hash_password(PASSWORD))
    answers = {
        refusal(session, "10027", "wrong"),
        refusal(session, "nobody", PASSWORD),
        refusal(session, "gone", PASSWORD),
        refusal(session, "unset", ""),
        refusal(session, "SYS-1", PASSWORD),
        refusal(session, "10027\0", "\ud800" * 1_000),
    }
    assert len(answers) == 1
    assert sessions(session) == 0


def test_five_failures_lock_for_fifteen_minutes(session: Session, nurse: Person) -> None:
    wrong = {refusal(session, "10027", "wrong") for _ in range(5)}
    assert refusal(session, "10027", PASSWORD) in wrong
    clock.freeze(MONDAY + timedelta(minutes=15) - timedelta(seconds=1))
    refusal(session, "10027", PASSWORD)
    clock.freeze(MONDAY + timedelta(minutes=15))
    assert auth.login(session, "10027", PASSWORD).token


def test_four_failures_and_a_success_start_anew(session: Session, nurse: Person) -> None:
    for _ in range(2):
        for _ in range(4):
            refusal(session, "10027", "wrong")
        auth.login(session, "10027", PASSWORD)


def test_who_guesses_locks_out_the_own_address_and_not_the_person(session: Session, nurse: Person) -> None:
    known = auth.login(session, "10027", PASSWORD, address="10.0.0.9").device
    for _ in range(5):
        refusal(session, "10027", "guess", address="10.0.0.1")
    refusal(session, "10027", PASSWORD, address="10.0.0.1")
    assert auth.login(session, "10027", PASSWORD, address="10.0.0.2").token
    assert auth.login(session, "10027", PASSWORD, address="10.0.0.1", device=known).token  # behind the same address
    refusal(session, "10027", PASSWORD, address="10.0.0.1", device="x" * 43)
    refusal(session, "10027", PASSWORD, address="10.0.0.1")  # who gets in elsewhere doesn't let them go on


def test_an_ipv6_network_is_one_source_and_an_ipv4_address_is_the_same_in_both_spellings(
    session: Session, nurse: Person
) -> None:
    for number in range(5):
        refusal(session, "10027", "guess", address=f"2001:db8:0:1::{number}")
        refusal(session, "10027", "guess", address=f"{'::ffff:' if number % 2 else ''}10.0.0.1")
    refusal(session, "10027", PASSWORD, address="2001:db8:0:1:ffff::1")
    refusal(session, "10027", PASSWORD, address="10.0.0.1")
    assert auth.login(session, "10027", PASSWORD, address="2001:db8:0:2::1").token


def test_many_addresses_have_no_more_guesses_and_known_browsers_still_get_in(session: Session, nurse: Person) -> None:
    known = auth.login(session, "10027", PASSWORD, address="10.0.0.9").device
    for number in range(guesses.FROM_ANYWHERE):
        refusal(session, "10027", "guess", address=f"10.1.{number}.1")
    refusal(session, "10027", PASSWORD, address="10.2.0.1")
    assert auth.login(session, "10027", PASSWORD, address="10.2.0.1", device=known).token
    clock.freeze(MONDAY + guesses.LOCKED_FOR)
    assert auth.login(session, "10027", PASSWORD, address="10.2.0.1").token


def test_a_known_browser_has_no_endless_guesses_either(session: Session, nurse: Person) -> None:
    known = auth.login(session, "10027", PASSWORD).device
    for _ in range(5):
        refusal(session, "10027", "guess", device=known)
    refusal(session, "10027", PASSWORD, device=known)
    assert auth.login(session, "10027", PASSWORD).token


def test_a_browser_is_known_for_each_of_its_people_and_for_a_year(session: Session, nurse: Person) -> None:
    other = org.person(session, staff_number="10028", password_hash=hash_password(PASSWORD))
    shared = auth.login(session, "10027", PASSWORD).device
    assert guesses.sources(session, other.id, "", shared)[0].startswith("address")
    assert auth.login(session, "10028", PASSWORD, device=shared).device == shared
    assert guesses.sources(session, other.id, "", shared)[0].startswith("device")
    clock.freeze(MONDAY + guesses.KNOWN_FOR)
    assert guesses.sources(session, other.id, "", shared)[0].startswith("address")
    auth.purge_expired(session)
    assert session.scalars(select(KnownDevice)).all() == []


def test_the_trail_has_logins_and_locks_and_not_each_guess(session: Session, nurse: Person) -> None:
    for _ in range(3):
        refusal(session, "10027", "typo", address="10.0.0.1")
    login = auth.login(session, "10027", PASSWORD, address="10.0.0.1")
    actor = auth.authenticate(session, login.token)[0]
    auth.logout(session, actor, login.token)
    auth.logout(session, actor, login.token)
    for _ in range(20):
        refusal(session, "10027", "guess", address="10.0.0.2")
        refusal(session, "nobody", "guess", address="10.0.0.2")
    told = [(row.verb, row.actor_id, orjson.loads(row.detail)) for row in session.scalars(select(ActionLog))]
    assert [(verb, who) for verb, who, _ in told] == [
        ("login", nurse.id), ("logout", nurse.id), ("login_locked", None),
    ]  # fmt: skip
    assert told[0][2] == {"address": "10.0.0.1", "failures": 3}
    assert (told[2][2]["number"], told[2][2]["address"], told[2][2]["failures"]) == ("10027", "10.0.0.2", 5)
    assert "guess" not in str(told)


def test_only_a_few_passwords_are_computed_at_once_and_the_rest_is_told_so() -> None:
    with ExitStack() as taken:
        for _ in range(passwords._RUNNING):
            taken.enter_context(passwords._running)
        pool = taken.enter_context(ThreadPoolExecutor())
        waiting = [pool.submit(password_fits, "", "x") for _ in range(passwords._AT_THE_DOOR)]
        while passwords._door._value:
            pass
        with pytest.raises(Unavailable) as refused:
            password_fits("", "x")
        assert refused.value.code == "logins_busy"
        assert not any(each.done() for each in waiting)
        for _ in range(passwords._RUNNING):
            passwords._running.release()
        assert [each.result() for each in waiting] == [False] * len(waiting)
        for _ in range(passwords._RUNNING):
            passwords._running.acquire()
    assert not password_fits("", "x")


def test_after_a_lock_five_more_failures_are_needed(session: Session, nurse: Person) -> None:
    for _ in range(5):
        refusal(session, "10027", "wrong")
    clock.freeze(MONDAY + timedelta(minutes=16))
    for _ in range(4):
        refusal(session, "10027", "wrong")
    assert auth.login(session, "10027", PASSWORD).token


def test_failures_are_counted_although_the_request_is_rolled_back(committed_db: Database) -> None:
    with committed_db.unit_of_work() as session:
        org.person(session, staff_number="10027", password_hash=hash_password(PASSWORD))
    for _ in range(5):
        with pytest.raises(Unauthenticated), committed_db.unit_of_work() as session:
            auth.login(session, "10027", "wrong")
    with pytest.raises(Unauthenticated), committed_db.unit_of_work() as session:
        auth.login(session, "10027", PASSWORD)


def test_guesses_at_the_same_moment_are_all_counted_and_one_of_them_locks(committed_db: Database) -> None:
    with committed_db.unit_of_work() as session:
        nurse = org.person(session).id

    def guess(_: int) -> list[str]:
        with committed_db.unit_of_work() as session:
            return guesses.count(session, nurse, ("address x", guesses.ANYWHERE), MONDAY)

    with ThreadPoolExecutor(8) as pool:
        locked = list(pool.map(guess, range(8)))
    assert sorted(locked) == [[]] * 7 + [["address x"]]
    with committed_db.reading() as session:
        assert set(session.scalars(select(WrongPassword.failures))) == {8}


@pytest.mark.backend("postgresql")
def test_a_browser_that_logs_in_twice_at_once_is_known_once(committed_db: Database) -> None:
    with committed_db.unit_of_work() as session:
        nurse = org.person(session).id

    def remember() -> str:
        with committed_db.unit_of_work() as session:
            return guesses.remember(session, nurse, "d" * 43)

    with ThreadPoolExecutor(1) as thread:
        with committed_db.unit_of_work() as session:
            guesses.remember(session, nurse, "d" * 43)
            second = thread.submit(remember)
            await_waiting(committed_db)
        assert second.result() == "d" * 43


def test_login_ends_the_session_that_the_browser_had(session: Session, nurse: Person) -> None:
    first = auth.login(session, "10027", PASSWORD)
    second = auth.login(session, "10027", PASSWORD, replaces=first.token)
    with pytest.raises(Unauthenticated):
        auth.authenticate(session, first.token)
    assert auth.authenticate(session, second.token)[0].person_id == nurse.id
    assert second.session.csrf != first.session.csrf


def test_sessions_end(session: Session, nurse: Person) -> None:
    login = auth.login(session, "10027", PASSWORD, hours=1)
    other = auth.login(session, "10027", PASSWORD, hours=3)
    clock.freeze(MONDAY + timedelta(hours=1))
    with pytest.raises(Unauthenticated) as refused:
        auth.authenticate(session, login.token)
    assert refused.value.code == "session_expired"
    assert auth.purge_expired(session) == 1
    assert auth.authenticate(session, other.token)
    actor = actor_for(session, nurse.id)
    auth.logout(session, actor, other.token)
    auth.logout(session, actor, other.token)
    with pytest.raises(Unauthenticated):
        auth.authenticate(session, other.token)
    assert sessions(session) == 0


@pytest.mark.parametrize("token", ["", "x", "\ud800", "令牌", "x" * 100_000])
def test_made_up_tokens(session: Session, nurse: Person, token: str) -> None:
    auth.login(session, "10027", PASSWORD)
    with pytest.raises(Unauthenticated):
        auth.authenticate(session, token)


def test_who_is_disabled_is_out_at_once(session: Session, nurse: Person) -> None:
    login = auth.login(session, "10027", PASSWORD)
    nurse.disabled_at = MONDAY
    session.flush()
    with pytest.raises(Unauthenticated):
        auth.authenticate(session, login.token)


def test_demo_login_needs_the_demo(session: Session, nurse: Person) -> None:
    with pytest.raises(Forbidden):
        auth.login_as(session, "10027", demo=False)
    assert auth.authenticate(session, auth.login_as(session, "10027", demo=True).token)[0].person_id == nurse.id
    org.person(session, staff_number="gone", disabled=True)
    for number in ("nobody", "gone"):
        with pytest.raises(NotFound):
            auth.login_as(session, number, demo=True)


def test_own_password_with_the_old_one_ends_other_sessions(session: Session, nurse: Person) -> None:
    here, there = auth.login(session, "10027", PASSWORD), auth.login(session, "10027", PASSWORD)
    actor = actor_for(session, nurse.id)
    for old in (None, "", "wrong"):
        with pytest.raises(Invalid) as refused:
            auth.set_password(session, actor, nurse.id, "another one 77", old=old)
        assert refused.value.code == "wrong_password"
    auth.set_password(session, actor, nurse.id, "another one 77", old=PASSWORD, token=here.token)
    assert auth.authenticate(session, here.token)
    with pytest.raises(Unauthenticated):
        auth.authenticate(session, there.token)
    refusal(session, "10027", PASSWORD)
    assert auth.login(session, "10027", "another one 77")


def test_guessing_the_old_password_locks_changing_it_and_no_login(session: Session, nurse: Person) -> None:
    actor = actor_for(session, nurse.id)
    for _ in range(5):
        with pytest.raises(Invalid) as wrong:
            auth.set_password(session, actor, nurse.id, "another one 77", old="guess")
        assert wrong.value.afterwards is not None
        wrong.value.afterwards(session)
    with pytest.raises(Conflict) as locked:
        auth.set_password(session, actor, nurse.id, "another one 77", old=PASSWORD)
    assert locked.value.code == "password_locked"
    assert auth.login(session, "10027", PASSWORD)


def test_a_system_account_gets_no_password(session: Session) -> None:
    account = org.person(session, staff_number="SYS-1", system=True)
    with pytest.raises(Conflict) as refused:
        auth.set_password(session, None, account.id, PASSWORD)
    assert refused.value.code == "system_account"
    with pytest.raises(NotFound):
        auth.login_as(session, "SYS-1", demo=True)


def test_an_admin_sets_any_password_and_unlocks(session: Session, nurse: Person) -> None:
    for _ in range(5):
        refusal(session, "10027", "wrong")
    with pytest.raises(Forbidden):
        auth.set_password(session, org.actor(session), nurse.id, "another one 77")
    auth.set_password(session, org.actor(session, SYSTEM_ADMIN), nurse.id, "another one 77")
    assert auth.login(session, "10027", "another one 77")
    auth.set_password(session, None, nurse.id, "from the console 1")
    assert auth.login(session, "10027", "from the console 1")


@pytest.mark.parametrize(
    "password",
    ["", "short 123", "aaaaaaaaaaaa", "abababababab", "1234567890", "0987654321", "qwertyuiop", "abcdefghijkl",
     "pw-10027-pw", "my 13800000001", "shanjing2026", "SHANJING2026", "我是单静呀呀呀呀呀呀", "x1" * 65],
)  # fmt: skip
def test_weak_passwords(session: Session, password: str) -> None:
    person = org.person(session, "单静", staff_number="10027", mobile="13800000001")
    with pytest.raises(Invalid) as refused:
        auth.set_password(session, None, person.id, password)
    assert refused.value.code == "weak_password"
    assert person.password_hash == ""


@pytest.mark.parametrize("password", ["tree-lamp-42", "春风又绿江南岸明月何时", " spaces count ", "Zażółć gęślą"])
def test_good_passwords_fit_only_themselves(password: str) -> None:
    check_password_rule(password)
    stored = hash_password(password)
    assert password_fits(stored, password)
    assert not password_fits(stored, password + " ")
    assert stored != hash_password(password)
    assert len(stored) <= 200


def test_the_same_password_composed_otherwise_fits() -> None:
    assert password_fits(hash_password("Müller and co"), "Mu\u0308ller and co")


def test_a_broken_hash_fits_nothing() -> None:
    assert not password_fits("", "")
    assert not password_fits("no hash", "no hash")
