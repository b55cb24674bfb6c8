"""Everything the stand-in knows, in memory, under one lock. Whoever reads or changes it holds `state.lock`."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.clocked import Clocked
from sandbox.codes import fresh
from sandbox.wecom import clicks, constants
from sandbox.wecom.records import (
    LEFT,
    ROOT_DEPARTMENT,
    Agent,
    Call,
    Chat,
    Copy,
    Department,
    Event,
    Fault,
    Json,
    Limits,
    Media,
    Member,
    Message,
    OAuthCode,
    ResponseCode,
    Tag,
    Token,
)


class State(Clocked):
    """The corp (企业): people, apps, messages. `version` grows with every change that a page could show."""

    def __init__(self, departments: Iterable[Department] = (), members: Iterable[Member] = ()) -> None:
        super().__init__()
        self._staff = ([*departments] or [Department(ROOT_DEPARTMENT, constants.CORP_NAME, 0)], [*members])
        self.agents: dict[int, Agent] = {}
        self.reset()

    def reset(self) -> None:
        """Begin anew: the people given at the start, two apps, the contact synchronisation, nothing else.

        Where the apps take their messages and have their pages is kept: somebody is still there.
        """
        with self.lock:
            before = self.agents
            departments, members = self._staff
            self.offset = 0.0
            self.limits = Limits()
            self.callback_offset: float | None = None  # of the clock that callbacks are signed by; None: this one's
            self.seen: dict[str, tuple[float, str]] = {}  # for enable_duplicate_check: until, msgid, by digest
            self.departments = {d.id: Department(**vars(d)) for d in departments}
            self.members = {m.key: Member(**vars(m)) for m in members}
            self.tags: dict[int, Tag] = {}
            self.agents = {agent.agentid: agent for agent in _agents()}
            for agentid in before.keys() & self.agents.keys():
                self.agents[agentid].callback = before[agentid].callback
                self.agents[agentid].home_url = before[agentid].home_url
            self.messages: dict[str, Message] = {}
            self.inboxes: dict[str, list[Copy]] = defaultdict(list)  # by member key, the oldest first
            self.codes: dict[str, ResponseCode] = {}
            self.task_ids: set[tuple[int, str]] = set()
            self.tokens: dict[str, Token] = {}
            self.oauth_codes: dict[str, OAuthCode] = {}
            self.user_tickets: dict[str, tuple[str, float]] = {}  # userid, until
            self.js_tickets: dict[str, tuple[str, float]] = {}  # by "corp" or agent id: ticket, until
            self.media: dict[str, Media] = {}
            self.chats: dict[str, Chat] = {}
            self.workbench: dict[tuple[int, str], dict[str, Any]] = {}  # by app and member key
            self.events: list[Event] = []
            self.faults: list[Fault] = []
            self.calls: deque[Call] = deque(maxlen=200_000)
            self.times: dict[Any, deque[float]] = defaultdict(deque)  # of rate limits, by whatever is limited
            self.touch()

    # People

    def member(self, userid: str) -> Member | None:
        """Return a member who hasn't left; case doesn't matter."""
        found = self.members.get(userid.lower())
        return None if found is None or found.status == LEFT else found

    def below(self, department: int) -> Iterator[int]:
        """Return a department and all below it."""
        yield department
        for child in list(self.departments.values()):
            if child.parentid == department:
                yield from self.below(child.id)

    def above(self, department: int) -> Iterator[int]:
        """Return a department and those above it, up to the root."""
        found = self.departments.get(department)
        while found is not None:
            yield found.id
            found = self.departments.get(found.parentid)

    def members_of(self, department: int, deep: bool = False) -> list[Member]:
        """Return the members of a department, with those of all below it where `deep`, in their order."""
        wanted = set(self.below(department)) if deep else {department}
        found = [m for m in self.members.values() if m.status != LEFT and wanted.intersection(m.departments)]
        return sorted(found, key=lambda m: (-m.order, m.userid))

    def tagged(self, tagid: int) -> set[str]:
        """Return the keys of the members with a tag, those of its departments included."""
        tag = self.tags.get(tagid)
        if tag is None:
            return set()
        return {*tag.users, *(m.key for party in tag.parties for m in self.members_of(party, deep=True))}

    def visible(self, agent: Agent, userid: str) -> bool:
        """Return whether a member can see an app: by name, by a department or one above it, or by a tag."""
        member = self.member(userid)
        if member is None:
            return False
        if ROOT_DEPARTMENT in agent.parties or agent.contacts or member.key in agent.users:
            return True
        above = {party for department in member.departments for party in self.above(department)}
        return not agent.parties.isdisjoint(above) or any(member.key in self.tagged(tag) for tag in agent.tags)

    def sees(self, agent: Agent, department: int) -> bool:
        """Return whether an app can see a department."""
        return agent.contacts or not agent.parties.isdisjoint(self.above(department))

    # Rates

    def within(self, what: Any, most: int, seconds: float, count: int = 1) -> bool:
        """Count something that may happen `most` times in so many seconds; return whether it may now."""
        times, now = self.times[(what, seconds)], self.now()
        while times and times[0] <= now - seconds:
            times.popleft()
        if len(times) + count > most:
            return False
        times.extend([now] * count)
        return True

    # Messages

    def copy(self, userid: str, msgid: str) -> Copy | None:
        """Return a member's copy of a message."""
        message = self.messages.get(msgid)
        return None if message is None else message.copies.get(userid.lower())

    def inbox(self, userid: str, agentid: int | None = None) -> list[Copy]:
        """Return what a member got from apps and in chats, the oldest first; recalled messages are still there."""
        return [c for c in self.inboxes[userid.lower()] if agentid is None or c.message.agentid == agentid]

    def give(self, message: Message, userid: str) -> Copy:
        """Put a message into a member's chat."""
        card = message.content if message.msgtype == "template_card" else None
        copy = Copy(message, userid, self.now(), dict(card) if card is not None else None)
        message.copies[userid.lower()] = copy
        self.inboxes[userid.lower()].append(copy)
        return copy

    def show(self, copy: Copy, *, card: Json | None = None, replaced: str = "") -> None:
        """Bring a member's card to what the app says: a new card, or a text in place of its buttons."""
        if card is not None:
            copy.card = dict(card)
        copy.replaced = replaced or (copy.card or {}).get("replace_text", "")
        copy.busy = copy.problem = ""
        copy.updated_at = self.now()
        self.touch()

    def click(self, userid: str, msgid: str, key: str, selected: clicks.Selected | None = None) -> Event:
        """Press a button of a member's card, see `clicks.click`."""
        return clicks.click(self, userid, msgid, key, selected)

    def new_code(self, message: Message) -> str:
        """Return a fresh response_code for a card."""
        code = fresh(43)
        self.codes[code] = ResponseCode(code, message, self.now())
        return code


def _agents() -> list[Agent]:
    return [
        Agent(constants.CONTACTS_ID, "通讯录同步", constants.CONTACTS_SECRET, contacts=True),
        Agent(constants.AGENT_ID, constants.AGENT_NAME, constants.AGENT_SECRET),
        Agent(constants.OTHER_AGENT_ID, constants.OTHER_AGENT_NAME, constants.OTHER_AGENT_SECRET),
    ]
