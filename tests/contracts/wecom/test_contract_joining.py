"""First joining, verified by a code where the administrator demands it (M12); the JS-SDK's configuration.

Issue 4, "Entry", "JS-SDK".
"""

import hashlib
import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from engine.connectors.wecom.client import js
from sandbox.wecom.server import Running
from tests.contracts.wecom.test_contract_entry import Detour, logged_in
from tests.contracts.wecom.ward import PHONE, Ward, name, opened
from tests.dsl import Bpm

pytestmark = pytest.mark.backend("sqlite")


@pytest.fixture
def strict(bpm: Bpm, wecom_sandbox: Running, tmp_path: Path) -> Iterator[Ward]:
    """A hospital whose administrator demands a code at the first joining; in the demo the page shows it."""
    with opened(bpm, wecom_sandbox, tmp_path, everybody=False, verify_joining=True) as made:
        yield made


def form_of(page: str, with_field: str = "") -> tuple[str, dict[str, str]]:
    """Return the address and the hidden fields of the form of a page that has that field."""
    for head, body in re.findall(r"<form([^>]*)>(.*?)</form>", page, re.S):
        if with_field and f'name="{with_field}"' not in body:
            continue
        action = re.search(r'action="([^"]*)"', head)
        fields = {}
        for tag in re.findall(r"<(?:input|button)[^>]*>", body):
            key, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
            if key and key.group(1) not in fields:
                fields[key.group(1)] = html.unescape(value.group(1)) if value else ""
        return html.unescape(action.group(1)) if action else "", fields
    raise AssertionError(f"no form {with_field}: {page[:2000]}")


def follow(browser: httpx.Client, answer: httpx.Response) -> httpx.Response:
    while answer.status_code in (302, 303):
        answer = browser.get(answer.headers["location"])
    return answer


def test_the_first_time_a_code_is_asked_for_and_then_never_again(strict: Ward) -> None:
    with strict.browser(PHONE) as browser:
        page = follow(browser, Detour(strict, browser, "/account").back("nurse"))
        assert logged_in(browser) == "", "WeCom's word alone lets nobody in"
        shown = re.search(r"\d{3}\*{4}\d{4}|\S\*+@", page.text)
        assert shown, page.text
        action, fields = form_of(page.text, "way")
        page = follow(browser, browser.post(action or page.url, data=fields, headers={"Origin": strict.url}))
        strict.work()
        action, fields = form_of(page.text, "code")
        wrong = browser.post(action, data={**fields, "code": "000000"}, headers={"Origin": strict.url})
        assert wrong.status_code in (409, 422, 303)
        assert logged_in(browser) == ""
        told = re.search(r"(?<!\d)\d{6}(?!\d)", re.sub(r"<[^>]+>", " ", page.text))
        assert told, "the demo shows the code"
        answer = browser.post(action, data={**fields, "code": told.group(0)}, headers={"Origin": strict.url})
        assert logged_in(browser) == name("nurse"), answer.text
        assert answer.headers["location"].endswith("/account"), "the target survives the joining too"
    with strict.browser(PHONE) as browser:
        Detour(strict, browser, "/").back("nurse")
        assert logged_in(browser) == name("nurse"), "joined once"


def test_five_wrong_codes_are_the_end(strict: Ward) -> None:
    with strict.browser(PHONE) as browser:
        page = follow(browser, Detour(strict, browser, "/").back("nurse"))
        action, fields = form_of(page.text, "way")
        page = follow(browser, browser.post(action, data=fields, headers={"Origin": strict.url}))
        action, fields = form_of(page.text, "code")
        told = re.search(r"(?<!\d)\d{6}(?!\d)", re.sub(r"<[^>]+>", " ", page.text))
        assert told
        right = told.group(0)
        for n in range(6):
            wrong = f"{(int(right) + n + 1) % 10**6:06d}"
            assert (
                browser.post(action, data={**fields, "code": wrong}, headers={"Origin": strict.url}).status_code < 500
            )
        browser.post(action, data={**fields, "code": right}, headers={"Origin": strict.url})
        assert logged_in(browser) == ""


def test_the_vector_of_the_document(ward: Ward) -> None:
    ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
    made = js.signature(ticket, "Wm3WZYTPz0wzccnW", 1414587457, "http://mp.weixin.qq.com?params=value#part")
    assert made == "0f9de62fce790f9a083d5c99e95740ceb90c27ed"


@pytest.mark.parametrize("kind", ["js_config", "agent_js_config"])
def test_a_page_is_signed_for_itself(ward: Ward, kind: str) -> None:
    """Checked against the ticket that WeCom gives, by the words of its document."""
    url = f"{ward.url}/items/1?do=return"
    config = getattr(ward.client, kind)(url + "#fragment")
    other = getattr(ward.client, kind)(f"{ward.url}/items/2")
    with httpx.Client(base_url=f"{ward.stand_in.url}/cgi-bin/") as wecom:
        given = {"corpid": ward.settings.corp_id, "corpsecret": ward.settings.secret.get_secret_value()}
        token = wecom.get("gettoken", params=given).json()["access_token"]
        path, more = ("get_jsapi_ticket", {}) if kind == "js_config" else ("ticket/get", {"type": "agent_config"})
        ticket = wecom.get(path, params={"access_token": token, **more}).json()["ticket"]
    text = f"jsapi_ticket={ticket}&noncestr={config.nonce}&timestamp={config.timestamp}&url={url}"
    assert config.signature == hashlib.sha1(text.encode()).hexdigest()
    assert config.signature != other.signature
    assert config.nonce != other.nonce
    assert ticket not in repr(config)


def test_tickets_are_asked_for_once(ward: Ward) -> None:
    for n in range(20):
        ward.client.js_config(f"{ward.url}/items/{n}")
    assert ward.calls("get_jsapi_ticket") == 1, "400 an hour for the whole corp"


def test_a_page_asks_for_its_own_signature(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    path = f"/items/{story.item('head_nurse').id}"
    mine, others = f"{ward.url}{path}", "https://evil.example/items/1"
    with ward.browser(PHONE) as nobody:
        assert nobody.get("/wecom/js-config", params={"url": mine}).status_code in (302, 303, 401, 403)
    with ward.browser(PHONE) as browser:
        Detour(ward, browser, path).back("head_nurse")
        page = browser.get(path)
        config = browser.get("/wecom/js-config", params={"url": mine})
        foreign = browser.get("/wecom/js-config", params={"url": others})
        nonsense = [browser.get("/wecom/js-config", params={"url": u}).status_code for u in ("", "x" * 9000, "路径")]
    assert page.status_code == 200
    assert 'data-corp="wwpiyuesandbox"' in page.text
    assert config.status_code == 200
    assert re.findall(r"[0-9a-f]{40}", config.text), config.text
    assert 400 <= foreign.status_code < 500, "we sign for our own pages"
    assert all(400 <= status < 500 for status in nonsense), nonsense
    assert ward.settings.secret.get_secret_value() not in page.text + config.text


def test_outside_wecom_a_page_needs_no_sdk(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    with ward.api("head_nurse") as browser:
        page = browser.get(f"/items/{story.item('head_nurse').id}")
    assert page.status_code == 200
    assert "/static/wecom-" not in page.text
