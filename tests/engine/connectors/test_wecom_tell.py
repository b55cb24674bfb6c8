"""Whoever acts and wherever, every recipient's card says how it came out and who did it."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from engine import clock
from engine.bpm.models import WorkRound
from engine.connectors.wecom import planning
from engine.connectors.wecom.models import WeComAccount
from engine.org.models import Person
from sandbox.wecom.records import Fault
from tests.dsl import Bpm, Story, dates, task
from tests.engine.bpm.contracts.kit import MONDAY, line
from tests.engine.connectors.phones import BASE, Phones, _phones, number, start  # noqa: F401

pytestmark = pytest.mark.backend("sqlite", "postgresql")

LEAVE = {"leave_type": "年休假", "reason": "探亲"}
ANY = line(
    ("a", task("a", "head_nurse", "surgeon", inner='<piyue:round policy="any"/>')), ("b", task("b", "archivist"))
)
ALL = line(
    ("a", task("a", "head_nurse", "surgeon", inner='<piyue:round policy="all"/>')), ("b", task("b", "archivist"))
)


def leave(bpm: Bpm, **more: str) -> Story:
    return bpm.deploy("leave_request").start("leave_request", "nurse", **LEAVE | dates(5, 6) | more)


def name(bpm: Bpm, who: str) -> str:
    return bpm.actor(who).name


def test_a_card_asks_with_the_deciding_figure_the_applicant_and_buttons(phones: Phones) -> None:
    story = leave(phones.bpm)
    card = phones.card("head_nurse")
    item = story.item("head_nurse")
    assert card["main_title"]["title"] == story.instance.title
    assert card["main_title"]["desc"] == "请假 · 科室负责人审批"
    rows = {row["keyname"]: row for row in card["horizontal_content_list"]}
    assert rows["内容"]["value"] == story.instance.summary
    assert (rows["申请人"]["type"], rows["申请人"]["userid"]) == (3, number("nurse"))
    assert phones.buttons("head_nurse") == ["同意", "不同意", "退回", "详情"]
    assert phones.acting("head_nurse") == ["同意"]  # a refusal needs words
    assert card["card_action"] == {"type": 1, "url": f"{BASE}/items/{item.id}"}


def test_who_agrees_on_a_card_reads_it_on_the_card(phones: Phones) -> None:
    story = leave(phones.bpm)
    assert phones.tap("head_nurse", "同意") == "done"
    assert ("complete", "head_review", "approve") in story.trail
    assert phones.says("head_nurse").startswith(f"已同意 · {name(phones.bpm, 'head_nurse')} ")
    assert phones.buttons("head_nurse") == ["查看详情"]


def test_who_decides_on_a_page_reads_it_on_the_card(phones: Phones) -> None:
    story = leave(phones.bpm).reject("head_nurse")
    assert phones.says("head_nurse").startswith(f"不同意 · {name(phones.bpm, 'head_nurse')} ")
    assert phones.acting("head_nurse") == []
    story.expect_state("completed")


def test_the_others_read_who_decided_in_their_stead(phones: Phones) -> None:
    start(phones, ANY)
    phones.tap("surgeon", "同意")
    assert phones.says("surgeon").startswith("已同意 · ")
    assert phones.says("head_nurse").startswith(f"已由{name(phones.bpm, 'surgeon')}同意，您无需再办 · ")
    assert phones.acting("head_nurse") == []


def test_one_of_several_who_all_decide_changes_their_own_card_alone(phones: Phones) -> None:
    story = start(phones, ALL).approve("surgeon")  # no notice is written for that
    assert phones.says("surgeon").startswith("已同意 · ")
    assert phones.acting("head_nurse") == ["同意"]
    story.approve("head_nurse")
    assert phones.says("head_nurse").startswith("已同意 · ")


def test_a_return_shows_its_reason_on_both_sides(phones: Phones) -> None:
    story = leave(phones.bpm).send_back("head_nurse", to="initiator")
    assert phones.says("head_nurse").startswith(f"已退回：请补充 · {name(phones.bpm, 'head_nurse')} ")
    rows = {row["keyname"]: row["value"] for row in phones.card("nurse")["horizontal_content_list"]}
    assert rows["退回原因"] == f"{name(phones.bpm, 'head_nurse')}：请补充"
    assert phones.buttons("nurse") == ["去修改"]  # one tap would hand in the same again
    assert phones.card("nurse")["button_list"][0]["url"] == f"{BASE}/items/{story.item('nurse').id}"


def test_a_step_to_fill_in_has_no_button_that_acts(phones: Phones) -> None:
    start(phones, line(("a", task("a", "surgeon", kind="fill")), ("b", task("b", "archivist"))))
    assert (phones.buttons("surgeon"), phones.acting("surgeon")) == (["去填写", "退回"], [])


def test_messages_about_two_requests_can_be_told_apart(phones: Phones) -> None:
    stories = [leave(phones.bpm, **dates(*days)).approve("head_nurse") for days in ((5, 6), (8, 9))]
    found = [copy.card for copy in phones.messages("nurse") if copy.card]
    shown = [card["horizontal_content_list"][0]["value"] for card in found if "已同意" in card["sub_title_text"]]
    assert shown == [story.instance.summary for story in stories]
    assert len(set(shown)) == 2


def test_the_others_read_of_a_return(phones: Phones) -> None:
    start(phones, ANY).send_back("surgeon", to="initiator")
    expected = f"已由{name(phones.bpm, 'surgeon')}退回：请补充，您无需再办"
    assert phones.says("head_nurse").startswith(expected)


def test_a_reassigned_card_changes_and_the_new_one_gets_theirs(phones: Phones) -> None:
    story = leave(phones.bpm)
    item = story.item("head_nurse")
    story.act("reassign", "head_nurse", item.id, to=phones.bpm.person("surgeon"), reason="出差")
    surgeon, head = name(phones.bpm, "surgeon"), name(phones.bpm, "head_nurse")
    assert phones.says("head_nurse").startswith(f"已转给{surgeon}：出差 · {head} ")
    assert phones.acting("surgeon") == ["同意"]
    assert phones.tap("surgeon", "同意") == "done"


def test_a_withdrawal_reaches_the_card(phones: Phones) -> None:
    story = leave(phones.bpm)
    story.act("withdraw", "nurse", story.id, reason="不休了")
    assert phones.says("head_nurse").startswith(f"已撤销：不休了 · {name(phones.bpm, 'nurse')} ")
    assert phones.texts("head_nurse") == ["已撤销，不用再办：不休了"]


def test_a_termination_reaches_the_card(phones: Phones) -> None:
    story = leave(phones.bpm)
    story.act("terminate", "process_admin", story.id, reason="重复提交")
    assert phones.says("head_nurse").startswith(f"已终止：重复提交 · {name(phones.bpm, 'process_admin')} ")


def test_a_jump_reaches_the_card(phones: Phones) -> None:
    story = start(phones, ANY)
    with phones.bpm.db.reading() as session:
        task_id = session.scalars(
            select(WorkRound.task_id).where(WorkRound.instance_id == story.id, WorkRound.step == "a")
        ).one()
    story.act("jump", "process_admin", story.id, task_id=task_id, to="b", reason="急办")
    assert phones.says("surgeon").startswith(f"{name(phones.bpm, 'process_admin')}已把流程移到别的步骤：急办")
    assert phones.acting("archivist") == ["同意"]


def test_a_timer_that_ends_the_step_reaches_the_card(phones: Phones) -> None:
    phones.at(MONDAY)
    late = (
        '<boundaryEvent id="t" attachedToRef="a"><timerEventDefinition><timeDuration>PT1H</timeDuration>'
        '</timerEventDefinition></boundaryEvent><sequenceFlow id="t_b" sourceRef="t" targetRef="b"/>'
    )
    start(phones, line(("a", task("a", "surgeon")), ("b", task("b", "archivist") + late)))
    phones.at(MONDAY + timedelta(hours=2))
    phones.bpm.work()
    assert phones.says("surgeon").startswith("已到时结束，您无需再办 · ")
    assert phones.acting("archivist") == ["同意"]


def test_a_claim_reaches_the_others_and_an_unclaim_brings_a_fresh_card(phones: Phones) -> None:
    story = start(phones, ANY)
    item = story.item("surgeon")
    story.act("claim", "surgeon", item.id)
    assert phones.says("head_nurse").startswith(f"已由{name(phones.bpm, 'surgeon')}签收，您暂不用办")
    assert phones.acting("surgeon") == ["同意"]
    story.act("unclaim", "surgeon", item.id)
    assert len(phones.cards("head_nurse")) == 1  # the old one was recalled
    assert phones.tap("head_nurse", "同意") == "done"
    assert phones.says("surgeon").startswith(f"已由{name(phones.bpm, 'head_nurse')}同意")


def test_after_a_claim_the_outcome_reaches_who_stood_by(phones: Phones) -> None:
    story = start(phones, ANY)
    story.act("claim", "surgeon", story.item("surgeon").id).approve("surgeon")
    assert phones.says("head_nurse").startswith(f"已由{name(phones.bpm, 'surgeon')}同意，您无需再办")
    assert len(phones.cards("head_nurse")) == 1


def test_a_decision_taken_back_leaves_one_fresh_card(phones: Phones) -> None:
    story = leave(phones.bpm, **dates(1, 12))
    item = story.item("head_nurse")
    phones.tap("head_nurse", "同意")
    following = {who for _, who in story.open}
    story.act("take_back", "head_nurse", item.id)
    assert phones.acting("head_nurse") == ["同意"]
    assert len(phones.cards("head_nurse")) == 1
    for who in following:
        assert phones.says(who).startswith(f"{name(phones.bpm, 'head_nurse')}已撤回上一步"), phones.cards(who)
    assert phones.tap("head_nurse", "同意") == "done"


def test_a_click_on_a_card_that_is_being_replaced_is_answered_by_the_new_one(phones: Phones) -> None:
    story = start(phones, ANY)
    item = story.item("head_nurse")
    late = phones.event("surgeon", "同意")
    story.act("claim", "head_nurse", item.id)
    phones.state.faults.append(Fault("message/send", status=503))  # the old card is gone, the new one not yet there
    story.act("unclaim", "head_nurse", item.id)
    assert phones.cards("surgeon") == []
    assert phones.hear(late) == "refused: replaced"
    clock.freeze(clock.now() + timedelta(minutes=1))
    phones.bpm.work()
    assert (len(phones.cards("surgeon")), phones.acting("surgeon")) == (1, ["同意"])
    assert phones.tap("surgeon", "同意") == "done"


def test_a_decision_taken_back_in_an_open_round_asks_again(phones: Phones) -> None:
    story = start(phones, ALL)
    item = story.item("surgeon")
    story.approve("surgeon").act("take_back", "surgeon", item.id)
    assert [len(phones.cards("surgeon")), phones.acting("surgeon")] == [1, ["同意"]]


def test_what_the_others_decided_stands_when_one_takes_back(phones: Phones) -> None:
    story = start(phones, ALL).approve("surgeon")
    item = story.item("head_nurse")
    story.approve("head_nurse").act("take_back", "head_nurse", item.id)
    assert phones.says("surgeon").startswith("已同意 · ")
    assert phones.acting("head_nurse") == ["同意"]


def test_a_card_without_a_code_is_replaced_within_a_day(phones: Phones) -> None:
    story = leave(phones.bpm)
    phones.state.codes.clear()  # WeCom knows the code no more
    story.approve("head_nurse")
    assert phones.says("head_nurse").startswith("已同意 · ")
    assert len(phones.cards("head_nurse")) == 1


def test_after_three_days_a_late_click_is_answered_in_place(phones: Phones) -> None:
    phones.at(MONDAY)
    story = start(phones, ANY)
    phones.at(MONDAY + timedelta(hours=73))
    story.approve("surgeon")
    assert phones.acting("head_nurse") == ["同意"]  # it can't be changed any more
    assert phones.tap("head_nurse", "同意") == "refused: item_closed"
    assert phones.says("head_nurse").startswith(f"已由{name(phones.bpm, 'surgeon')}同意，您无需再办")
    assert phones.acting("head_nurse") == []


def test_equal_messages_are_one_send(phones: Phones) -> None:
    readers = ("doctor", "surgeon", "archivist", "office_clerk")
    start(phones, line(("r", task("r", *readers, kind="read"))))
    assert phones.calls("message/send") == 1
    for who in readers:
        assert phones.texts(who) == ["请阅读：r"]


def test_the_next_run_finds_nothing_to_do(phones: Phones) -> None:
    story = start(phones, ANY)
    before = phones.calls("message/send")
    phones.look_again(story)
    assert (before, phones.calls("message/send"), phones.calls("message/update_template_card")) == (2, 2, 0)


def test_five_hundred_readers_are_one_call(phones: Phones) -> None:
    story = start(phones, line(("r", task("r", "doctor", kind="read"))))
    with phones.bpm.db.reading() as session:
        here = select(Person.id).where(Person.disabled_at.is_(None), Person.id != phones.bpm.person("doctor"))
        others = session.scalars(here.order_by(Person.id).limit(500)).all()
    before = phones.calls("message/send")
    story.act("circulate", "doctor", story.item("doctor").id, to=others)
    assert phones.calls("message/send") == before + 1
    assert sum(bool(phones.state.inbox(member)) for member in phones.state.members) == 501


def test_what_was_sent_is_forgotten_long_after_the_end_and_never_sent_anew(phones: Phones) -> None:
    over, running = start(phones, line(("a", task("a", "surgeon")))), start(phones, line(("b", task("b", "surgeon"))))
    over.approve("surgeon")
    phones.bpm.work()
    sent = len(phones.messages("surgeon"))
    assert planning.purge(phones.bpm.db, clock.now() - timedelta(days=90), 10) == 0
    clock.freeze(clock.now() + timedelta(days=91))
    before = clock.now() - timedelta(days=90)
    assert [planning.purge(phones.bpm.db, before, 1) for _ in range(3)] == [1, 1, 0]
    assert [d.instance_id for d in phones.deliveries("surgeon")] == [running.id]
    phones.look_again(over)
    assert len(phones.messages("surgeon")) == sent


def test_who_has_vanished_from_wecom_is_told_nothing_there(phones: Phones) -> None:
    gone = phones.bpm.person("surgeon")
    with phones.bpm.db.unit_of_work() as session:
        session.execute(update(WeComAccount).where(WeComAccount.person_id == gone).values(vanished_at=clock.now()))
    start(phones, line(("a", task("a", "surgeon", "head_nurse"))))
    assert (phones.cards("surgeon"), len(phones.cards("head_nurse"))) == ([], 1)
    assert [d.reason for d in phones.deliveries("surgeon")] == ["没有企业微信账号，或已停用"]
