"""The OA's desk page: whose lists it shows, how it lets people in behind an item, what people do on it."""

import hashlib
import hmac
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from engine.connectors.oa.sites import encrypted, read
from sandbox import toml
from sandbox.oa.constants import SIGN_ON_SECRET
from sandbox.oa.records import NAMES, OAName, Row
from sandbox.oa.server import KINDS, Running

HEAD, NURSE = "10026", "10027"
ITEM = "0123456789abcdef0123456789abcdef"
LINK = f"https://piyue.example/oa/ekp/{ITEM}"


def mirrored(oa: Running, name: OAName = "landray", **facts: Any) -> Row:
    """Put an item of ours into the head nurse's list."""
    lists = oa.state.oas[name]
    given = {"key": ITEM, "account": HEAD, "state": "todo", "title": "单晓燕的请假申请", "link": LINK} | facts
    row = Row(lists.number(), **given)
    lists.add(row)
    return row


def opened(oa: Running, name: str, row: Row, account: str = HEAD, **headers: str) -> httpx.Response:
    return httpx.get(f"{oa.url}/desk/jump", params={"oa": name, "as": account, "id": row.id}, headers=headers)


def query(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def test_the_lists_are_those_of_one_person_in_one_oa(oa_sandbox: Running) -> None:
    mirrored(oa_sandbox, title="<b>请假</b>", urgency=3)
    oa_sandbox.state.landray.start_own(HEAD, "设备巡检")
    mine = httpx.get(f"{oa_sandbox.url}/desk", params={"as": HEAD, "oa": "landray"}).text
    assert "&lt;b&gt;请假&lt;/b&gt;" in mine
    assert "<b>请假" not in mine
    assert [text in mine for text in ("特急", "设备巡检", "本系统", "批阅")] == [True] * 4
    for other in ({"as": NURSE, "oa": "landray"}, {"as": HEAD, "oa": "weaver"}):
        assert "请假" not in httpx.get(f"{oa_sandbox.url}/desk", params=other).text


@pytest.mark.parametrize(("name", "told"), [("landray", False), ("weaver", True), ("seeyon", False), ("plain", True)])
def test_process_and_step_have_columns_where_the_oa_is_told_of_them(
    oa_sandbox: Running, name: OAName, told: bool
) -> None:
    mirrored(oa_sandbox, name, workflow="请假", node="护士长审批")
    page = httpx.get(f"{oa_sandbox.url}/desk", params={"as": HEAD, "oa": name}).text
    assert [text in page for text in ("流程类型", "节点", "护士长审批")] == [told] * 3


@pytest.mark.parametrize("name", ["landray", "plain"])
def test_a_signed_address_names_account_moment_and_item(oa_sandbox: Running, name: OAName) -> None:
    row = mirrored(oa_sandbox, name, link=f"{LINK}?from=oa")
    given = query(opened(oa_sandbox, name, row))
    text = "\n".join([HEAD, given["at"], given["nonce"], ITEM])
    if name == "plain":
        expected = hashlib.md5(f"{text}{SIGN_ON_SECRET}".encode(), usedforsecurity=False).hexdigest()
    else:
        expected = hmac.new(SIGN_ON_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    assert (given["sign"], given["account"], given["from"]) == (expected, HEAD, "oa")
    again = query(opened(oa_sandbox, name, row))
    assert again["nonce"] != given["nonce"]
    assert not oa_sandbox.state.oas[name].of(HEAD)[0].unread


@pytest.mark.parametrize("name", ["weaver", "seeyon"])
def test_a_ticket_tells_once_and_for_a_minute_whose_it_is(oa_sandbox: Running, name: OAName) -> None:
    row = mirrored(oa_sandbox, name)

    def asked(ticket: str, of: str = name) -> tuple[int, object]:
        answer = httpx.get(f"{oa_sandbox.url}/{of}/sso/ticket", params={"ticket": ticket})
        return answer.status_code, answer.json().get("user")

    ticket = query(opened(oa_sandbox, name, row))["ticket"]
    assert asked(ticket, "seeyon" if name == "weaver" else "weaver") == (401, None)
    assert asked(ticket) == (200, {"loginName": HEAD})
    assert asked(ticket) == (401, None)
    late = query(opened(oa_sandbox, name, row))["ticket"]
    oa_sandbox.state.advance(61)
    assert asked(late) == (401, None)


def test_a_phone_gets_the_address_for_phones(oa_sandbox: Running) -> None:
    row = mirrored(oa_sandbox, mobile_link="https://m.piyue.example/x")
    agent = {"User-Agent": "Mozilla/5.0 (Linux; Android 14) Mobile Safari/537.36"}
    assert opened(oa_sandbox, "landray", row, **agent).headers["location"].startswith("https://m.piyue.example/x?")
    assert opened(oa_sandbox, "landray", row).headers["location"].startswith(LINK)


def test_nobody_is_let_in_by_another_s_row_or_to_what_is_no_web_page(oa_sandbox: Running) -> None:
    row = mirrored(oa_sandbox)
    assert opened(oa_sandbox, "landray", row, NURSE).status_code == 404
    assert opened(oa_sandbox, "landray", mirrored(oa_sandbox, link="javascript:alert(1)")).status_code == 404
    oa_sandbox.state.landray.remove(row)
    gone = opened(oa_sandbox, "landray", row)
    assert (gone.status_code, "已不在列表里" in gone.text) == (404, True)


def test_an_own_item_is_handled_on_its_page(oa_sandbox: Running) -> None:
    oa_sandbox.state.seeyon.start_own(HEAD, "设备巡检")
    [row] = oa_sandbox.state.seeyon.of(HEAD)
    page = f"{oa_sandbox.url}{opened(oa_sandbox, 'seeyon', row).headers['location']}"
    assert "设备巡检" in httpx.get(page).text
    assert httpx.post(page, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    done = httpx.post(page, follow_redirects=True)
    assert "您已办理" in done.text
    assert [(r.state, r.in_oa) for r in oa_sandbox.state.seeyon.of(HEAD)] == [("done", True)]


def test_ours_are_handled_in_the_oa_only_where_it_can(oa_sandbox: Running) -> None:
    def handled(name: OAName, row: Row, **more: str) -> int:
        asked = {"oa": name, "as": HEAD, "id": row.id, "outcome": "reject", "opinion": "人手不够"} | more
        return httpx.post(f"{oa_sandbox.url}/desk/handle", json=asked).status_code

    row = mirrored(oa_sandbox, "plain")
    assert handled("landray", mirrored(oa_sandbox)) == 409
    assert handled("plain", row, **{"as": NURSE}) == 409
    assert httpx.post(f"{oa_sandbox.url}/desk/handle", json=["x"]).status_code == 422
    assert (handled("plain", row), handled("plain", row)) == (204, 409)
    [done] = oa_sandbox.state.plain.of(HEAD)
    assert (done.state, done.outcome, done.opinion, done.in_oa) == ("done", "reject", "人手不够", True)


def test_the_feed_waits_for_what_is_new(oa_sandbox: Running) -> None:
    address = f"{oa_sandbox.url}/desk/feed?oa=landray&as={HEAD}"
    known = httpx.get(f"{address}&version=").json()["version"]
    assert httpx.get(f"{address}&version={known}").status_code == 204
    mirrored(oa_sandbox)
    news = httpx.get(f"{address}&version={known}").json()
    assert "单晓燕的请假申请" in news["lists"]
    assert news["version"] != known


@pytest.mark.parametrize("kind", KINDS)
def test_the_printed_file_is_one_that_the_service_reads(oa_sandbox: Running, kind: str, tmp_path: Path) -> None:
    given, key = oa_sandbox.site(kind), b"k" * 32
    assert tomllib.loads(toml.written(given)) == given
    sealed = given | {"password": encrypted(key, "ekp", given["password"])} if "password" in given else dict(given)
    if "secret" in given["sign_on"]:
        sealed["sign_on"] = given["sign_on"] | {"secret": encrypted(key, "ekp", given["sign_on"]["secret"])}
    (tmp_path / "ekp").mkdir()
    (tmp_path / "ekp" / "site.toml").write_text(toml.written(sealed), "utf-8")
    [site] = read(tmp_path, key)
    assert (site.kind, site.password.get_secret_value()) == (kind, given.get("password", ""))
    moved = sealed | {"address": "https://oa.hospital.example"}
    (tmp_path / "ekp" / "site.toml").write_text(toml.written(moved), "utf-8")
    assert read(tmp_path, key)[0].address == moved["address"], "another address is all that changes"


def test_every_oa_has_a_skin(oa_sandbox: Running) -> None:
    for name in NAMES:
        page = httpx.get(f"{oa_sandbox.url}/desk", params={"oa": name, "as": HEAD}).text
        assert f'<body class="{name}"' in page
        assert httpx.get(f"{oa_sandbox.url}/desk/ui/{name}.svg").status_code == 200
