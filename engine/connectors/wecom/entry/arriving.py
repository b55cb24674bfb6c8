"""Entry without a password (免密进入): out to WeCom with a state of our own, back with a code, in as the person.

A state is random, good for ten minutes, once, and in the browser alone that it was made for: another browser's cookie,
or none, makes it worthless. It proves itself (`states`), so that who only sets out leaves no row. Its row is written
when it comes back: it is used up before WeCom is asked, and whatever WeCom then says of the code, nobody comes in by it
a second time. Sources: WeCom documents 91022 (网页授权链接), 98152 (企业微信登录), 91023 (访问用户身份).
"""

import hashlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn
from urllib.parse import quote

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from engine import clock
from engine.batch import Batch, Statement
from engine.connectors.wecom import accounts
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.client.errors import unavailable
from engine.connectors.wecom.entry import states
from engine.connectors.wecom.entry.codes import Codes, contacts, same_mobile
from engine.connectors.wecom.models import WeComAccount, WeComCode, WeComEntry
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Database
from engine.errors import Conflict, Forbidden
from engine.org import auth
from engine.org.models import Person

JOINING_LASTS = timedelta(minutes=30)  # to find the telephone and type a code
MOST_A_MINUTE = 8  # of one browser: more is a loop, not a person
_TOKEN = 43  # characters of a browser's token

# the same state may come back twice at once
_USE = Statement(
    "INSERT INTO wecom_entry (state_hash, browser_hash, target, created_at, expires_at) "
    "VALUES (:state_hash, :browser_hash, :target, :created_at, :expires_at) ON CONFLICT DO NOTHING"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser is sent, and what its cookies keep until it comes back: its token, and its ways."""

    url: str
    browser: str
    ways: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A state that came back to its own browser and is used up; `target` is the page that was asked for.

    `ways` is what the browser's cookie keeps from now on.
    """

    state_hash: bytes
    target: str
    ways: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who is in, with a session, or who must prove first who they are (`login` is None).

    `differs`: the mobile that they showed is not the one on our record.
    """

    target: str
    login: auth.Login | None
    differs: bool = False


def begin(
    settings: WeComSettings,
    key: bytes,
    *,
    back: str,
    browser: str,
    ways: str,
    target: str,
    inside: bool,
    private: bool = False,
) -> Begun:
    """Make a state for a browser and return the address at WeCom to which it goes; nothing is stored.

    `key` is the installation's for states.PURPOSE; `back` our address to which the browser comes back; `browser` and
    `ways` what its cookies keep, if it has any; `inside` whether it is WeCom's own browser, otherwise a QR code is
    shown; `private` asks the member to tell their mobile. Raises Conflict for a browser that goes round in circles.
    """
    if len(browser) != _TOKEN:
        browser = secrets.token_urlsafe(32)
    now, before = clock.now(), states.read(ways)
    if states.lately(before, now) >= MOST_A_MINUTE:
        raise Conflict(
            "一分钟内从企业微信进入的次数太多，可能是浏览器没有保存登录信息。"
            "请稍等一分钟再试；仍然不行请退出企业微信重新登录，或用工号和密码登录",
            code="entry_loop",
        )
    state, way = states.made(key, browser, target, now)
    corp, agent, address = quote(settings.corp_id, safe=""), settings.agent_id, quote(back, safe="")
    if inside:
        scope = "snsapi_privateinfo" if private else "snsapi_base"
        url = (
            f"{settings.authorize}?appid={corp}&redirect_uri={address}&response_type=code&scope={scope}"
            f"&state={state}&agentid={agent}#wechat_redirect"
        )
    else:
        url = f"{settings.login}?login_type=CorpApp&appid={corp}&agentid={agent}&redirect_uri={address}&state={state}"
    return Begun(url, browser, states.written([way, *before], now))


def come_back(session: Session, key: bytes, state: str, browser: str, ways: str) -> Returned:
    """Use a state up. Raises Forbidden for one that isn't ours, is too old, used, or another browser's."""
    now, before = clock.now(), states.read(ways)
    way = states.of(state, before)
    expires_at = states.proven(key, state, browser, way, now) if way is not None and browser else None
    if way is not None and expires_at is not None:
        row = {"state_hash": hashed(state), "browser_hash": hashed(browser), "target": way.target}
        batch = Batch()
        batch.change(_USE, {**row, "created_at": now, "expires_at": expires_at})
        if batch.run(session) == [1]:
            left = [states.Way("", way.began, "") if other is way else other for other in before]
            return Returned(hashed(state), way.target, states.written(left, now))
    raise Forbidden(
        "这次登录已经过期、已经用过，或者不是在这个浏览器里开始的。请点“重新进入”再来一次",
        code="entry_state",
    )


def arrive(db: Database, client: WeCom, returned: Returned, code: str, browser: Mapping[str, Any]) -> Arrival:
    """Ask WeCom who has come back with a code, and let them in; `browser` is what a login notes of it.

    No transaction is open while WeCom is asked. Raises Forbidden for outsiders, members outside the application's
    visible scope, people whom we don't know or who are disabled; Unauthenticated for a code that WeCom doesn't take;
    Unavailable where WeCom is away.
    """
    if not code:
        raise Forbidden("您没有同意授权，或企业微信没有给出登录凭证。请点“重新进入”再来一次", code="entry_declined")
    with unavailable():
        entrant = client.who(code)
        if not entrant.userid:
            refuse(
                "entry_outsider",
                "您不是本院的企业微信成员。请切换到本院的企业微信再打开；如果您是本院职工，请联系信息科把您加入企业微信",
            )
        if not client.visible(entrant.userid):
            refuse(
                "entry_scope",
                "企业微信里的“批阅”还没有对您开放。请联系信息科，把您或您的科室加入这个应用的可见范围",
            )
        asks = client.settings.verify_joining and entrant.user_ticket
        mobile = client.detail(entrant.user_ticket).mobile if asks and entrant.user_ticket else ""
    with db.unit_of_work() as session:
        return _admit(session, client.settings, db.part(Codes), returned, entrant.userid, mobile, browser)


def _admit(
    session: Session,
    settings: WeComSettings,
    codes: Codes | None,
    returned: Returned,
    userid: str,
    mobile: str,
    browser: Mapping[str, Any],
) -> Arrival:
    account = accounts.account_of(session, userid)
    person = _person(session, settings, account, userid)
    if person is not None and person.disabled_at is not None:
        refuse("entry_disabled", "您的职工账号已停用。如果您仍在岗，请联系人事科或信息科恢复")
    by = "staff_number" if account is None else "account"
    if account is not None and account.by_hand and person is not None and codes is not None and contacts(codes, person):
        proven = False  # whoever linked it isn't who enters
    elif account is None or account.vanished_at is None:
        proven = not settings.verify_joining or (account is not None and account.joined_at is not None)
    else:  # a userid that was given up may be given to somebody else
        proven = False
    if person is not None and not proven and mobile and same_mobile(mobile, person.mobile):
        by, proven = "mobile", True
    if person is not None and proven:
        return let_in(session, person, userid, by, returned.target, browser)
    if codes is None or not codes.ways:
        refuse(
            "entry_unknown",
            "批阅里没有与您的企业微信账号对应的职工，或者还没有核实。请联系信息科，把您的企业微信账号与工号对应起来",
        )
    session.execute(
        update(WeComEntry)
        .where(WeComEntry.state_hash == returned.state_hash)
        .values(userid=userid, person_id=None if person is None else person.id, expires_at=clock.now() + JOINING_LASTS)
        .execution_options(synchronize_session=False)
    )
    return Arrival(returned.target, None, differs=person is not None and bool(mobile))


def _person(session: Session, settings: WeComSettings, account: WeComAccount | None, userid: str) -> Person | None:
    if account is not None:
        return session.get_one(Person, account.person_id)
    return accounts.same_number(session, userid) if settings.match == "staff_number" else None


def let_in(session: Session, person: Person, userid: str, by: str, target: str, browser: Mapping[str, Any]) -> Arrival:
    """Open a session for a person whom WeCom names; an account that is made or joined by it rests on `by`.

    Raises Conflict where the member is another person by now.
    """
    account = accounts.account_of(session, userid)
    known = account is not None and account.joined_at is not None and account.vanished_at is None
    if account is None or not known or account.person_id != person.id:
        accounts.open_account(session, person, userid, by)
    return Arrival(target, auth.login_by(session, person.id, {"wecom": userid}, **browser))


def refuse(code: str, message: str) -> NoReturn:
    """Raise Forbidden, with a line in the log that names nobody."""
    log.info("entry refused: code=%s", code)
    raise Forbidden(message, code=code)


def purge(db: Database) -> None:
    """Delete entries whose time is over, and codes that count for no limit any more."""
    now = clock.now()
    with db.unit_of_work() as session:
        session.execute(delete(WeComEntry).where(WeComEntry.expires_at < now - timedelta(hours=1)))
        session.execute(delete(WeComCode).where(WeComCode.sent_at < now - timedelta(days=1)))


def hashed(token: str) -> bytes:
    """Return what is stored of a state or a browser's token."""
    return hashlib.sha256(token.encode(errors="replace")).digest()
