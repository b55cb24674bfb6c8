"""The callback endpoint: GET check, POST decrypted, persisted and answered; ±300 s, nonce stored, deduplicated.

Signed and encrypted here by the words of WeCom's document alone (design 04, "Callbacks"), not by the product's code.
"""

import base64
import hashlib
import logging
import os
import struct
from collections.abc import Iterator

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from sqlalchemy import select

from engine import clock
from engine.connectors.wecom.models import WeComCallback
from sandbox.wecom import constants
from tests.contracts.wecom.ward import AGENT, Ward

pytestmark = pytest.mark.backend("sqlite")

TOKEN, KEY, CORP = constants.CALLBACK_TOKEN, constants.CALLBACK_AES_KEY, constants.CORP_ID


def encrypted(message: str, corp: str = CORP, key: str = KEY) -> str:
    secret = base64.b64decode(key + "=")
    plain = os.urandom(16) + struct.pack(">I", len(message.encode())) + message.encode() + corp.encode()
    pad = 32 - len(plain) % 32
    plain += bytes([pad]) * pad
    cipher = Cipher(algorithms.AES(secret), modes.CBC(secret[:16])).encryptor()
    return base64.b64encode(cipher.update(plain) + cipher.finalize()).decode()


def query(text: str, shift: float = 0.0, nonce: str = "", token: str = TOKEN, **changes: str) -> dict[str, str]:
    timestamp = str(int(clock.now().timestamp() + shift))
    nonce = nonce or os.urandom(6).hex()
    signature = hashlib.sha1("".join(sorted((token, timestamp, nonce, text))).encode()).hexdigest()
    return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce, **changes}


def envelope(text: str) -> str:
    return (
        f"<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><AgentID><![CDATA[{AGENT}]]></AgentID>"
        f"<Encrypt><![CDATA[{text}]]></Encrypt></xml>"
    )


def entering(created: int = 1409659813, who: str = "10027") -> str:
    return (
        f"<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[{who}]]></FromUserName>"
        f"<CreateTime>{created}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
        f"<Event><![CDATA[enter_agent]]></Event><EventKey></EventKey><AgentID>{AGENT}</AgentID></xml>"
    )


@pytest.fixture
def wecom(ward: Ward) -> Iterator[httpx.Client]:
    """WeCom's own servers, as they call us."""
    with ward.browser("Mozilla/4.0") as client:
        yield client


def kept(ward: Ward) -> list[str]:
    with ward.db.reading() as session:
        return [row.event for row in session.scalars(select(WeComCallback).order_by(WeComCallback.id))]


def post(wecom: httpx.Client, message: str, shift: float = 0.0, nonce: str = "", token: str = TOKEN) -> httpx.Response:
    text = encrypted(message)
    return wecom.post("/wecom/callback", params=query(text, shift, nonce, token), content=envelope(text))


def test_the_check_is_answered_with_the_bare_text(ward: Ward, wecom: httpx.Client) -> None:
    text = encrypted("1616140317555161061")
    answer = wecom.get("/wecom/callback", params={**query(text), "echostr": text})
    assert (answer.status_code, answer.content) == (200, b"1616140317555161061")


NOT_WECOMS = (
    {"msg_signature": "0" * 40},
    {"msg_signature": ""},
    {"nonce": "another"},
    {"timestamp": "abc"},
    {"timestamp": "-1"},
    {"timestamp": "9" * 400},
    {"echostr": "AAAA"},
    {"echostr": "签名"},
)


def test_a_check_that_is_not_wecoms_is_refused(wecom: httpx.Client) -> None:
    for change in NOT_WECOMS:
        text = encrypted("1616140317")
        answer = wecom.get("/wecom/callback", params={**query(text), "echostr": text, **change})
        assert 400 <= answer.status_code < 500, (change, answer.status_code)
        assert "1616140317" not in answer.text


def test_a_check_without_one_of_its_parts_is_refused(wecom: httpx.Client) -> None:
    for missing in ("msg_signature", "timestamp", "nonce", "echostr"):
        text = encrypted("123")
        params = {**query(text), "echostr": text}
        del params[missing]
        assert 400 <= wecom.get("/wecom/callback", params=params).status_code < 500, missing


def test_an_event_is_kept_and_answered_with_nothing(ward: Ward, wecom: httpx.Client) -> None:
    answer = post(wecom, entering())
    assert (answer.status_code, answer.content) == (200, b"")
    assert kept(ward) == ["enter_agent"]


def test_five_minutes_are_the_window(ward: Ward, wecom: httpx.Client) -> None:
    shifts = {-86400: False, -310: False, -290: True, 0: True, 290: True, 310: False, 86400: False}
    taken = {shift: post(wecom, entering(1409659813 + shift), shift).status_code == 200 for shift in shifts}
    assert taken == shifts
    assert len(kept(ward)) == 3


def test_the_same_bytes_again_are_refused_or_passed_over_but_never_kept_twice(ward: Ward, wecom: httpx.Client) -> None:
    text = encrypted(entering())
    params = query(text)
    first = wecom.post("/wecom/callback", params=params, content=envelope(text))
    again = wecom.post("/wecom/callback", params=params, content=envelope(text))
    assert first.status_code == 200
    assert again.status_code < 500
    assert kept(ward) == ["enter_agent"]


def test_a_retry_of_the_same_event_is_one_event(ward: Ward, wecom: httpx.Client) -> None:
    """WeCom tries three times more: freshly encrypted, with another nonce; it must be told 200, or it goes on."""
    assert [post(wecom, entering()).status_code for _ in range(4)] == [200] * 4
    assert kept(ward) == ["enter_agent"]


def test_events_of_other_people_or_moments_are_others(ward: Ward, wecom: httpx.Client) -> None:
    for message in (entering(), entering(created=1409659814), entering(who="10026")):
        assert post(wecom, message).status_code == 200
    assert len(kept(ward)) == 3


BOMB = '<!DOCTYPE xml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>'


NO_ENVELOPE = (
    "",
    "no xml",
    "<xml/>",
    "<xml><Encrypt></Encrypt></xml>",
    "<xml><Encrypt>%%%</Encrypt></xml>",
    "<xml><Encrypt>QUJD</Encrypt></xml>",
    BOMB,
    "<xml>" + "<a>" * 5000,
    "\x00\x01",
    "<xml>" + "x" * 3_000_000,
)
NONSENSE = ("", "plain words", "<xml>", BOMB, "<xml><MsgType>event</MsgType></xml>", "<xml/>", "<other>1</other>")
FORGERIES = ("signature", "token", "key", "corp", "late", "early", "garbage", "doctype")


def test_a_body_that_is_no_envelope_is_refused(ward: Ward, wecom: httpx.Client) -> None:
    for body in NO_ENVELOPE:
        answer = wecom.post("/wecom/callback", params=query("QUJD"), content=body.encode())
        assert 400 <= answer.status_code < 500, (body[:40], answer.status_code)
    assert kept(ward) == []


def test_rightly_signed_nonsense_harms_nothing(ward: Ward, wecom: httpx.Client) -> None:
    for inner in NONSENSE:
        assert post(wecom, inner).status_code < 500, inner
    ward.work()
    assert not [row for row in ward.undelivered() if row[0] == "dead"]


def test_forged_ones_are_refused_and_logged(ward: Ward, caplog: pytest.LogCaptureFixture) -> None:
    fields = {"MsgType": "event", "Event": "enter_agent", "FromUserName": "10027"}
    for kind in FORGERIES:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            status = ward.control.forge(agentid=AGENT, kind=kind, fields=fields)["status"]
        assert 400 <= status < 500, kind
        told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert told, f"an auditor looks for who tried: {kind}"
        assert not any("10027" in t or TOKEN in t or KEY in t for t in told)
    assert kept(ward) == []


def test_a_replayed_one_is_not_carried_out_again(ward: Ward) -> None:
    event = ward.control.send_event(
        agentid=AGENT, fields={"MsgType": "event", "Event": "enter_agent", "FromUserName": "10027"}, wait=10.0
    )
    assert event["attempts"] == ["200"]
    ward.control.replay(event=event["id"])
    assert kept(ward) == ["enter_agent"]


def test_a_replay_a_day_later_is_refused_though_old_rows_are_gone(ward: Ward) -> None:
    event = ward.control.send_event(
        agentid=AGENT, fields={"MsgType": "event", "Event": "enter_agent", "FromUserName": "10027"}, wait=10.0
    )
    ward.pass_time(86400)
    assert 400 <= ward.control.replay(event=event["id"])["status"] < 500
    assert kept(ward) == ["enter_agent"]


def test_it_is_answered_though_wecom_itself_is_down(ward: Ward, wecom: httpx.Client) -> None:
    """Persisted, then answered: handling is the worker's."""
    ward.control.fault(endpoint="*", reset=True, times=10)
    assert post(wecom, entering()).status_code == 200
    ward.control.clear_faults()
