"""The sender of callbacks (D 90930): encrypted, signed, 5 s for an answer, three more tries on anything but 200."""

import http.client
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import urlencode

from sandbox.codes import fresh
from sandbox.wecom import constants, crypto, wire
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import Agent, Callback, Copy, Event, Json

if TYPE_CHECKING:
    from sandbox.wecom.state import State

Forgery = Literal["signature", "token", "key", "corp", "late", "early", "garbage", "doctype"]
_CHECK_SECONDS = 1.0
_SENDERS = ThreadPoolExecutor(16, "wecom-callback")


def configure(state: "State", agentid: int, callback: Callback | None, *, check: bool = True) -> None:
    """Say where an app takes its messages, as its console does: only where it answers a GET with the decrypted echostr.

    Raises ApiError 40057 where it doesn't within a second.
    """
    if callback is not None and check:
        told = fresh(20)
        encrypted = crypto.encrypt(callback.aes_key, told.encode(), constants.CORP_ID)
        query = {**_signed(state, callback, encrypted), "echostr": encrypted}
        try:
            status, answer = wire.ask("GET", _address(callback, query), b"", _CHECK_SECONDS)
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(40057, f"callback url: {type(error).__name__}") from error
        if status != 200 or answer != told.encode():
            raise ApiError(40057, f"callback url answers {status} and not the echostr")
    with state.lock:
        state.agents[agentid].callback = callback
        state.touch()


def post(state: "State", agentid: int, fields: Mapping[str, Any], copy: Copy | None = None) -> Event | None:
    """Send an event to an app in the background; None where the app takes no messages.

    `fields` are those of the event; ToUserName, CreateTime, MsgType and AgentID are added. `copy` is the card that was
    pressed, to which a passive reply goes.
    """
    with state.lock:
        agent = state.agents[agentid]
        if agent.callback is None:
            return None
        event = Event(len(state.events) + 1, agentid, _complete(state, agent, fields), state.now())
        state.events.append(event)
        callback = agent.callback
    _SENDERS.submit(_deliver, state, event, callback, copy)
    return event


def repeat(state: "State", event: Event) -> int:
    """Send an event again, freshly encrypted, as after an answer that was lost; return the status."""
    url, body = _prepare(state, _callback(state, event), event)
    return wire.ask("POST", url, body, state.limits.callback_seconds)[0]


def replay(state: "State", event: Event) -> int:
    """Send the very bytes of an event again, as somebody who overheard them would; return the status."""
    if event.sent is None:
        raise ApiError(40058, "the event hasn't been sent yet")
    return wire.ask("POST", *event.sent, state.limits.callback_seconds)[0]


def forge(state: "State", agentid: int, fields: Mapping[str, Any], kind: Forgery) -> int:
    """Send something that an app must refuse; return the status.

    `signature`: a wrong one; `token`: signed by another token; `key`: another EncodingAESKey; `corp`: for another corp;
    `late`, `early`: signed ten minutes ago, or in ten minutes; `garbage`: not base64; `doctype`: an entity in the XML.
    """
    agent = state.agents[agentid]
    if agent.callback is None:
        raise ApiError(43012, "callback url required")
    if kind not in get_args(Forgery):
        raise ApiError(40058, f"no such forgery: {kind}")
    true, false = agent.callback, Callback(agent.callback.url, fresh(16), fresh(43)[:42] + "A")
    text = wire.xml(_complete(state, agent, fields))
    if kind == "doctype":
        text = b'<!DOCTYPE xml [<!ENTITY a "approve">]>' + text.replace(b"</xml>", b"<Extra>&a;</Extra></xml>")
    receiver = "ww0000000000000000" if kind == "corp" else constants.CORP_ID
    encrypted = crypto.encrypt((false if kind == "key" else true).aes_key, text, receiver)
    if kind == "garbage":
        encrypted = "x" * 41
    skew = {"late": -600.0, "early": 600.0}.get(kind, 0.0)
    query = _signed(state, false if kind == "token" else true, encrypted, skew)
    if kind == "signature":
        query["msg_signature"] = "0" * 40
    return wire.ask("POST", _address(true, query), _envelope(agent, encrypted), state.limits.callback_seconds)[0]


def _complete(state: "State", agent: Agent, fields: Mapping[str, Any]) -> Json:
    ours: Json = {"ToUserName": constants.CORP_ID, "FromUserName": "sys", "CreateTime": int(state.now())}
    ours |= {"MsgType": "event", **fields}
    return ours if agent.contacts else {**ours, "AgentID": agent.agentid}


def _deliver(state: "State", event: Event, callback: Callback, copy: Copy | None) -> None:
    time.sleep(state.limits.callback_delay)
    for attempt in range(state.limits.callback_tries):
        if attempt:
            time.sleep(state.limits.callback_pause)
        url, body = _prepare(state, callback, event)
        event.sent = (url, body)
        try:
            status, answer = wire.ask("POST", url, body, state.limits.callback_seconds)
        except TimeoutError:
            event.attempts.append("timeout")
            continue
        except (OSError, http.client.HTTPException) as error:
            event.attempts.append(type(error).__name__)
            continue
        event.attempts.append(str(status))
        if status == 200:
            event.delivered = True
            if copy is not None and answer:
                event.reply = _replied(state, callback, answer, copy)
            break
    if copy is not None and not event.delivered:
        with state.lock:
            copy.busy, copy.problem = "", "应用没有响应，请稍后再试"
            state.touch()
    event.done.set()


def _replied(state: "State", callback: Callback, answer: bytes, copy: Copy) -> str:
    """Obey a passive reply, which speaks for the member who pressed only; return what it was."""
    try:
        outer = wire.parsed(answer)
        told = crypto.signature(callback.token, outer["TimeStamp"], outer["Nonce"], outer["Encrypt"])
        text, receiver = crypto.decrypt(callback.aes_key, outer["Encrypt"])
        inner = wire.parsed(text)
        name = inner["Button"]["ReplaceName"] if inner.get("MsgType") == "update_button" else ""
    except (ValueError, KeyError, TypeError, crypto.Undecipherable):
        return "unreadable"
    if told != outer.get("MsgSignature") or receiver != constants.CORP_ID:
        return "not signed by the app"
    if not name:
        return f"ignored: {inner.get('MsgType')}"
    with state.lock:
        state.show(copy, replaced=name)
    return "update_button"


def _prepare(state: "State", callback: Callback, event: Event) -> tuple[str, bytes]:
    encrypted = crypto.encrypt(callback.aes_key, wire.xml(event.fields), constants.CORP_ID)
    query = _signed(state, callback, encrypted)
    return _address(callback, query), _envelope(state.agents[event.agentid], encrypted)


def _signed(state: "State", callback: Callback, encrypted: str, skew: float = 0.0) -> dict[str, str]:
    offset = state.offset if state.callback_offset is None else state.callback_offset
    timestamp, nonce = str(int(time.time() + offset + skew)), fresh(10)
    signature = crypto.signature(callback.token, timestamp, nonce, encrypted)
    return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce}


def _address(callback: Callback, query: Mapping[str, str]) -> str:
    return f"{callback.url}{'&' if '?' in callback.url else '?'}{urlencode(query)}"


def _envelope(agent: Agent, encrypted: str) -> bytes:
    agentid = "" if agent.contacts else str(agent.agentid)
    return wire.xml({"ToUserName": constants.CORP_ID, "AgentID": agentid, "Encrypt": encrypted})


def _callback(state: "State", event: Event) -> Callback:
    callback = state.agents[event.agentid].callback
    if callback is None:
        raise ApiError(43012, "callback url required")
    return callback


def summary(event: Event) -> Json:
    """Return what the control API tells of an event."""
    fields = json.loads(json.dumps(event.fields))
    known = {"id": event.id, "agentid": event.agentid, "fields": fields, "attempts": list(event.attempts)}
    return {**known, "delivered": event.delivered, "done": event.done.is_set(), "reply": event.reply}
