"""What WeCom calls us with: believed only when it is signed, new and ours, then kept and left to the worker.

WeCom waits 5 s for an answer and calls three more times without one, so nothing is done here but to write two rows.
Source: WeCom documents 90930 (回调配置), 90240 (事件格式), 90970 (通讯录变更), 90967 (模板卡片事件).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from lxml import etree
from sqlalchemy import bindparam, text

from engine import clock, outbox, xml
from engine.connectors.wecom.client.crypto import Crypto, Forged
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Database, UTCDateTime
from engine.errors import Invalid

WINDOW = 300
"""Seconds by which a call's timestamp may differ from our clock."""
CLICKS = frozenset({"template_card_event", "template_card_menu_event"})
CONTACTS = frozenset({"change_contact", "batch_job_result"})
_OF_CLICK = ("TaskId", "EventKey", "ResponseCode")
_NOBODY = "sys"  # FromUserName of events that no member has caused

_INSERT = text(
    "INSERT INTO wecom_callback (signature, event_key, event, body, received_at, result) "
    "VALUES (:signature, :event_key, :event, :body, :received_at, '') ON CONFLICT DO NOTHING RETURNING id"
).bindparams(bindparam("received_at", type_=UTCDateTime()))

# Clicks run our own commands: they must not wait for calls of WeCom, nor where its channel is paused or down. Contacts
# are asked for again, so their changes are the channel's.
outbox.declare("callback", "event")
outbox.declare("wecom", "callback")


@dataclass(frozen=True, slots=True)
class Call:
    """The query of a call: `signature` is msg_signature, `timestamp` seconds since 1970 as text."""

    signature: str
    timestamp: str
    nonce: str


def echo(settings: WeComSettings, call: Call, echostr: str) -> str:
    """Return what WeCom wants to read when an administrator saves our address; raises Forged.

    An event that somebody has seen on its way and asks for in this manner is not told.
    """
    said = _opened(settings, call, echostr)
    if said.lstrip().startswith("<"):
        raise Forged("echo")
    return said


def receive(db: Database, settings: WeComSettings, call: Call, content: bytes) -> bool:
    """Keep a call and enqueue its handling, in one transaction; return False for one that is kept already.

    Two calls are one event by the rules of `event_key`. Raises Forged.
    """
    encrypted = _field(_parsed(content), "Encrypt")
    body = _parsed(_opened(settings, call, encrypted))
    event = event_of(body)
    with db.unit_of_work() as session:
        kept = session.execute(
            _INSERT,
            {
                "signature": call.signature,
                "event_key": event_key(body),
                "event": event,
                "body": orjson.dumps(body).decode(),
                "received_at": clock.now(),
            },
        ).scalar()
        if kept is not None:
            system, topic = ("wecom", "callback") if event in CONTACTS else ("callback", "event")
            outbox.enqueue(session, system, _shard(event, body), topic, {"id": kept})
    return kept is not None


def event_of(body: Mapping[str, Any]) -> str:
    """Return the event in lower case, or the type of a message that a member has written; at most 40 characters."""
    kind = _field(body, "MsgType").lower()
    return (_field(body, "Event").lower() if kind == "event" else kind)[:40]


def event_key(body: Mapping[str, Any]) -> str:
    """Return a digest that is equal for calls about one event.

    MsgId where there is one; otherwise who and when and what, with the task, the key and the code of a click; and
    everything that is said where no member is its cause (a change of contacts).
    """
    sender = _field(body, "FromUserName").lower()
    if message := _field(body, "MsgId"):
        parts: object = ["message", message]
    elif sender in ("", _NOBODY) or event_of(body) in CONTACTS:
        parts = ["all", body]
    else:
        parts = [
            "event",
            sender,
            _field(body, "CreateTime"),
            event_of(body),
            *(_field(body, name) for name in _OF_CLICK),
        ]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def selected(body: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return what was chosen on a card: the ids of options by question. One is told as a dict, several as a list."""
    found = {}
    for item in _several(body.get("SelectedItems"), "SelectedItem"):
        if isinstance(item, dict):
            options = _several(item.get("OptionIds"), "OptionId")
            found[_field(item, "QuestionKey")] = tuple(option for option in options if isinstance(option, str))
    return found


def _opened(settings: WeComSettings, call: Call, encrypted: str) -> str:
    crypto = Crypto(settings)
    crypto.verify(call.signature, call.timestamp, call.nonce, encrypted)
    if not (call.timestamp.isascii() and call.timestamp.isdecimal()):
        raise Forged("timestamp")
    if abs(int(call.timestamp[:20]) - clock.now().timestamp()) > WINDOW:
        raise Forged("late")
    return crypto.decrypt(encrypted)


def _parsed(content: bytes | str) -> dict[str, Any]:
    try:
        found = _plain(xml.parse(content, "企业微信回调"))
    except Invalid:
        raise Forged("xml") from None
    if not isinstance(found, dict):
        raise Forged("xml")
    return found


def _plain(element: etree._Element) -> Any:
    """Return an element as JSON has it: text, or its children by name; a name that comes again makes a list."""
    if not len(element):
        return element.text or ""
    found: dict[str, Any] = {}
    for child in element:
        name, value = str(child.tag), _plain(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def _field(body: Mapping[str, Any], name: str) -> str:
    found = body.get(name)
    return found if isinstance(found, str) else ""


def _several(parent: object, name: str) -> list[Any]:
    found = parent.get(name, []) if isinstance(parent, dict) else []
    return found if isinstance(found, list) else [found]


def _shard(event: str, body: Mapping[str, Any]) -> str:
    """What must stay in order: a member's clicks, the changes of contacts; all else by its event."""
    if event in CLICKS:
        return f"click:{_field(body, 'FromUserName').lower()}"[:80]
    return "contacts" if event in CONTACTS else f"event:{event}"
