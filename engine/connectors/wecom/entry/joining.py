"""First joining (首次加入, M12): before the first session a person proves who they are, by a code sent to them.

Whom WeCom names and we can't place says staff number and name first. All of it happens in the browser that came back
from WeCom, within half an hour, by the state that it came back with.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from engine import clock
from engine.connectors.wecom.accounts import key_of
from engine.connectors.wecom.entry import codes as sending
from engine.connectors.wecom.entry.arriving import Arrival, hashed, let_in, refuse
from engine.connectors.wecom.entry.codes import Codes, Contact, contacts
from engine.connectors.wecom.entry.states import STATE
from engine.connectors.wecom.models import WeComAccount, WeComCode, WeComEntry
from engine.db import Database
from engine.errors import Conflict, Forbidden, Invalid
from engine.org.models import Person

TRIES = 5  # to name oneself, in one entry
TRIES_AN_HOUR = 10  # of one member


@dataclass(frozen=True, slots=True)
class Joiner:
    """Somebody who is on the way in and must still prove who they are."""

    target: str
    person: Person | None  # as whom; None while they haven't said
    named: bool  # they have said it themselves, and may say it again
    contacts: list[Contact]
    sent: WeComCode | None  # the code that they wait for
    told: str  # the code itself, in the demo only


def joiner(session: Session, codes: Codes, state: str, browser: str) -> Joiner:
    """Return how far somebody's joining is. Raises Forbidden where this browser's entry isn't there any more."""
    entry = _waiting(session, state, browser)
    person = session.get(Person, entry.person_id) if entry.person_id is not None else None
    sent = None if person is None else sending.current(session, person.id, entry.userid)
    return Joiner(
        target=entry.target,
        person=person,
        named=entry.tries > 0,
        contacts=[] if person is None else contacts(codes, person),
        sent=sent,
        told=codes.of(sent.id) if sent is not None and codes.shows(sent.way) else "",
    )


def name(db: Database, codes: Codes, state: str, browser: str, number: str, called: str) -> None:
    """Take down as whom somebody joins, by staff number and name. Each try counts, also the wrong ones.

    Raises Invalid where nobody goes by both, Conflict for too many tries, for a person who is another member already,
    or who can't be sent a code.
    """
    with db.unit_of_work() as session:
        entry = _waiting(session, state, browser)
        hour = select(func.sum(WeComEntry.tries)).where(
            WeComEntry.userid == entry.userid, WeComEntry.created_at > clock.now() - timedelta(hours=1)
        )
        counted = session.scalar(
            update(WeComEntry)
            .where(WeComEntry.state_hash == entry.state_hash, WeComEntry.tries < TRIES)
            .values(tries=WeComEntry.tries + 1)
            .returning(WeComEntry.tries)
            .execution_options(synchronize_session=False)
        )
        spent = counted is None or (session.scalar(hour) or 0) > TRIES_AN_HOUR
    if spent:
        raise Conflict("工号和姓名已多次不符，请一小时后再试，或联系信息科", code="joining_tries")
    with db.unit_of_work() as session:
        person = session.scalar(
            select(Person).where(
                Person.staff_number == _clean(number),
                Person.name == _clean(called),
                Person.disabled_at.is_(None),
                Person.system.is_(False),
            )
        )
        if person is None:
            message = "工号和姓名不符，或不是在职职工，请核对"
            raise Invalid(message, code="joining_person", errors=[{"place": "number", "message": message}])
        entry, account = _waiting(session, state, browser), session.get(WeComAccount, person.id)
        if account is not None and (account.vanished_at is None or account.userid_key != key_of(entry.userid)):
            raise Conflict(
                "这位职工已有别的企业微信账号。如果是您本人换了账号，请联系信息科解除旧的",
                code="joined_already",
            )
        if not contacts(codes, person):
            raise Conflict("系统里没有登记您的手机或邮箱，不能发验证码。请联系信息科补登记", code="joining_no_contact")
        entry.person_id = person.id


def send_code(db: Database, codes: Codes, state: str, browser: str, way: str) -> None:
    """Send a code to who joins. Raises as codes.send does, and Forbidden where the entry isn't there any more."""
    with db.unit_of_work() as session:
        entry, person = _named(session, state, browser)
        sending.send(session, codes, person, entry.userid, way)


def finish(db: Database, codes: Codes, state: str, browser: str, code: str, seen: Mapping[str, Any]) -> Arrival:
    """Let in who types the code that they were sent; the entry ends with it. Raises as codes.check does.

    They come in as whom the code was for: by now the entry may name somebody else.
    """
    with db.reading() as session:
        entry, proven = _named(session, state, browser)
    sent = sending.check(db, codes, proven.id, entry.userid, code)
    with db.unit_of_work() as session:
        entry, person = _waiting(session, state, browser), session.get_one(Person, proven.id)
        if person.disabled_at is not None:
            refuse("entry_disabled", "您的职工账号已停用。如果您仍在岗，请联系人事科或信息科恢复")
        way = sending.use(session, sent)
        userid, entry.userid = entry.userid, ""  # the row stays until the state's time is over: it is used up
        return let_in(session, person, userid, way, entry.target, seen)


def _waiting(session: Session, state: str, browser: str) -> WeComEntry:
    entry = session.get(WeComEntry, hashed(state)) if STATE.fullmatch(state) and browser else None
    if (
        entry is None
        or not secrets.compare_digest(bytes(entry.browser_hash), hashed(browser))
        or not entry.userid
        or entry.expires_at <= clock.now()
    ):
        raise Forbidden("核实的时间已过，或者不是在这个浏览器里开始的。请点“重新进入”再来一次", code="entry_state")
    return entry


def _named(session: Session, state: str, browser: str) -> tuple[WeComEntry, Person]:
    entry = _waiting(session, state, browser)
    if entry.person_id is None:
        raise Invalid("请先填写工号和姓名", code="joining_person")
    return entry, session.get_one(Person, entry.person_id)


def _clean(text: str) -> str:
    return "".join(filter(str.isprintable, text)).strip()[:40]
