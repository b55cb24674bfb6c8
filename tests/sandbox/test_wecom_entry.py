"""Entry: the login pages, their codes, what a code tells, and the tickets of the JS-SDK."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.wecom import constants
from sandbox.wecom.server import Running
from tests.sandbox.conftest import HEAD_NURSE, NURSE, Client, refusal

AGENT = constants.AGENT_ID
BACK = "https://oa.example/enter?next=%2Fitems%2F1"
H5 = {"appid": constants.CORP_ID, "redirect_uri": BACK, "response_type": "code", "scope": "snsapi_base", "state": "s1"}
WEB = {"login_type": "CorpApp", "appid": constants.CORP_ID, "agentid": str(AGENT), "redirect_uri": BACK, "state": "s2"}
AUTHORIZE, LOGIN = "/connect/oauth2/authorize", "/wwlogin/sso/login"


def page(wecom: Running, path: str, query: dict[str, str], member: str = "") -> httpx.Response:
    """Open a login page, in the webview of a member where one is named."""
    cookies = {constants.MEMBER_COOKIE: member} if member else {}
    with httpx.Client(base_url=wecom.url, cookies=cookies, trust_env=False, verify=False) as browser:
        return browser.get(path, params=query)


def came_back(answer: httpx.Response) -> dict[str, str]:
    """Return what the page that is returned to was given."""
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith(BACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def test_inside_the_phone_nobody_is_asked(wecom_sandbox: Running, client: Client) -> None:
    given = came_back(page(wecom_sandbox, AUTHORIZE, H5, member=NURSE))
    assert (given["next"], given["state"]) == ("/items/1", "s1")
    answer = client.get("auth/getuserinfo", params={"code": given["code"]})
    assert (answer["userid"], "user_ticket" in answer) == (NURSE, False)


def test_in_a_browser_a_member_is_picked(wecom_sandbox: Running, client: Client) -> None:
    asked = page(wecom_sandbox, AUTHORIZE, H5)
    assert asked.status_code == 200
    assert "覃怀远" in asked.text
    assert "外部人员" in asked.text
    assert "另有 1540 人" in asked.text
    found = page(wecom_sandbox, AUTHORIZE, {**H5, "sought": "单晓燕"})
    assert ("10027" in found.text, "覃怀远" in found.text) == (True, False)
    given = came_back(page(wecom_sandbox, AUTHORIZE, {**H5, "member": HEAD_NURSE}))
    assert client.get("auth/getuserinfo", params={"code": given["code"]})["userid"] == HEAD_NURSE
    outsider = came_back(page(wecom_sandbox, AUTHORIZE, {**H5, "member": "*"}))
    answer = client.get("auth/getuserinfo", params={"code": outsider["code"]})
    assert ("userid" in answer, answer["openid"][0]) == (False, "o")


def test_on_the_desktop_somebody_is_picked_always(wecom_sandbox: Running, client: Client) -> None:
    wecom_sandbox.control.agent(agentid=AGENT, users=[HEAD_NURSE], parties=[], tags=[])
    asked = page(wecom_sandbox, LOGIN, WEB, member=NURSE)
    assert asked.status_code == 200
    assert "不在应用可见范围" in asked.text
    given = came_back(page(wecom_sandbox, LOGIN, {**WEB, "member": NURSE}))
    assert (given["state"], given["appid"]) == ("s2", constants.CORP_ID)
    answer = client.get("auth/getuserinfo", params={"code": given["code"]})
    assert answer["userid"] == NURSE, "out of scope, and yet named"


@pytest.mark.parametrize(
    ("path", "query", "told"),
    [
        (AUTHORIZE, {"appid": "wwother"}, "40013"),
        (AUTHORIZE, {"response_type": "token"}, "40058"),
        (AUTHORIZE, {"scope": "snsapi_all"}, "40058"),
        (AUTHORIZE, {"scope": "snsapi_privateinfo", "agentid": "1"}, "40056"),
        (AUTHORIZE, {"agentid": "1"}, "40056"),
        (AUTHORIZE, {"state": "a-b"}, "40058"),
        (AUTHORIZE, {"state": "a" * 129}, "40058"),
        (AUTHORIZE, {"redirect_uri": "javascript:alert(1)"}, "50001"),
        (AUTHORIZE, {"redirect_uri": ""}, "50001"),
        (AUTHORIZE, {"member": "nobody"}, "40003"),
        (LOGIN, {"login_type": "ServiceApp"}, "40058"),
        (LOGIN, {"agentid": ""}, "40056"),
        (LOGIN, {"agentid": "0"}, "40056"),
    ],
)
def test_links_that_lead_nowhere(wecom_sandbox: Running, path: str, query: dict[str, str], told: str) -> None:
    answer = page(wecom_sandbox, path, {**(H5 if path == AUTHORIZE else WEB), **query}, member=NURSE)
    assert (answer.status_code, told in answer.text) == (200, True)


def test_pages_return_to_trusted_domains_only(wecom_sandbox: Running) -> None:
    wecom_sandbox.control.agent(agentid=AGENT, domains=["oa.example", "127.0.0.1:8000"])
    for address, trusted in (
        ("https://oa.example/x", True),
        ("https://oa.example:8443/x", True),
        ("http://127.0.0.1:8000/x", True),
        ("http://127.0.0.1:9000/x", False),
        ("https://oa.example.evil/x", False),
        ("https://oa.example@evil/x", False),
    ):
        answer = page(wecom_sandbox, LOGIN, {**WEB, "redirect_uri": address, "member": NURSE})
        assert (answer.status_code == 302, "50001" in answer.text) == (trusted, not trusted), address


def test_names_on_the_page_are_texts(wecom_sandbox: Running) -> None:
    wecom_sandbox.control.add_member(userid="x1", name="<script>alert(1)</script>", departments=[1])
    text = page(wecom_sandbox, LOGIN, {**WEB, "sought": "x1", "redirect_uri": 'https://oa.example/"><b>'}).text
    assert "<script" not in text
    assert '"><b>' not in text


def code(wecom: Running, who: str = NURSE, **more: Any) -> str:
    return str(wecom.control.code(who=who, **more)["code"])


def test_a_code_is_used_once_within_five_minutes(wecom_sandbox: Running, client: Client) -> None:
    def ask(given: str) -> Any:
        return client.get("auth/getuserinfo", params={"code": given})

    first, late = code(wecom_sandbox), code(wecom_sandbox)
    assert ask(first)["userid"] == NURSE
    assert refusal(lambda: ask(first)) == 42022
    assert refusal(lambda: ask("invented")) == 40029
    assert refusal(lambda: ask("")) == 41008
    wecom_sandbox.control.advance(seconds=299)
    assert ask(code(wecom_sandbox))["userid"] == NURSE
    wecom_sandbox.control.advance(seconds=1)
    assert refusal(lambda: ask(late)) == 42003


def test_a_code_is_for_the_app_that_the_link_named(wecom_sandbox: Running, client: Client) -> None:
    other = Client(wecom_sandbox.url, constants.OTHER_AGENT_SECRET)
    given = code(wecom_sandbox, agentid=AGENT)
    assert other.refused("auth/getuserinfo", code=given) == 50001
    assert client.get("auth/getuserinfo", params={"code": given})["userid"] == NURSE


def test_wechatpys_older_way(wecom_sandbox: Running, client: Client) -> None:
    assert client.oauth.get_user_info(code(wecom_sandbox))["UserId"] == NURSE
    assert "OpenId" in client.oauth.get_user_info(code(wecom_sandbox, "*"))
    assert client.oauth.authorize_url(BACK, "s1").startswith("https://open.weixin.qq.com" + AUTHORIZE)


def test_what_a_member_let_the_app_know(wecom_sandbox: Running, client: Client, contacts: Client) -> None:
    private: dict[str, Any] = {"scope": "snsapi_privateinfo", "agentid": AGENT}
    answer = client.get("auth/getuserinfo", params={"code": code(wecom_sandbox, **private)})
    ticket = answer["user_ticket"]
    detail = client.post("auth/getuserdetail", data={"user_ticket": ticket})
    assert (detail["userid"], detail["mobile"], detail["email"]) == (NURSE, "13800000027", "10027@hospital.example")
    assert client.refused("auth/getuserdetail", {"user_ticket": "invented"}) == 40035
    assert contacts.refused("auth/getuserdetail", {"user_ticket": ticket}) == 48002
    wecom_sandbox.control.agent(agentid=AGENT, users=[HEAD_NURSE], parties=[], tags=[])
    assert client.refused("auth/getuserdetail", {"user_ticket": ticket}) == 50002
    outside = client.get("auth/getuserinfo", params={"code": code(wecom_sandbox, **private)})
    assert (outside["userid"], "user_ticket" in outside) == (NURSE, False)
    wecom_sandbox.control.agent(agentid=AGENT, users=[], parties=[1], tags=[])
    wecom_sandbox.control.advance(seconds=1800)
    assert client.refused("auth/getuserdetail", {"user_ticket": ticket}) == 40035


def test_a_member_is_asked_before_the_app_knows_what_is_private(wecom_sandbox: Running, client: Client) -> None:
    private = {**H5, "scope": "snsapi_privateinfo", "agentid": str(AGENT)}
    asked = page(wecom_sandbox, AUTHORIZE, private, member=NURSE)
    assert (asked.status_code, "申请获取单晓燕的手机号和邮箱" in asked.text) == (200, True)
    given = came_back(page(wecom_sandbox, AUTHORIZE, {**private, "member": NURSE}, member=NURSE))
    assert "user_ticket" in client.get("auth/getuserinfo", params={"code": given["code"]})
    without = came_back(page(wecom_sandbox, AUTHORIZE, {**H5, "scope": "snsapi_privateinfo"}, member=NURSE))
    assert "user_ticket" not in client.get("auth/getuserinfo", params={"code": without["code"]})
    wecom_sandbox.control.agent(agentid=AGENT, users=[HEAD_NURSE], parties=[], tags=[])
    assert "50002" in page(wecom_sandbox, AUTHORIZE, {**private, "member": NURSE}).text


def test_tickets_of_the_js_sdk(wecom_sandbox: Running, client: Client) -> None:
    other = Client(wecom_sandbox.url, constants.OTHER_AGENT_SECRET)
    corp, agent = client.jsapi.get_ticket(), client.jsapi.get_agent_ticket()
    assert (corp["expires_in"], len(corp["ticket"])) == (7200, 86)
    assert other.jsapi.get_ticket()["ticket"] == corp["ticket"] == client.jsapi.get_ticket()["ticket"]
    assert len({corp["ticket"], agent["ticket"], other.jsapi.get_agent_ticket()["ticket"]}) == 3
    assert client.refused("ticket/get", type="wx_card") == 40058
    wecom_sandbox.control.advance(seconds=7200)
    client.fetch_access_token()
    assert client.jsapi.get_ticket()["ticket"] != corp["ticket"]


def test_and_how_often_they_may_be_asked_for(wecom_sandbox: Running, client: Client) -> None:
    limits = wecom_sandbox.control.limits(tickets_agent_hour=2, tickets_hour=3)
    assert (limits["tickets_agent_hour"], limits["tickets_hour"]) == (2, 3)
    other = Client(wecom_sandbox.url, constants.OTHER_AGENT_SECRET)
    assert client.jsapi.get_ticket()
    assert client.jsapi.get_ticket()
    with pytest.raises(Exception, match="45009"):
        client.jsapi.get_ticket()
    assert client.jsapi.get_agent_ticket(), "the two kinds are counted apart"
    assert other.jsapi.get_ticket()
    with pytest.raises(Exception, match="45009"):
        other.jsapi.get_ticket()
