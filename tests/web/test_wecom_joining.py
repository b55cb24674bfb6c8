"""First joining: who must prove who they are before the first session, page by page."""

import re
import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import select, text, update

from engine import clock
from engine.connectors.wecom import accounts
from engine.connectors.wecom.entry import codes, joining
from engine.connectors.wecom.entry.sending import Post, PostSettings
from engine.connectors.wecom.models import WeComAccount, WeComCode
from engine.org.demo import CAST
from engine.outbox import Outbox
from tests.dsl import Bpm
from tests.web.wecom_phone import NURSE, Phone, another, change, connect, refused, sessions, trail

HEAD_NURSE = CAST["head_nurse"].staff_number


@pytest.fixture
def strict(bpm: Bpm, phone: Phone) -> Phone:
    """The nurse's telephone where the administrator demands that everybody is verified."""
    connect(bpm, phone.sandbox, verify_joining=True)
    return phone


def arrived(phone: Phone, path: str = "/box/todo") -> str:
    """Come back from WeCom to the page of those who join; return the state."""
    answer = phone.enter(path)
    where = urlsplit(answer.headers["location"])
    assert where.path == "/wecom/join", answer.headers
    assert "piyue=" not in str(answer.headers.get_list("set-cookie"))
    return parse_qs(where.query)["state"][0]


def page(phone: Phone, state: str) -> str:
    answer = phone.get(f"/wecom/join?state={state}")
    assert answer.status_code == 200, answer.text
    return answer.text


def sent(phone: Phone, state: str, way: str = "sms") -> str:
    """Have a code sent, and return it as the demo's page tells it."""
    answer = phone.post("/wecom/join/send", state=state, way=way)
    assert answer.status_code == 303, answer.text
    told = re.search(r'join__told">(\d{6})<', page(phone, state))
    assert told is not None
    return told[1]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def account(bpm: Bpm, who: str) -> WeComAccount | None:
    with bpm.db.reading() as session:
        return session.get(WeComAccount, bpm.person(who))


def test_who_joins_proves_it_by_a_code_and_comes_in_by_itself_ever_after(bpm: Bpm, strict: Phone) -> None:
    state = arrived(strict, "/box/done?text=abc")
    shown = page(strict, state)
    assert "手机 138****0027" in shown
    assert "邮箱 1***@hospital.example" in shown
    assert "13800000027" not in shown
    assert account(bpm, "nurse") is None
    code = sent(strict, state)
    answer = strict.post("/wecom/join/check", state=state, code=f" {code[:3]} {code[3:]} ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/box/done?text=abc")
    assert strict.get("/box/done").status_code == 200
    found = account(bpm, "nurse")
    assert found is not None
    assert found.joined_at is not None
    assert [(verb, detail.get("by"), detail.get("wecom")) for verb, _, detail in trail(bpm, "wecom_join", "login")] == [
        ("wecom_join", "sms", None),
        ("login", None, NURSE),
    ]
    assert another(strict).enter().headers["location"] == "/box/todo"


def test_an_administrator_has_somebody_verified_anew(bpm: Bpm, strict: Phone) -> None:
    state = arrived(strict)
    strict.post("/wecom/join/check", state=state, code=sent(strict, state))
    with bpm.db.unit_of_work() as session:
        accounts.link(session, bpm.actor("system_admin"), NURSE, NURSE)
    assert strict.get("/box/todo").headers["location"].startswith("/wecom/go")
    arrived(strict)
    assert sessions(bpm) == 0


def test_who_is_linked_by_hand_is_verified_also_where_nobody_else_is(bpm: Bpm, phone: Phone) -> None:
    """An administrator who gives their own telephone somebody's account doesn't come in as them."""
    phone.enter()
    with bpm.db.unit_of_work() as session:
        accounts.link(session, bpm.actor("system_admin"), NURSE, "SomebodyElse")
    phone.sandbox.control.add_member(userid="SomebodyElse", name="别人", departments=[1])
    thief = another(phone, member="SomebodyElse")
    arrived(thief)
    assert sessions(bpm) == 0
    with bpm.db.unit_of_work() as session:
        accounts.link(session, bpm.actor("system_admin"), NURSE, NURSE)
    state = arrived(phone)
    phone.post("/wecom/join/check", state=state, code=sent(phone, state))
    assert another(phone).enter().headers["location"] == "/box/todo"  # once is enough
    shown = phone.get("/notices").text
    for userid in ("SomebodyElse", NURSE):
        assert f"信息科把企业微信账号 {userid} 绑定到您的工号；不是您本人的请立即联系信息科" in shown


def test_who_is_linked_by_hand_and_can_not_be_sent_a_code_comes_in(bpm: Bpm, phone: Phone) -> None:
    change(bpm, "nurse", mobile="", email="")
    with bpm.db.unit_of_work() as session:
        accounts.link(session, bpm.actor("system_admin"), NURSE, NURSE)
    assert phone.enter().headers["location"] == "/box/todo"


def test_a_userid_that_was_given_up_is_nobody_s_until_it_is_verified(bpm: Bpm, phone: Phone) -> None:
    """Whoever gets the userid of somebody who has left isn't them, also where nobody else is verified."""
    with bpm.db.unit_of_work() as session:
        accounts.link(session, None, NURSE, NURSE)
        account_ = session.get_one(WeComAccount, bpm.person("nurse"))
        account_.joined_at = account_.vanished_at = clock.now()
    state = arrived(phone)
    assert sessions(bpm) == 0
    phone.post("/wecom/join/check", state=state, code=sent(phone, state))
    found = account(bpm, "nurse")
    assert found is not None
    assert (found.vanished_at, sessions(bpm)) == (None, 1)
    assert another(phone).enter().headers["location"] == "/box/todo"


def test_five_wrong_codes_end_a_code(bpm: Bpm, strict: Phone) -> None:
    state = arrived(strict)
    code = sent(strict, state)
    for left in (4, 3, 2, 1):
        answer = strict.post("/wecom/join/check", state=state, code=wrong(code))
        assert answer.status_code == 422
        assert f"还可以试 {left} 次" in answer.text
        assert 'aria-invalid="true"' in answer.text
    assert "已作废" in strict.post("/wecom/join/check", state=state, code=wrong(code)).text
    late = strict.post("/wecom/join/check", state=state, code=code)
    assert (late.status_code, "已失效" in late.text) == (409, True)
    assert [(verb, detail["name"]) for verb, _, detail in trail(bpm, "wecom_locked")] == [("wecom_locked", "单晓燕")]
    assert sessions(bpm) == 0
    assert strict.post("/wecom/join/check", state=state, code=sent(strict, state)).status_code == 303


def test_a_code_lasts_ten_minutes_and_ends_with_the_next(bpm: Bpm, strict: Phone) -> None:
    state = arrived(strict)
    first = sent(strict, state)
    second = sent(strict, state, "mail")
    if first != second:
        assert strict.post("/wecom/join/check", state=state, code=first).status_code == 422
    clock.freeze(clock.now() + codes.LASTS + timedelta(seconds=1))
    assert strict.post("/wecom/join/check", state=state, code=second).status_code == 409
    clock.freeze(clock.now() + timedelta(minutes=30))
    refused(strict.post("/wecom/join/send", state=state, way="sms"), "这次进入已失效")


def test_three_codes_an_hour(strict: Phone) -> None:
    state = arrived(strict)
    for _ in range(codes.SENDS):
        sent(strict, state)
    answer = strict.post("/wecom/join/send", state=state, way="mail")
    assert (answer.status_code, "一小时内最多发送 3 次" in answer.text) == (409, True)
    state = arrived(another(strict))  # nor from another telephone
    clock.freeze(clock.now() + timedelta(hours=1, seconds=1))
    state = arrived(strict)
    sent(strict, state)


def test_six_codes_a_day(strict: Phone) -> None:
    for _ in (1, 2):
        state = arrived(strict)
        for _ in range(codes.SENDS):
            sent(strict, state)
        clock.freeze(clock.now() + timedelta(hours=1, seconds=1))
    state = arrived(strict)
    answer = strict.post("/wecom/join/send", state=state, way="sms")
    assert (answer.status_code, "一天内最多发送 6 次" in answer.text) == (409, True)
    clock.freeze(clock.now() + timedelta(days=1))
    sent(strict, arrived(strict))


def test_another_browser_can_not_go_on_with_somebody_s_joining(bpm: Bpm, strict: Phone) -> None:
    state = arrived(strict)
    code = sent(strict, state)
    thief = another(strict, member=HEAD_NURSE)
    refused(thief.get(f"/wecom/join?state={state}"), "这次进入已失效")
    thief.to_wecom("/box/todo")
    refused(thief.get(f"/wecom/join?state={state}"), "这次进入已失效")
    refused(thief.post("/wecom/join/check", state=state, code=code), "这次进入已失效")
    evil = strict.client.post(
        "/wecom/join/check", data={"state": state, "code": code}, headers={"Origin": "https://evil.example"}
    )
    assert evil.status_code == 403
    assert sessions(bpm) == 0
    assert strict.post("/wecom/join/check", state=state, code=code).status_code == 303


def test_a_state_that_only_went_out_opens_no_joining(strict: Phone) -> None:
    state = parse_qs(urlsplit(strict.to_wecom("/box/todo")).query)["state"][0]
    refused(strict.get(f"/wecom/join?state={state}"), "这次进入已失效")


def test_the_mobile_that_wecom_shows_is_proof_enough(bpm: Bpm, strict: Phone) -> None:
    state = arrived(strict, "/start")
    link = re.search(r'href="(/wecom/go\?[^"]*private=1)"', page(strict, state))
    assert link is not None
    url = strict.to_wecom(link[1].replace("&amp;", "&"))
    assert "scope=snsapi_privateinfo" in url
    answer = strict.get(strict.back_from(url))
    assert answer.headers["location"] == "/start"
    assert trail(bpm, "wecom_join")[0][2]["by"] == "mobile"


def test_a_mobile_other_than_the_one_on_record_is_not(bpm: Bpm, strict: Phone) -> None:
    strict.sandbox.control.change_member(userid=NURSE, changes={"mobile": "13911112222"})
    answer = strict.get(strict.back_from(strict.to_wecom("/wecom/go?private=1")))
    shown = strict.get(answer.headers["location"]).text
    assert "企业微信里的手机号与医院登记的不同" in shown
    assert "138****0027" in shown
    assert "13911112222" not in shown
    assert sessions(bpm) == 0


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("13800000027", "+86 138-0000-0027", True),
        ("8613800000027", "13800000027", True),
        ("13800000027", "13800000028", False),
        ("", "", False),
        ("0027", "0027", False),
    ],
)
def test_numbers_are_compared_however_they_are_written(left: str, right: str, same: bool) -> None:
    assert codes.same_mobile(left, right) is same


# -- members whom we can't place


@pytest.fixture
def stranger(strict: Phone) -> Phone:
    """A member whose userid is nobody's staff number."""
    strict.sandbox.control.add_member(userid="ShanXY", name="单晓燕", departments=[1])
    strict.member = "ShanXY"
    return strict


def named(phone: Phone, state: str, number: str = NURSE, name: str = "单晓燕") -> httpx.Response:
    return phone.post("/wecom/join", state=state, number=number, name=name)


def test_a_member_whom_we_can_t_place_says_who_they_are_and_proves_it(bpm: Bpm, stranger: Phone) -> None:
    state = arrived(stranger)
    assert "您是哪位职工" in page(stranger, state)
    wrong_name = named(stranger, state, name="曾淑贞")
    assert (wrong_name.status_code, "工号和姓名不符" in wrong_name.text) == (422, True)
    assert f'value="{NURSE}"' in wrong_name.text  # what was typed is still there
    assert stranger.post("/wecom/join/send", state=state, way="sms").status_code == 422
    assert named(stranger, state).status_code == 303
    shown = page(stranger, state)
    assert "138****0027" in shown
    assert "private=1" not in shown  # WeCom's mobile proves who the member is, not that they are this person
    stranger.post("/wecom/join/check", state=state, code=sent(stranger, state))
    found = account(bpm, "nurse")
    assert found is not None
    assert (found.userid, found.userid_key) == ("ShanXY", "shanxy")
    stranger.member = "shanxy"
    assert another(stranger, member="shanxy").enter().headers["location"] == "/box/todo"


def test_who_had_vanished_and_is_back_proves_who_they_are(bpm: Bpm, phone: Phone) -> None:
    phone.enter()
    with bpm.db.unit_of_work() as session:
        session.execute(update(WeComAccount).values(vanished_at=clock.now()))
    state = arrived(phone, "/wecom/go")
    assert named(phone, state).status_code == 303
    phone.post("/wecom/join/check", state=state, code=sent(phone, state))
    found = account(bpm, "nurse")
    assert found is not None
    assert found.vanished_at is None
    assert another(phone).enter().headers["location"] == "/box/todo"


def test_a_wrong_name_and_a_wrong_number_read_the_same(stranger: Phone) -> None:
    state = arrived(stranger)
    answers = [named(stranger, state, *pair) for pair in ((NURSE, "曾淑贞"), ("99999", "曾淑贞"), ("SYS", "x"))]
    assert {answer.status_code for answer in answers} == {422}
    assert all("工号和姓名不符，或不是在职职工" in answer.text for answer in answers)


def test_names_are_not_tried_out_without_end(stranger: Phone) -> None:
    for entries in (1, 2):
        state = arrived(stranger)
        for _ in range(joining.TRIES):
            assert named(stranger, state, "99999", "某人").status_code == 422
        assert (named(stranger, state).status_code, entries) == (409, entries)
    state = arrived(stranger)
    assert named(stranger, state).status_code == 409  # a new entry is no way round
    clock.freeze(clock.now() + timedelta(hours=1, seconds=1))
    assert named(stranger, arrived(stranger)).status_code == 303


def test_a_member_has_no_codes_sent_to_one_after_the_other(stranger: Phone) -> None:
    """Each would be a message to somebody who didn't ask for it, and five more guesses."""
    state = arrived(stranger)
    for who in ("nurse", "head_nurse", "surgeon"):
        assert named(stranger, state, CAST[who].staff_number, CAST[who].name).status_code == 303
        sent(stranger, state)
    named(stranger, state, CAST["archivist"].staff_number, CAST["archivist"].name)
    answer = stranger.post("/wecom/join/send", state=state, way="sms")
    assert (answer.status_code, "一小时内最多发送 3 次" in answer.text) == (409, True)


def test_nobody_takes_the_place_of_who_has_joined(bpm: Bpm, stranger: Phone) -> None:
    with bpm.db.unit_of_work() as session:
        accounts.link(session, None, NURSE, NURSE)
    state = arrived(stranger)
    answer = named(stranger, state)
    assert (answer.status_code, "已有别的企业微信账号" in answer.text) == (409, True)
    with bpm.db.reading() as session:
        assert session.scalars(select(WeComCode)).all() == []


@pytest.mark.backend("postgresql")
def test_a_code_proves_only_whom_it_was_sent_to(bpm: Bpm, stranger: Phone) -> None:
    """Whoever names somebody else while their own code is compared comes in as who they have proven to be."""
    state = arrived(stranger)
    named(stranger, state)
    code = sent(stranger, state)
    answers: list[httpx.Response] = []
    check = threading.Thread(target=lambda: answers.append(stranger.post("/wecom/join/check", state=state, code=code)))
    with bpm.db.unit_of_work() as session:
        session.scalars(select(WeComCode).with_for_update()).one()
        check.start()
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while check.is_alive() and not session.scalar(waiting):
            check.join(0.02)
        other = CAST["head_nurse"]
        assert named(another_window(stranger), state, other.staff_number, other.name).status_code == 303
    check.join()
    assert account(bpm, "head_nurse") is None
    assert [person for _, person, _ in trail(bpm, "wecom_join", "login")] == [bpm.person("nurse")] * 2
    assert answers[0].status_code == 303


def another_window(phone: Phone) -> Phone:
    """Return another window of the same browser."""
    window = another(phone, member=phone.member)
    window.client.cookies.update(phone.client.cookies)
    return window


def test_who_can_be_reached_by_nothing_is_told_whom_to_ask(bpm: Bpm, stranger: Phone) -> None:
    change(bpm, "nurse", mobile="", email="")
    answer = named(stranger, arrived(stranger))
    assert (answer.status_code, "请联系信息科补登记" in answer.text) == (409, True)


def test_without_a_match_by_number_everybody_says_who_they_are(bpm: Bpm, phone: Phone) -> None:
    connect(bpm, phone.sandbox, match="none")
    assert "您是哪位职工" in page(phone, arrived(phone))


def test_where_no_code_can_be_sent_a_stranger_is_told_whom_to_ask(bpm: Bpm, stranger: Phone) -> None:
    bpm.db.provide(codes.Codes(b"k" * 32, Post(PostSettings()), demo=False))
    refused(stranger.enter(), "还不知道您是谁")


def test_a_code_goes_through_the_outbox_which_does_not_tell_it(bpm: Bpm, strict: Phone) -> None:
    gateway = PostSettings(sms_url="http://127.0.0.1:9/sms")
    made = codes.Codes(b"k" * 32, Post(gateway), demo=False)
    bpm.db.provide(made)
    state = arrived(strict)
    strict.post("/wecom/join/send", state=state, way="sms")
    shown = page(strict, state)
    assert "已发送到手机" in shown
    with bpm.db.reading() as session:
        code = session.scalars(select(WeComCode)).one()
        row = session.scalars(select(Outbox).where(Outbox.system == "joining")).one()
    assert (row.topic, row.key, row.state) == ("sms", str(bpm.person("nurse")), "pending")
    assert made.of(code.id) not in row.payload
    assert made.of(code.id) not in shown
