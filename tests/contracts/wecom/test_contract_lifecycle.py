"""Whoever acts and wherever, every recipient's card shows the outcome and the actor.

Issue 4, "Card lifecycle"; design 04, "What staff expect".
"""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from engine.bpm import commands
from engine.bpm.commands import admin
from engine.bpm.models import WorkItem, WorkRound
from tests.contracts.wecom.ward import Ward, name
from tests.dsl import Story

pytestmark = pytest.mark.backend("sqlite")

Way = Callable[[Ward, Story], Any]
TWO = ("head_nurse", "pediatrics_head")


def _over_http(ward: Ward, story: Story) -> None:
    with ward.api("head_nurse") as api:
        item = story.item("head_nurse").id
        answer = api.post(f"/api/v1/work-items/{item}/complete", json={"outcome": "approve"})
        assert answer.status_code == 200, answer.text
    ward.work()


def _jump(ward: Ward, story: Story) -> None:
    with ward.db.reading() as session:
        task_id = session.scalar(
            select(WorkRound.task_id).join(WorkItem).where(WorkItem.id == story.item("head_nurse").id)
        )
    assert task_id is not None
    with ward.db.unit_of_work() as session:
        actor = ward.bpm.actor("process_admin")
        admin.jump(session, actor, story.id, task_id=task_id, to="then", reason="走错了")
    ward.work()


WAYS: dict[str, tuple[Way, str, tuple[str, ...]]] = {
    "the card": (lambda w, s: w.press("head_nurse", "同意"), "head_nurse", ("同意",)),
    "the page": (lambda w, s: s.approve(by="head_nurse"), "head_nurse", ("同意",)),
    "the API": (_over_http, "head_nurse", ("同意",)),
    "the page, against": (lambda w, s: s.reject(by="head_nurse"), "head_nurse", ("不同意",)),
    "a return": (lambda w, s: s.send_back(by="head_nurse", to="initiator"), "head_nurse", ("退回",)),
    "a withdrawal": (lambda w, s: s.act("withdraw", "nurse", s.id, reason="不请了"), "nurse", ("撤销",)),
    "a termination": (
        lambda w, s: s.act("terminate", "process_admin", s.id, reason="重复"),
        "process_admin",
        ("终止",),
    ),
    "a jump": (_jump, "process_admin", ("移到别的步骤", "走错了")),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_recipients_card_shows_the_outcome_and_the_actor(ward: Ward, way: str) -> None:
    story = ward.begin(*TWO)
    before = {who: ward.card(who) for who in TWO}
    assert all(card.acting for card in before.values())
    act, actor, words = WAYS[way]
    act(ward, story)
    for who in TWO:
        after = next(c for c in ward.chat(who) if c.msgid == before[who].msgid)
        assert not after.acting, (who, after.buttons)
        assert all(word in after.text for word in words), (who, after.text)
        assert name(actor) in after.text, (who, after.text)
    assert not ward.undelivered()


def test_a_timer_closes_the_cards(ward: Ward) -> None:
    story = ward.begin(*TWO, timer="PT2H")
    ward.pass_time(2 * 3600 + 60)
    ward.work()
    assert story.open == set()
    for who in TWO:
        assert not ward.card(who).acting
        assert "时" in ward.card(who).text, ward.card(who).text  # 超时, 到期, …


def test_a_countersign_changes_ones_own_card_only(ward: Ward) -> None:
    story = ward.begin(*TWO, policy="all")
    ward.press("head_nurse", "同意")
    assert not ward.card("head_nurse").acting
    assert "同意" in ward.card("pediatrics_head").acting
    story.approve(by="pediatrics_head")
    for who in TWO:
        card = ward.card(who)
        assert not card.acting
        assert name(who) in card.text, card.text


def test_those_who_are_no_longer_asked_see_who_decided(ward: Ward) -> None:
    """One veto (一票否决) ends a countersign; the others' cards say whose it was."""
    story = ward.begin(
        *TWO,
        "doctor",
        policy='all" veto="true',
        outcomes='<piyue:outcome id="approve" name="同意" opinion="none"/>'
        '<piyue:outcome id="reject" name="驳回" opinion="none"/>',
        after="surgeon",
    )
    ward.press("head_nurse", "驳回")
    assert story.open_steps == {"then"}
    for who in ("pediatrics_head", "doctor"):
        card = ward.card(who)
        assert not card.acting
        assert name("head_nurse") in card.text, card.text


def test_in_turn_the_card_comes_when_it_is_ones_turn(ward: Ward) -> None:
    ward.begin(*TWO, policy="in_turn")
    assert not ward.chat("pediatrics_head")
    ward.press("head_nurse", "同意")
    assert "同意" in ward.card("pediatrics_head").acting
    assert name("head_nurse") in ward.card("head_nurse").text


def test_claimed_by_one_it_can_be_pressed_by_nobody_else(ward: Ward) -> None:
    story = ward.begin(*TWO)
    story.act("claim", "head_nurse", story.item("head_nurse").id)
    assert "同意" in ward.card("head_nurse").acting
    others = ward.card("pediatrics_head")
    assert not others.acting
    assert name("head_nurse") in others.text, others.text
    story.act("unclaim", "head_nurse", story.item("head_nurse").id)
    for who in TWO:
        assert "同意" in ward.card(who).acting, who
        assert len([c for c in ward.chat(who) if c.acting]) == 1, "two cards that contradict each other"
    ward.press("pediatrics_head", "同意")
    assert name("pediatrics_head") in ward.card("head_nurse").text


@pytest.mark.parametrize("by", ["head_nurse", "process_admin"])
def test_reassigned_the_old_card_names_the_new_one_who_gets_their_own(ward: Ward, by: str) -> None:
    story = ward.begin("head_nurse")
    story.act("reassign", by, story.item("head_nurse").id, to=ward.bpm.person("surgeon"), reason="出差")
    old, new = ward.card("head_nurse"), ward.card("surgeon")
    assert not old.acting
    assert name("surgeon") in old.text, old.text
    if by != "head_nurse":
        assert name(by) in old.text, old.text
    ward.press("surgeon", "同意")
    assert story.open_steps == {"then"}
    assert not new.raw["recalled"]


def test_taken_back_the_decider_has_a_fresh_card_and_the_next_one_none_to_press(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    ward.press("head_nurse", "同意")
    done = story.item("head_nurse", "review", "done")
    assert "同意" in ward.card("doctor").acting
    story.act("take_back", "head_nurse", done.id)
    assert [c for c in ward.chat("doctor") if c.acting] == []
    fresh = [c for c in ward.chat("head_nurse") if c.acting]
    assert len(fresh) == 1, "one that can be pressed, and no two that contradict each other"
    ward.press("head_nurse", "同意", fresh[0])
    assert story.open == {("then", "doctor")}
    assert len([c for c in ward.chat("doctor") if c.acting]) == 1


def test_returned_and_sent_again_each_round_has_a_card_of_its_own(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    story.send_back(by="head_nurse", to="initiator")
    asked = ward.card("nurse")
    assert "请补充" in asked.text, "the applicant sees why"
    story.submit(by="nurse")
    cards = ward.chat("head_nurse")
    assert len(cards) == 2
    assert not cards[0].acting
    assert "同意" in cards[1].acting
    assert not [c for c in ward.chat("nurse") if c.acting]


def test_several_acts_before_the_worker_looks_are_told_as_the_last_one(ward: Ward) -> None:
    """Newest state wins: claimed, unclaimed, then decided; nobody sees a state that is over."""
    story = ward.begin(*TWO)
    before = ward.calls("message/update_template_card")
    item = story.item("head_nurse").id
    with ward.db.unit_of_work() as session:
        commands.claim(session, ward.bpm.actor("head_nurse"), item)
    with ward.db.unit_of_work() as session:
        commands.unclaim(session, ward.bpm.actor("head_nurse"), item)
    story.approve(by="pediatrics_head")
    for who in TWO:
        assert name("pediatrics_head") in ward.card(who).text
    assert ward.calls("message/update_template_card") - before == 2


def test_the_link_opens_the_exact_item_in_its_present_state(ward: Ward) -> None:
    story = ward.begin(*TWO)
    card = ward.card("head_nurse")
    item = str(story.item("head_nurse").id)
    url = ward.control.press(userid="10026", msgid=card.msgid)["url"]
    assert item in url
    story.approve(by="pediatrics_head")
    with ward.api("head_nurse") as browser:
        page = browser.get(url, follow_redirects=True)
    assert page.status_code == 200
    assert name("pediatrics_head") in page.text
