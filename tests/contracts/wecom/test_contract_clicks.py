"""A click binds to (item, clicker), checks everything that the page checks, and runs the same command once.

Issue 4, "Card lifecycle"; design 04, "Callbacks".
"""

from typing import Any

import pytest
from sqlalchemy import func, select

from engine import clock
from engine.connectors.wecom.models import WeComDelivery
from engine.org.models import Person
from tests.contracts.wecom.ward import AGENT, Ward, name, number
from tests.dsl import Story

pytestmark = pytest.mark.backend("sqlite")

TWO = ("head_nurse", "pediatrics_head")


def _event(ward: Ward, who: str, task_id: str, key: str, code: str = "a-code-of-nobody", **more: str) -> dict[str, Any]:
    """Let WeCom say that somebody has clicked, rightly signed, whatever it says."""
    fields = {
        "MsgType": "event",
        "Event": "template_card_event",
        "FromUserName": number(who),
        "EventKey": key,
        "TaskId": task_id,
        "CardType": "button_interaction",
        "ResponseCode": code,
        **more,
    }
    told = dict(ward.control.send_event(agentid=AGENT, fields=fields, wait=10.0))
    ward.work()
    return told


def _decided(story: Story) -> list[tuple[str, str | None, str | None]]:
    return [row for row in story.trail if row[1] == "review"]


def test_the_wrong_person_moves_nothing(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    task_id = ward.card("head_nurse").raw["task_id"]
    for clicker in ("pediatrics_head", "surgeon", "nurse", "nobody-at-all", ""):
        told = _event(ward, clicker, task_id, "outcome:approve", f"a-code-of-{clicker}")
        assert told["attempts"] == ["200"]
        assert _decided(story) == [], clicker
    assert story.open == {("review", "head_nurse")}
    assert "同意" in ward.card("head_nurse").acting, "the one who is asked can still press"


KEYS = ("outcome:reject", "outcome:nonsense", "outcome:", "", "approve", "return", "outcome:approve:extra", "x" * 1024)


def test_a_key_that_the_card_never_had_moves_nothing(ward: Ward) -> None:
    """`reject` needs words, which a click doesn't bring: the event's key alone is never trusted."""
    story = ward.begin("head_nurse")
    for n, key in enumerate(KEYS):
        _event(ward, "head_nurse", ward.card("head_nurse").raw["task_id"], key, f"code-{n}")
        assert _decided(story) == [], key
    assert story.open == {("review", "head_nurse")}
    assert not [row for row in ward.undelivered() if row[0] == "dead"]


def test_a_card_that_nobody_sent_moves_nothing(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    for n, task_id in enumerate(("", "unknown", "x" * 128, "'; DROP TABLE work_item; --")):
        _event(ward, "head_nurse", task_id, "outcome:approve", f"code-{n}")
        assert _decided(story) == [], task_id
    assert not [row for row in ward.undelivered() if row[0] == "dead"]


def test_pressed_twice_it_is_decided_once(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    card = ward.card("head_nurse")
    ward.press("head_nurse", "同意", card, work=False)
    _event(ward, "head_nurse", card.raw["task_id"], "outcome:approve", "another-code-of-the-same-card")
    assert _decided(story) == [("complete", "review", "approve")]
    assert not ward.undelivered()


@pytest.mark.parametrize("again", ["repeat", "replay"])
def test_told_again_it_is_decided_once(ward: Ward, again: str) -> None:
    story = ward.begin("head_nurse")
    event = ward.press("head_nurse", "同意")
    story.act("take_back", "head_nurse", story.item("head_nurse", "review", "done").id)
    getattr(ward.control, again)(event=event["id"])
    ward.work()
    assert story.open == {("review", "head_nurse")}, "what was taken back isn't decided by an echo"


def test_both_at_once_one_decides_and_the_other_is_told_who(ward: Ward) -> None:
    story = ward.begin(*TWO)
    ward.press("head_nurse", "同意", work=False)
    ward.press("pediatrics_head", "同意", work=False)
    ward.work()
    assert len(_decided(story)) == 1
    winner = name("head_nurse")
    for who in TWO:
        assert not ward.card(who).raw["busy"], "an answer came"
        assert winner in ward.card(who).text, ward.card(who).text
    assert not ward.undelivered()


def test_a_late_click_after_72_hours_is_answered_in_place(ward: Ward) -> None:
    """Late: the send's code is over, so nothing could be changed; the click brings its own."""
    story = ward.begin(*TWO)
    ward.pass_time(73 * 3600)
    story.approve(by="pediatrics_head")
    card = ward.card("head_nurse")
    assert not [row for row in ward.undelivered() if row[0] == "dead"], "it is no failure that a card is too old"
    ward.press("head_nurse", "同意", card)
    after = next(c for c in ward.chat("head_nurse") if c.msgid == card.msgid)
    assert len(_decided(story)) == 1
    assert not after.raw["busy"]
    assert not after.acting
    assert name("pediatrics_head") in after.text, after.text


def test_after_72_hours_a_click_on_an_open_item_still_decides(ward: Ward) -> None:
    story = ward.begin(*TWO)
    ward.pass_time(80 * 3600)
    ward.press("head_nurse", "同意")
    assert story.open_steps == {"then"}
    assert name("head_nurse") in ward.card("head_nurse").text


def test_a_code_that_was_lost_with_its_answer_is_no_loss(ward: Ward) -> None:
    """The send takes effect and its answer never arrives: sent again under its task_id, one card stands there."""
    ward.control.fault(endpoint="message/send", silent=0.2)
    story = ward.begin("head_nurse")
    ward.pass_time(120)
    ward.work()
    assert len(ward.chat("head_nurse")) == 1, "a repeated send is one card"
    card = ward.card("head_nurse")
    ward.press("head_nurse", "同意", card)
    assert story.open_steps == {"then"}
    assert name("head_nurse") in ward.card("head_nurse").text
    assert not [row for row in ward.undelivered() if row[0] == "dead"]


def test_a_code_lost_and_decided_elsewhere_is_answered_in_place(ward: Ward) -> None:
    ward.control.fault(endpoint="message/send", silent=0.2, times=2)
    story = ward.begin(*TWO)
    for _ in range(3):
        ward.pass_time(600)
        ward.work()
    assert [len(ward.chat(who)) for who in TWO] == [1, 1]
    story.approve(by="pediatrics_head")
    card = ward.card("head_nurse")
    if card.acting:  # it could not be changed
        ward.press("head_nurse", "同意", card)
    after = ward.card("head_nurse")
    assert not after.acting
    assert name("pediatrics_head") in after.text
    assert len(_decided(story)) == 1


def test_who_has_left_decides_nothing(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    card = ward.card("head_nurse")
    with ward.db.unit_of_work() as session:
        person = session.get(Person, ward.bpm.person("head_nurse"))
        assert person is not None
        person.disabled_at = clock.now()
    ward.press("head_nurse", "同意", card)
    assert _decided(story) == []


NEEDS = {
    "words": '<piyue:outcome id="approve" name="同意" opinion="required"/>'
    '<piyue:outcome id="reject" name="不同意" opinion="required"/>',
}


def test_an_item_that_needs_words_has_no_button_that_acts(ward: Ward) -> None:
    story = ward.begin("head_nurse", outcomes=NEEDS["words"])
    card = ward.card("head_nurse")
    assert card.acting == {}
    item = str(story.item("head_nurse").id)
    assert card.links
    assert all(item in url for url in card.links.values()), card.links
    _event(ward, "head_nurse", card.raw["task_id"], "outcome:approve")
    assert _decided(story) == [], "and a click that says so all the same is refused"
    story.approve(by="head_nurse")
    assert name("head_nurse") in ward.card("head_nurse").text, "it is changed all the same"


def test_each_send_is_stored(ward: Ward) -> None:
    """Store (task, card task_id, msgid, response_code, sent_at) for each send."""
    ward.begin(*TWO)
    with ward.db.reading() as session:
        rows = session.scalars(select(WeComDelivery).where(WeComDelivery.form == "card")).all()
        assert session.scalar(select(func.count()).select_from(WeComDelivery)) == len(rows) == 2
    shown = {ward.card(who).msgid: ward.card(who).raw["task_id"] for who in TWO}
    assert {row.msgid: row.task_id for row in rows} == shown
    assert all(row.response_code and row.sent_at and row.item_id for row in rows)


def test_a_click_is_on_the_trail_as_the_persons_own_act(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    ward.press("head_nurse", "同意")
    with ward.api("nurse") as api:
        timeline = api.get(f"/api/v1/instances/{story.id}/timeline").json()
    text = str(timeline)
    assert name("head_nurse") in text
    assert "approve" in text or "同意" in text
