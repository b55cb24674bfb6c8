"""WeCom's server API as the connector uses it; whatever goes wrong is a `WeComError` that says whose turn it is.

Source: WeCom developer documents, by the numbers named at `apis`. Nothing else in the project knows wechatpy.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from engine import clock
from engine.connectors.tokens import Flights, InProcess, Tokens
from engine.connectors.wecom.client import errors, js
from engine.connectors.wecom.client.answers import (
    App,
    Chat,
    Department,
    Detail,
    Entrant,
    JsConfig,
    KeyData,
    Member,
    Sent,
    Tag,
    Tagged,
)
from engine.connectors.wecom.client.visibility import Visibility
from engine.connectors.wecom.client.wire import Wire
from engine.connectors.wecom.settings import WeComSettings

MOST = 1000
"""Members whom one send or one change of a card may name."""
TWICE_WITHIN = 1800
"""Seconds in which WeCom leaves out a message that is the same for the same members: a send may be repeated."""
WORKBENCH = (KeyData("待办", "0"), KeyData("待阅", "0"), KeyData("我发起", "0"), KeyData("逾期", "0"))
_PAGE = 10_000  # member ids

T = TypeVar("T")
MediaKind = Literal["image", "voice", "video", "file"]


class WeCom:
    """One application (自建应用) of one corp. Safe to share between threads; connections are reused.

    `tokens` keeps access tokens and tickets (default: in this process); `take` is called before each call and waits
    for its place under the limit of calls. Every method raises WeComError: Later, Refused or Misconfigured; and what
    `take` raises.
    """

    def __init__(
        self, settings: WeComSettings, *, tokens: Tokens | None = None, take: Callable[[], object] = lambda: None
    ) -> None:
        self.settings = settings
        flights = Flights(tokens or InProcess())
        self._app = Wire(settings, "app", settings.secret, flights, take)
        self._contacts = self._app
        if settings.contacts_secret.get_secret_value():
            self._contacts = Wire(settings, "contacts", settings.contacts_secret, flights, take)
        self._details = self._contacts
        app = self._app  # the visible scope is what its own secret sees
        self.visible: Callable[[str], bool] = Visibility(
            self.app,
            lambda tag_id: self._tagged(app, tag_id),
            lambda: self._departments(app),
            lambda userid: self._member(app, userid),
        )

    # Messages

    def send(self, userids: Sequence[str], message: Mapping[str, Any]) -> Sent:
        """Send a message, as document 90236 describes it, to at most 1,000 members.

        An equal message to the same members within half an hour is left out by WeCom, unless `message` sets
        `enable_duplicate_check` or `duplicate_check_interval` (seconds, at most 4 h). Some who can't be reached are
        named in the answer; if it is all, NoRecipient is raised. A task_id that was used before: Duplicate.
        """
        whole = {"enable_duplicate_check": 1, "duplicate_check_interval": TWICE_WITHIN, **message}
        answer = self._app.message.send(self.settings.agent_id, _members(userids), msg=whole)
        with _understood("message/send"):
            invalid = _userids(answer.get("invaliduser")) | _userids(answer.get("unlicenseduser"))
            return Sent(str(answer["msgid"]), answer.get("response_code") or None, invalid)

    def update_card(self, response_code: str, userids: Sequence[str], card: Mapping[str, Any]) -> frozenset[str]:
        """Show those members another card in place of the one that the code was given for; the code is used up by it.

        Returns those who can't be reached, in lower case. Raises CodeSpent for a code that was used or is over 72 h
        old.
        """
        return self._change(response_code, userids, template_card=dict(card))

    def replace_button(self, response_code: str, userids: Sequence[str], name: str) -> frozenset[str]:
        """Put one button that says `name` and does nothing in place of all; otherwise as `update_card`."""
        return self._change(response_code, userids, button={"replace_name": name})

    def recall(self, msgid: str) -> None:
        """Take a message of the last 24 h back."""
        self._app.message.recall(msgid)

    # People

    def departments(self) -> list[Department]:
        """Return the departments that the contacts secret, or else the application, may see."""
        return self._known(self._departments)

    def members(self, department_id: int) -> list[Member]:
        """Return the members of one department, not of those below it."""

        def ask(wire: Wire) -> list[Member]:
            with _understood("user/list"):
                return [Member.read(found) for found in wire.user.list(department_id)]

        return self._known(ask)

    def member(self, userid: str) -> Member:
        """Return a member; raises Unknown where there is none, or none whom we may see."""
        return self._known(lambda wire: self._member(wire, userid))

    def member_ids(self) -> list[tuple[str, int]]:
        """Return all pairs of a member's id and a department's; needs the contacts secret (通讯录同步)."""
        if self._contacts is self._app:
            raise errors.Misconfigured("没有填写通讯录同步的 Secret，请设置 PIYUE_WECOM_CONTACTS_SECRET 后重启")
        found: list[tuple[str, int]] = []
        cursor, seen = "", set()
        with _understood("user/list_id"):
            while cursor not in seen:
                seen.add(cursor)
                answer = self._contacts.user.list_id(cursor, _PAGE)
                found += [(str(pair["userid"]), int(pair["department"])) for pair in answer["dept_user"]]
                cursor = answer.get("next_cursor") or ""
        return found

    def tags(self) -> list[Tag]:
        """Return the tags."""

        def ask(wire: Wire) -> list[Tag]:
            with _understood("tag/list"):
                return [Tag(int(found["tagid"]), str(found["tagname"])) for found in wire.tag.list()]

        return self._known(ask)

    def tagged(self, tag_id: int) -> Tagged:
        """Return who has a tag."""
        return self._known(lambda wire: self._tagged(wire, tag_id))

    # Entry

    def who(self, code: str) -> Entrant:
        """Return who has come in with a code (once, within 5 minutes); raises EntryExpired. See `visible`."""
        answer = self._app.oauth.who(code)
        with _understood("auth/getuserinfo"):
            userid, openid = answer.get("userid") or None, answer.get("openid") or None
            if not (userid or openid):
                raise ValueError
            return Entrant(userid, openid, answer.get("user_ticket") or None)

    def detail(self, user_ticket: str) -> Detail:
        """Return what a member tells about themselves; raises EntryExpired."""
        answer = self._app.oauth.detail(user_ticket)
        with _understood("auth/getuserdetail"):
            given = {name: str(answer.get(name) or "") for name in ("mobile", "email", "biz_mail")}
            return Detail(str(answer["userid"]), **given)

    def app(self) -> App:
        """Return the application and its visible scope, as it is now; `visible` answers for one member."""
        answer = self._app.agent.get(self.settings.agent_id)
        with _understood("agent/get"):
            return App.read(answer)

    def js_config(self, url: str) -> JsConfig:
        """Let the page at `url` use the JS-SDK as the corp's (`ww.register`: getConfigSignature)."""
        return self._sign(url, self._app.ticket("corp", self._app.tickets.corp), None)

    def agent_js_config(self, url: str) -> JsConfig:
        """Let the page at `url` use the JS-SDK as the application's (`ww.register`: getAgentConfigSignature)."""
        return self._sign(url, self._app.ticket("agent", self._app.tickets.agent), self.settings.agent_id)

    # Workbench, groups, files

    def workbench_template(self, items: Sequence[KeyData] = WORKBENCH) -> None:
        """Show the application as key data on the workbench: these, 1 to 4, where a member has none of their own."""
        self._app.agent.workbench_template(self.settings.agent_id, [item.as_sent() for item in items])

    def workbench(self, userid: str, items: Sequence[KeyData]) -> None:
        """Show a member these key data, at most 4; WeCom takes 10 a minute for each member."""
        self._app.agent.workbench(self.settings.agent_id, userid, [item.as_sent() for item in items])

    def create_chat(self, name: str, owner: str, userids: Sequence[str], chatid: str) -> str:
        """Make a group chat of 2 to 500 members, the owner among them, and return its id (letters and digits, 32)."""
        answer = self._app.appchat.create(chat_id=chatid, name=name, owner=owner, user_list=_members(userids))
        with _understood("appchat/create"):
            return str(answer["chatid"])

    def add_to_chat(self, chatid: str, userids: Sequence[str]) -> None:
        """Add members to a group chat; raises Unknown where there is none."""
        self._app.appchat.update(chat_id=chatid, add_user_list=_members(userids))

    def send_chat(self, chatid: str, message: Mapping[str, Any]) -> None:
        """Send a message to a group chat, as document 90248 describes it: no template cards."""
        self._app.appchat.send_raw(chatid, message)

    def chat(self, chatid: str) -> Chat:
        """Return a group chat; raises Unknown where there is none."""
        with _understood("appchat/get"):
            found = self._app.appchat.get(chatid)
            return Chat(str(found["chatid"]), str(found["name"]), str(found["owner"]), tuple(found["userlist"]))

    def upload(self, kind: MediaKind, filename: str, content: bytes) -> str:
        """Upload a file for 3 days and return its media_id. It isn't repeated by itself: the caller is told Later."""
        answer = self._app.media.upload_bytes(kind, filename, content)
        with _understood("media/upload"):
            return str(answer["media_id"])

    def download(self, media_id: str) -> bytes:
        """Return the content of a file; raises Unknown where there is none (any more)."""
        content: bytes = self._app.media.download(media_id)
        return content

    def api_addresses(self) -> frozenset[str]:
        """Return the addresses that a firewall must let us reach."""
        with _understood("get_api_domain_ip"):
            return frozenset(self._app.misc.api_addresses())

    def callback_addresses(self) -> frozenset[str]:
        """Return the addresses from which WeCom calls us."""
        with _understood("getcallbackip"):
            return frozenset(self._app.misc.get_wechat_ips())

    def _change(self, response_code: str, userids: Sequence[str], **change: Any) -> frozenset[str]:
        members = _members(userids)
        answer = self._app.message.update_template_card(self.settings.agent_id, response_code, members, **change)
        with _understood("message/update_template_card"):
            return _userids(answer.get("invaliduser"))

    def _departments(self, wire: Wire) -> list[Department]:
        with _understood("department/list"):
            return [Department.read(found) for found in wire.department.get()]

    def _tagged(self, wire: Wire, tag_id: int) -> Tagged:
        answer = wire.tag.get_users(tag_id)
        with _understood("tag/get"):
            userids = frozenset(str(found["userid"]) for found in answer["userlist"])
            return Tagged(userids, frozenset(map(int, answer["partylist"])))

    def _member(self, wire: Wire, userid: str) -> Member:
        with _understood("user/get"):
            return Member.read(wire.user.get(userid))

    def _known(self, ask: Callable[[Wire], T]) -> T:
        """Ask with the contacts secret; where it reads ids only, as those made since 2022, with the application's."""
        if self._details is not self._app:
            try:
                return ask(self._details)
            except errors.Barred:
                self._details = self._app
        return ask(self._app)

    def _sign(self, url: str, ticket: str, agent_id: int | None) -> JsConfig:
        timestamp, nonce = int(clock.now().timestamp()), secrets.token_urlsafe(12)
        signature = js.signature(ticket, nonce, timestamp, url)
        return JsConfig(self.settings.corp_id, agent_id, timestamp, nonce, signature)


@contextmanager
def _understood(endpoint: str) -> Iterator[None]:
    """An answer without what its document promises is one to ask for again."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError):
        raise errors.unreadable(endpoint) from None


def _members(userids: Sequence[str]) -> list[str]:
    """Return ids that name members one by one: `@all` and `a|b` would reach people whom nobody meant."""
    if not 1 <= len(userids) <= MOST or any(
        not userid or userid.startswith("@") or "|" in userid for userid in userids
    ):
        raise ValueError(f"1 to {MOST} member ids")
    return list(userids)


def _userids(found: str | Sequence[str] | None) -> frozenset[str]:
    """Return ids that came as a list or joined, in lower case."""
    several = found.split("|") if isinstance(found, str) else found or ()
    return frozenset(userid.lower() for userid in several if userid)
