"""What WeCom's contacts say and our rows don't (通讯录差异): computed from values alone, before anything is written.

`matching.compare` fills a `Plan`; `contacts` shows or applies it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import orjson

from engine.connectors.wecom.client.answers import Department, Member
from engine.org import staff_writing
from engine.org.staff_writing import Change, Wanted

LEFT = frozenset({2, 5})
"""The states of a member who is barred (已禁用) or has left (已退出); document 90196."""
SPARED = 3
"""So few may vanish at once, however small the hospital is."""
SHARE = 10
"""Percent of the people with an account that may vanish at once; more must be confirmed."""


@dataclass(frozen=True)
class Snapshot:
    """What WeCom has answered.

    `there` are the userids of all members in lower case, None where only some were asked for; `gone` those of whom it
    is known that they are none; `renamed` new userids by old ones in lower case. Without `departments` none were asked
    for.
    """

    departments: tuple[Department, ...] = ()
    members: tuple[Member, ...] = ()
    there: frozenset[str] | None = None
    gone: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def left(self) -> frozenset[str]:
        """The userids, in lower case, of those who can't enter any more."""
        return self.gone | {m.userid.lower() for m in self.members if m.status in LEFT}

    def present(self, key: str) -> bool:
        """Whether a userid in lower case may be a member's."""
        return key not in self.left and (self.there is None or key in self.there)


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account as it is stored."""

    number: str
    userid: str
    vanished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What we have: the organisation, accounts by userid in lower case, codes of departments by WeCom's ids.

    `officers` are the staff numbers of those who hold a system role: a person decides about them, nothing else does.
    """

    org: Wanted
    accounts: Mapping[str, Account]
    departments: Mapping[int, str]
    officers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Link:
    """What becomes of an account: `verb` is link, rename, vanish or back; `old` is the userid before."""

    verb: str
    userid: str
    number: str
    name: str
    old: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """What an administrator must decide: what it is about, and why with the cure."""

    about: str
    message: str


@dataclass
class Plan:
    """The difference: what is wanted of the organisation, of accounts, of the departments' map; and what is unclear."""

    org: Wanted
    now: datetime
    links: list[Link] = field(default_factory=list)
    departments: dict[int, str] = field(default_factory=dict)  # newly mapped
    unmapped: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lead: bool = False  # whether WeCom leads: otherwise departments and people are told only, not written
    unseen: int = 0  # members outside of the application's visible scope: nothing is known of them
    live: int = 0  # accounts before

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """What differs of departments and people."""
        return tuple(staff_writing.changes(self.org))

    @property
    def vanishing(self) -> int:
        """How many vanish."""
        return sum(link.verb == "vanish" for link in self.links)

    @property
    def allowed(self) -> int:
        """How many may vanish without a confirmation."""
        return max(SPARED, self.live * SHARE // 100)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        differs = self.links or self.departments or self.unmapped
        return not (differs or (self.lead and self.changes))

    @cached_property
    def digest(self) -> str:
        """A text that is equal for equal plans: what was looked at is what is applied."""
        parts = [self.changes, self.links, sorted(self.departments.items()), self.unmapped]
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:16]


VERBS = {"create": "新增", "update": "变更", "disable": "停用", "enable": "恢复"}
LINKS = {"link": "关联账号", "rename": "账号改名", "vanish": "离开企业微信", "back": "回到企业微信"}


def told(plan: Plan) -> Iterator[str]:
    """Yield the whole difference in lines, for the command line."""
    for change in plan.changes:
        what = "部门" if change.kind == "department" else "人员"
        fields = "；".join(f"{name}：{old or '空'} → {new or '空'}" for name, old, new in change.fields)
        written = "" if plan.lead else "（不写入）"
        yield f"{VERBS[change.verb]}{what} {change.name}（{change.code}）{written}{f'：{fields}' if fields else ''}"
    for link in plan.links:
        was = f"{link.old} → " if link.old else ""
        yield f"{LINKS[link.verb]} {was}{link.userid}：{link.name}（{link.number}）"
    for problem in plan.problems:
        yield f"待决定 {problem.about}：{problem.message}"
    if plan.unseen:
        yield f"有 {plan.unseen} 位成员不在应用的可见范围里，没有比较"
