"""Group chats of an app (群聊): its visible scope must be the whole corp (D 90245, 98913, 98914, 90248)."""

import re

from sandbox.codes import fresh
from sandbox.wecom.api import contents
from sandbox.wecom.api.endpoints import Ask, endpoint, messaging_agent
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import ROOT_DEPARTMENT, Agent, Chat, Json, Message
from sandbox.wecom.state import State

_LEAST, _MOST, _LONGEST_NAME = 2, 2000, 50
_CHAT_ID = re.compile(r"[0-9A-Za-z]{1,32}")


@endpoint("POST", "appchat/create")
def create(state: State, ask: Ask) -> Json:
    """Make a chat; without an owner the first member is it."""
    agent = _agent(ask)
    userids = [_userid(state, agent, userid) for userid in dict.fromkeys(ask.listed("userlist"))]
    if not _LEAST <= len(userids) <= _MOST:
        raise ApiError(86006, "a chat has 2 to 2000 members")
    owner = _userid(state, agent, ask.text("owner")) if ask.text("owner") else userids[0]
    if owner not in userids:
        raise ApiError(86207, "the owner is not a member of the chat")
    chatid = ask.text("chatid") or fresh(32)
    if not _CHAT_ID.fullmatch(chatid):
        raise ApiError(86001, "invalid chatid")
    if chatid in state.chats:
        raise ApiError(86215, "chatid exists")
    if not state.within("chats made", 1000, 86_400):
        raise ApiError(45009, "api freq out of limit")
    state.chats[chatid] = Chat(chatid, agent.agentid, ask.text("name")[:_LONGEST_NAME], owner, userids)
    state.touch()
    return {"chatid": chatid}


@endpoint("GET", "appchat/get")
def get(state: State, ask: Ask) -> Json:
    """Return a chat."""
    chat = _chat(state, ask, ask.query.get("chatid", ""))
    known = {"chatid": chat.chatid, "name": chat.name, "owner": chat.owner, "userlist": chat.userids, "chat_type": 0}
    return {"chat_info": known}


@endpoint("POST", "appchat/update")
def update(state: State, ask: Ask) -> Json:
    """Change a chat's name, owner or members."""
    chat = _chat(state, ask, ask.text("chatid"))
    agent = ask.agent
    gone = {userid.lower() for userid in ask.listed("del_user_list")}
    userids = [userid for userid in chat.userids if userid.lower() not in gone]
    userids += [_userid(state, agent, u) for u in ask.listed("add_user_list")]
    userids = list(dict.fromkeys(userids))
    if not _LEAST <= len(userids) <= _MOST:
        raise ApiError(86006, "a chat has 2 to 2000 members")
    owner = _userid(state, agent, ask.text("owner")) if ask.text("owner") else chat.owner
    if owner not in userids:
        raise ApiError(86207, "the owner is not a member of the chat")
    if not state.within("chats changed", 1000, 3600):
        raise ApiError(45009, "api freq out of limit")
    chat.name, chat.owner, chat.userids = (ask.text("name") or chat.name)[:_LONGEST_NAME], owner, userids
    state.touch()
    return {}


@endpoint("POST", "appchat/send", counted=False)
def send(state: State, ask: Ask) -> Json:
    """Send a message into a chat: every type except template cards."""
    chat = _chat(state, ask, ask.text("chatid"))
    body = contents.check(state, ask.body, group=True)
    if not (
        state.within("chat messages", 20_000, 60, len(chat.userids))
        and state.within("chat messages", 300_000, 3600, len(chat.userids))
    ):
        raise ApiError(45009, "api freq out of limit")
    message = Message(fresh(64), chat.agentid, body["msgtype"], body, state.now(), chatid=chat.chatid)
    state.messages[message.msgid] = message
    chat.messages.append(message)
    for userid in chat.userids:
        if state.within((userid.lower(), "in chats"), 200, 60) and state.member(userid):
            state.give(message, userid)
        else:
            message.dropped.add(userid.lower())
    state.touch()
    return {"_people": len(chat.userids)}


def _agent(ask: Ask) -> Agent:
    agent = messaging_agent(ask)
    if ROOT_DEPARTMENT not in agent.parties:
        raise ApiError(60011, "only an app that the whole corp sees")
    return agent


def _chat(state: State, ask: Ask, chatid: str) -> Chat:
    agent = _agent(ask)
    if not chatid:
        raise ApiError(86201, "missing chatid")
    chat = state.chats.get(chatid)
    if chat is None:
        raise ApiError(86003, "chatid not found")
    if chat.agentid != agent.agentid:
        raise ApiError(86008, "the chat is another app's")
    return chat


def _userid(state: State, agent: Agent, userid: str) -> str:
    member = state.member(userid)
    if member is None or not state.visible(agent, userid):
        raise ApiError(86216, "invalid member of the chat")
    return member.userid
