"""What the desk page of a person shows, read from an OA's state: four lists, ours beside the OA's own."""

from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from sandbox.oa import constants
from sandbox.oa.records import OAName, Person, Row
from sandbox.oa.state import State
from sandbox.pages import Face, moment

SHOWN = 200  # rows of a list, the newest; a real page would have further ones
FOUND = 30  # people
_URGENCIES = ("普通", "平急", "加急", "特急")
_APPROVE = (("approve", "同意"), ("reject", "不同意"))
_READ = (("", "已阅"),)


@dataclass(frozen=True, slots=True)
class Skin:
    """How an OA looks: an invented name, and whose interface it stands in for.

    `flows`: other systems tell it the process and the step of an item, so that its lists have columns for them.
    """

    oa: OAName
    name: str
    about: str
    flows: bool = False
    quick: bool = False


SKINS: dict[str, Skin] = {
    skin.oa: skin
    for skin in (
        Skin("landray", "青澜办公", "蓝凌 EKP"),
        Skin("weaver", "经纬协同", "泛微 e-cology", flows=True),
        Skin("seeyon", "同远协作", "致远 A8"),
        Skin("plain", "旧公文系统", "通用 HTTP", flows=True, quick=True),
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
        return "本系统" if self.own else constants.SYSTEM


@dataclass(slots=True)
class Listing:
    """One of the lists."""

    name: str
    label: str
    empty: str
    flows: bool
    quick: bool = False
    rows: list[Line] = field(default_factory=list)
    total: int = 0


def lists(state: State, skin: Skin, account: str) -> list[Listing]:
    """Return a person's lists, the newest rows first."""
    found = {
        "todo": Listing("todo", "待办", "没有待办，都办完了", skin.flows, quick=skin.quick),
        "read": Listing("read", "待阅", "没有要阅的", skin.flows, quick=skin.quick),
        "done": Listing("done", "已办", "还没有办过什么", skin.flows),
        "finished": Listing("finished", "办结", "还没有办结的", skin.flows),
    }
    for row in sorted(state.oas[skin.oa].of(account), key=lambda row: (row.received_at, row.id), reverse=True):
        listing = found[row.state]
        listing.total += 1
        if len(listing.rows) < SHOWN:
            listing.rows.append(_line(skin, row, state.now()))
    return list(found.values())


def _line(skin: Skin, row: Row, now: float) -> Line:
    quick = skin.quick and row.open and not row.own
    return Line(
        id=row.id,
        title=row.title,
        address=f"/desk/jump?{urlencode({'oa': skin.oa, 'as': row.account, 'id': row.id})}",
        urgency=min(max(row.urgency, 0), len(_URGENCIES) - 1),
        workflow=row.workflow,
        node=row.node,
        sender=row.sender,
        received=row.received_at.isoformat(timespec="seconds"),
        moment=moment(row.received_at.timestamp(), now),
        own=row.own,
        unread=row.open and row.unread,
        buttons=() if not quick else _READ if row.state == "read" else _APPROVE,
    )


def home(oa: str, account: str) -> str:
    """Return the address of a person's desk."""
    return f"/desk?{urlencode({'oa': oa, 'as': account})}"


def is_web(link: str) -> bool:
    """Return whether an address may be opened."""
    parts = urlsplit(link)
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def face(person: Person) -> Face:
    """Return how a person is shown."""
    return Face(person.number, person.name, person.label or person.number, "", [person.department])


def cast(state: State) -> list[Person]:
    """Return the people of the demo's story; elsewhere the first few."""
    people = list(state.people.values())
    return [person for person in people if person.label] or people[:12]


def find(state: State, words: str) -> list[Person]:
    """Return the people in whose name, number or department every word is; without words the cast."""
    wanted = words.lower().split()
    if not wanted:
        return cast(state)

    def known(p: Person) -> bool:
        text = f"{p.number} {p.name} {p.label} {p.department}".lower()
        return all(word in text for word in wanted)

    found = [person for person in state.people.values() if known(person)]
    return sorted(found, key=lambda p: (not p.name.lower().startswith(wanted[0]), p.number))[:FOUND]
