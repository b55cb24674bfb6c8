"""SOAP by zeep: whose WSDL it is, what is sent, and what answers can be, from a listener in the OA's place."""

import json
import os
import re
import traceback
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from engine.connectors.oa.adapters.protocol import State, Unknown, UnknownPerson
from engine.connectors.oa.adapters.soap import SHIPPED
from engine.outbox import Configuration, Permanent, Transient
from tests.engine.connectors.conftest import Broken, Listener, Raw
from tests.engine.connectors.items import LANDRAY, PASSWORD, TITLE, envelope, fault, item, landray, listening

XML = (("Content-Type", "text/xml"),)
SHIPPED_WSDL = (SHIPPED / "landray.wsdl").read_text("utf-8")
BOMB = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'
OWN = 'wsdl:import namespace="urn:x" location="{}"/><wsdl:types'


def put(listener: Listener, folder: Path, **changed: Any) -> None:
    """Put an item where the listener is Landray."""
    adapter = listening(listener, "landray.soap", folder, **changed)
    try:
        adapter.put(item(), State.TODO)
    finally:
        adapter.close()


def test_an_envelope_holds_what_the_wsdl_wants_in_its_order(listener: Listener, tmp_path: Path) -> None:
    listener.answer(LANDRAY, landray("sendTodo", 2))
    adapter = listening(listener, "landray.soap", tmp_path)
    adapter.put(item(title="急诊\x00\x08😀<b>&申请"), State.READ)

    heard = listener.last(LANDRAY)
    sent = heard.body.decode()
    assert heard.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert heard.headers["SOAPAction"] == '""'
    assert "<subject>急诊😀&lt;b&gt;&amp;申请</subject>" in sent
    assert f"<modelId>{item().key}</modelId>" in sent
    assert '<targets>{"LoginName": "2001"}</targets>' in sent
    assert "<createTime>2026-03-02 09:30:00</createTime>" in sent
    names = re.findall(r"<(\w+)>[^<]", sent.partition("<arg0>")[2])
    assert names == sorted(names), "as its sequence wants them"
    assert "<tns:user>piyue</tns:user>" in sent
    assert f"<tns:password>{PASSWORD}</tns:password>" in sent
    adapter.close()


def test_without_a_user_no_header_is_sent(listener: Listener, tmp_path: Path) -> None:
    listener.answer(LANDRAY, landray("sendTodo", 2))
    put(listener, tmp_path, user="", password="")
    assert b"RequestSOAPHeader" not in listener.last(LANDRAY).body


def test_the_site_s_own_wsdl_of_an_older_version_is_followed(listener: Listener, tmp_path: Path) -> None:
    older = re.sub(r'.*name="(mobileLink|padLink)".*\n', "", SHIPPED_WSDL)
    (tmp_path / "ekp.wsdl").write_text(older, "utf-8")
    listener.answer(LANDRAY, landray("sendTodo", 2))
    put(listener, tmp_path, wsdl="ekp.wsdl")
    assert b"mobileLink" not in listener.last(LANDRAY).body
    assert b"<link>https://piyue.example/oa/ekp/1</link>" in listener.last(LANDRAY).body


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "找不到"),
        ("", "读不懂"),
        ("<html>登录</html>", "读不懂|没有"),
        (SHIPPED_WSDL[:3000], "读不懂"),
        (BOMB, "读不懂"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd">' + SHIPPED_WSDL.partition("?>")[2], "读不懂"),
        (SHIPPED_WSDL.replace("wsdl:types", OWN.format("http://127.0.0.1:1/x.wsdl"), 1), "读不懂"),
        (SHIPPED_WSDL.replace("wsdl:types", OWN.format("/etc/passwd"), 1), "读不懂"),
        ((SHIPPED / "weaver.wsdl").read_text("utf-8"), "ISysNotifyTodoWebServiceService"),
        (SHIPPED_WSDL.replace('name="modelId"', 'name="modelid"'), "modelId"),
    ],
    ids=["missing", "empty", "page", "cut", "bomb", "dtd", "import", "file", "another", "field"],
)
def test_a_wsdl_that_does_not_fit_is_told_with_its_cure(
    listener: Listener, tmp_path: Path, content: str | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "ekp.wsdl").write_text(content, "utf-8")
    with pytest.raises(Configuration, match=problem) as raised:
        put(listener, tmp_path, wsdl="ekp.wsdl")
    assert "ekp/ekp.wsdl" in str(raised.value)
    assert "办法：" in str(raised.value)
    assert listener.heard == []


def test_a_wsdl_of_the_oa_s_leads_to_no_file_that_is_not_beside_it(listener: Listener, tmp_path: Path) -> None:
    """It comes from the OA; what it names may never end, as /dev/zero, or never begin, as a pipe that nobody fills."""
    folder = tmp_path / "ekp"
    folder.mkdir()
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(folder / "pipe")
    for place in (str(tmp_path / "pipe"), "../pipe", "pipe"):
        (folder / "ekp.wsdl").write_text(SHIPPED_WSDL.replace("wsdl:types", OWN.format(place), 1), "utf-8")
        with ThreadPoolExecutor(1) as threads:
            reading = threads.submit(put, listener, folder, wsdl="ekp.wsdl")
            refusal = next((reading.exception() for _ in range(200) if wait([reading], 0.05).done), None)
            for pipe in (tmp_path / "pipe", folder / "pipe"):
                os.close(os.open(pipe, os.O_RDWR))  # whoever waits for it goes on
        assert isinstance(refusal, Configuration)


def test_a_wsdl_may_only_be_in_the_site_s_folder(listener: Listener, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wsdl"):
        listening(listener, "landray.soap", tmp_path, wsdl="../other/ekp.wsdl")


def test_threads_that_begin_together_share_the_service(listener: Listener, tmp_path: Path) -> None:
    listener.answer(LANDRAY, landray("sendTodo", 2))
    adapter = listening(listener, "landray.soap", tmp_path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: adapter.put(item(number), State.TODO), range(1, 41)))
    keys = {re.findall(r"<modelId>(\w+)<", heard.body.decode())[0] for heard in listener.heard}
    assert keys == {item(number).key for number in range(1, 41)}
    adapter.close()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Broken(), Unknown),
        (Raw(b"", 200, XML), Unknown),
        (Raw(b"<html>login</html>", 200, (("Content-Type", "text/html"),)), Unknown),
        (Raw(b"<html><head>", 502), Unknown),
        (Raw(BOMB.encode(), 200, XML), Unknown),
        (Raw(b"<e:Envelope", 200, XML), Unknown),
        (Raw(b"x" * 2_000_000, 200, XML), Unknown),
        (envelope(""), Unknown),
        (envelope("<else/>"), Unknown),
        (landray("sendTodo", 2, "</message><more/><message>"), Unknown),
        (Raw(b"{}", 200), Unknown),
        (Raw(b"", 302, (("Location", "http://127.0.0.1:1/"),)), Unknown),
        (Raw(b"--", 200, (("Content-Type", "multipart/related"),)), Unknown),
        (Raw(b"--", 200, (("Content-Type", "multipart/related; boundary=x"),)), Unknown),
        (Raw(b"--x\r\n--x--", 200, (("Content-Type", "multipart/related; boundary=x"),)), Unknown),
        (Raw(b"--x\r\nabc\r\n--x--", 200, (("Content-Type", "multipart/related; boundary=x"),)), Unknown),
        (Raw(b"<a>" * 200_000, 200, XML), Unknown),
        (envelope("<a>" * 5000 + "</a>" * 5000), Unknown),
        (Raw(b"\xff\xfe<", 200, (("Content-Type", "text/xml; charset=punycode"),)), Unknown),
        (Raw(json.dumps({"message": f"“{TITLE}”不行"}).encode(), 400), Permanent),
        (Raw(b"", 401), Configuration),
        (Raw(b"", 403), Configuration),
        (Raw(b"", 404), Transient),
        (fault("系统内部错误"), Unknown),
        (fault("认证失败：用户名或密码错误"), Configuration),
        (fault("找不到对应的组织架构人员"), UnknownPerson),
        (fault("系统繁忙，请稍后再试"), Transient),
        (fault("Unmarshalling Error: subject", "e:Client"), Permanent),
        (landray("sendTodo", 1, "待办类型【3】不合法"), Permanent),
        (landray("sendTodo", 0), Permanent),
    ],
)
def test_each_answer_has_its_error_and_tells_nothing_private(
    listener: Listener, tmp_path: Path, answer: Any, kind: type[Exception]
) -> None:
    listener.answer(LANDRAY, answer)
    with pytest.raises((Transient, Permanent, Configuration)) as raised:
        put(listener, tmp_path)
    assert type(raised.value) is kind
    told = "".join(traceback.format_exception(raised.value))
    assert not any(text in told for text in (TITLE, PASSWORD, "login</html>", "aaaaaaaaaa"))
    assert listener.count(LANDRAY) == 1, "nothing is repeated by itself"
