"""What a card says, from what is true alone: within WeCom's limits, and as WeCom demands it."""

import uuid
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bpm.closings import Act
from engine.bpm.extensions import DECIDE_OUTCOMES, Outcome
from engine.bpm.mirrors import Offer
from engine.bpm.models import ItemState
from engine.connectors.wecom import cards
from sandbox.wecom import cards as wecom_demands

AT = datetime(2026, 11, 26, 2, 3, tzinfo=UTC)
ITEM, INSTANCE = uuid.UUID(int=1), uuid.UUID(int=2)
LINKS = cards.Links("https://oa.hospital.example")
SUBJECT = cards.Subject(INSTANCE, "单晓燕的请假申请", "病假 5 天", "请假", 0, "单晓燕", "10027")
AGREE, REFUSE = DECIDE_OUTCOMES[0], DECIDE_OUTCOMES[1]
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def asked(*taps: Outcome, others: tuple[Outcome, ...] = (), returns: bool = False, **more: Any) -> cards.Asked:
    return cards.Asked(ITEM, "科室负责人审批", AT, Offer(taps, others, returns), **more)


def item(state: str, outcome: str | None = None) -> Any:
    return SimpleNamespace(state=state, outcome=outcome, closed_at=AT)


def act(verb: str = "complete", name: str | None = "李四", opinion: str = "", to: str = "") -> Act:
    return Act(name, verb, None, opinion, AT, to)


def said(state: str, by: Act | None, chosen: Outcome | None = None, own: str | None = None) -> str:
    return cards.words(item(state, own), by, chosen, stands=False)


def test_outcomes_come_first_and_six_buttons_are_the_most() -> None:
    many = tuple(Outcome(f"o{n}", f"结果{n}") for n in range(9))
    card = cards.asking("t", SUBJECT, asked(*many, returns=True), LINKS)
    assert [b["text"] for b in card["button_list"]] == ["结果0", "结果1", "结果2", "结果3", "退回", "详情"]
    assert card["button_list"][4]["url"] == f"{LINKS.base}/items/{ITEM}?do=return"


def test_the_style_of_a_button_is_the_outcomes() -> None:
    card = cards.asking("t", SUBJECT, asked(AGREE, others=(REFUSE,)), LINKS)
    agree, refuse, _ = card["button_list"]
    assert (agree["style"], agree["key"], refuse["style"], refuse["type"]) == (1, "outcome:approve", 2, 1)


def test_where_no_outcome_goes_through_the_card_still_can_be_changed() -> None:
    card = cards.asking("t", SUBJECT, asked(others=(AGREE,)), LINKS)
    assert card["card_type"] == "button_interaction"
    assert [b["text"] for b in card["button_list"]] == ["去办理"]
    assert wecom_demands.updatable(card)
    assert not wecom_demands.calls_back(card)


def test_who_fills_in_a_form_goes_to_it_and_who_was_sent_it_back_is_told_to_mend_it() -> None:
    fills = Offer((), (AGREE,), returns=False, fills=True)
    for returned, name in (("", "去填写"), ("曾淑贞：请补充", "去修改")):
        card = cards.asking("t", SUBJECT, cards.Asked(ITEM, "申请", AT, fills, returned), LINKS)
        [button] = card["button_list"]
        assert (button["text"], button["url"]) == (name, f"{LINKS.base}/items/{ITEM}")


def test_a_message_names_the_deciding_figure() -> None:
    card = cards.notice("单晓燕的请假申请", "科室负责人审批：曾淑贞已同意", "病假 5 天", AT, LINKS.open(INSTANCE))
    assert card["horizontal_content_list"] == [{"keyname": "内容", "value": "病假 5 天"}]
    wecom_demands.check(card)
    assert "horizontal_content_list" not in cards.notice("x", "y", "", AT, LINKS.open(INSTANCE))


def test_urgency_and_the_reason_of_a_return_are_shown() -> None:
    urgent = cards.Subject(INSTANCE, "请示", "", "发文", 3, "单晓燕", "")
    card = cards.asking("t", urgent, asked(AGREE, returned="曾淑贞：请补充"), LINKS)
    rows = {row["keyname"]: row for row in card["horizontal_content_list"]}
    assert (rows["缓急"]["value"], rows["退回原因"]["value"]) == ("特急", "曾淑贞：请补充")
    assert "内容" not in rows  # nothing to say is no line
    assert "userid" not in rows["申请人"]
    assert card["source"]["desc_color"] == 2


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ("已同意 · 李四 11-26 10:03", said(ItemState.DONE, act(), AGREE, "approve")),
        ("不同意 · 李四 11-26 10:03", said(ItemState.DONE, act(), REFUSE, "reject")),
        ("已退回：缺附件 · 李四 11-26 10:03", said(ItemState.DONE, act("return", opinion="缺附件"), None, "return")),
        ("已由李四同意，您无需再办 · 11-26 10:03", said(ItemState.CLOSED, act(), AGREE)),
        ("李四不同意，您无需再办 · 11-26 10:03", said(ItemState.CLOSED, act(), REFUSE)),
        ("已由李四退回：缺附件，您无需再办 · 11-26 10:03", said(ItemState.CLOSED, act("return", opinion="缺附件"))),
        ("已到时结束，您无需再办 · 11-26 10:03", said(ItemState.CANCELLED, act("timer", None))),
        ("已撤销：不休了 · 李四 11-26 10:03", said(ItemState.CANCELLED, act("withdraw", opinion="不休了"))),
        ("已终止：重复 · 李四 11-26 10:03", said(ItemState.CANCELLED, act("terminate", opinion="重复"))),
        ("李四已撤回上一步，您暂不用办 · 11-26 10:03", said(ItemState.CANCELLED, act("take_back"))),
        ("已转给王五：出差 · 李四 11-26 10:03", said(ItemState.REASSIGNED, act("reassign", opinion="出差", to="王五"))),
        ("已由李四签收，您暂不用办 · 11-26 10:03", said(ItemState.STANDBY, act("claim"))),
        ("已撤回，请见新卡片 · 李四 11-26 10:03", said(ItemState.CANCELLED, act("take_back"), None, "approve")),
        ("还没有轮到您，请等前面的人办完", said(ItemState.QUEUED, None)),
        ("流程已离开这一步，您无需再办", said(ItemState.CANCELLED, None)),
    ],
)
def test_how_it_came_out(expected: str, words: str) -> None:
    assert words == expected


def test_a_settled_card_has_a_link_and_no_button_that_acts() -> None:
    card = cards.settled("t", SUBJECT, "审批", "已同意 · 李四 11-26 10:03", ITEM, LINKS)
    assert [b["text"] for b in card["button_list"]] == ["查看详情"]
    assert list(wecom_demands.keys(card)) == []
    assert wecom_demands.updatable(card)


def test_a_state_tells_apart_what_a_card_must_tell_apart() -> None:
    states = {
        cards.state(found, "f", stands=stands)
        for found, stands in (
            (item("open"), False),
            (item("standby"), False),
            (item("done", "approve"), False),
            (item("done", "reject"), False),
            (item("closed"), False),
            (item("reassigned"), False),
            (item("cancelled"), False),
            (item("cancelled", "approve"), False),
        )
    }
    assert len(states) == 8
    assert cards.state(item("cancelled", "approve"), "f", stands=True) == cards.state(
        item("done", "approve"), "f", stands=False
    )
    assert cards.figures(SUBJECT, "a") != cards.figures(SUBJECT, "b")


@given(text=names, most=st.integers(3, 400))
def test_nothing_is_cut_in_the_middle_of_a_character(text: str, most: int) -> None:
    found = cards.cut(text, most)
    assert len(found.encode()) <= most
    assert found == text or text.startswith(found.removesuffix("…"))


@given(title=names, summary=names, name=names, step=names, remark=names, outcome=names)
def test_whatever_people_write_wecom_takes_the_card(
    title: str, summary: str, name: str, step: str, remark: str, outcome: str
) -> None:
    subject = cards.Subject(INSTANCE, title or "x", summary, name, 1, name, "10027")
    offer = Offer((Outcome("o", outcome or "x"),), (), returns=True)
    card = cards.asking("t", subject, cards.Asked(ITEM, step, AT, offer, name, remark), LINKS)
    wecom_demands.check(card)
    wecom_demands.check(cards.settled("t", subject, step, remark, ITEM, LINKS))
    wecom_demands.check(cards.notice(title or "x", name or "x", summary, AT, LINKS.open(INSTANCE)))
    assert len(cards.digest([(title, summary, LINKS.todo())] * 60, LINKS.todo()).encode()) <= cards.MARKDOWN
