"""What people are told of an instance, and when it counts as read."""

from sqlalchemy import select

from engine import notices
from engine.notices import Notice
from tests.dsl import Bpm, Story, dates, task
from tests.engine.bpm.contracts.kit import line

LEAVE = {"leave_type": "年休假", "reason": "探亲"}


def told(story: Story, who: str) -> list[tuple[str, str]]:
    """Return kind and text of what somebody was told of an instance, oldest first."""
    mine = select(Notice).where(Notice.instance_id == story.id, Notice.person_id == story.bpm.person(who))
    with story.bpm.db.reading() as session:
        return [(n.kind, n.text) for n in session.scalars(mine.order_by(Notice.id))]


def unread(story: Story, who: str) -> int:
    with story.bpm.db.reading() as session:
        return notices.unread(session, story.bpm.actor(who), story.id)


def leave(bpm: Bpm, **more: str) -> Story:
    return bpm.deploy("leave_request").start("leave_request", "nurse", **LEAVE | dates(5, 6) | more)


def test_the_initiator_is_told_of_a_refusal_with_who_and_why(bpm: Bpm) -> None:
    story = leave(bpm).complete("head_nurse", "reject", opinion="人手不足")
    text = "您发起的事项已办结：未批准。科室负责人审批 曾淑贞不同意：人手不足"
    assert told(story, "nurse") == [("ended", text)]


def test_the_initiator_is_told_that_all_agreed_where_it_waits_then(bpm: Bpm) -> None:
    story = leave(bpm, handover=str(bpm.person("doctor"))).approve("head_nurse")
    assert told(story, "nurse") == [("agreed", "科室负责人审批：曾淑贞已同意")]
    assert told(story, "doctor") == [("read", "请阅读：知会工作交接人")]


def test_an_agreement_is_told_though_the_wait_after_it_is_over(bpm: Bpm) -> None:
    story = leave(bpm, **LEAVE | dates(-1, 1)).approve("head_nurse")  # the worker fires what is due before it tells
    assert "report_back" in story.open_steps
    assert ("agreed", "科室负责人审批：曾淑贞已同意") in told(story, "nurse")


def test_nothing_is_said_of_an_agreement_after_which_others_decide(bpm: Bpm) -> None:
    files = line(("a", task("a", "head_nurse")), ("b", task("b", "surgeon")))
    story = bpm.deploy_files(files).start("p", "nurse").approve("head_nurse")
    assert told(story, "nurse") == []
    story.approve("surgeon")
    assert told(story, "nurse") == [("ended", "您发起的事项已办结")]


def test_a_return_says_who_and_why(bpm: Bpm) -> None:
    story = leave(bpm).send_back("head_nurse", to="initiator")
    assert told(story, "nurse") == [("return", "曾淑贞退回：请补充。请办理：填写申请")]
    story.submit("nurse", **LEAVE | dates(5, 6))
    assert told(story, "head_nurse") == [("todo", "请办理：科室负责人审批")] * 2


def test_a_withdrawal_frees_who_was_to_act_and_says_nothing_to_oneself(bpm: Bpm) -> None:
    story = leave(bpm)
    story.act("withdraw", "nurse", story.id, reason="不休了")
    assert told(story, "head_nurse")[-1] == ("ended", "已撤销，不用再办：不休了")
    assert told(story, "nurse") == []
    assert unread(story, "head_nurse") == 1


def test_a_termination_is_told_to_the_initiator_with_its_reason(bpm: Bpm) -> None:
    story = leave(bpm)
    story.act("terminate", "process_admin", story.id, reason="重复提交")
    assert told(story, "nurse") == [("ended", "您发起的事项已终止：重复提交")]
    assert told(story, "head_nurse")[-1] == ("ended", "已终止，不用再办：重复提交")


def test_what_is_done_or_needed_no_more_counts_as_read(bpm: Bpm) -> None:
    files = line(("a", task("a", "head_nurse", "surgeon")), ("b", task("b", "archivist")))
    story = bpm.deploy_files(files).start("p", "nurse")
    assert (unread(story, "head_nurse"), unread(story, "surgeon")) == (1, 1)
    story.act("urge", "nurse", story.id)
    assert unread(story, "surgeon") == 2
    story.approve("head_nurse")
    assert (unread(story, "head_nurse"), unread(story, "surgeon")) == (1, 1), "the urge, until the end"
    story.approve("archivist")
    assert (unread(story, "head_nurse"), unread(story, "surgeon"), unread(story, "archivist")) == (0, 0, 0)
    assert unread(story, "nurse") == 1


def test_a_reader_who_has_not_read_is_still_reminded_after_the_end(bpm: Bpm) -> None:
    inner = '<piyue:round policy="none"/>'
    story = bpm.deploy_files(line(("a", task("a", "surgeon", kind="read", inner=inner)))).start("p", "nurse")
    story.expect_state("completed")
    assert unread(story, "surgeon") == 1
    story.act("mark_opened", "surgeon", item_id=story.item("surgeon").id)
    assert unread(story, "surgeon") == 0


def test_opening_an_instance_reads_ones_own_notices_of_it_alone(bpm: Bpm) -> None:
    first, second = leave(bpm), bpm.start("leave_request", "nurse", **LEAVE | dates(8, 9))
    first.act("copy", "nurse", first.id, to=[bpm.person("doctor"), bpm.person("surgeon")])
    second.act("copy", "nurse", second.id, to=[bpm.person("doctor")])
    first.act("mark_opened", "doctor", instance_id=first.id)
    assert (unread(first, "doctor"), unread(second, "doctor"), unread(first, "surgeon")) == (0, 1, 1)
