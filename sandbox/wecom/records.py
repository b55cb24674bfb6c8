"""What the stand-in keeps records of: members, apps, messages and their cards, codes, files, chats, faults, calls."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACTIVE, DISABLED, UNACTIVATED, LEFT = 1, 2, 4, 5  # of a member
ROOT_DEPARTMENT = 1
TOKEN_SECONDS = 7200
OAUTH_SECONDS = 300
TICKET_SECONDS = 1800  # of a user_ticket
CARD_SECONDS = 72 * 3600  # of a response_code
RECALL_SECONDS = 24 * 3600
MEDIA_SECONDS = 3 * 24 * 3600

Json = dict[str, Any]


@dataclass
class Department:
    """A department (部门); the root has the id 1 and the parent 0."""

    id: int
    name: str
    parentid: int
    order: int = 0
    leaders: list[str] = field(default_factory=list)


@dataclass
class Member:
    """A member (成员); case doesn't matter in a userid, but is kept."""

    userid: str
    name: str
    departments: list[int]
    main_department: int = 0
    position: str = ""
    mobile: str = ""
    email: str = ""
    alias: str = ""
    gender: str = "0"
    status: int = ACTIVE
    leads: list[int] = field(default_factory=list)  # those of `departments` that the member leads
    superiors: list[str] = field(default_factory=list)
    order: int = 0
    label: str = ""  # who it is in the demo's story; the phone offers those who have one

    def __post_init__(self) -> None:
        if not self.departments:
            raise ValueError("a member is in one department at least")
        self.main_department = self.main_department or self.departments[0]

    @property
    def key(self) -> str:
        """The userid as it is compared."""
        return self.userid.lower()


@dataclass
class Tag:
    """A tag (标签) on members and departments."""

    tagid: int
    name: str
    users: set[str] = field(default_factory=set)  # keys
    parties: set[int] = field(default_factory=set)


@dataclass
class Callback:
    """Where an app takes its messages (接收消息服务器配置)."""

    url: str
    token: str
    aes_key: str


@dataclass
class Agent:
    """An app (应用) with its secret; `contacts` is the contact synchronisation, which has a secret but no messages."""

    agentid: int
    name: str
    secret: str
    contacts: bool = False
    users: set[str] = field(default_factory=set)  # visible scope (可见范围): keys, departments, tags
    parties: set[int] = field(default_factory=lambda: {ROOT_DEPARTMENT})
    tags: set[int] = field(default_factory=set)
    callback: Callback | None = None
    domains: set[str] = field(default_factory=set)  # trusted for redirect_uri (可信域名), host or host:port; empty: any
    addresses: set[str] = field(default_factory=set)  # trusted callers (企业可信IP); empty: any
    sensitive: bool = False  # an app from before 2022: it still gets mobile, mail and avatar in user/get
    home_url: str = ""
    description: str = ""
    template: Json | None = None  # of the workbench
    menu: Json | None = None


@dataclass
class Message:
    """A message as an app sent it, with what each recipient sees of it (`copies`)."""

    msgid: str
    agentid: int
    msgtype: str
    body: Json  # the whole request, checked
    at: float
    task_id: str = ""
    chatid: str = ""
    recalled: bool = False
    copies: dict[str, "Copy"] = field(default_factory=dict)  # by member key
    dropped: set[str] = field(default_factory=set)  # keys of those it silently didn't reach

    @property
    def content(self) -> Json:
        """What is under the name of the type: `{"content": …}` of a text, the card of a template card."""
        content: Json = self.body[self.msgtype]
        return content


@dataclass
class Copy:
    """A message in one member's chat. `card` is what the card shows now, for template cards only.

    After a click `busy` holds the pressed key, and no button can be pressed until the app updates the card or answers.
    `replaced` is the text that stands in place of the buttons (replace_name). `selected` are option ids by question.
    """

    message: Message
    userid: str
    at: float
    card: Json | None = None
    busy: str = ""
    clicked: str = ""  # the key pressed last
    selected: dict[str, list[str]] = field(default_factory=dict)
    replaced: str = ""
    problem: str = ""  # why the last press came to nothing
    read: bool = False
    updated_at: float = 0.0


@dataclass
class ResponseCode:
    """What an app may update a card with: once, for 72 h."""

    code: str
    message: Message
    at: float
    used: bool = False


@dataclass
class Token:
    """An access_token of an app."""

    token: str
    agentid: int
    until: float


@dataclass
class OAuthCode:
    """A single-use code for getuserinfo; `userid` is empty for an outsider, who has an `openid`.

    `agentid` is the app that the login link named; without one any app may use the code.
    """

    code: str
    at: float
    userid: str = ""
    openid: str = ""
    scope: str = "snsapi_base"
    agentid: int | None = None
    used: bool = False


@dataclass
class Media:
    """An uploaded file (临时素材)."""

    media_id: str
    kind: str
    filename: str
    content_type: str
    content: bytes
    at: float


@dataclass
class Chat:
    """A group chat (群聊) that an app made."""

    chatid: str
    agentid: int
    name: str
    owner: str
    userids: list[str]
    messages: list[Message] = field(default_factory=list)


@dataclass
class Fault:
    """What goes wrong at an endpoint (a path below /cgi-bin/, or "*") the next `times` times.

    `latency` seconds pass first. Then, the first that is set: `reset` breaks the connection, `status` answers that HTTP
    status, `errcode` that error, all without any effect; `silent` lets the call have its effect and never answers
    (the connection closes after `silent` seconds).
    """

    endpoint: str
    times: int = 1
    latency: float = 0.0
    reset: bool = False
    status: int = 0
    errcode: int = 0
    errmsg: str = "injected"
    silent: float = 0.0


@dataclass
class Limits:
    """How often is too often (D 90312): counts per corp and endpoint unless it says otherwise."""

    api_minute: int = 10_000
    api_hour: int = 150_000
    address_minute: int = 20_000
    concurrent: int = 500  # calls of an endpoint at the same time
    member_minute: int = 30  # messages of an app to a member; more are dropped, and nobody is told
    member_hour: int = 1_000
    people_day: int = 200  # times the number of members: recipients a day, per app
    tickets_hour: int = 400  # of each kind, per corp
    tickets_agent_hour: int = 100
    workbench_minute: int = 10  # per app and member
    callback_delay: float = 0.0  # seconds before a callback is sent
    callback_seconds: float = 5.0  # for an app to answer a callback
    callback_tries: int = 4  # the first and three more
    callback_pause: float = 0.2  # seconds between them


@dataclass(frozen=True)
class Call:
    """A call of the server API, for statistics; times are real seconds (time.time), whatever the stand-in's clock."""

    endpoint: str
    at: float
    seconds: float
    agentid: int | None
    errcode: int
    people: int = 0  # recipients of a message


@dataclass
class Event:
    """A callback on its way to an app: the inner XML's fields, each attempt, and what came back."""

    id: int
    agentid: int
    fields: Mapping[str, Any]
    at: float
    attempts: list[str] = field(default_factory=list)  # "200", "500", "timeout", "refused …"
    delivered: bool = False
    reply: str = ""  # what came of a passive reply: "update_button", "ignored …"
    sent: tuple[str, bytes] | None = None  # the URL with its query and the body, to be replayed
    done: threading.Event = field(default_factory=threading.Event, repr=False)
