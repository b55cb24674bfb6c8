"""Cards at their limits, and people whose userids are not staff numbers.

Issue 4, "Messages"; design 04, "template_card types": at most 6 buttons, ids in any case.
"""

import json

import pytest
from sqlalchemy import select

from engine.connectors.wecom import accounts
from engine.connectors.wecom.models import WeComDelivery
from tests.contracts.wecom.ward import Ward, deciding, name, number
from tests.dsl import bpmn, chain, start_task, task

pytestmark = pytest.mark.backend("sqlite")


def many(count: int) -> str:
    return "".join(f'<piyue:outcome id="o{n}" name="第{n}种意见" opinion="none"/>' for n in range(count))


@pytest.mark.parametrize("count", [1, 6, 12])
def test_however_many_outcomes_there_are_the_card_arrives(ward: Ward, count: int) -> None:
    story = ward.begin("head_nurse", outcomes=many(count))
    card = ward.card("head_nurse")
    assert 1 <= len(card.buttons) <= 6
    assert str(story.item("head_nurse").id) in json.dumps(card.raw["card"]["card_action"])
    ward.press("head_nurse", next(iter(card.acting)))
    assert story.open_steps == {"then"}
    assert name("head_nurse") in ward.card("head_nurse").text


TITLES = {
    "long": "关于" + "进一步规范全院医疗设备采购审批流程的" * 12 + "请示",
    "quoted": "<b>\\\"A&amp;B\\\"</b> ☃ 𠮷 'x' | y",
    "blank": "  ",
}


@pytest.mark.parametrize("kind", TITLES)
def test_whatever_the_title_says_the_card_arrives(ward: Ward, kind: str) -> None:
    title = TITLES[kind].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("'", "&apos;")
    files = deciding("head_nurse", "pediatrics_head")
    extension = f"<piyue:process title='=\"{title}\"' summary='=\"{title}\"'/>"
    files["process.bpmn"] = files["process.bpmn"].replace(
        "<extensionElements></extensionElements>", f"<extensionElements>{extension}</extensionElements>", 1
    )
    ward.bpm.deploy_files(files)
    story = ward.bpm.start("p", by="nurse")
    assert "同意" in ward.card("head_nurse").acting
    story.approve(by="pediatrics_head")
    assert name("pediatrics_head") in ward.card("head_nurse").text
    assert not ward.undelivered()


def test_a_userid_is_known_in_any_case(ward: Ward) -> None:
    ward.control.change_member(userid=number("surgeon"), changes={"userid": "XianGuoDong"})
    with ward.db.unit_of_work() as session:
        accounts.unlink(session, None, number("surgeon"))
        accounts.link(session, None, number("surgeon"), "xianGUOdong")
    story = ward.begin("surgeon")
    ward.press("XianGuoDong", "同意")
    assert story.open_steps == {"then"}
    assert name("surgeon") in ward.card("XianGuoDong").text


def test_a_step_that_fills_a_form_is_opened_and_its_card_changes_too(ward: Ward) -> None:
    body = '<startEvent id="s"/>' + start_task() + task("fill", "doctor", kind="fill") + '<endEvent id="e"/>'
    ward.bpm.deploy_files(bpmn(body + chain("s", "apply", "fill", "e")))
    story = ward.bpm.start("p", by="nurse")
    card = ward.card("doctor")
    item = str(story.item("doctor").id)
    assert item in json.dumps(card.raw["card"])
    story.submit(by="doctor")
    after = next(c for c in ward.chat("doctor") if c.msgid == card.msgid)
    assert not after.acting
    assert name("doctor") in after.text


def test_one_who_handles_two_steps_has_a_card_of_each(ward: Ward) -> None:
    story = ward.begin("head_nurse", after="head_nurse")
    ward.press("head_nurse", "同意")
    assert len(ward.chat("head_nurse")) == 2
    first, second = ward.chat("head_nurse")
    assert not first.acting
    assert "同意" in second.acting
    ward.press("head_nurse", "同意", second)
    story.expect_state("completed")


def test_two_branches_at_once_leave_each_others_cards_alone(ward: Ward) -> None:
    body = (
        '<startEvent id="s"/>' + start_task() + '<parallelGateway id="split"/>' + task("left", "head_nurse")
        + task("right", "pediatrics_head") + '<parallelGateway id="join"/><endEvent id="e"/>'
        + chain("s", "apply", "split", "left", "join", "e") + chain("split", "right", "join")
    )  # fmt: skip
    ward.bpm.deploy_files(bpmn(body))
    story = ward.bpm.start("p", by="nurse")
    calls = ward.calls("message/update_template_card")
    ward.press("head_nurse", "同意")
    assert "同意" in ward.card("pediatrics_head").acting
    assert ward.calls("message/update_template_card") == calls + 1
    ward.press("pediatrics_head", "同意")
    story.expect_state("completed")


def test_urged_twice_nobody_has_two_cards_to_press(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    story.act("urge", "nurse", story.id, text="请尽快")
    assert len([c for c in ward.chat("head_nurse") if c.acting]) == 1
    assert any("请尽快" in c.text for c in ward.chat("head_nurse"))


@pytest.mark.backend("sqlite", "postgresql")
def test_the_whole_story_on_both_databases(ward: Ward) -> None:
    story = ward.begin("head_nurse", "pediatrics_head")
    story.send_back(by="pediatrics_head", to="initiator")
    story.submit(by="nurse")
    item = story.item("head_nurse")
    story.act("claim", "head_nurse", item.id).act("unclaim", "head_nurse", item.id)
    ward.press("pediatrics_head", "同意")
    story.act("take_back", "pediatrics_head", story.item("pediatrics_head", "review", "done").id)
    story.act("reassign", "head_nurse", story.item("head_nurse").id, to=ward.bpm.person("surgeon"), reason="出差")
    ward.press("surgeon", "同意")
    ward.press("doctor", "同意")
    story.expect_state("completed")
    for who in ("head_nurse", "pediatrics_head", "surgeon", "doctor", "nurse"):
        assert not [c for c in ward.chat(who) if c.acting], who
    with ward.db.reading() as session:
        rows = session.scalars(select(WeComDelivery)).all()
    assert all(row.sent_at for row in rows)
    assert not ward.undelivered()


def test_two_clicks_of_different_people_in_a_countersign_both_count(ward: Ward) -> None:
    story = ward.begin("head_nurse", "pediatrics_head", policy="all")
    ward.press("head_nurse", "同意", work=False)
    ward.press("pediatrics_head", "同意", work=False)
    ward.work()
    assert story.open_steps == {"then"}
    for who in ("head_nurse", "pediatrics_head"):
        assert name(who) in ward.card(who).text
        assert not ward.card(who).raw["busy"]


def test_several_outcomes_by_number_decide_what_they_say(ward: Ward) -> None:
    story = ward.begin("head_nurse", outcomes=many(3))
    ward.press("head_nurse", "第1种意见")
    assert ("complete", "review", "o1") in story.trail
    assert "第1种意见" in ward.card("head_nurse").text
