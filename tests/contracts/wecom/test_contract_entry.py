"""Entry without a password: silent in WeCom, by QR code on a desktop; who is refused is told why.

Issue 4, "Entry"; design 08, "CSRF, fixation, OAuth state".
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from engine import clock
from engine.org.models import Person
from sandbox.wecom.server import Running
from tests.contracts.wecom.ward import AGENT, DESKTOP, PHONE, Ward, name, number, opened
from tests.dsl import Bpm

pytestmark = pytest.mark.backend("sqlite")


@pytest.fixture
def ward(bpm: Bpm, wecom_sandbox: Running, tmp_path: Path) -> Iterator[Ward]:
    """A hospital in production, where nobody can be picked from a list."""
    with opened(bpm, wecom_sandbox, tmp_path, mode="production") as made:
        yield made


class Detour:
    """A browser on its way out to WeCom and back."""

    def __init__(self, ward: Ward, browser: httpx.Client, target: str) -> None:
        self.ward, self.browser = ward, browser
        answer = browser.get(target)
        for _ in range(3):
            if answer.status_code in (302, 303, 307) and answer.headers["location"].startswith("/"):
                answer = browser.get(answer.headers["location"])
        self.asked = answer
        self.out = answer.headers.get("location", "")
        self.query: dict[str, str] = {k: v[0] for k, v in parse_qs(urlsplit(self.out).query).items()}

    @property
    def state(self) -> str:
        return self.query["state"]

    def back(self, who: str, *, browser: httpx.Client | None = None, **changes: str) -> httpx.Response:
        """Come back with a code for somebody; "*" is an outsider."""
        code = self.ward.control.code(who=number(who), agentid=AGENT)["code"]
        params = {"code": code, "state": self.state, **changes}
        return (browser or self.browser).get(self.query["redirect_uri"], params=params)


def logged_in(browser: httpx.Client) -> str:
    """Return who the browser is, empty for nobody."""
    answer = browser.get("/api/v1/me")
    return str(answer.json()["name"]) if answer.status_code == 200 else ""


def refused(answer: httpx.Response, browser: httpx.Client) -> str:
    """Assert that it is a page that refuses, and return what it says."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.headers)
    assert answer.headers["content-type"].startswith("text/html")
    assert logged_in(browser) == ""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_in_wecom_it_is_silent(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    item = story.item("head_nurse").id
    with ward.browser(PHONE) as browser:
        detour = Detour(ward, browser, f"/items/{item}")
        assert "/connect/oauth2/authorize" in detour.out
        assert detour.out.endswith("#wechat_redirect")
        wanted = {"appid": "wwpiyuesandbox", "response_type": "code", "agentid": str(AGENT)}
        assert wanted.items() <= detour.query.items()
        answer = detour.back("head_nurse")
        page = browser.get(answer.headers["location"], follow_redirects=True)
        assert page.status_code == 200
        assert page.url.path == f"/items/{item}"
        assert logged_in(browser) == name("head_nurse")


def test_on_a_desktop_the_login_page_leads_to_the_code(ward: Ward) -> None:
    with ward.browser(DESKTOP) as browser:
        answer = browser.get("/items/0198c0de-c0de-7000-8000-00000000c0de", follow_redirects=True)
        link = re.search(r'href="(/wecom/[^"]+)"', answer.text)
        assert link, "the login page offers WeCom"
        detour = Detour(ward, browser, link.group(1).replace("&amp;", "&"))
        assert "/wwlogin/sso/login" in detour.out
        wanted = {"login_type": "CorpApp", "appid": "wwpiyuesandbox", "agentid": str(AGENT)}
        assert wanted.items() <= detour.query.items()
        back = detour.back("nurse")
        assert back.headers["location"].endswith("/items/0198c0de-c0de-7000-8000-00000000c0de")
        assert logged_in(browser) == name("nurse")


TARGETS = (
    "/",
    "/account",
    "/items/0198c0de-c0de-7000-8000-00000000c0de?do=return",
    "/box/todo?text=%E8%AF%B7%E5%81%87&x=1",
)


def test_the_target_survives_the_detour(ward: Ward) -> None:
    for target in TARGETS:
        with ward.browser(PHONE) as browser:
            answer = Detour(ward, browser, target).back("nurse")
            assert answer.status_code in (302, 303)
            where, meant = urlsplit(answer.headers["location"]), urlsplit(target)
            assert (where.path, parse_qs(where.query)) == (meant.path, parse_qs(meant.query))


EVIL = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "javascript:alert(1)",
    "http:evil",
    "/\r\nX:1",
    "/\t/evil.example",
    "/wecom/go?next=/x",
)


def test_nobody_is_led_elsewhere(ward: Ward) -> None:
    for evil in EVIL:
        with ward.browser(PHONE) as browser:
            answer = Detour(ward, browser, str(httpx.URL("/wecom/go", params={"next": evil}))).back("nurse")
            where = answer.headers["location"]
            assert re.match(r"/(?![/\\])", where), (evil, where)
            assert not set("\r\n\t") & set(where), (evil, where)
            assert "/wecom/go" not in where


def test_an_outsider_is_told_why(ward: Ward) -> None:
    with ward.browser(PHONE) as browser:
        said = refused(Detour(ward, browser, "/").back("*"), browser)
    assert re.search("成员|本院|职工", said), said


def test_outside_the_visible_scope_it_is_told_why(ward: Ward) -> None:
    ward.show_to("nurse")
    with ward.browser(PHONE) as browser:
        said = refused(Detour(ward, browser, "/").back("surgeon"), browser)
        assert "可见范围" in said, said
    with ward.browser(PHONE) as browser:
        Detour(ward, browser, "/").back("nurse")
        assert logged_in(browser) == name("nurse")


def test_a_member_whom_we_dont_know_is_told_why(ward: Ward) -> None:
    ward.control.add_member(userid="stranger", name="生人", departments=[1])
    with ward.browser(PHONE) as browser:
        said = refused(Detour(ward, browser, "/").back("stranger"), browser)
    assert "联系" in said, said


def test_a_disabled_person_is_told_why(ward: Ward) -> None:
    with ward.db.unit_of_work() as session:
        person = session.get(Person, ward.bpm.person("surgeon"))
        assert person is not None
        person.disabled_at = clock.now()
    with ward.browser(PHONE) as browser:
        said = refused(Detour(ward, browser, "/").back("surgeon"), browser)
    assert "停用" in said, said


def test_a_state_is_letters_and_digits_and_never_the_same(ward: Ward) -> None:
    with ward.browser(PHONE) as browser:
        states = {Detour(ward, browser, "/").state for _ in range(3)}
    assert len(states) == 3
    assert all(re.fullmatch(r"[a-zA-Z0-9]{16,128}", state) for state in states), states


def test_a_state_works_once(ward: Ward) -> None:
    with ward.browser(PHONE) as browser:
        detour = Detour(ward, browser, "/")
        assert detour.back("nurse").status_code in (302, 303)
        browser.cookies = httpx.Cookies({k: v for k, v in browser.cookies.items() if "session" not in k})
        again = detour.back("head_nurse")
        assert logged_in(browser) != name("head_nurse")
        assert again.status_code < 500


def test_a_state_of_another_browser_lets_nobody_in(ward: Ward) -> None:
    """An attacker sends a victim the way back to the attacker's own account."""
    with ward.browser(PHONE) as attacker, ward.browser(PHONE) as victim:
        detour = Detour(ward, attacker, "/")
        refused(detour.back("surgeon", browser=victim), victim)
    with ward.browser(PHONE) as attacker, ward.browser(PHONE) as victim:
        Detour(ward, victim, "/")  # the victim is on a way of their own
        refused(Detour(ward, attacker, "/").back("surgeon", browser=victim), victim)


def test_a_state_is_good_for_minutes(ward: Ward) -> None:
    with ward.browser(PHONE) as browser:
        detour = Detour(ward, browser, "/")
        ward.pass_time(660)
        said = refused(detour.back("nurse"), browser)
    assert "重新" in said or "再" in said, said


NEVER_GIVEN = (
    {"state": "x" * 32},
    {"state": ""},
    {"state": "'; --"},
    {"state": "状态"},
    {"state": "x" * 5000},
    {"code": ""},
    {"code": "nonsense"},
    {"code": "码" * 300},
)


def test_what_wecom_never_gave_lets_nobody_in(ward: Ward) -> None:
    for change in NEVER_GIVEN:
        with ward.browser(PHONE) as browser:
            refused(Detour(ward, browser, "/").back("nurse", browser=None, **change), browser)


def test_a_code_works_once(ward: Ward) -> None:
    code = ward.control.code(who=number("nurse"), agentid=AGENT)["code"]
    with ward.browser(PHONE) as browser:
        Detour(ward, browser, "/").back("nurse", code=code)
        assert logged_in(browser) == name("nurse")
    with ward.browser(PHONE) as thief:
        refused(Detour(ward, thief, "/").back("nurse", code=code), thief)


def test_the_session_is_a_new_one(ward: Ward) -> None:
    """Fixation: what an attacker has put into the browser is not what is logged in afterwards."""
    with ward.browser(PHONE) as browser:
        Detour(ward, browser, "/").back("nurse")
        before = dict(browser.cookies)
        Detour(ward, browser, "/wecom/go?next=/").back("head_nurse")
        with ward.browser(PHONE) as old:
            old.cookies.update(before)
            assert logged_in(old) != name("head_nurse")


@pytest.mark.parametrize(
    "how", [{"reset": True}, {"status": 502}, {"errcode": -1}, {"errcode": 60020}, {"errcode": 45009}]
)
def test_wecom_away_is_said_so_and_can_be_tried_again(ward: Ward, how: dict[str, int]) -> None:
    ward.control.fault(endpoint="auth/getuserinfo", times=10, **how)
    with ward.browser(PHONE) as browser:
        answer = Detour(ward, browser, "/account").back("nurse")
        assert answer.status_code == 503, answer.status_code
        assert answer.headers["content-type"].startswith("text/html")
        assert logged_in(browser) == ""
        ward.control.clear_faults()
        Detour(ward, browser, "/account").back("nurse")
        assert logged_in(browser) == name("nurse")


def test_an_open_session_asks_wecom_nothing(ward: Ward) -> None:
    with ward.browser(PHONE) as browser:
        Detour(ward, browser, "/").back("nurse")
        before = ward.calls("auth/getuserinfo")
        assert browser.get("/", follow_redirects=True).status_code == 200
        assert ward.calls("auth/getuserinfo") == before


def test_no_secret_and_no_token_reaches_the_browser_or_the_log(ward: Ward, caplog: pytest.LogCaptureFixture) -> None:
    with ward.browser(PHONE) as browser, caplog.at_level("DEBUG"):
        detour = Detour(ward, browser, "/")
        answer = detour.back("nurse")
        for secret in (ward.settings.secret.get_secret_value(), ward.settings.contacts_secret.get_secret_value()):
            assert secret not in detour.out + answer.text + str(answer.headers)
            assert not any(
                secret in r.getMessage() for r in caplog.records if r.name.startswith(("engine", "api", "web"))
            )
