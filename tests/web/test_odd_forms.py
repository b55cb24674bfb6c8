"""Forms that no page sends: another encoding, NUL, odd keys in the path, too large, of steps without a form."""

import re
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from engine.org import passwords
from engine.org.demo import CAST
from engine.settings import Settings
from tests.dsl import Bpm, bpmn, chain, start_task, task
from tests.web.conftest import Browser, served

BARE = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task()
    + task("first", "head_nurse")
    + chain("s", "apply", "first", "e"),
    key="bare",
)


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "undefined", "punycode", "utf-16", "latin-1"])
def test_a_form_in_another_encoding_is_refused(client: httpx.Client, charset: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="number"\r\n\r\n+2D0-\\ud800\r\n--x--\r\n'
    kind = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    answer = client.post("/login", content=body, headers=kind)
    assert answer.status_code == 422
    assert "UTF-8" in answer.text


def test_a_form_in_utf_8_is_read(client: httpx.Client) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="number"\r\n\r\nnobody\r\n--x--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x; charset=UTF-8"}
    assert "UTF-8" not in client.post("/login", content=body, headers=kind).text


@pytest.mark.parametrize("data", [{"number": "a\x00b"}, {"nu\x00mber": "a"}])
def test_nul_is_refused(client: httpx.Client, data: dict[str, str]) -> None:
    answer = client.post("/login", data=data)
    assert answer.status_code == 422
    assert "不能保存的字符" in answer.text


@pytest.mark.parametrize("path", ["/start/%00", "/start/%ED%A0%80", "/definitions/a%00b", "/start/" + "a" * 500])
def test_an_odd_key_is_no_process(client: httpx.Client, path: str) -> None:
    for who in ("nurse", "process_admin"):
        client.post("/login", data={"number": CAST[who].staff_number, "next": "/"})
        answer = client.get(path)
        assert 400 <= answer.status_code < 500
        assert "text/html" in answer.headers["content-type"]


@pytest.mark.parametrize("script", [False, True])
def test_a_form_that_is_too_large_is_told_on_a_page(browser_of: Browser, script: bool) -> None:
    nurse = browser_of.login("nurse")
    form = nurse.form("/start/leave_request", "/start/leave_request")
    file = ("a.pdf", b"%PDF-" + b"x" * (51 << 20))
    headers = {"hx-request": "true", "hx-request-type": "partial"} if script else {}
    for answer in (
        nurse.send("/start/leave_request", form | {"reason": "很长" * (1 << 19)}, 413, headers=headers),  # as text
        nurse.send("/start/leave_request", form, 413, files={"attachments": file}, headers=headers),
    ):
        assert "内容太大，最多" in answer.text
        assert '"code"' not in answer.text
        if not script:
            assert "text/html" in answer.headers["content-type"]
            nonce = re.search(r'nonce="([^"]+)"', answer.text)
            assert nonce
            assert f"'nonce-{nonce[1]}'" in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] == "private, no-cache"


def test_files_of_nobody_lead_to_the_login(client: httpx.Client) -> None:
    answer = client.post("/start/leave_request", files={"attachments": ("a.pdf", b"%PDF-")})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_a_page_beyond_the_queue_is_told_on_a_page(bpm: Bpm, tmp_path: Path) -> None:
    with served(Settings(mode="demo", var=tmp_path, secure_cookie=False, queue_limit=0), bpm.db) as client:
        answer = client.get("/login")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "系统繁忙" in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert client.get("/api/v1/me").json()["code"] == "overloaded"


def test_steps_without_a_form_have_none_to_show_anew(browser_of: Browser, bpm: Bpm) -> None:
    item = bpm.deploy_files(BARE).start("bare", by="nurse").item("head_nurse").id
    script = {"hx-request": "true", "hx-request-type": "partial"}
    for who, page, told in (("nurse", "/start/bare", "不用填表"), ("head_nurse", f"/items/{item}", "没有表单")):
        browser = browser_of.login(who)
        csrf = {"_csrf": browser.client.get("/api/v1/me").json()["csrf"]}
        assert browser.get(page)
        browser.get(f"{page}/form", 405)
        browser.send(f"{page}/form", csrf, 200)
        assert told in browser.send(f"{page}/form", csrf, 404, headers=script).text
    assert browser_of.client.get("/api/v1/processes/bare/form").json()["form"] is None


def test_too_many_logins_at_once_are_told_on_the_login_page(client: httpx.Client) -> None:
    with ExitStack() as taken:
        for _ in range(passwords._AT_THE_DOOR):
            taken.enter_context(passwords._door)
        answer = client.post("/login", data={"number": "10027", "password": "x"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "现在登录的人太多" in answer.text
    assert 'name="password"' in answer.text
