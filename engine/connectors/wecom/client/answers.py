"""What WeCom answers, as values: the only shapes in which its data leaves this package."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message on its way; `invalid` are those whom it can't reach, in lower case."""

    msgid: str
    response_code: str | None  # of a card that can be changed: works once, for 72 h
    invalid: frozenset[str]


@dataclass(frozen=True, slots=True)
class Department:
    """A department (部门); the root has the parent 0."""

    id: int
    name: str
    parent_id: int
    order: int  # larger comes first

    @classmethod
    def read(cls, raw: Raw) -> Self:
        """Read one of department/list (document 90208)."""
        return cls(int(raw["id"]), str(raw.get("name") or ""), int(raw["parentid"]), int(raw.get("order") or 0))


@dataclass(frozen=True, slots=True)
class Member:
    """A member (成员). An application made since 2022 sees no mobile and no mail: they are empty."""

    userid: str
    name: str
    departments: tuple[int, ...]
    main_department: int | None
    position: str
    mobile: str
    email: str
    alias: str
    status: int  # 1 active, 2 disabled, 4 not activated, 5 left
    leads: frozenset[int]  # of `departments`, those that this member leads
    orders: tuple[int, ...]  # within each of `departments`; larger comes first

    @classmethod
    def read(cls, raw: Raw) -> Self:
        """Read the answer of user/get, or one of user/list (documents 90196, 90201)."""
        departments = tuple(map(int, raw.get("department") or ()))
        leads = zip(departments, raw.get("is_leader_in_dept") or (), strict=False)
        texts = {name: str(raw.get(name) or "") for name in ("name", "position", "mobile", "email", "alias")}
        return cls(
            userid=str(raw["userid"]),
            departments=departments,
            main_department=int(raw["main_department"]) if raw.get("main_department") else None,
            status=int(raw.get("status") or 0),
            leads=frozenset(department for department, is_leader in leads if is_leader),
            orders=tuple(map(int, raw.get("order") or ())),
            **texts,
        )


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag (标签)."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Tagged:
    """Who has a tag."""

    userids: frozenset[str]
    departments: frozenset[int]


@dataclass(frozen=True, slots=True)
class Entrant:
    """Who has come in with a code: a member by `userid`, an outsider by `openid`. Not yet allowed anything."""

    userid: str | None
    openid: str | None
    user_ticket: str | None  # for `detail`, 30 minutes


@dataclass(frozen=True, slots=True)
class Detail:
    """What a member has agreed to tell about themselves; empty where they haven't."""

    userid: str
    mobile: str
    email: str
    biz_mail: str


@dataclass(frozen=True, slots=True)
class App:
    """The application (自建应用) and to whom it is visible; user ids in lower case."""

    name: str
    userids: frozenset[str]
    departments: frozenset[int]
    tags: frozenset[int]

    @classmethod
    def read(cls, raw: Raw) -> Self:
        """Read the answer of agent/get (document 90227)."""
        users = (raw.get("allow_userinfos") or {}).get("user") or ()
        return cls(
            str(raw.get("name") or ""),
            frozenset(str(found["userid"]).lower() for found in users),
            frozenset(map(int, (raw.get("allow_partys") or {}).get("partyid") or ())),
            frozenset(map(int, (raw.get("allow_tags") or {}).get("tagid") or ())),
        )


@dataclass(frozen=True, slots=True)
class KeyData:
    """One figure on the workbench (工作台关键数据), with the page that it opens."""

    key: str
    data: str
    url: str = ""

    def as_sent(self) -> dict[str, str]:
        """Return it as document 92535 wants it."""
        return {"key": self.key, "data": self.data} | ({"jump_url": self.url} if self.url else {})


@dataclass(frozen=True, slots=True)
class Chat:
    """A group chat that the application has made (应用群聊)."""

    id: str
    name: str
    owner: str
    userids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JsConfig:
    """A page's permission to use the JS-SDK; `agent_id` only where it is the application's."""

    corp_id: str
    agent_id: int | None
    timestamp: int
    nonce: str
    signature: str

    def for_sdk(self) -> Mapping[str, object]:
        """Return what `getConfigSignature` and `getAgentConfigSignature` of @wecom/jssdk answer."""
        return {"timestamp": self.timestamp, "nonceStr": self.nonce, "signature": self.signature}
