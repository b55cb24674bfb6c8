"""Codes (验证码) by which somebody proves who they are: sent to the mobile or mail on our record.

Six digits, good for ten minutes and five tries; at most three an hour and six a day are sent to a person, and no more
for a member, whomever they name. A code is kept nowhere: it follows from the row's id and a key of the installation, so
neither the table nor the outbox tells it.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.audit import record
from engine.connectors.wecom.entry.sending import Post, PostSettings
from engine.connectors.wecom.models import WeComCode
from engine.crypto import Keys, mac, same
from engine.db import Database
from engine.errors import Conflict, Invalid
from engine.org.models import Person
from engine.outbox import Configuration, Leased
from engine.settings import Settings

LASTS = timedelta(minutes=10)
MINUTES = 10
TRIES = 5
SENDS = 3  # in an hour
SENDS_A_DAY = 6
WAYS = ("sms", "mail")
SYSTEM = "joining"  # of the outbox
_PER_MINUTE = 120
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class Codes:
    """What codes are made with: the installation's key, and the ways in which they can be sent.

    In the demo nobody has a gateway: a code whose way isn't set up is shown instead (`shows`).
    """

    def __init__(self, key: bytes, post: Post, *, demo: bool) -> None:
        self._key, self.post, self._demo = key, post, demo
        self.ways = frozenset(WAYS) if demo else post.ways

    def of(self, id_: uuid.UUID) -> str:
        """Return the code of a row: six digits."""
        return f"{int.from_bytes(mac(self._key, id_.bytes)[:8]) % 1_000_000:06d}"

    def shows(self, way: str) -> bool:
        """Whether the page tells the code itself."""
        return self._demo and way not in self.post.ways


def provide(db: Database, settings: Settings) -> None:
    """Give the database's handlers what codes are made and sent with, from the environment.

    Where codes are sent it is done by a thread of its own: a mail server that hangs holds up nothing else.
    """
    post = Post(PostSettings())
    if post.ways:
        declare()
    db.provide(Codes(Keys.load(settings).key("joining"), post, demo=settings.demo))


def declare() -> None:
    """Declare the channel by which codes are sent, once."""
    if SYSTEM not in outbox.lanes():
        outbox.channel(SYSTEM, per_minute=_PER_MINUTE, threads=1)


@dataclass(frozen=True, slots=True)
class Contact:
    """A way to reach a person, as it is shown to who says to be them: 138****0027."""

    way: str  # sms, mail
    shown: str


def contacts(codes: Codes, person: Person) -> list[Contact]:
    """Return how a code can get to a person; none where neither is on record, or can be sent to."""
    found = {"sms": masked_mobile(person.mobile), "mail": masked_mail(person.email)}
    return [Contact(way, found[way]) for way in WAYS if way in codes.ways and found[way]]


def masked_mobile(mobile: str) -> str:
    """Return a number with its middle hidden; nothing of one that is too short to be one."""
    return f"{mobile[:3]}****{mobile[-4:]}" if len(mobile) >= 9 else ""


def masked_mail(mail: str) -> str:
    """Return an address of which the name shows its first letter only."""
    name, at, host = mail.rpartition("@")
    return f"{name[0]}***@{host}" if at and name else ""


def same_mobile(left: str, right: str) -> bool:
    """Whether two numbers are one, however they are written: with +86, blanks or hyphens."""
    one, other = (re.sub(r"^86(?=1\d{10}$)", "", re.sub(r"\D", "", number)) for number in (left, right))
    return len(one) >= 9 and same(one.encode(), other.encode())


def send(session: Session, codes: Codes, person: Person, userid: str, way: str) -> WeComCode:
    """Make a code for a person and have it sent; earlier ones are good no more.

    Raises Invalid for a way in which this person can't be reached, Conflict where the hour's or the day's codes are
    sent.
    """
    if way not in {contact.way for contact in contacts(codes, person)}:
        message = "不能用这种方式接收验证码，请选择页面上列出的方式"
        raise Invalid(message, code="joining_way", errors=[{"place": "way", "message": message}])
    session.execute(select(Person.id).where(Person.id == person.id).with_for_update())  # two clicks wait for each other
    now = clock.now()
    _require_few(session, WeComCode.person_id == person.id, now)
    _require_few(session, WeComCode.userid == userid, now)
    session.execute(
        update(WeComCode)
        .where(WeComCode.person_id == person.id, WeComCode.expires_at > now)
        .values(expires_at=now)
        .execution_options(synchronize_session=False)
    )
    row = WeComCode(person_id=person.id, userid=userid, way=way, sent_at=now, expires_at=now + LASTS, tries=0)
    session.add(row)
    session.flush()
    if not codes.shows(way):
        outbox.enqueue(session, SYSTEM, str(person.id), way, {"code": str(row.id)})
    return row


def _require_few(session: Session, of: ColumnElement[bool], now: datetime) -> None:
    for span, most, words in ((_HOUR, SENDS, "一小时内"), (_DAY, SENDS_A_DAY, "一天内")):
        if (session.scalar(select(func.count()).where(of, WeComCode.sent_at > now - span)) or 0) >= most:
            raise Conflict(f"验证码{words}最多发送 {most} 次，请稍后再试，或联系信息科", code="joining_sends")


def current(session: Session, person_id: uuid.UUID, userid: str) -> WeComCode | None:
    """Return the code that a member waits for, None where there is none that is good."""
    return session.scalar(
        select(WeComCode)
        .where(
            WeComCode.person_id == person_id,
            WeComCode.userid == userid,
            WeComCode.used_at.is_(None),
            WeComCode.tries < TRIES,
            WeComCode.expires_at > clock.now(),
        )
        .order_by(WeComCode.sent_at.desc())
        .limit(1)
    )


def check(db: Database, codes: Codes, person_id: uuid.UUID, userid: str, given: str) -> uuid.UUID:
    """Compare what somebody typed with the code that was sent, and return its id, for `use`.

    The try is counted and committed before anything is compared, so that tries at the same moment count too. Raises
    Conflict where no code is good any more, Invalid for a wrong one.
    """
    with db.unit_of_work() as session:
        waiting = current(session, person_id, userid)
        counted = None
        if waiting is not None:
            counted = session.scalar(
                update(WeComCode)
                .where(WeComCode.id == waiting.id, WeComCode.tries < TRIES, WeComCode.used_at.is_(None))
                .values(tries=WeComCode.tries + 1)
                .returning(WeComCode.tries)
                .execution_options(synchronize_session=False)
            )
    if waiting is None or counted is None:
        raise Conflict("验证码已失效，请重新获取", code="joining_code_gone")
    if same(codes.of(waiting.id).encode(), re.sub(r"\s", "", given).encode(errors="replace")):
        return waiting.id
    left = TRIES - counted
    if not left:
        with db.unit_of_work() as session:
            _tell(session, person_id, userid)
    message = f"验证码不正确，还可以试 {left} 次" if left else "验证码连续输错，已作废，请重新获取"
    raise Invalid(message, code="joining_code", errors=[{"place": "code", "message": message}])


def use(session: Session, id_: uuid.UUID) -> str:
    """Use a code up and return its way. Raises Conflict where somebody else was faster."""
    way = session.scalar(
        update(WeComCode)
        .where(WeComCode.id == id_, WeComCode.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(WeComCode.way)
        .execution_options(synchronize_session=False)
    )
    if way is None:
        raise Conflict("验证码已用过，请重新获取", code="joining_code_gone")
    return way


def _tell(session: Session, person_id: uuid.UUID, userid: str) -> None:
    person = session.get_one(Person, person_id)
    detail = {"number": person.staff_number, "name": person.name, "userid": userid}
    record(session, None, "wecom_locked", detail, at=clock.now(), about=person_id)


@outbox.handler(SYSTEM, "mail", in_transaction=False)
@outbox.handler(SYSTEM, "sms", in_transaction=False)
def post(db: Database, row: Leased) -> None:
    """Send a code, unless it is used, replaced or too old by now: who waits has asked for another one."""
    codes = db.part(Codes)
    if codes is None:
        raise Configuration("这个进程没有装配验证码的发送，请用 piyue worker 或 piyue serve 启动")
    with db.reading() as session:
        code = session.get(WeComCode, uuid.UUID(row.payload["code"]))
        person = None if code is None else session.get(Person, code.person_id)
    if code is None or person is None or code.used_at is not None or code.expires_at <= clock.now():
        return
    outbox.take(db, SYSTEM)
    if code.way == "mail":
        codes.post.mail(code.id, person.email, codes.of(code.id), MINUTES)
    else:
        codes.post.sms(person.mobile, codes.of(code.id), MINUTES)
