"""Messages of an app: send, update a card, recall (D 90236, 94888, 94867)."""

import hashlib
import json
from collections.abc import Sized
from typing import Any

from sandbox.codes import fresh
from sandbox.wecom import cards
from sandbox.wecom.api import contents
from sandbox.wecom.api.endpoints import Ask, endpoint, lowered, messaging_agent, own_agent
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import (
    ACTIVE,
    CARD_SECONDS,
    RECALL_SECONDS,
    UNACTIVATED,
    Agent,
    Copy,
    Json,
    Member,
    Message,
)
from sandbox.wecom.state import State

_MOST_USERS, _MOST_PARTIES = 1000, 100
_LONGEST_CHECK = 4 * 3600  # seconds


@endpoint("POST", "message/send", counted=False)
def send(state: State, ask: Ask) -> Json:
    """Send a message; those who can't see the app are named in the answer, and it is an error where nobody can."""
    agent = own_agent(ask, ask.body.get("agentid"))
    members, invalid = _recipients(state, agent, ask.body)
    body = contents.check(state, ask.body)
    card = body["template_card"] if body["msgtype"] == "template_card" else None
    if card is not None:
        if (agent.agentid, card.get("task_id")) in state.task_ids:
            raise ApiError(42014, "task_id exists")
        if (cards.calls_back(card) or card.get("action_menu")) and agent.callback is None:
            raise ApiError(43012, "callback url required")
    if not members:
        raise ApiError(81013, "user & department & tag all invalid")
    again = _sent_before(state, agent, ask.body)
    if again:
        return {**invalid, "msgid": again}
    most = state.limits.people_day * max(len(state.members), 1)
    if not state.within((agent.agentid, "people"), most, 86_400, len(members)):
        raise ApiError(45009, "api freq out of limit")
    message = Message(fresh(64), agent.agentid, body["msgtype"], body, state.now())
    state.messages[message.msgid] = message
    for member in members:
        _deliver(state, message, member)
    _remember(state, agent, ask.body, message.msgid)
    answer: Json = {**invalid, "msgid": message.msgid, "_people": len(members)}
    if card is not None:
        message.task_id = card.get("task_id", "")
        if message.task_id:
            state.task_ids.add((agent.agentid, message.task_id))
        if cards.updatable(card):
            answer["response_code"] = state.new_code(message)
    state.touch()
    return answer


@endpoint("POST", "message/update_template_card")
def update_template_card(state: State, ask: Ask) -> Json:
    """Change a card for some or all who got it, with a response_code that works once for 72 h."""
    agent = own_agent(ask, ask.body.get("agentid"))
    code = state.codes.get(ask.text("response_code"))
    if code is None or code.used or code.at + CARD_SECONDS <= state.now():
        raise ApiError(60140, "invalid response_code")
    if code.message.agentid != agent.agentid:
        raise ApiError(42015, "agent doesn't match the message")
    copies, invalid = _updated(state, code.message, ask)
    button, card = ask.body.get("button"), ask.body.get("template_card")
    if card is not None:
        card = cards.check({"task_id": code.message.task_id, **card} if isinstance(card, dict) else card)
        if cards.calls_back(card) and agent.callback is None:
            raise ApiError(43012, "callback url required")
    elif not isinstance(button, dict) or not isinstance(button.get("replace_name"), str) or not button["replace_name"]:
        raise ApiError(42020, "missing replace_name")
    elif code.message.content["card_type"] not in cards.INTERACTIONS:
        raise ApiError(42031, "a notice has no button to replace")
    code.used = True
    for copy in copies:
        state.show(copy, card=card, replaced="" if button is None or card is not None else button["replace_name"])
    state.touch()
    return {"invaliduser": sorted(invalid)} if invalid else {}


@endpoint("POST", "message/recall")
def recall(state: State, ask: Ask) -> Json:
    """Take a message of the last 24 h back."""
    agent = messaging_agent(ask)
    message = state.messages.get(ask.text("msgid"))
    if message is None or message.agentid != agent.agentid or message.chatid:
        raise ApiError(40058, "invalid msgid")
    if message.at + RECALL_SECONDS <= state.now():
        raise ApiError(42052, "msgid expired")
    message.recalled = True
    state.touch()
    return {}


def _within_limits(users: Sized, parties: Sized, tags: Sized) -> None:
    if len(users) > _MOST_USERS:
        raise ApiError(40032, "too many users")
    if len(parties) > _MOST_PARTIES:
        raise ApiError(82002, "too many departments")
    if len(tags) > _MOST_PARTIES:
        raise ApiError(82003, "too many tags")


def _recipients(state: State, agent: Agent, body: Json) -> tuple[list[Member], Json]:
    """Return the members that are meant and can see the app, and what else was named, as the answer tells it."""
    users = _named(body.get("touser"))
    if users == ["@all"]:
        return [m for m in state.members.values() if _reachable(state, agent, m)], {}
    parties, tags = _named(body.get("toparty")), _named(body.get("totag"))
    _within_limits(users, parties, tags)
    if not (users or parties or tags):
        raise ApiError(81012, "missing user, department and tag")
    found: dict[str, Member] = {}
    wrong: dict[str, list[str]] = {"invaliduser": [], "invalidparty": [], "invalidtag": []}
    for userid in users:
        member = state.member(userid)
        if member is not None and _reachable(state, agent, member):
            found[member.key] = member
        else:
            wrong["invaliduser"].append(userid)
    for party in parties:
        if party.isdigit() and state.sees(agent, int(party)):
            found |= {m.key: m for m in state.members_of(int(party), deep=True) if _reachable(state, agent, m)}
        else:
            wrong["invalidparty"].append(party)
    for tag in tags:
        if tag.isdigit() and int(tag) in state.tags:
            tagged = (state.members[key] for key in state.tagged(int(tag)))
            found |= {m.key: m for m in tagged if _reachable(state, agent, m)}
        else:
            wrong["invalidtag"].append(tag)
    return list(found.values()), {name: lowered(names) for name, names in wrong.items() if names}


def _named(value: Any) -> list[str]:
    if value in (None, ""):
        return []
    if not isinstance(value, str | int):
        raise ApiError(40058, "recipients must be joined by |")
    return [name for name in str(value).split("|") if name]


def _reachable(state: State, agent: Agent, member: Member) -> bool:
    return member.status in (ACTIVE, UNACTIVATED) and state.visible(agent, member.userid)


def _deliver(state: State, message: Message, member: Member) -> None:
    """Put a message into a member's chat, unless the member has had too many: then it's lost, and nobody is told."""
    who, limits = (message.agentid, member.key), state.limits
    if state.within(who, limits.member_minute, 60) and state.within(who, limits.member_hour, 3600):
        state.give(message, member.userid)
    else:
        message.dropped.add(member.key)


def _digest(agent: Agent, body: Json) -> str:
    return hashlib.sha256(json.dumps([agent.agentid, body], sort_keys=True).encode()).hexdigest()


def _sent_before(state: State, agent: Agent, body: Json) -> str:
    """Return the msgid of the same message within its interval, where the app asked for that check."""
    if not body.get("enable_duplicate_check"):
        return ""
    interval = body.get("duplicate_check_interval", 1800)
    if not isinstance(interval, int) or not 0 < interval <= _LONGEST_CHECK:
        raise ApiError(40058, "invalid duplicate_check_interval")
    until, msgid = state.seen.get(_digest(agent, body), (0.0, ""))
    return msgid if until > state.now() else ""


def _remember(state: State, agent: Agent, body: Json, msgid: str) -> None:
    if body.get("enable_duplicate_check"):
        until = state.now() + body.get("duplicate_check_interval", 1800)
        state.seen[_digest(agent, body)] = (until, msgid)


def _updated(state: State, message: Message, ask: Ask) -> tuple[list[Copy], set[str]]:
    """Return the copies that an update is about, and the keys of those named who have none."""
    if ask.body.get("atall"):
        return list(message.copies.values()), set()
    users, parties, tags = ask.listed("userids"), ask.listed("partyids", int), ask.listed("tagids", int)
    _within_limits(users, parties, tags)
    if not (users or parties or tags):
        raise ApiError(82101, "nobody to update")
    keys = {userid.lower() for userid in users}
    wanted = set(keys)
    for party in parties:
        wanted.update(m.key for m in state.members_of(party, deep=True))
    for tag in tags:
        wanted |= state.tagged(tag)
    return [c for key, c in message.copies.items() if key in wanted], keys - {*message.copies, *message.dropped}
