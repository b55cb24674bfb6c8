"""What the desk page of a person shows, read from an OA's state: four lists, ours beside the OA's own."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from sandbox.oa.state import State
from sandbox.pages import CHINA, Face, moment

SHOWN = 200  # rows of a list, the newest; a real page would have further ones
FOUND = 30  # people
_URGENCIES = ("普通", "平急", "加急", "特急")
_APPROVE = (("approve", "同意"), ("reject", "不同意"))
_READ = (("", "已阅"),)


@dataclass(frozen=True, slots=True)
class Skin:
    """How an OA looks: an invented name, and whose interface it stands in for."""

    oa: str
    name: str
    about: str
    quick: bool = False


SKINS = {
    skin.oa: skin
    for skin in (
        Skin("landray", "青澜办公", "蓝凌 EKP"),
        Skin("weaver", "经纬协同", "泛微 e-cology"),
        Skin("seeyon", "同远协作", "致远 A8"),
        Skin("plain", "旧公文系统", "通用 HTTP", quick=True),
    )
}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a list; `id` tells it from all others of the page, `address` is where a click leads."""

    id: str
    title: str
    address: str
    urgency: int
    workflow: str
    node: str
    sender: str
    received: str
    moment: str
    own: bool
    unread: bool
    buttons: tuple[tuple[str, str], ...] = ()

    @property
    def urgency_label(self) -> str:
        """The urgency in words."""
        return _URGENCIES[self.urgency]

    @property
    def source(self) -> str:
        """Whose item it is."""
        return "本系统" if self.own else "批阅"


@dataclass(slots=True)
class Listing:
    """One of the lists."""

    name: str
    label: str
    empty: str
    quick: bool = False
    rows: list[Line] = field(default_factory=list)
    total: int = 0


def lists(state: State, skin: Skin, account: str, opened: Iterable[str]) -> list[Listing]:
    """Return a person's lists, the newest rows first; `opened` are the ids of rows that they have looked at."""
    found = {
        "todo": Listing("todo", "待办", "没有待办，都办完了", quick=skin.quick),
        "read": Listing("read", "待阅", "没有要阅的", quick=skin.quick),
        "done": Listing("done", "已办", "还没有办过什么"),
        "finished": Listing("finished", "办结", "还没有办结的"),
    }
    seen, times = set(opened), Counter[str]()
    rows = [*getattr(state, skin.oa).rows(account)]
    for row in sorted(rows, key=lambda row: row.received_at, reverse=True):
        times[row.key] += 1
        listing = found[row.state]
        listing.total += 1
        if len(listing.rows) < SHOWN:
            listing.rows.append(_line(skin, row, times[row.key], seen, state.now()))
    return list(found.values())


def _line(skin: Skin, row: Any, time: int, seen: set[str], now: float) -> Line:
    id_ = row.key if time == 1 else f"{row.key}.{time}"  # shown twice, as it is in this OA
    page = "/desk/own" if row.own else "/desk/jump"
    address = f"{page}?{urlencode({'oa': skin.oa, 'as': row.account, 'key': row.key})}"
    waits = row.state in ("todo", "read")
    return Line(
        id=id_,
        title=row.title,
        address=address if row.own or is_web(row.link) else "",
        urgency=min(max(row.urgency, 0), len(_URGENCIES) - 1),
        workflow=row.workflow,
        node=row.node,
        sender=row.sender,
        received=datetime.fromtimestamp(row.received_at, CHINA).isoformat(timespec="seconds"),
        moment=moment(row.received_at, now),
        own=row.own,
        unread=waits and row.unread and row.key not in seen,
        buttons=(_READ if row.state == "read" else _APPROVE) if waits and skin.quick and not row.own else (),
    )


def is_web(link: str) -> bool:
    """Return whether an address may be opened."""
    parts = urlsplit(link)
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def face(person: Any) -> Face:
    """Return how a person is shown."""
    return Face(person.number, person.name, person.label or person.department, "", [person.department])


def cast(state: State) -> list[Face]:
    """Return the people of the demo's story; elsewhere the first few."""
    people = list(state.people.values())
    return [face(person) for person in [p for p in people if p.label] or people[:12]]


def find(state: State, words: str) -> list[Face]:
    """Return the people in whose name, number or department every word is; without words the cast."""
    wanted = words.lower().split()
    if not wanted:
        return cast(state)
    people = map(face, state.people.values())
    found = [p for p in people if all(w in f"{p.userid} {p.name} {p.label} {p.departments[0]}".lower() for w in wanted)]
    return sorted(found, key=lambda p: (not p.name.lower().startswith(wanted[0]), p.userid))[:FOUND]
