"""Single sign-on from an OA's list to the exact item (单点登录): who comes with a proof of the OA's has a session here.

A proof (`proofs`) lets one person in, for minutes, once: it is used up before anything else is done with it, and a
ticket before the OA is asked whose it is. Who brings too many that the OA doesn't stand for is locked out for a while,
by site and address, as wrong passwords are; but not the OA's own signatures, which can't be guessed: a page full of
wrong links would keep all out who share an address with who looks at it.

The OA starts this, not the browser that ends it: so whoever can have a link of their own made for them could have
somebody else follow it and be taken for them (login CSRF). Where somebody is logged in already, another person's link
therefore asks first, on a page whose form only that session can send (`offer`). In a browser in which nobody is, a
link does let its owner in: it is that person's name that the page then shows, and the trail says `oa_enter`.
"""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from engine import clock
from engine.audit import record
from engine.batch import Batch, Statement
from engine.bpm import visibility
from engine.bpm.models import ItemState, WorkItem
from engine.connectors.oa import people
from engine.connectors.oa.entry import proofs, tickets
from engine.connectors.oa.entry.proofs import Signature, Ticket
from engine.connectors.oa.models import OAPass, OARefusal
from engine.connectors.oa.sites import Connection
from engine.crypto import mac, same
from engine.db import Database
from engine.errors import Conflict, Forbidden
from engine.org import auth
from engine.org.actor import ADMIN, AUDITOR, DESIGNER, SYSTEM_ADMIN, Actor
from engine.org.guesses import network
from engine.org.identity import actor_for
from engine.org.models import Person

PURPOSE = "oa-offer"
"""What the installation's key for `offer` is derived for."""
MOST = 20
"""Proofs in a row that the OA doesn't stand for, from one address: then it is locked out."""
LOCKED_FOR = timedelta(minutes=15)
OFFER_LASTS = timedelta(minutes=5)
_SKEW = timedelta(minutes=1)
_TICKETS_KEPT = timedelta(days=1)  # the OA says how long they are good; none that we know keeps them for hours

_USE = Statement(
    "INSERT INTO oa_pass (hash, site, used_at, expires_at) VALUES (:hash, :site, :used_at, :expires_at) "
    "ON CONFLICT (hash) DO NOTHING"
)
_COUNT = Statement(
    "INSERT INTO oa_refusal (site, source, failures, until) VALUES (:site, :source, 1, :until) "
    "ON CONFLICT (site, source) DO UPDATE SET until = :until, "
    "failures = CASE WHEN oa_refusal.until <= :now THEN 1 ELSE oa_refusal.failures + 1 END"
)


@dataclass(frozen=True, slots=True)
class Passed:
    """Whom a proof has named: a person of ours, by their account in the OA."""

    person_id: uuid.UUID
    account: str
    name: str


def brought(connection: Connection | None, query: Mapping[str, list[str]]) -> bool:
    """Whether an address carries what is meant to let somebody in at this site; False where it has no sign-on."""
    sign_on = None if connection is None else connection.site.sign_on
    return sign_on is not None and proofs.brought(sign_on, query)


def arrive(
    db: Database,
    connection: Connection,
    item_id: uuid.UUID,
    query: Mapping[str, list[str]],
    *,
    address: str,
    current: uuid.UUID | None = None,
) -> Passed:
    """Return whom a proof names, and use it up; no transaction is open while the OA is asked.

    `query` is that of the address; `address` where the browser is; `current` who is logged in there: a signature of
    their own that is old or used tells them nothing new, and is let pass. Raises Forbidden: `oa_link_wrong` (the OA
    doesn't stand for it), `oa_link_late`, `oa_link_used`, `oa_link_unknown` (none of our active people has this
    account, which is proven); Conflict `oa_link_locked`; Unavailable where the OA doesn't answer.
    """
    site = connection.site
    assert site.sign_on is not None
    source = network(address)[:64]
    proof = proofs.read(site.sign_on, query, item_id)
    if isinstance(proof, Signature) and proof.signed_by(site.sign_on):
        return _by_signature(db, connection, proof, current)
    with db.reading() as session:
        _require_unlocked(session, site.code, source)
    if isinstance(proof, Ticket):
        if not _used_up(db, site.code, proof, clock.now() + _TICKETS_KEPT):
            raise _used(site.name)
        account = tickets.whose(site, proof)
        if account is not None:
            with db.reading() as session:
                return _person(session, connection, account)
    with db.unit_of_work() as session:
        raise _wrong(site.code, source)


def _by_signature(db: Database, connection: Connection, proof: Signature, current: uuid.UUID | None) -> Passed:
    site = connection.site
    assert site.sign_on is not None
    lasts = timedelta(seconds=site.sign_on.lasts)
    fresh = proof.fresh(clock.now(), lasts)
    used = fresh and not _used_up(db, site.code, proof, proof.at + lasts + _SKEW)
    if current is not None or (fresh and not used):
        with db.reading() as session:
            passed = _person(session, connection, proof.account)
        if passed.person_id == current or (fresh and not used):
            return passed
    if used:
        raise _used(site.name)
    raise Forbidden(
        f"从“{site.name}”打开的链接只在几分钟内有效，这个已经过期。请回到“{site.name}”的列表里再点一次；"
        "仍然不行请告诉信息科：两边服务器的时间可能不一致",
        code="oa_link_late",
    )


def _used_up(db: Database, code: str, proof: Signature | Ticket, expires_at: datetime) -> bool:
    """Use a proof up; False where it has been used before."""
    batch = Batch()
    row = {"hash": hashlib.sha256(code.encode() + proof.hash).digest(), "site": code}
    batch.change(_USE, row | {"used_at": clock.now(), "expires_at": expires_at})
    with db.unit_of_work() as session:
        changed: int = batch.run(session)[0]
    return changed == 1


def _person(session: Session, connection: Connection, account: str) -> Passed:
    """Return who has an account. Raises Forbidden where that is nobody who may come in."""
    found = people.persons_of(session, connection, [account]).get(account)
    if found is None:
        raise Forbidden(
            f"您在“{connection.site.name}”的账号没有对应批阅里的在职职工。请联系信息科在“账号对照”里补上；"
            "如果您的职工账号已停用，请联系人事科恢复",
            code="oa_link_unknown",
        )
    person = session.get_one(Person, found)
    return Passed(person.id, account, person.name)


def enter(
    session: Session, connection: Connection, passed: Passed, item_id: uuid.UUID, browser: Mapping[str, Any]
) -> tuple[auth.Login, Actor]:
    """Open a session for whom a proof has named; `browser` is what a login notes of it, its old session ends.

    Raises NotFound where they are disabled by now, and Forbidden (`oa_link_guarded`) for those with the rights of an
    admin, an auditor or a designer: an OA that somebody has broken into must not hand those out.
    """
    site = connection.site
    if actor_for(session, passed.person_id).has(ADMIN, SYSTEM_ADMIN, AUDITOR, DESIGNER):
        raise Forbidden(
            "管理员、审计员和流程设计员不能从 OA 免密进入，请用工号和密码登录，登录后会回到这一项",
            code="oa_link_guarded",
        )
    opened = auth.login_by(session, passed.person_id, {"oa": site.code}, **browser)
    detail = {"site": site.code, "oa": site.name, "account": passed.account, "name": passed.name, "item": item_id.hex}
    actor = actor_for(session, passed.person_id)
    record(session, actor, "oa_enter", detail, at=opened.session.created_at, about=passed.person_id)
    return opened, actor


def closed(session: Session, viewer: Actor, item_id: uuid.UUID) -> uuid.UUID | None:
    """Return the instance of an item that is over, where the viewer may see it; None for any other item."""
    found = session.execute(select(WorkItem.instance_id, WorkItem.state).where(WorkItem.id == item_id)).first()
    if found is None or found.state in (ItemState.OPEN, ItemState.STANDBY, ItemState.QUEUED):
        return None
    instance_id: uuid.UUID = found.instance_id
    return instance_id if visibility.may_see(session, viewer, instance_id) else None


def offer(key: bytes, csrf: str, passed: Passed, code: str, item_id: uuid.UUID) -> str:
    """Return what lets a session, by its `csrf`, change over to whom a proof has named, within minutes.

    `key` is the installation's for PURPOSE. It ends with that session, so it is good once.
    """
    ends = f"{int((clock.now() + OFFER_LASTS).timestamp()):010x}"
    return ends + _offered(key, ends, csrf, passed.person_id, passed.account, code, item_id)


def accept(
    session: Session, connection: Connection, key: bytes, csrf: str, item_id: uuid.UUID, given: Mapping[str, str]
) -> Passed:
    """Return whom an `offer` was for; `given` has it with `person` and `account`. Raises Forbidden."""
    text, account = given.get("offer", ""), given.get("account", "")
    try:
        person_id, ends = uuid.UUID(given.get("person", "")), int(text[:10], 16)
    except ValueError:
        person_id, ends = uuid.UUID(int=0), 0
    expected = _offered(key, text[:10], csrf, person_id, account, connection.site.code, item_id)
    if not same(expected.encode(), text[10:].encode(errors="replace")) or ends <= clock.now().timestamp():
        raise _used(connection.site.name)
    passed = _person(session, connection, account)
    if passed.person_id != person_id:
        raise _used(connection.site.name)
    return passed


def _offered(
    key: bytes, ends: str, csrf: str, person_id: uuid.UUID, account: str, code: str, item_id: uuid.UUID
) -> str:
    parts = (ends, csrf, person_id.hex, code, item_id.hex, account)
    return mac(key, "\n".join(parts).encode(errors="replace")).hex()


def purge(db: Database) -> None:
    """Delete what was used and can't come in any more, and what no longer counts."""
    now = clock.now()
    with db.unit_of_work() as session:
        session.execute(delete(OAPass).where(OAPass.expires_at <= now))
        session.execute(delete(OARefusal).where(OARefusal.until <= now))


def _require_unlocked(session: Session, code: str, source: str) -> None:
    counted = select(OARefusal.failures).where(
        OARefusal.site == code, OARefusal.source == source, OARefusal.until > clock.now()
    )
    if (session.scalar(counted) or 0) >= MOST:
        raise Conflict(
            f"从您这里打开的链接连续 {MOST} 次没有通过核对，已暂时停用单点登录。"
            f"请 {LOCKED_FOR.seconds // 60} 分钟后再试，或先用工号和密码登录",
            code="oa_link_locked",
        )


def _wrong(code: str, source: str) -> Forbidden:
    """Return the refusal of what the OA doesn't stand for, which is counted when the transaction has ended."""
    refused = Forbidden(
        "这个链接没有通过核对：它不完整、被改动过，或不是给这一项的。请回到 OA 的列表里再点一次；"
        "仍然不行请联系信息科，或先用工号和密码登录",
        code="oa_link_wrong",
    )

    def count(session: Session) -> None:
        now, batch = clock.now(), Batch()
        batch.change(_COUNT, {"site": code, "source": source, "now": now, "until": now + LOCKED_FOR})
        batch.run(session)

    refused.afterwards = count
    return refused


def _used(name: str) -> Forbidden:
    return Forbidden(f"这个链接已经用过，每个只能用一次。请回到“{name}”的列表里再点一次", code="oa_link_used")
