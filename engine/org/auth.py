"""Logging in (登录): passwords, browser sessions, and the demo's login without a password.

A session's token is random (256 bits) and only its SHA-256 is stored: who reads the table can't use it. What wrong
passwords cost, and whom, says engine.org.guesses.
"""

import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.orm import Session

from engine import clock
from engine.audit import record
from engine.batch import Batch, Statement
from engine.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from engine.org import guesses
from engine.org.actor import SYSTEM_ADMIN, Actor
from engine.org.directory import directory
from engine.org.guesses import LOCKED_FOR, MAX_FAILURES
from engine.org.identity import actor_for, actor_of
from engine.org.models import LoginSession, Person
from engine.org.passwords import check_password_rule, hash_password, needs_rehash, password_fits

SESSION_HOURS = 12


@dataclass(frozen=True, slots=True)
class Login:
    """A new session: the token for the browser's cookie, never stored, and the row.

    `device` is the token of the browser as a known one (已知设备), for a cookie that stays; empty without a password.
    """

    token: str
    session: LoginSession
    device: str = ""


def login(
    session: Session,
    staff_number: str,
    password: str,
    *,
    address: str = "",
    agent: str = "",
    hours: int = SESSION_HOURS,
    replaces: str | None = None,
    device: str = "",
) -> Login:
    """Check a password and open a browser session; `replaces` is the token that the browser held before: it ends.

    `address` and `device` (the token of a known browser) are what wrong passwords are counted for. Raises
    Unauthenticated: the same for unknown, disabled and locked people and for a wrong password, also in the time it
    takes; Unavailable where too many log in at once. A failure is counted after the rollback (EngineError.afterwards);
    the trail has each login with the failures before it, and each lock, not each guess: nobody floods it.
    """
    person = session.scalar(select(Person).where(Person.staff_number == _clean(staff_number, 20)))
    address = _clean(address, 64)
    of = () if person is None else guesses.sources(session, person.id, address, device)
    fits = password_fits(person.password_hash if person else "", password)
    if person is None or person.disabled_at is not None or person.system:
        raise _refused()
    if guesses.locked(session, person.id, of):
        raise _refused()
    if not fits:
        refused, found = _refused(), person
        refused.afterwards = lambda after: _count_failure(after, found, of, address)
        raise refused
    if needs_rehash(person.password_hash):
        person.password_hash = hash_password(password)
    failures = guesses.forgive(session, person.id, of[0])
    token, row = _open(session, person.id, address, agent, hours, replaces)
    _record_login(session, row, {"failures": failures} if failures else {})
    return Login(token, row, guesses.remember(session, person.id, device))


def _refused() -> Unauthenticated:
    return Unauthenticated(
        f"工号或密码不正确。连续 {MAX_FAILURES} 次不正确会锁定 {LOCKED_FOR.seconds // 60} 分钟，忘记密码请联系信息科",
        code="login_refused",
    )


def _count_failure(session: Session, person: Person, of: Sequence[str], address: str) -> None:
    now = clock.now()
    for source in guesses.count(session, person.id, of, now):
        detail = {
            "number": person.staff_number,
            "name": person.name,
            "address": address,
            "source": source.partition(" ")[0],
            "failures": guesses.most(source),
        }
        record(session, None, "login_locked", detail, at=now, about=person.id)


def _record_login(session: Session, row: LoginSession, more: dict[str, Any]) -> None:
    detail = {"address": row.address, **more}
    record(session, actor_for(session, row.person_id), "login", detail, at=row.created_at)


def login_as(
    session: Session,
    staff_number: str,
    *,
    demo: bool,
    address: str = "",
    agent: str = "",
    hours: int = SESSION_HOURS,
    replaces: str | None = None,
    device: str = "",
) -> Login:
    """Open a session for a person picked from a list (演示登录). `demo` is settings.demo: Forbidden without it.

    Raises NotFound where there is no such active person.
    """
    if not demo:
        raise Forbidden("只有演示环境可以不用密码登录", code="not_demo")
    person_id = session.scalar(
        select(Person.id).where(
            Person.staff_number == _clean(staff_number, 20), Person.disabled_at.is_(None), Person.system.is_(False)
        )
    )
    if person_id is None:
        raise NotFound(f"没有工号为“{staff_number[:20]}”的在职职工", code="person_not_found")
    return login_by(session, person_id, {"demo": True}, address=address, agent=agent, hours=hours, replaces=replaces)


def login_by(
    session: Session,
    person_id: uuid.UUID,
    by: Mapping[str, Any],
    *,
    address: str = "",
    agent: str = "",
    hours: int = SESSION_HOURS,
    replaces: str | None = None,
    device: str = "",
) -> Login:
    """Open a session for a person whom somebody else vouches for; `by` says on the trail who, e.g. {"wecom": userid}.

    The browser becomes no known device: that is for passwords. Raises NotFound where there is no such active person.
    """
    actor_for(session, person_id)
    token, row = _open(session, person_id, address, agent, hours, replaces)
    _record_login(session, row, dict(by))
    return Login(token, row)


_LOGIN = ("token_hash", "person_id", "csrf", "created_at", "expires_at", "address", "agent")
_BY_TOKEN = Statement(
    f"SELECT {', '.join(_LOGIN)}, revision "
    "FROM login_session CROSS JOIN org_revision WHERE token_hash = :hash AND expires_at > :now",
    person_id=uuid.UUID,
    created_at=datetime,
    expires_at=datetime,
    revision=uuid.UUID,
)


def authenticate(session: Session, token: str) -> tuple[Actor, LoginSession]:
    """Return who is behind a browser's token, in one statement. Raises Unauthenticated where nobody is any more.

    It is on the way of every request: the row comes as it is, the person from the directory. The login is detached.
    """
    batch = Batch()
    batch.query(_BY_TOKEN, {"hash": _hash(token), "now": clock.now()})
    for *login, revision in batch.run(session)[0]:
        row = LoginSession(**dict(zip(_LOGIN, login, strict=True)))
        actor = actor_of(directory(session, revision), row.person_id)
        if actor is not None:
            return actor, row
    raise Unauthenticated("登录已过期，请重新登录", code="session_expired")


def logout(session: Session, actor: Actor, token: str) -> None:
    """End one's session; one that has ended already is fine."""
    if _end(session, token):
        record(session, actor, "logout", {}, at=clock.now())


def _end(session: Session, token: str) -> bool:
    result = session.execute(delete(LoginSession).where(LoginSession.token_hash == _hash(token)))
    return cast("CursorResult[object]", result).rowcount > 0


def end_sessions(session: Session, person_id: uuid.UUID, *, keep: str | None = None) -> None:
    """End all sessions of a person, but for the one with the token `keep`."""
    kept = _hash(keep) if keep else b""
    session.execute(delete(LoginSession).where(LoginSession.person_id == person_id, LoginSession.token_hash != kept))


def purge_expired(session: Session) -> int:
    """Delete the sessions whose time is over and return how many there were; and what was counted of guesses."""
    guesses.purge(session)
    result = session.execute(delete(LoginSession).where(LoginSession.expires_at <= clock.now()))
    return cast("CursorResult[object]", result).rowcount


def set_password(
    session: Session,
    actor: Actor | None,
    person_id: uuid.UUID,
    new: str,
    *,
    old: str | None = None,
    token: str | None = None,
) -> None:
    """Set a password: one's own with the old one, anybody's as a system admin, or on the command line (actor None).

    Locks end with it, and so do all sessions of the person but the one of `token`. Raises Invalid for a wrong old
    (which is counted, see engine.org.guesses) or a weak new password, Conflict while locked or for a system account,
    Forbidden where it is somebody else's, NotFound.
    """
    if actor is not None and actor.person_id != person_id and not actor.has(SYSTEM_ADMIN):
        raise Forbidden("只有系统管理员可以设置别人的密码", code="not_system_admin")
    person = session.get(Person, person_id)
    if person is None:
        raise NotFound("没有这位职工", code="person_not_found")
    if person.system:
        raise Conflict("系统账号不用密码登录，请给它发服务令牌", code="system_account")
    if actor is not None and actor.person_id == person_id:
        if guesses.locked(session, person_id, guesses.CHANGE):
            raise Conflict("密码连续输错，已暂时锁定，请稍后再改或联系信息科", code="password_locked")
        if not password_fits(person.password_hash, old or ""):
            message = "原密码不正确"
            refused = Invalid(message, code="wrong_password", errors=[{"place": "old_password", "message": message}])
            refused.afterwards = lambda after: _count_failure(after, person, guesses.CHANGE, "")
            raise refused
    check_password_rule(new, forbidden=(person.staff_number, person.mobile, person.name, person.pinyin.split(" ")[0]))
    person.password_hash = hash_password(new)
    session.flush()
    guesses.forgive(session, person_id)
    end_sessions(session, person_id, keep=token)
    detail = {"number": person.staff_number, "name": person.name}
    record(session, actor, "password", detail, at=clock.now(), about=person_id)


def _open(
    session: Session, person_id: uuid.UUID, address: str, agent: str, hours: int, replaces: str | None
) -> tuple[str, LoginSession]:
    if replaces:
        _end(session, replaces)
    token = secrets.token_urlsafe(32)
    now = clock.now()
    row = LoginSession(
        token_hash=_hash(token),
        person_id=person_id,
        csrf=secrets.token_urlsafe(32),
        created_at=now,
        expires_at=now + timedelta(hours=hours),
        address=_clean(address, 64),
        agent=_clean(agent, 200),
    )
    session.add(row)
    session.flush()
    return token, row


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _clean(text: str, most: int) -> str:
    """Cut what a browser sent to what the database takes: no NUL, no lone surrogates."""
    return "".join(filter(str.isprintable, text)).strip()[:most]
