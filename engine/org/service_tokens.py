"""Service tokens (服务令牌): other systems' keys to the API, hashed, scoped, expiring, of system accounts."""

import hashlib
import re
import secrets
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import bindparam, or_, select, true, update
from sqlalchemy.orm import Session

from engine import clock
from engine.audit import record
from engine.errors import Forbidden, Invalid, NotFound, Unauthenticated
from engine.org.actor import SYSTEM_ADMIN, Actor
from engine.org.directory import directory
from engine.org.identity import actor_of
from engine.org.models import OrgRevision, Person, ServiceToken

PREFIX = "pyt_"  # so that a scanner for secrets knows one
_USE_NOTED_EVERY = timedelta(hours=1)
_SCOPE = re.compile(r"[a-z][a-z_-]*:[a-z][a-z_-]*")


def create_service_token(
    session: Session,
    actor: Actor,
    name: str,
    person_id: uuid.UUID,
    scopes: Collection[str],
    expires_at: datetime | None = None,
) -> tuple[ServiceToken, str]:
    """Create a token and return its row and its clear text, which is shown this once.

    `person_id` is a system account: nobody gets a token that acts as a person. `scopes` are like "instances:read";
    `expires_at` is aware, None for no end. Raises Forbidden unless the actor is a system admin, Invalid where something
    is missing.
    """
    _require_admin(actor)
    text = " ".join(sorted(set(scopes)))
    if not name.strip() or len(name) > 80 or not name.isprintable():
        raise Invalid("请填写令牌名称，最多 80 个字", code="bad_token_name")
    if not text or len(text) > 400 or not all(_SCOPE.fullmatch(scope) for scope in scopes):
        raise Invalid("请至少选择一项权限范围，例如 instances:read", code="bad_scopes")
    if expires_at is not None and expires_at <= clock.now():
        raise Invalid("到期时间已过，请填写将来的时间", code="bad_expiry")
    person = session.get(Person, person_id)
    if person is None or person.disabled_at is not None:
        raise Invalid("令牌所代表的系统账号不存在或已停用", code="unknown_person")
    if not person.system:
        raise Invalid("令牌只能代表系统账号，不能代表职工；请先为对方系统建一个系统账号", code="not_system_account")
    clear = PREFIX + secrets.token_urlsafe(32)
    row = ServiceToken(
        name=name.strip(),
        token_hash=_hash(clear),
        scopes=text,
        person_id=person_id,
        created_by=actor.person_id,
        created_at=clock.now(),
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    detail = {"name": row.name, "account": person.name, "number": person.staff_number, "scopes": scopes_of(row)}
    record(session, actor, "token_issue", detail, at=row.created_at, about=row.id)
    return row, clear


_BY_TOKEN = (
    select(ServiceToken, OrgRevision.revision)
    .join_from(ServiceToken, OrgRevision, true())
    .where(
        ServiceToken.token_hash == bindparam("hash"),
        ServiceToken.revoked_at.is_(None),
        or_(ServiceToken.expires_at.is_(None), ServiceToken.expires_at > bindparam("now")),
    )
)


def authenticate_service(session: Session, clear: str) -> tuple[Actor, ServiceToken]:
    """Return the person a token acts as, narrowed to its scopes, in one statement. Raises Unauthenticated."""
    for token, revision in session.execute(_BY_TOKEN, {"hash": _hash(clear), "now": clock.now()}):
        scopes = frozenset(scopes_of(token))
        actor = actor_of(directory(session, revision), token.person_id, scopes, token.id)
        if actor is not None:
            return actor, token
    raise Unauthenticated("服务令牌无效、已到期或已撤销", code="bad_service_token")


def note_use(session: Session, token: ServiceToken) -> None:
    """Keep when the token was last used, once an hour at most: a write on every request would be dear."""
    now = clock.now()
    if token.last_used_at is None or token.last_used_at < now - _USE_NOTED_EVERY:
        session.execute(update(ServiceToken).where(ServiceToken.id == token.id).values(last_used_at=now))


def service_tokens(session: Session, viewer: Actor) -> list[ServiceToken]:
    """Return all tokens, newest first. Raises Forbidden unless the viewer is a system admin."""
    _require_admin(viewer)
    return list(session.scalars(select(ServiceToken).order_by(ServiceToken.id.desc())))


def revoke_service_token(session: Session, actor: Actor, token_id: uuid.UUID) -> None:
    """Revoke a token for good; once more changes nothing. Raises Forbidden, NotFound."""
    _require_admin(actor)
    row = session.get(ServiceToken, token_id)
    if row is None:
        raise NotFound("没有这个服务令牌", code="service_token_not_found")
    if row.revoked_at is None:
        row.revoked_at = clock.now()
        session.flush()
        record(session, actor, "token_revoke", {"name": row.name}, at=row.revoked_at, about=row.id)


def scopes_of(token: ServiceToken) -> list[str]:
    """Return what a token may be used for, one scope each."""
    return token.scopes.split()


def _require_admin(actor: Actor) -> None:
    if not actor.has(SYSTEM_ADMIN) or actor.scopes is not None:  # no token makes tokens
        raise Forbidden("只有系统管理员可以管理服务令牌", code="not_system_admin")


def _hash(clear: str) -> bytes:
    return hashlib.sha256(clear.encode(errors="replace")).digest()
