"""Choosing what one is told in WeCom, and where a link of a message leads."""

import uuid

from engine.connectors.wecom import preferences
from engine.connectors.wecom.preferences import Choice
from tests.dsl import Bpm, dates
from tests.web.conftest import Browser

LEAVE = {"leave_type": "年休假", "reason": "探亲"}
PAGE = "/account/wecom"


def chosen(bpm: Bpm, who: str) -> Choice:
    with bpm.db.reading() as session:
        return preferences.choice(session, bpm.actor(who))


def test_a_choice_is_kept_and_shown_again(browser_of: Browser, bpm: Bpm) -> None:
    browser = browser_of.login("nurse")
    assert browser.get(PAGE).count(" checked") == 6
    fields = browser.form(PAGE, PAGE)
    browser.send(PAGE, fields | {"want_read": "1", "quiet_from": "22:00", "quiet_to": "07:30"})
    assert chosen(bpm, "nurse") == Choice(frozenset({"copy", "urge", "agreed", "ended"}), 1320, 450)
    page = browser.get(f"{PAGE}?done=saved")
    assert "已保存" in page
    assert 'value="22:00"' in page
    assert 'value="07:30"' in page
    assert page.count(" checked") == 2  # what waits for oneself,
    assert what was ticked
    assert chosen(bpm, "doctor") == Choice()


def test_half_a_span_is_refused_in_its_place_and_what_was_typed_stays(browser_of: Browser, bpm: Bpm) -> None:
    browser = browser_of.login("nurse")
    fields = browser.form(PAGE, PAGE) | {"want_copy": "1", "quiet_from": "22:00", "quiet_to": ""}
    page = browser.send(PAGE, fields, 422).text
    assert 'id="quiet_to-error"' in page
    assert 'value="22:00"' in page
    assert page.count(" checked") == 2
    nonsense = browser.send(PAGE, fields | {"quiet_to": "25:00"}, 422).text
    assert "请填写一天之内的时间" in nonsense
    assert chosen(bpm, "nurse") == Choice()


def test_who_has_no_account_is_told_how_to_get_one(browser_of: Browser) -> None:
    assert "您还没有对应的企业微信账号" in browser_of.login("nurse").get(PAGE)


def test_a_link_of_a_message_leads_to_what_the_viewer_has_to_do(browser_of: Browser, bpm: Bpm) -> None:
    story = bpm.start("leave_request", "nurse", **LEAVE | dates(5, 6))
    link = f"/open/{story.id}"
    answer = browser_of.login("head_nurse").client.get(link)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/items/{story.item('head_nurse').id}")
    answer = browser_of.login("nurse").client.get(link)
    assert answer.headers["location"] == f"/instances/{story.id}"


def test_a_link_shows_nothing_to_who_has_no_part_in_it(browser_of: Browser, bpm: Bpm) -> None:
    story = bpm.start("leave_request", "nurse", **LEAVE | dates(5, 6))
    stranger = browser_of.login("archivist")
    for instance in (story.id, uuid.uuid4()):
        target = stranger.client.get(f"/open/{instance}").headers["location"]
        stranger.get(target, 404)
