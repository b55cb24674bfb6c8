"""The way in through WeCom: the real pages, the real client, and the stand-in over a real socket."""

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import select, update

from engine import clock
from engine.connectors.wecom import accounts
from engine.connectors.wecom.entry import arriving, states
from engine.connectors.wecom.models import WeComAccount, WeComEntry
from engine.org.demo import CAST
from engine.settings import Settings
from sandbox.wecom import constants
from sandbox.wecom.oauth import OUTSIDER
from tests.dsl import Bpm
from tests.web.conftest import served
from tests.web.wecom_phone import DESK, NURSE, TELEPHONE, Phone, another, change, refused, sessions, trail

# -- in, and on to the page


def test_a_page_opened_in_wecom_is_there_without_a_login_and_with_its_query(bpm: Bpm, phone: Phone) -> None:
    answer = phone.enter("/box/todo?process=leave_request&text=%E8%AF%B7%E5%81%87")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/box/todo?process=leave_request&text=%E8%AF%B7%E5%81%87"
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("piyue="))
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    page = phone.get(answer.headers["location"])
    assert page.status_code == 200
    assert "单晓燕" in phone.get("/account").text
    (join, by, how), (login, who, seen) = trail(bpm, "wecom_join", "login")
    assert (join, by, how["userid"], how["by"]) == ("wecom_join", bpm.person("nurse"), NURSE, "staff_number")
    assert (login, who, seen["wecom"]) == ("login", bpm.person("nurse"), NURSE)


def test_the_way_out_is_the_one_that_wecom_documents(phone: Phone) -> None:
    url = phone.to_wecom("/items/0198c0de-c0de-7000-8000-00000000c0de?do=return")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    state = asked.pop("state")
    assert asked == {
        "appid": constants.CORP_ID,
        "redirect_uri": "http://testserver/wecom/enter",
        "response_type": "code",
        "scope": "snsapi_base",
        "agentid": str(constants.AGENT_ID),
    }
    assert url.endswith("#wechat_redirect")
    assert re.fullmatch("[a-zA-Z0-9]{32,128}", state)


def test_the_card_s_dialog_survives_the_detour(phone: Phone) -> None:
    path = "/items/0198c0de-c0de-7000-8000-00000000c0de?do=return"
    assert phone.enter(path).headers["location"] == path


def test_in_a_plain_browser_the_login_page_offers_the_code_beside_the_password(bpm: Bpm, phone: Phone) -> None:
    desk = another(phone, agent=DESK)
    answer = desk.get("/box/done")
    assert answer.headers["location"] == "/login?next=%2Fbox%2Fdone"
    page = desk.get(answer.headers["location"]).text
    assert "企业微信扫码登录" in page
    assert 'name="password"' in page
    url = desk.to_wecom("/wecom/go?next=%2Fbox%2Fdone")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert urlsplit(url).path == "/wwlogin/sso/login"
    assert (asked["login_type"], asked["appid"], asked["agentid"]) == ("CorpApp", constants.CORP_ID, "1000002")
    answer = desk.get(desk.back_from(url))
    assert answer.headers["location"] == "/box/done"
    assert desk.get("/box/done").status_code == 200
    assert sessions(bpm) == 1


def test_who_comes_in_gets_a_new_session_and_the_old_one_ends(phone: Phone) -> None:
    phone.enter()
    old = phone.client.cookies["piyue"]
    phone.get(phone.back_from(phone.to_wecom("/wecom/go")))
    assert phone.client.cookies["piyue"] != old
    assert another(phone, agent=DESK).get("/account", Cookie=f"piyue={old}").headers["location"].startswith("/login")


def test_whose_session_ends_while_a_form_is_open_comes_back_to_it(phone: Phone) -> None:
    phone.client.cookies.set("piyue", "gone")
    headers = {"User-Agent": TELEPHONE, "HX-Request": "true", "Referer": "http://testserver/items/7?list=todo"}
    answer = phone.client.post("/items/0198c0de-c0de-7000-8000-00000000c0de/complete", data={}, headers=headers)
    assert answer.headers["hx-redirect"] == "/wecom/go?next=%2Fitems%2F7%3Flist%3Dtodo"
    foreign = headers | {"Referer": "https://evil.example/items/7"}
    assert (
        phone.client.post("/items/0198c0de-c0de-7000-8000-00000000c0de/complete", data={}, headers=foreign).headers[
            "hx-redirect"
        ]
        == "/wecom/go"
    )
    # a form that the browser itself sends can't be led to another site: the page's policy forbids it
    assert phone.post("/items/0198c0de-c0de-7000-8000-00000000c0de/complete").headers["location"] == "/login"


@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example/", "/\\evil.example", "/wecom/go", "/login", ""], ids=str
)
def test_nobody_is_led_to_another_site_or_round_in_circles(phone: Phone, target: str) -> None:
    answer = phone.get(phone.back_from(phone.to_wecom(str(httpx.URL("/wecom/go", params={"next": target})))))
    assert answer.headers["location"] == "/"


def test_without_wecom_everything_is_as_it_was(bpm: Bpm, tmp_path: Path) -> None:
    with served(Settings(mode="demo", var=tmp_path, secure_cookie=False), bpm.db) as client:
        answer = client.get("/box/todo", headers={"User-Agent": TELEPHONE})
        assert answer.headers["location"] == "/login?next=%2Fbox%2Ftodo"
        assert "企业微信" not in client.get("/login").text
        assert client.get("/wecom/go").status_code == 404
        assert client.get("/wecom/enter?code=x&state=y").status_code == 404


# -- the state


def test_a_state_is_good_once(bpm: Bpm, phone: Phone) -> None:
    back = phone.back_from(phone.to_wecom("/box/todo"))
    assert phone.get(back).status_code == 303
    refused(phone.get(back), "这次进入已失效")
    fresh = phone.sandbox.control.code(who=NURSE, agentid=constants.AGENT_ID)["code"]
    state = parse_qs(urlsplit(back).query)["state"][0]
    refused(phone.get(f"/wecom/enter?code={fresh}&state={state}"), "这次进入已失效")
    assert sessions(bpm) == 1


def test_a_state_is_good_in_its_own_browser_only(bpm: Bpm, phone: Phone) -> None:
    """Somebody who sends their own code and state to a victim logs nobody in as themselves, nor steals anybody's."""
    mine = phone.back_from(phone.to_wecom("/box/todo"))
    victim = another(phone, member=CAST["head_nurse"].staff_number)
    refused(victim.get(mine), "这次进入已失效")
    victim.to_wecom("/box/todo")  # with a cookie of their own
    refused(victim.get(mine), "这次进入已失效")
    assert sessions(bpm) == 0
    assert phone.get(mine).status_code == 303  # the failed tries have cost its owner nothing


def test_a_state_is_good_for_ten_minutes(bpm: Bpm, phone: Phone) -> None:
    back = phone.back_from(phone.to_wecom("/box/todo"))
    clock.freeze(clock.now() + states.LASTS + timedelta(seconds=1))
    refused(phone.get(back), "这次进入已失效")
    assert sessions(bpm) == 0


@pytest.mark.parametrize("state", ["", "x", "a" * 500, "%00", "%E7%8A%B6", "..%2F..", "a-b"])
def test_a_state_that_was_never_ours_is_refused(bpm: Bpm, phone: Phone, state: str) -> None:
    phone.to_wecom("/box/todo")
    code = phone.sandbox.control.code(who=NURSE, agentid=constants.AGENT_ID)["code"]
    refused(phone.get(f"/wecom/enter?code={code}&state={state}"), "这次进入已失效")
    assert sessions(bpm) == 0


def rows(bpm: Bpm) -> list[WeComEntry]:
    with bpm.db.reading() as session:
        return list(session.scalars(select(WeComEntry)))


def test_who_only_sets_out_leaves_no_row(bpm: Bpm, phone: Phone) -> None:
    back = phone.back_from(phone.to_wecom("/box/todo"))
    for _ in range(3):
        another(phone).to_wecom("/box/todo")
    assert rows(bpm) == []
    phone.get(back)
    assert [row.target for row in rows(bpm)] == ["/box/todo"]


def test_neither_state_nor_browser_is_kept_as_it_is(bpm: Bpm, phone: Phone) -> None:
    url = phone.to_wecom("/box/todo")
    state = parse_qs(urlsplit(url).query)["state"][0]
    phone.get(phone.back_from(url))
    [row] = rows(bpm)
    kept = bytes(row.state_hash) + bytes(row.browser_hash)
    assert state.encode() not in kept
    assert phone.client.cookies["piyue-wecom"].encode() not in kept
    set_ = phone.get("/wecom/go").headers.get_list("set-cookie")
    for name in ("piyue-wecom=", "piyue-wecom-ways="):
        cookie = next(c for c in set_ if c.startswith(name))
        assert "httponly" in cookie.lower()
        assert "samesite=lax" in cookie.lower()
        assert "domain" not in cookie.lower()


def test_two_windows_of_one_browser_come_back_each_to_its_own_page(bpm: Bpm, phone: Phone) -> None:
    first, second = (phone.back_from(phone.to_wecom(f"/wecom/go?next=/box/{box}")) for box in ("todo", "done"))
    assert phone.get(first).headers["location"] == "/box/todo"
    assert phone.get(second).headers["location"] == "/box/done"
    assert len(rows(bpm)) == 2


def test_a_page_that_somebody_put_into_the_cookie_is_not_gone_to(bpm: Bpm, phone: Phone) -> None:
    """The state vouches for the page: whoever can set a cookie leads nobody elsewhere with it."""
    back = phone.back_from(phone.to_wecom("/box/todo"))
    [way] = states.read(phone.client.cookies["piyue-wecom-ways"])
    forged = states.written([way._replace(target="//evil.example/")], clock.now())
    headers = {"Cookie": f"piyue-wecom={phone.client.cookies['piyue-wecom']}; piyue-wecom-ways={forged}"}
    refused(another(phone).get(back, **headers), "这次进入已失效")
    assert rows(bpm) == []


@pytest.mark.parametrize("cookie", ["", "x", "%00", "W10", "WzFd", "e30", "a" * 4000])
def test_a_cookie_that_is_none_of_ours_is_as_good_as_none(phone: Phone, cookie: str) -> None:
    back = phone.back_from(phone.to_wecom("/box/todo"))
    token = phone.client.cookies["piyue-wecom"]
    headers = {"Cookie": f"piyue-wecom={token}; piyue-wecom-ways={cookie}"}
    refused(another(phone).get(back, **headers), "这次进入已失效")
    assert another(phone).get("/wecom/go", **headers).status_code == 303


def test_a_state_is_good_once_also_with_a_copy_of_the_cookies(bpm: Bpm, phone: Phone) -> None:
    back = phone.back_from(phone.to_wecom("/box/todo"))
    cookies = {name: phone.client.cookies[name] for name in ("piyue-wecom", "piyue-wecom-ways")}
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    answers = [another(phone).get(back, Cookie=header).status_code for _ in range(2)]
    assert answers == [303, 403]
    assert sessions(bpm) == 1


def test_a_page_with_a_very_long_address_fits_the_cookie(phone: Phone) -> None:
    longest = "/box/todo?text=" + "a" * 980
    for _ in range(arriving.MOST_A_MINUTE):
        url = phone.to_wecom(str(httpx.URL("/wecom/go", params={"next": longest})))
        assert len(phone.client.cookies["piyue-wecom-ways"]) < 3800
    assert phone.get(phone.back_from(url)).headers["location"] == longest


def test_a_code_is_good_once_also_with_a_new_state(bpm: Bpm, phone: Phone) -> None:
    back = phone.back_from(phone.to_wecom("/box/todo"))
    code = parse_qs(urlsplit(back).query)["code"][0]
    phone.get(back)
    thief = another(phone)
    state = parse_qs(urlsplit(thief.to_wecom("/box/todo")).query)["state"][0]
    refused(thief.get(f"/wecom/enter?code={code}&state={state}"), "登录凭证已失效", 401)
    assert sessions(bpm) == 1


def test_who_does_not_agree_is_told_so(phone: Phone) -> None:
    state = parse_qs(urlsplit(phone.to_wecom("/box/todo")).query)["state"][0]
    refused(phone.get(f"/wecom/enter?state={state}"), "没有得到授权")


def test_what_is_over_is_deleted(bpm: Bpm, phone: Phone) -> None:
    phone.enter()
    assert len(rows(bpm)) == 1
    clock.freeze(clock.now() + timedelta(hours=2))
    arriving.purge(bpm.db)
    assert rows(bpm) == []


# -- who


def test_an_outsider_is_refused(bpm: Bpm, phone: Phone) -> None:
    phone.member = OUTSIDER
    answer = phone.enter("/box/done")
    refused(answer, "您不是本院成员")
    assert "信息科" in answer.text
    assert 'href="/login?next=%2Fbox%2Fdone"' in answer.text
    assert sessions(bpm) == 0


def test_a_member_outside_the_visible_scope_is_refused(bpm: Bpm, phone: Phone) -> None:
    phone.sandbox.control.agent(agentid=constants.AGENT_ID, users=[CAST["head_nurse"].staff_number], parties=[])
    refused(phone.enter(), "应用还没有对您开放")
    assert another(phone, member=CAST["head_nurse"].staff_number).enter().status_code == 303
    assert sessions(bpm) == 1


def test_who_has_vanished_from_wecom_does_not_come_in_by_the_old_account(bpm: Bpm, phone: Phone) -> None:
    """WeCom gives the userid of somebody who has left to the next of that name."""
    phone.enter()
    with bpm.db.unit_of_work() as session:
        session.execute(update(WeComAccount).values(vanished_at=clock.now()))
        assert accounts.people_of(session, [NURSE]) == []
    before = sessions(bpm)
    answer = phone.get(phone.back_from(phone.to_wecom("/wecom/go")))
    assert answer.headers["location"].startswith("/wecom/join?")  # where they prove who they are
    assert sessions(bpm) == before
    with bpm.db.unit_of_work() as session:
        accounts.link(session, None, NURSE, NURSE)
        assert [userid for userid, *_ in accounts.people_of(session, [NURSE])] == [NURSE]
    assert phone.enter().status_code == 303


def test_who_is_disabled_is_refused(bpm: Bpm, phone: Phone) -> None:
    phone.enter()
    change(bpm, "nurse", disabled_at=clock.now())
    answer = phone.get("/box/todo")  # the session has ended with it, and WeCom still says who it is
    assert answer.headers["location"].startswith("/wecom/go")
    refused(phone.enter(), "您的账号已停用")


def test_a_number_in_another_case_is_the_same_member(bpm: Bpm, phone: Phone) -> None:
    change(bpm, "nurse", staff_number="N027")
    phone.sandbox.control.add_member(userid="n027", name="单晓燕", departments=[1])
    phone.member = "n027"
    assert phone.enter().status_code == 303
    with bpm.db.unit_of_work() as session:
        found = session.scalars(select(WeComAccount)).one()
        assert (found.person_id, found.userid, found.userid_key) == (bpm.person("nurse"), "n027", "n027")
        assert accounts.account_of(session, "N027") is found


def test_a_refused_person_is_not_sent_round_and_round(bpm: Bpm, phone: Phone) -> None:
    """A browser that keeps the entry's cookie and loses the session's."""
    for _ in range(arriving.MOST_A_MINUTE):
        assert phone.enter().status_code == 303
        del phone.client.cookies["piyue"]
    answer = phone.get(phone.get("/box/todo").headers["location"])
    refused(answer, "进入的次数太多", 409)
    clock.freeze(clock.now() + timedelta(minutes=1, seconds=1))
    assert phone.enter().status_code == 303


def test_a_browser_that_keeps_no_cookie_ends_at_a_page(phone: Phone) -> None:
    back = phone.back_from(phone.to_wecom("/box/todo"))
    phone.client.cookies.clear()
    refused(phone.get(back), "这次进入已失效")


def test_while_wecom_is_away_the_password_is_offered_and_coming_again_works(bpm: Bpm, phone: Phone) -> None:
    url = phone.to_wecom("/box/todo")
    phone.sandbox.control.fault(endpoint="auth/getuserinfo", errcode=-1, times=10)
    answer = phone.get(phone.back_from(url))
    refused(answer, "企业微信暂时连不上", 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert 'href="/login?next=%2Fbox%2Ftodo"' in answer.text
    assert "errcode" not in answer.text
    phone.sandbox.control.clear_faults()
    assert phone.enter().status_code == 303
    assert sessions(bpm) == 1
