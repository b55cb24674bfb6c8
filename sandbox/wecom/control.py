"""The commands of the control API, see `sandbox.control`; more of them are in `control_people`."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any

from starlette.routing import BaseRoute

from sandbox.wecom import callbacks, clicks, constants, control_people, oauth
from sandbox.wecom.control_commands import command
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import Agent, Callback, Copy, Event, Fault, Json
from sandbox.wecom.state import State

__all__ = ["control_people", "routes"]  # importing it registers its commands


def routes(state: State) -> Sequence[BaseRoute]:
    """Return the route of all commands."""
    return [command.route(state, ApiError, clicks.ClickRefused, HTTPException)]


@command
def reset(state: State) -> None:
    """Forget everything except the people."""
    state.reset()


@command
def advance(state: State, seconds: float) -> Json:
    """Move the clock on."""
    state.advance(seconds)
    return {"now": state.now()}


@command
def sign_by_real_clock(state: State, offset: float | None = 0.0) -> None:
    """Sign callbacks by the real time plus an offset; without an offset by the stand-in's own clock again."""
    state.callback_offset = offset


@command
def messages(state: State, userid: str, agentid: int | None = None) -> list[Json]:
    """Return what a member sees in the chats, the oldest first."""
    with state.lock:
        return [_shown(copy) for copy in state.inbox(userid, agentid)]


@command
def click(
    state: State,
    userid: str,
    msgid: str,
    key: str,
    selected: dict[str, list[str]] | None = None,
    wait: float = 0.0,
) -> Json:
    """Press a button of a member's card; wait so many seconds at most until the app has answered for good."""
    return _waited(state.click(userid, msgid, key, selected), wait)


@command
def choose_from_menu(state: State, userid: str, msgid: str, key: str, wait: float = 0.0) -> Json:
    """Choose from the menu of a card."""
    return _waited(clicks.choose_from_menu(state, userid, msgid, key), wait)


@command
def press(state: State, userid: str, msgid: str, text: str = "") -> Json:
    """Press a message itself, or what bears that text on it; return the page that opens."""
    return {"url": clicks.press(state, userid, msgid, text)}


@command
def enter(state: State, userid: str, agentid: int) -> None:
    """Open an app's chat."""
    clicks.enter(state, userid, agentid)


@command
def code(state: State, who: str, scope: str = "snsapi_base", agentid: int | None = None) -> Json:
    """Return a login code as the login pages give it; "*" is an outsider."""
    with state.lock:
        return {"code": oauth.new_code(state, who, scope=scope, agentid=agentid)}


@command
def fault(state: State, endpoint: str, **what: Any) -> None:
    """Let an endpoint fail the next times, see `records.Fault`; where several are set the first comes first."""
    with state.lock:
        state.faults.append(Fault(endpoint, **what))


@command
def clear_faults(state: State) -> None:
    """Let nothing fail any more."""
    with state.lock:
        state.faults.clear()


@command
def limits(state: State, **changes: Any) -> Json:
    """Change limits, see `records.Limits`; return them all."""
    with state.lock:
        state.limits = dataclasses.replace(state.limits, **changes)
        return dataclasses.asdict(state.limits)


@command
def callback(
    state: State,
    agentid: int,
    url: str = "",
    token: str = constants.CALLBACK_TOKEN,
    aes_key: str = constants.CALLBACK_AES_KEY,
    check: bool = True,
) -> None:
    """Say where an app takes its messages; without a url nowhere. 0 is the contact synchronisation."""
    callbacks.configure(state, agentid, Callback(url, token, aes_key) if url else None, check=check)


@command
def add_agent(state: State, agentid: int, name: str, secret: str) -> None:
    """Make another app, which the whole corp sees."""
    with state.lock:
        state.agents[agentid] = Agent(agentid, name, secret)


@command
def revoke_tokens(state: State, agentid: int) -> None:
    """Make the tokens of an app invalid before their time."""
    with state.lock:
        state.tokens = {t.token: t for t in state.tokens.values() if t.agentid != agentid}


@command
def send_event(state: State, agentid: int, fields: Json, wait: float = 0.0) -> Json:
    """Send any event to an app, such as batch_job_result or open_approval_change."""
    event = callbacks.post(state, agentid, fields)
    if event is None:
        raise ApiError(43012, "callback url required")
    return _waited(event, wait)


@command
def events(state: State) -> list[Json]:
    """Return the callbacks so far, with their attempts."""
    with state.lock:
        return [callbacks.summary(event) for event in state.events]


@command
def repeat(state: State, event: int) -> Json:
    """Send an event again, freshly encrypted."""
    return {"status": callbacks.repeat(state, state.events[event - 1])}


@command
def replay(state: State, event: int) -> Json:
    """Send the bytes of an event again."""
    return {"status": callbacks.replay(state, state.events[event - 1])}


@command
def forge(state: State, agentid: int, kind: callbacks.Forgery, fields: Json) -> Json:
    """Send a callback that an app must refuse, see `callbacks.forge`; return the status."""
    return {"status": callbacks.forge(state, agentid, fields, kind)}


@command
def statistics(state: State, since: float = 0.0) -> Json:
    """Return the calls since a moment (real time): how many of each endpoint and code, and all of them in order."""
    with state.lock:
        calls = [c for c in state.calls if c.at >= since]
    counted = Counter(f"{c.endpoint} {c.errcode}" for c in calls)
    endpoints = Counter(c.endpoint for c in calls)
    return {"endpoints": endpoints, "codes": counted, "calls": [dataclasses.astuple(c) for c in calls]}


@command
def workbench(state: State, userid: str, agentid: int) -> Json:
    """Return what an app shows a member on the workbench: the member's own data, or the template's."""
    with state.lock:
        own = state.workbench.get((agentid, userid.lower()))
        return own or state.agents[agentid].template or {"type": "normal"}


def _shown(copy: Copy) -> Json:
    message = copy.message
    return {
        "msgid": message.msgid,
        "agentid": message.agentid,
        "chatid": message.chatid,
        "msgtype": message.msgtype,
        "content": message.content,
        "task_id": message.task_id,
        "at": copy.at,
        "recalled": message.recalled,
        "card": copy.card,
        "busy": copy.busy,
        "clicked": copy.clicked,
        "selected": copy.selected,
        "replaced": copy.replaced,
        "problem": copy.problem,
        "read": copy.read,
        "updated_at": copy.updated_at,
    }


def _waited(event: Event, seconds: float) -> Json:
    if seconds:
        event.done.wait(seconds)
    return callbacks.summary(event)
