"""WeCom's door: who isn't WeCom gets nothing from it, and WeCom is answered whatever happens."""

import logging
import threading
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from engine import clock
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.client.crypto import Crypto
from engine.connectors.wecom.models import WeComCallback
from engine.connectors.wecom.settings import WeComSettings
from engine.outbox import Outbox
from sandbox.serving import serving
from sandbox.wecom import constants
from sandbox.wecom.server import Running
from tests.api.conftest import Api

PATH = "/wecom/callback"
SETTINGS = WeComSettings(corp_id="wwtest", token=SecretStr("canary-token"), aes_key=SecretStr("c" * 43))
CLICK = (
    "<xml><FromUserName>nurse01</FromUserName><CreateTime>{number}</CreateTime><MsgType>event</MsgType>"
    "<Event>template_card_event</Event><EventKey>canary-content</EventKey><TaskId>t1</TaskId></xml>"
)


@pytest.fixture
def wecom(api: Api) -> Api:
    """The service with callbacks from WeCom."""
    api.db.provide(WeCom(SETTINGS))
    return api


def query(encrypted: str, *, late: float = 0) -> dict[str, str]:
    timestamp = str(int(clock.now().timestamp() - late))
    return {
        "msg_signature": Crypto(SETTINGS).signature(timestamp, "nonce", encrypted),
        "timestamp": timestamp,
        "nonce": "nonce",
    }


def call(api: Api, message: str, *, late: float = 0, **changed: str) -> httpx.Response:
    encrypted = Crypto(SETTINGS).encrypt(message)
    content = f"<xml><ToUserName>x</ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    headers = {"Content-Type": "text/xml"}
    return api.client().post(PATH, params=query(encrypted, late=late) | changed, content=content, headers=headers)


def kept(api: Api) -> tuple[int, int]:
    """Return how many callbacks there are, and how many outbox rows about them."""
    rows = select(func.count()).select_from(Outbox).where(Outbox.topic.in_(("callback", "event")))
    with api.db.reading() as session:
        return session.scalar(select(func.count()).select_from(WeComCallback)) or 0, session.scalar(rows) or 0


def test_the_check_is_answered_with_the_bare_text(wecom: Api) -> None:
    echostr = Crypto(SETTINGS).encrypt("1616140317555161061")
    answer = wecom.client().get(PATH, params=query(echostr) | {"echostr": echostr})
    assert (answer.status_code, answer.text) == (200, "1616140317555161061")
    assert answer.headers["content-type"].startswith("text/plain")
    for wrong in ({"echostr": "x"}, {"msg_signature": "0" * 40}, {"timestamp": "1"}, {}):
        params = query(echostr) | {"echostr": echostr} | wrong if wrong else {}
        assert wecom.client().get(PATH, params=params).status_code == 403


def test_the_check_opens_no_event(wecom: Api) -> None:
    encrypted = Crypto(SETTINGS).encrypt(CLICK.format(number=1))
    answer = wecom.client().get(PATH, params=query(encrypted) | {"echostr": encrypted})
    assert (answer.status_code, answer.content) == (403, b"")


def test_an_event_is_kept_and_answered_with_nothing(wecom: Api) -> None:
    before = kept(wecom)[1]
    for _ in range(2):  # WeCom calls again where the answer was lost
        answer = call(wecom, CLICK.format(number=1))
        assert (answer.status_code, answer.content) == (200, b"")
    assert kept(wecom) == (1, before + 1)
    call(wecom, CLICK.format(number=2))
    assert kept(wecom) == (2, before + 2)


def test_what_is_forged_late_or_broken_is_refused_and_leaves_one_line(
    wecom: Api, caplog: pytest.LogCaptureFixture
) -> None:
    before = kept(wecom)
    caplog.set_level(logging.WARNING)
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><xml><Encrypt>&a;</Encrypt></xml>'
    other = SETTINGS.model_copy(update={"corp_id": "wwother"})
    foreign = Crypto(other).encrypt(CLICK.format(number=1))
    client = wecom.client()
    answers = [
        call(wecom, CLICK.format(number=1), msg_signature="0" * 40),
        call(wecom, CLICK.format(number=1), msg_signature="签名"),
        call(wecom, CLICK.format(number=1), nonce="another"),
        call(wecom, CLICK.format(number=1), late=301),
        call(wecom, CLICK.format(number=1), late=-301),
        call(wecom, "no XML"),
        call(wecom, bomb),
        client.post(PATH),
        client.post(PATH, content=b"\x00\xff"),
        client.post(PATH, content=bomb),
        client.post(PATH, content="<xml>" + "<a>" * 2000),
        client.post(PATH, params=query(foreign), content=f"<xml><Encrypt>{foreign}</Encrypt></xml>"),
        client.post(PATH, json={"Encrypt": "x"}),
        client.post(PATH, files={"file": b"x"}),
        client.post(PATH, params=[("timestamp", "1"), ("timestamp", "2")], content="<xml><Encrypt>x</Encrypt></xml>"),
    ]
    assert [(answer.status_code, answer.content) for answer in answers] == [(403, b"")] * len(answers)
    lines = [record.getMessage() for record in caplog.records if "wecom" in record.getMessage()]
    assert len(lines) == len(answers)
    assert "canary" not in caplog.text
    assert kept(wecom) == before


def test_a_replay_is_not_an_event_again(wecom: Api) -> None:
    encrypted = Crypto(SETTINGS).encrypt(CLICK.format(number=1))
    params, content = query(encrypted), f"<xml><Encrypt>{encrypted}</Encrypt></xml>"
    client = wecom.client()
    assert [client.post(PATH, params=params, content=content).status_code for _ in range(2)] == [200, 200]
    clock.freeze(clock.now() + timedelta(seconds=301))
    assert client.post(PATH, params=params, content=content).status_code == 403
    assert kept(wecom)[0] == 1


def test_strangers_send_little(wecom: Api) -> None:
    for size in (1 << 16, 1 << 21):
        answer = wecom.client().post(PATH, content=b"<xml>" + b"x" * size)
        assert answer.status_code in (401, 413), answer.status_code
    wecom.person("nurse")
    answer = wecom.person("nurse").client.post(PATH, content=b"<xml>" + b"x" * (1 << 16))
    assert answer.status_code == 403


def test_without_wecom_there_is_no_such_address(api: Api) -> None:
    for settings in (None, SETTINGS.model_copy(update={"token": SecretStr("")})):
        if settings is not None:
            api.db.provide(WeCom(settings))
        assert api.client().get(PATH, params={"echostr": "x"}).status_code == 404
        assert call(api, CLICK.format(number=1)).status_code == 404


def test_a_wrong_key_is_told_to_the_administrator_and_is_no_defect(api: Api) -> None:
    api.db.provide(WeCom(SETTINGS.model_copy(update={"aes_key": SecretStr("short")})))
    answer = call(api, CLICK.format(number=1))
    assert answer.status_code == 503
    assert "PIYUE_WECOM_AES_KEY" in answer.json()["detail"]


def test_the_door_is_not_part_of_the_api_document(quiet: Api) -> None:
    assert PATH not in quiet.app.openapi()["paths"]


def test_the_sandbox_calls_as_wecom_does(api: Api, wecom_sandbox: Running) -> None:
    """Its console checks the address; clicks and changes come once, whatever is sent again; nothing forged comes."""
    given: dict[str, Any] = {**wecom_sandbox.settings()}
    api.db.provide(WeCom(WeComSettings(**given)))
    agent, control = constants.AGENT_ID, wecom_sandbox.control
    with serving(api.app) as address:
        url = address + PATH
        wecom_sandbox.call(url)
        client = api.db.part(WeCom)
        assert client is not None
        card = {
            "card_type": "button_interaction",
            "task_id": "t1",
            "main_title": {"title": "请假审批"},
            "button_list": [{"text": "同意", "style": 1, "key": "outcome:agree"}],
        }
        sent = client.send(["10026"], {"msgtype": "template_card", "template_card": card})
        clicked = control.click(userid="10026", msgid=sent.msgid, key="outcome:agree", wait=30)
        assert (clicked["attempts"], clicked["delivered"]) == (["200"], True)
        (changed,) = control.change_member(userid="10027", changes={"userid": "N10027"})["events"]
        control.enter(userid="10026", agentid=agent)
        while not all(event["done"] for event in control.events()):
            threading.Event().wait(0.01)
        assert [control.repeat(event=number)["status"] for number in (clicked["id"], changed)] == [200, 200]
        assert [control.replay(event=number)["status"] for number in (clicked["id"], changed)] == [200, 200]
        for kind in ("signature", "token", "key", "corp", "late", "early", "garbage", "doctype"):
            fields = {"Event": "template_card_event", "FromUserName": "10026", "TaskId": kind}
            assert control.forge(agentid=agent, kind=kind, fields=fields)["status"] == 403, kind
    with api.db.reading() as session:
        found = [orjson.loads(row.body) for row in session.scalars(select(WeComCallback).order_by(WeComCallback.id))]
    assert [body["Event"] for body in found] == ["template_card_event", "change_contact", "enter_agent"]
    assert (found[0]["TaskId"], found[0]["EventKey"], found[0]["FromUserName"]) == ("t1", "outcome:agree", "10026")
    assert found[0]["ResponseCode"]
    assert (found[1]["UserID"], found[1]["NewUserID"]) == ("10027", "N10027")
