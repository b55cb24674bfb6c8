"""What a member's phone shows, read from the state: the app's chat, group chats, the workbench, who is who."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.pages import CHINA, Face, moment
from sandbox.wecom import constants
from sandbox.wecom.phone_webview import home
from sandbox.wecom.records import Copy, Member
from sandbox.wecom.state import State

MAIN = f"app-{constants.AGENT_ID}"  # the conversation that the phone opens with
SHOWN = 80  # messages of a chat, the newest; a phone would load older ones on scrolling
FOUND = 30  # people
_QUIET = 300  # seconds after which a chat says the time again
_SUMMARIES = {"image": "[图片]", "file": "[文件]", "voice": "[语音]", "video": "[视频]", "news": "[图文]"}


@dataclass(frozen=True, slots=True)
class CardState:
    """What a member did with a card; `selected` are option ids by question."""

    id: str
    busy: str
    replaced: str
    problem: str
    selected: dict[str, list[str]]

    @property
    def locked(self) -> bool:
        """Whether nothing can be chosen any more."""
        return bool(self.busy or self.replaced)


@dataclass(frozen=True, slots=True)
class Shown:
    """A message in a chat; `moment` is a line with the time above it, where some time passed since the last one."""

    id: str
    kind: str
    content: dict[str, Any]
    state: CardState
    sent: str
    moment: str
    sender: str
    recalled: bool

    @property
    def letter(self) -> str:
        """The sender's first character, for the avatar."""
        return self.sender[:1]


@dataclass(frozen=True, slots=True)
class Room:
    """A group chat as a member sees it."""

    id: str
    name: str
    people: int
    last: str
    moment: str
    unread: int
    messages: list[Shown]


@dataclass(frozen=True, slots=True)
class Tile:
    """An app on the workbench with its key figures: `key`, `data`, `jump_url`."""

    name: str
    home: str
    templated: bool
    figures: list[dict[str, Any]]

    @property
    def letter(self) -> str:
        """The name's first character, for the icon."""
        return self.name[:1]


def face(state: State, member: Member) -> Face:
    """Return how a member is shown."""
    names = [state.departments[d].name for d in member.departments if d in state.departments]
    label = member.label or " · ".join(filter(None, [*names[:1], member.position]))
    return Face(member.userid, member.name, label, member.position, names)


def story(state: State) -> list[Member]:
    """Return whose phones are shown where nobody is asked for: who applies for leave in the demo, and who agrees."""
    found = [state.member(userid) for userid in constants.PHONES]
    return [member for member in found if member is not None] or list(state.members.values())[:1]


def cast(state: State) -> list[Face]:
    """Return the people of the demo's story; in another corp, the first few members."""
    story = [member for member in state.members.values() if member.label]
    return [face(state, member) for member in story or list(state.members.values())[:12]]


def find(state: State, words: str) -> list[Face]:
    """Return the members in whose name, userid, position or department every word is; without words the cast."""
    wanted = words.lower().split()
    if not wanted:
        return cast(state)
    found: list[Face] = []
    for member in list(state.members.values()):
        known = state.member(member.userid)
        if known is not None:
            person = face(state, known)
            text = " ".join([person.userid, person.name, person.label, person.position, *person.departments]).lower()
            if all(word in text for word in wanted):
                found.append(person)
    found.sort(key=lambda person: (not person.name.lower().startswith(wanted[0]), person.userid))
    return found[:FOUND]


def chat(state: State, userid: str) -> list[Shown]:
    """Return what the main app sent to a member alone, the oldest first."""
    return list(_shown(state, _talks(state, userid).get(MAIN, [])))


def rooms(state: State, userid: str) -> list[Room]:
    """Return the other conversations: group chats that a member is in and other apps, the liveliest first."""
    talks = _talks(state, userid)
    named = {
        group.chatid: (group.name, len(group.userids))
        for group in state.chats.values()
        if userid.lower() in (one.lower() for one in group.userids)
    }
    named |= {_app(a.agentid): (a.name, 0) for a in state.agents.values() if talks.get(_app(a.agentid))}
    named.pop(MAIN, None)
    found: list[tuple[float, Room]] = []
    for talk, (name, people) in named.items():
        copies = talks.get(talk, [])
        shown = list(_shown(state, copies))
        at = copies[-1].at if copies else 0.0
        last, said = "还没有消息", ""
        if shown:
            newest = shown[-1]
            recalled = f"{newest.sender} 撤回了一条消息" if newest.recalled else ""
            last, said = recalled or summary(newest.kind, newest.content), moment(at, state.now())
        unseen = sum(not copy.read for copy in copies)
        found.append((at, Room(talk, name, people, last, said, unseen, shown)))
    return [room for _, room in sorted(found, key=lambda pair: -pair[0])]


def workbench(state: State, userid: str) -> list[Tile]:
    """Return the apps that a member can see."""
    found: list[Tile] = []
    for agent in state.agents.values():
        if not agent.contacts and state.visible(agent, userid):
            template = _figures(agent.template)
            own = _figures(state.workbench.get((agent.agentid, userid.lower())))
            found.append(Tile(agent.name, home(agent), agent.template is not None, own or template))
    return found


def unread(state: State, userid: str) -> dict[str, int]:
    """Return how many messages a member hasn't seen: `chat` in the main app's, `groups` in the other conversations."""
    copies = [copy for copy in state.inbox(userid) if not copy.read]
    chats = sum(_talk(copy) == MAIN for copy in copies)
    return {"chat": chats, "groups": len(copies) - chats}


def read(state: State, userid: str, talk: str = "") -> None:
    """Mark what stands in a conversation as seen; without one the main app's."""
    new = [copy for copy in state.inbox(userid) if _talk(copy) == (talk or MAIN) and not copy.read]
    for copy in new:
        copy.read = True
    if new:
        state.touch()


def summary(kind: str, content: dict[str, Any]) -> str:
    """Return a message in one line, as a list of chats says it."""
    text = content.get("title") or content.get("content") or (content.get("main_title") or {}).get("title")
    return _SUMMARIES.get(kind) or str(text or "[消息]").replace("\n", " ")


def _app(agentid: int) -> str:
    return f"app-{agentid}"


def _talk(copy: Copy) -> str:
    return copy.message.chatid or _app(copy.message.agentid)


def _talks(state: State, userid: str) -> dict[str, list[Copy]]:
    found: dict[str, list[Copy]] = defaultdict(list)
    for copy in state.inbox(userid):
        found[_talk(copy)].append(copy)
    return found


def _shown(state: State, copies: Iterable[Copy]) -> Iterator[Shown]:
    now, last = state.now(), 0.0
    for copy in list(copies)[-SHOWN:]:
        message = copy.message
        agent = state.agents.get(message.agentid)
        yield Shown(
            id=message.msgid,
            kind=message.msgtype,
            content=copy.card if copy.card is not None else message.content,
            state=CardState(message.msgid, copy.busy, copy.replaced, copy.problem, copy.selected),
            sent=datetime.fromtimestamp(copy.at, CHINA).isoformat(timespec="seconds"),
            moment=moment(copy.at, now) if copy.at - last >= _QUIET else "",
            sender=agent.name if agent is not None else str(message.agentid),
            recalled=message.recalled,
        )
        last = copy.at


def _figures(data: dict[str, Any] | None) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = ((data or {}).get("keydata") or {}).get("items") or []
    return items
