"""Callbacks: WeCom's own vector, its own library, what is refused, what is kept, what is one event."""

import base64
import json
import secrets
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import select

from engine import clock
from engine.connectors.wecom import callbacks
from engine.connectors.wecom.callbacks import Call
from engine.connectors.wecom.client import crypto
from engine.connectors.wecom.client.crypto import Crypto, Forged
from engine.connectors.wecom.client.errors import Misconfigured
from engine.connectors.wecom.models import WeComCallback
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Database
from engine.outbox import Outbox

ROOT = Path(__file__).resolve().parents[3]
VECTOR = WeComSettings(
    corp_id="wx5823bf96d3bd56c7",
    token=SecretStr("QDG6eK"),
    aes_key=SecretStr("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"),
)
AT = datetime.fromtimestamp(1409659589, UTC)
CHECK = Call("5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3", "1409659589", "263014780")
ECHOSTR = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
CLICK = {
    "ToUserName": "wx5823bf96d3bd56c7",
    "FromUserName": "Nurse01",
    "CreateTime": "1409659589",
    "MsgType": "event",
    "Event": "template_card_event",
    "EventKey": "outcome:agree",
    "TaskId": "t1",
    "CardType": "button_interaction",
    "ResponseCode": "RC1",
    "AgentID": "1000002",
}
CHANGE = {
    "FromUserName": "sys",
    "CreateTime": "1409659589",
    "MsgType": "event",
    "Event": "change_contact",
    "ChangeType": "update_user",
    "UserID": "nurse01",
}


@pytest.fixture(autouse=True)
def at() -> Iterator[None]:
    """The moment of WeCom's example."""
    clock.freeze(AT)
    yield
    clock.freeze(None)


def inner(fields: dict[str, Any]) -> str:
    """Return the XML of an event."""
    return f"<xml>{''.join(f'<{name}><![CDATA[{value}]]></{name}>' for name, value in fields.items())}</xml>"


def sealed(encrypted: str, *, nonce: str = "", late: int = 0) -> tuple[Call, bytes]:
    """Return a call with a ciphertext, signed `late` seconds ago."""
    timestamp, nonce = str(int(AT.timestamp()) - late), nonce or secrets.token_hex(5)
    signature = Crypto(VECTOR).signature(timestamp, nonce, encrypted)
    xml = f"<xml><ToUserName>x</ToUserName><AgentID>1</AgentID><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    return Call(signature, timestamp, nonce), xml.encode()


def called(fields: dict[str, Any], **options: Any) -> tuple[Call, bytes]:
    """Return a call about an event."""
    return sealed(Crypto(VECTOR).encrypt(inner(fields)), **options)


def rows(db: Database) -> list[tuple[str, str, dict[str, Any]]]:
    """Return what was kept, each with the shard of its outbox row."""
    with db.reading() as session:
        kept = list(session.scalars(select(WeComCallback).order_by(WeComCallback.id)))
        enqueued = {json.loads(row.payload)["id"]: row.key for row in session.scalars(select(Outbox))}
    assert len(enqueued) == len(kept)
    return [(row.event, enqueued[row.id], json.loads(row.body)) for row in kept]


def test_the_check_is_answered_as_in_wecoms_example() -> None:
    assert callbacks.echo(VECTOR, CHECK, ECHOSTR) == "1616140317555161061"


def test_the_check_of_another_key_or_moment_is_refused() -> None:
    for call in (
        replace(CHECK, signature=""),
        replace(CHECK, signature=CHECK.signature.upper()),
        replace(CHECK, timestamp="1409659590"),
        replace(CHECK, nonce="263014781"),
    ):
        with pytest.raises(Forged, match="signature"):
            callbacks.echo(VECTOR, call, ECHOSTR)
    for seconds in (-301, 301):
        clock.freeze(AT + timedelta(seconds=seconds))
        with pytest.raises(Forged, match="late"):
            callbacks.echo(VECTOR, CHECK, ECHOSTR)
    for seconds in (-300, 300):
        clock.freeze(AT + timedelta(seconds=seconds))
        assert callbacks.echo(VECTOR, CHECK, ECHOSTR)


NODE = """
const {getSignature, encrypt, decrypt} = require('@wecom/crypto');
const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(asked.map(({key, token, message, id, encrypted}) => {
  const theirs = encrypt(key, message, id);
  return {theirs, signature: getSignature(token, '1409659589', 'nonce', encrypted), opened: decrypt(key, encrypted)};
})));
"""


def test_wecoms_own_library_reads_what_we_write_and_the_other_way_round() -> None:
    messages = ["1", "", "请假审批：同意", "<xml>…</xml>" * 500, *("x" * length for length in range(1, 40))]
    key, token = VECTOR.aes_key.get_secret_value(), VECTOR.token.get_secret_value()
    ours = [Crypto(VECTOR).encrypt(message) for message in messages]
    asked = [
        {"key": key, "token": token, "message": message, "id": VECTOR.corp_id, "encrypted": encrypted}
        for message, encrypted in zip(messages, ours, strict=True)
    ]
    run = subprocess.run(
        ["node", "-e", NODE], cwd=ROOT, input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    for message, encrypted, theirs in zip(messages, ours, json.loads(run.stdout), strict=True):
        assert (theirs["opened"]["message"], theirs["opened"]["id"]) == (message, VECTOR.corp_id)
        assert Crypto(VECTOR).decrypt(theirs["theirs"]) == message
        assert Crypto(VECTOR).signature("1409659589", "nonce", encrypted) == theirs["signature"]


def ciphertext(plain: bytes) -> str:
    """Encrypt without any of the rules."""
    key = base64.b64decode(VECTOR.aes_key.get_secret_value() + "=")
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


RECEIVER = VECTOR.corp_id.encode()
BROKEN = {
    "base64": ["!!!", "AAA", "A" * 41, "签名", "AAAA\nAAAA"],
    "length": ["", "AAAA", ciphertext(b"r" * 16 + (10_000).to_bytes(4) + b"\x0c" * 12), ciphertext(b"\x20" * 32)],
    "padding": [ciphertext(b"r" * 31 + b"\x00"), ciphertext(b"r" * 31 + b"\x21"), ciphertext(b"r" * 31 + b"\x02")],
    "receiver": [
        ciphertext(b"r" * 16 + (1).to_bytes(4) + b"x" + b"another" + b"\x04" * 4),
        ciphertext(b"r" * 16 + (1).to_bytes(4) + b"x" + b"\x0b" * 11),
    ],
    "text": [ciphertext(b"r" * 16 + (2).to_bytes(4) + b"\xff\xfe" + RECEIVER + b"\x18" * 24)],
    "xml": [
        Crypto(VECTOR).encrypt(text)
        for text in ("", "not XML", "<xml>", "<xml>text only</xml>", "<!DOCTYPE x [<!ENTITY a 'b'>]><xml>&a;</xml>")
    ],
}


def test_what_is_signed_and_yet_broken_is_refused(committed_db: Database) -> None:
    for reason, encrypted in ((why, each) for why, many in BROKEN.items() for each in many):
        with pytest.raises(Forged) as refused:
            callbacks.receive(committed_db, VECTOR, *sealed(encrypted))
        assert str(refused.value) == reason
    assert rows(committed_db) == []


@given(content=st.binary(max_size=200))
def test_no_ciphertext_is_a_defect(content: bytes) -> None:
    for encrypted in (
        base64.b64encode(content).decode(),
        ciphertext((content + b"\x00" * 16)[: len(content) // 16 * 16]),
    ):
        with pytest.raises(Forged):
            Crypto(VECTOR).decrypt(encrypted)


BOMB = (
    b'<!DOCTYPE lolz [<!ENTITY l "lol"><!ENTITY m "&l;&l;&l;&l;&l;&l;&l;&l;">]><xml><Encrypt>&m;&m;&m;</Encrypt></xml>'
)


NO_ENVELOPES = [
    b"",
    b"\x00\xff",
    b"{}",
    b"<xml></xml>",
    b"<xml/>",
    b"text",
    BOMB,
    b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x"><xml><Encrypt>x</Encrypt></xml>',
    b"<a>" * 5000,
    "<xml><Encrypt>签名</Encrypt></xml>".encode("utf-16"),
    b"<xml><Encrypt><a>x</a></Encrypt></xml>",
    b"<xml><Encrypt>x</Encrypt><Encrypt>y</Encrypt></xml>",
]


def test_what_is_no_envelope_is_refused(committed_db: Database) -> None:
    for content in NO_ENVELOPES:
        with pytest.raises(Forged):
            callbacks.receive(committed_db, VECTOR, replace(CHECK, signature="0" * 40), content)
    assert rows(committed_db) == []


def test_another_corps_callback_is_refused(committed_db: Database) -> None:
    other = VECTOR.model_copy(update={"corp_id": "wwother"})
    with pytest.raises(Forged, match="receiver"):
        callbacks.receive(committed_db, VECTOR, *sealed(Crypto(other).encrypt(inner(CLICK))))
    assert rows(committed_db) == []


def test_a_call_is_kept_with_its_outbox_row(committed_db: Database) -> None:
    assert callbacks.receive(committed_db, VECTOR, *called(CLICK))
    assert callbacks.receive(committed_db, VECTOR, *called(CHANGE))
    assert callbacks.receive(committed_db, VECTOR, *called(CLICK | {"Event": "enter_agent", "EventKey": ""}))
    assert callbacks.receive(
        committed_db, VECTOR, *called({"FromUserName": "u1", "MsgType": "text", "MsgId": "7", "Content": "您好"})
    )
    kept = rows(committed_db)
    assert [(event, key) for event, key, _ in kept] == [
        ("template_card_event", "click:nurse01"),
        ("change_contact", "contacts"),
        ("enter_agent", "event:enter_agent"),
        ("text", "event:text"),
    ]
    assert kept[0][2] == CLICK
    assert kept[3][2]["Content"] == "您好"


def test_the_same_call_again_changes_nothing(committed_db: Database) -> None:
    call, content = called(CLICK)
    assert callbacks.receive(committed_db, VECTOR, call, content)
    assert not callbacks.receive(committed_db, VECTOR, call, content)
    assert len(rows(committed_db)) == 1
    clock.freeze(AT + timedelta(seconds=301))
    with pytest.raises(Forged, match="late"):
        callbacks.receive(committed_db, VECTOR, call, content)


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        (CLICK, CLICK, True),
        (CLICK, CLICK | {"FromUserName": "NURSE01"}, True),
        (CLICK, CLICK | {"ResponseCode": "RC2"}, False),
        (CLICK, CLICK | {"TaskId": "t2"}, False),
        (CLICK, CLICK | {"EventKey": "outcome:return"}, False),
        (CLICK, CLICK | {"FromUserName": "nurse02"}, False),
        (CLICK, CLICK | {"CreateTime": "1409659590"}, False),
        (CLICK, CLICK | {"Event": "template_card_menu_event"}, False),
        (CLICK | {"MsgId": "1"}, CLICK | {"MsgId": "1", "CreateTime": "2"}, True),
        (CLICK | {"MsgId": "1"}, CLICK | {"MsgId": "2"}, False),
        (CHANGE, CHANGE, True),
        (CHANGE, CHANGE | {"UserID": "nurse02"}, False),
        (CHANGE, CHANGE | {"NewUserID": "nurse99"}, False),
        (CHANGE, CHANGE | {"ChangeType": "delete_user"}, False),
    ],
)
def test_what_is_one_event(first: dict[str, str], second: dict[str, str], one: bool) -> None:
    assert (callbacks.event_key(first) == callbacks.event_key(second)) is one


def test_an_event_is_kept_once_however_often_it_is_called_in(committed_db: Database) -> None:
    """A call that WeCom repeats may be encrypted and signed anew."""
    assert callbacks.receive(committed_db, VECTOR, *called(CLICK))
    assert not callbacks.receive(committed_db, VECTOR, *called(CLICK))
    assert callbacks.receive(committed_db, VECTOR, *called(CLICK | {"ResponseCode": "RC2"}))
    assert [body["ResponseCode"] for _, _, body in rows(committed_db)] == ["RC1", "RC2"]


def test_calls_about_one_event_at_the_same_moment_are_one(committed_db: Database) -> None:
    calls = [called(CLICK) for _ in range(6)]
    with ThreadPoolExecutor(len(calls)) as pool:
        kept = list(pool.map(lambda call: callbacks.receive(committed_db, VECTOR, *call), calls))
    assert sorted(kept) == [False] * 5 + [True]
    assert len(rows(committed_db)) == 1


def test_a_key_that_is_none_says_where_to_get_it() -> None:
    for key in ("", "short", "x" * 42, "!" * 43, "x" * 44):
        with pytest.raises(Misconfigured, match="PIYUE_WECOM_AES_KEY"):
            crypto.Crypto(VECTOR.model_copy(update={"aes_key": SecretStr(key)}))
