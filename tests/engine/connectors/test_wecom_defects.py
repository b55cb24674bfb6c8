"""wechatpy's defects don't reach the client: one test for each of the seven, and for what came up beside them."""

import json
import logging
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3
from pydantic import SecretStr

from engine.connectors.tokens import Flights, InProcess
from engine.connectors.wecom import callbacks
from engine.connectors.wecom.client import WeCom, crypto, errors
from engine.connectors.wecom.client.wire import TIMEOUT
from engine.connectors.wecom.settings import WeComSettings
from engine.crypto import same
from tests.engine.connectors.conftest import AGENT, CONTACTS_SECRET, CORP, SECRET, Broken, Listener, Raw

TEXT = {"msgtype": "text", "text": {"content": "您好"}}
SENT = {"errcode": 0, "msgid": "m1"}


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_1_a_token_that_is_refused_is_renewed_once(listener: Listener, errcode: int) -> None:
    listener.answer("message/send", {"errcode": errcode}, SENT)
    assert listener.wecom().send(["u1"], TEXT).msgid == "m1"
    assert [heard.query["access_token"] for heard in listener.heard if heard.endpoint == "message/send"] == [
        "token-1",
        "token-2",
    ]
    assert json.loads(listener.heard[-1].body)["text"] == TEXT["text"]  # the second time as well


@pytest.mark.parametrize(
    ("errcode", "kind"), [(40001, errors.Misconfigured), (40014, errors.Later), (42001, errors.Later)]
)
def test_1_a_lasting_refusal_ends_after_two_tokens(
    listener: Listener, errcode: int, kind: type[errors.WeComError]
) -> None:
    listener.answer("message/send", {"errcode": errcode})
    with pytest.raises(kind) as refused:
        listener.wecom().send(["u1"], TEXT)
    assert refused.value.errcode == errcode
    assert (listener.count("message/send"), listener.count("gettoken")) == (2, 2)


def test_1_the_token_that_another_thread_has_renewed_is_kept(listener: Listener) -> None:
    tokens = InProcess()
    wecom = listener.wecom(tokens)
    wecom.recall("m1")
    key = f"piyue:wecom:{CORP}:{AGENT}:app:token"
    assert tokens.get(key) == "token-1"
    tokens.put(key, "newer", 7200)
    tokens.drop(key, "token-1")
    wecom.recall("m1")
    assert (listener.last("message/recall").query["access_token"], listener.count("gettoken")) == ("newer", 1)


def test_2_an_upload_is_sent_whole_and_never_again_by_itself(listener: Listener) -> None:
    wecom = listener.wecom()
    listener.answer("media/upload", {"errcode": 42001}, {"errcode": -1}, {"errcode": 0, "media_id": "M"})
    with pytest.raises(errors.Later, match="已换新"):
        wecom.upload("file", "通知.pdf", b"content of the file")
    with pytest.raises(errors.Later, match="系统繁忙"):
        wecom.upload("file", "通知.pdf", b"content of the file")
    assert wecom.upload("file", "通知.pdf", b"content of the file") == "M"
    uploads = [heard for heard in listener.heard if heard.endpoint == "media/upload"]
    assert [b"content of the file" in heard.body for heard in uploads] == [True] * 3
    assert [heard.query["access_token"] for heard in uploads] == ["token-1", "token-2", "token-2"]
    assert "通知.pdf".encode() in uploads[0].body


def test_3_keys_tell_corp_and_application_and_never_a_secret(listener: Listener) -> None:
    class Watched(InProcess):
        def __init__(self) -> None:
            super().__init__()
            self.keys: list[str] = []

        def put(self, key: str, value: str, seconds: float) -> None:
            self.keys.append(key)
            super().put(key, value, seconds)

    listener.answer("get_jsapi_ticket", {"errcode": 0, "ticket": "T1", "expires_in": 7200})
    listener.answer("ticket/get", {"errcode": 0, "ticket": "T2", "expires_in": 7200})
    listener.answer("user/list_id", {"errcode": 0, "dept_user": []})
    tokens = Watched()
    same_beginning = {"secret": SecretStr(SECRET), "contacts_secret": SecretStr(f"{SECRET[:10]}-contacts")}
    for agent in (1, 2):
        wecom = listener.wecom(tokens, agent_id=agent, **same_beginning)
        wecom.js_config("https://oa.example/")
        wecom.agent_js_config("https://oa.example/")
        wecom.member_ids()
    assert tokens.keys == [
        f"piyue:wecom:{CORP}:{agent}:{rest}"
        for agent in (1, 2)
        for rest in ("app:token", "app:ticket:corp", "app:ticket:agent", "contacts:token")
    ]
    assert not any(part in key for key in tokens.keys for part in (SECRET[:10], "canary"))


def test_4_every_call_goes_to_the_one_address_with_a_limit_of_time(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, object]] = []
    real = urllib3.HTTPConnectionPool.urlopen

    def watched(pool: urllib3.HTTPConnectionPool, method: str, url: str, **options: Any) -> Any:
        limit = options["timeout"]
        asked.append((f"{pool.scheme}://{pool.host}:{pool.port}{url}", (limit.connect_timeout, limit.read_timeout)))
        return real(pool, method, url, **options)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", watched)
    listener.answer("media/get", Raw(b"bytes", headers=(("Content-Disposition", "attachment"),)))
    listener.answer("media/upload", {"errcode": 0, "media_id": "M"})
    wecom = listener.wecom(api=f"{listener.url}/")
    assert wecom.download("M") == b"bytes"
    wecom.upload("file", "a.txt", b"123456")
    wecom.recall("m1")
    assert len(asked) == 4  # gettoken too
    assert all(url.startswith(f"{listener.url}/cgi-bin/") for url, _ in asked)
    assert {timeout for _, timeout in asked} == {TIMEOUT} == {(3.0, 10.0)}


def test_5_json_says_that_it_is_json(listener: Listener) -> None:
    listener.answer("message/send", SENT)
    listener.answer("media/upload", {"errcode": 0, "media_id": "M"})
    wecom = listener.wecom()
    wecom.send(["u1"], TEXT)
    wecom.upload("file", "a.txt", b"123456")
    assert listener.last("message/send").headers["Content-Type"].startswith("application/json")
    assert "您好" in listener.last("message/send").body.decode()
    assert listener.last("media/upload").headers["Content-Type"].startswith("multipart/form-data; boundary=")


def test_6_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def watched(left: bytes, right: bytes) -> bool:
        compared.append(left)
        return same(left, right)

    monkeypatch.setattr(crypto, "same", watched)
    settings = WeComSettings(corp_id=CORP, token=SecretStr("t"), aes_key=SecretStr("A" * 43))
    found = crypto.Crypto(settings)
    right = found.signature("1", "2", "x")
    found.verify(right, "1", "2", "x")
    for wrong in ("", right[:-1], right.upper(), "签名"):
        with pytest.raises(crypto.Forged):
            found.verify(wrong, "1", "2", "x")
    assert compared == [right.encode()] * 5


def test_7_events_that_wechatpy_does_not_know_are_read() -> None:
    def body(items: str) -> dict[str, object]:
        xml = f"""<xml><FromUserName><![CDATA[u1]]></FromUserName><MsgType>event</MsgType>
            <Event><![CDATA[template_card_menu_event]]></Event><TaskId>t1</TaskId>
            <SelectedItems>{items}</SelectedItems></xml>"""
        return callbacks._parsed(xml)

    one = "<SelectedItem><QuestionKey>q1</QuestionKey><OptionIds><OptionId>a</OptionId></OptionIds></SelectedItem>"
    two = (
        "<SelectedItem><QuestionKey>q2</QuestionKey>"
        "<OptionIds><OptionId>b</OptionId><OptionId>c</OptionId></OptionIds></SelectedItem>"
    )
    assert callbacks.event_of(body(one)) == "template_card_menu_event"
    assert callbacks.selected(body(one)) == {"q1": ("a",)}
    assert callbacks.selected(body(one + two)) == {"q1": ("a",), "q2": ("b", "c")}
    assert callbacks.selected(body("")) == {}


def test_many_threads_ask_for_one_token(listener: Listener) -> None:
    listener.answer("message/send", SENT)
    listener.pause.clear()
    wecom = listener.wecom()
    gate = threading.Barrier(21)

    def send(number: int) -> str:
        gate.wait()
        return wecom.send([f"u{number}"], TEXT).msgid

    with ThreadPoolExecutor(20) as pool:
        sends = [pool.submit(send, number) for number in range(20)]
        gate.wait()
        listener.pause.set()
        assert [each.result() for each in sends] == ["m1"] * 20
    assert listener.count("gettoken") == 1


def test_threads_share_a_failure_too(listener: Listener) -> None:
    """Twenty threads that wait for a token of a WeCom that is away don't try one after the other."""
    flights, asked, gate = Flights(InProcess()), [], threading.Event()

    def fetch() -> tuple[str, float]:
        asked.append(1)
        gate.wait(10)
        raise errors.unreached("gettoken", "ConnectTimeout")

    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(flights.get, "key", fetch) for _ in range(20)]
        while sum(each.running() for each in waiting) < 20:
            threading.Event().wait(0.01)
        threading.Timer(0.2, gate.set).start()
        assert all(isinstance(each.exception(), errors.Later) for each in waiting)
    assert len(asked) < 20
    assert flights.get("key", lambda: ("fresh", 7200.0)) == "fresh"


def test_busy_is_asked_three_times_at_most(listener: Listener) -> None:
    listener.answer("message/send", {"errcode": -1}, {"errcode": -1}, SENT)
    assert listener.wecom().send(["u1"], TEXT).msgid == "m1"
    listener.answer("message/send", {"errcode": -1})
    with pytest.raises(errors.Later) as refused:
        listener.wecom().send(["u1"], TEXT)
    assert refused.value.errcode == -1
    assert listener.count("message/send") == 6


@pytest.mark.parametrize(
    "answer",
    [
        Broken(),
        Raw(b"<html>Bad Gateway</html>", 502),
        Raw(b"", 503),
        Raw(b"slow down", 429),
        Raw(b"<html>please log in</html>"),
        Raw(b"\xff\xfe\x00"),
        Raw(b"[1, 2]"),
        Raw(b'{"errcode": "no"}'),
        Raw(b"", 302, (("Location", "/cgi-bin/elsewhere"),)),
        {"errcode": 0},  # without a msgid
        {"errcode": 0, "msgid": "m", "invaliduser": 5},
    ],
    ids=lambda answer: answer.__class__.__name__ if isinstance(answer, Broken) else str(answer),
)
def test_what_is_no_answer_is_for_later(listener: Listener, answer: object) -> None:
    listener.answer("message/send", answer)
    with pytest.raises(errors.Later):
        listener.wecom().send(["u1"], TEXT)
    assert [heard.endpoint for heard in listener.heard] == ["gettoken", "message/send"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.Misconfigured),
        (403, errors.Later),
        (404, errors.Later),
        (407, errors.Later),
        (413, errors.Refused),
        (502, errors.Later),
    ],
)
def test_what_stands_in_between_says_whose_turn_it_is(
    listener: Listener, status: int, kind: type[errors.WeComError]
) -> None:
    listener.answer("message/send", Raw(b"", status))
    with pytest.raises(kind, match=f"HTTP {status}"):
        listener.wecom().send(["u1"], TEXT)


def test_nobody_there_is_for_later() -> None:
    wecom = WeCom(WeComSettings(corp_id=CORP, agent_id=AGENT, secret=SecretStr(SECRET), api="http://127.0.0.1:9"))
    with pytest.raises(errors.Later, match="连不上"):
        wecom.recall("m1")


def test_no_error_and_no_log_tells_a_secret(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    listener.answer("gettoken", {"errcode": 0, "access_token": "canary-token", "expires_in": 7200})
    told, an_id = [], "canary-id"
    for answer in (Broken(), Raw(b"", 502), Raw(b"?"), {"errcode": 40014}, {"errcode": 60020, "errmsg": "canary"}):
        listener.answer("message/recall", answer)
        listener.answer("media/get", answer)
        wecom = listener.wecom(contacts_secret=SecretStr(CONTACTS_SECRET))
        for call in (wecom.recall, wecom.download):
            with pytest.raises(errors.WeComError) as refused:
                call(an_id)
            told.append(refused.value)
    for broken in (Broken(), Raw(b"", 500), {"errcode": 40001, "errmsg": "canary"}):
        listener.answer("gettoken", broken)
        with pytest.raises(errors.WeComError) as refused:
            listener.wecom().recall("m1")
        told.append(refused.value)
    text = "".join(line for error in told for line in (*traceback.format_exception(error), repr(error)))
    contexts = [error.__context__ for error in told]
    assert not any(isinstance(context, urllib3.exceptions.HTTPError) for context in contexts)
    assert "canary" not in text
    assert "cgi-bin" in caplog.text  # urllib3 has logged the addresses
    assert "canary" not in caplog.text


def test_members_are_named_one_by_one(listener: Listener) -> None:
    wecom = listener.wecom()
    for userids in ([], ["@all"], ["u1|u2"], [""], ["u"] * 1001):
        with pytest.raises(ValueError, match="member ids"):
            wecom.send(userids, TEXT)
        with pytest.raises(ValueError, match="member ids"):
            wecom.update_card("code", userids, {})
    assert listener.heard == []


def test_each_call_takes_its_place_under_the_limit(listener: Listener) -> None:
    taken: list[int] = []
    settings = WeComSettings(corp_id=CORP, agent_id=AGENT, secret=SecretStr(SECRET), api=listener.url)
    wecom = WeCom(settings, take=lambda: taken.append(1))
    listener.answer("message/recall", {"errcode": 40014}, {"errcode": 0})
    wecom.recall("m1")
    assert len(taken) == 2  # the repeated one too; gettoken has no such limit
