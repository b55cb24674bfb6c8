"""Returning (退回) as people meet it: who is cancelled, who stays, where one may return to, and what comes after."""

import pytest

from engine.bpm import commands, queries
from engine.errors import Conflict, EngineError, Invalid
from tests.dsl import Bpm, Story, bpmn, chain, flow, start_task, task
from tests.engine.bpm.contracts.kit import diagram, line, sub

FORK = (
    '<startEvent id="s"/><endEvent id="e"/><parallelGateway id="split"/><parallelGateway id="join"/>'
    + start_task()
    + task("first", "head_nurse")
    + task("a1", "doctor")
    + task("a2", "surgeon")
    + task("b1", "hr_clerk")
    + task("last", "hr_head")
    + chain("s", "apply", "first", "split", "a1", "a2", "join", "last", "e")
    + chain("split", "b1", "join")
)


def forked(bpm: Bpm) -> Story:
    return bpm.deploy_files(bpmn(FORK)).start("p", by="nurse").approve(by="head_nurse").approve(by="doctor")


def returning(story: Story, by: str, to: str, mode: str = "rewalk") -> EngineError | None:
    """Try to return and tell the refusal; what succeeds has happened."""
    try:
        story.send_back(by=by, to=to, mode=mode)
    except EngineError as refused:
        return refused
    return None


def test_within_a_branch_the_other_one_goes_on(bpm: Bpm) -> None:
    story = forked(bpm).send_back(by="surgeon", to="a1")
    story.expect_open("a1", "b1").approve(by="hr_clerk").expect_open("a1")
    story.approve(by="doctor").expect_open("a2").approve(by="surgeon").expect_open("last")


def test_before_the_split_the_siblings_are_cancelled_and_open_again_on_the_way(bpm: Bpm) -> None:
    story = forked(bpm)
    sibling = story.item("hr_clerk")
    story.send_back(by="surgeon", to="first").expect_open(("first", "head_nurse"))
    with pytest.raises(Conflict) as late:
        story.act("complete", "hr_clerk", sibling.id, "approve")
    assert "冼国栋" in late.value.message, "the one who returned is named"
    story.approve(by="head_nurse").expect_open("a1", "b1").approve(by="doctor").approve(by="hr_clerk")
    story.expect_open("a2").approve(by="surgeon").expect_open("last").approve(by="hr_head").expect_state("completed")


def test_a_branch_that_had_arrived_is_needed_again(bpm: Bpm) -> None:
    story = forked(bpm).approve(by="hr_clerk").send_back(by="surgeon", to="initiator").expect_open(("apply", "nurse"))
    story.submit(by="nurse").approve(by="head_nurse").approve(by="doctor").approve(by="surgeon")
    story.expect_open(("b1", "hr_clerk")).expect_state("running")


@pytest.mark.parametrize("to", ["b1", "last", "nowhere", "a2"])
def test_never_into_another_branch_nor_forward_nor_to_what_does_not_exist(bpm: Bpm, to: str) -> None:
    story = forked(bpm).approve(by="hr_clerk")
    assert isinstance(returning(story, "surgeon", to), Conflict | Invalid)
    story.expect_open("a2")


@pytest.mark.parametrize("to", ["a1", "a2", "b1"])
def test_never_into_a_branch_that_has_been_joined(bpm: Bpm, to: str) -> None:
    story = forked(bpm).approve(by="hr_clerk").approve(by="surgeon").expect_open("last")
    assert isinstance(returning(story, "hr_head", to), Conflict)
    assert returning(story, "hr_head", "first") is None
    story.expect_open(("first", "head_nurse"))


def test_previous_is_the_step_before_also_behind_a_join(bpm: Bpm) -> None:
    """Behind a join the steps before are in branches; the nearest serially reachable one is before the split."""
    story = forked(bpm).approve(by="hr_clerk").approve(by="surgeon").send_back(by="hr_head", to="previous")
    story.expect_open(("first", "head_nurse"))


THREE = line(
    ("first", task("first", "head_nurse")), ("second", task("second", "doctor")), ("third", task("third", "surgeon"))
)


def test_returns_one_after_the_other_lead_back_to_the_start_and_forward_again(bpm: Bpm) -> None:
    story = bpm.deploy_files(THREE).start("p", by="nurse").approve(by="head_nurse").approve(by="doctor")
    for by, at in [("surgeon", "second"), ("doctor", "first"), ("head_nurse", "apply")]:
        story.send_back(by=by).expect_open(at)
    story.submit(by="nurse").approve(by="head_nurse").approve(by="doctor").approve(by="surgeon")
    story.expect_state("completed")


def test_after_a_jump_every_passed_step_can_still_be_returned_to(bpm: Bpm) -> None:
    story = bpm.deploy_files(THREE).start("p", by="nurse").approve(by="head_nurse").approve(by="doctor")
    story.send_back(by="surgeon", to="first", mode="jump").approve(by="head_nurse").expect_open("third")
    story.send_back(by="surgeon", to="second").expect_open(("second", "doctor"))


def test_after_a_jump_the_previous_step_is_still_the_one_before(bpm: Bpm) -> None:
    story = bpm.deploy_files(THREE).start("p", by="nurse").approve(by="head_nurse").approve(by="doctor")
    story.send_back(by="surgeon", to="initiator", mode="jump").submit(by="nurse").expect_open("third")
    story.send_back(by="surgeon", to="previous")
    assert story.open_steps <= {"second", "apply"}


def test_a_return_on_the_way_of_a_jump(bpm: Bpm) -> None:
    """The target of a jump returns further back itself; then the way is walked again from there."""
    story = bpm.deploy_files(THREE).start("p", by="nurse").approve(by="head_nurse").approve(by="doctor")
    story.send_back(by="surgeon", to="second", mode="jump").send_back(by="doctor", to="first")
    story.expect_open(("first", "head_nurse")).approve(by="head_nurse").expect_open(("second", "doctor"))
    story.approve(by="doctor").expect_open(("third", "surgeon")).approve(by="surgeon").expect_state("completed")


def test_two_jumps_inside_one_another(bpm: Bpm) -> None:
    story = bpm.deploy_files(THREE).start("p", by="nurse").approve(by="head_nurse").approve(by="doctor")
    story.send_back(by="surgeon", to="second", mode="jump").send_back(by="doctor", to="first", mode="jump")
    story.approve(by="head_nurse").expect_open(("second", "doctor")).approve(by="doctor").expect_open("third")
    story.approve(by="surgeon").expect_state("completed")


LOOP = bpmn(
    '<startEvent id="s"/><endEvent id="e"/><exclusiveGateway id="m"/><exclusiveGateway id="x" default="x_e"/>'
    + start_task()
    + task("draft", "doctor")
    + task("check", "head_nurse")
    + chain("s", "apply", "m", "draft", "check", "x", "e")
    + flow("x", "m", 'outcome = "reject"')
)


def test_in_a_second_round_of_a_loop_one_returns_to_the_first_ones_check_and_back(bpm: Bpm) -> None:
    story = bpm.deploy_files(LOOP).start("p", by="nurse").approve(by="doctor").reject(by="head_nurse")
    story.expect_open(("draft", "doctor")).send_back(by="doctor", to="check").expect_open(("check", "head_nurse"))
    story.send_back(by="head_nurse", to="draft").expect_open(("draft", "doctor"))
    story.approve(by="doctor").approve(by="head_nurse").expect_state("completed")


def test_after_a_loop_one_returns_into_its_last_round(bpm: Bpm) -> None:
    story = bpm.deploy_files(LOOP).start("p", by="nurse")
    for _ in range(3):
        story.approve(by="doctor").reject(by="head_nurse")
    story.approve(by="doctor").send_back(by="head_nurse").expect_open(("draft", "doctor"))
    story.approve(by="doctor").approve(by="head_nurse").expect_state("completed")


INSIDE = line(
    ("first", task("first", "head_nurse")),
    ("box", sub("box", ("in1", task("in1", "doctor")), ("in2", task("in2", "surgeon")))),
    ("last", task("last", "hr_head")),
)


@pytest.mark.parametrize("mode", ["rewalk", "jump"])
@pytest.mark.parametrize("to", ["apply", "first", "in1"])
def test_out_of_a_sub_process_to_every_step_before(bpm: Bpm, to: str, mode: str) -> None:
    story = bpm.deploy_files(INSIDE).start("p", by="nurse").approve(by="head_nurse").approve(by="doctor")
    story.send_back(by="surgeon", to=to, mode=mode).expect_open(to)
    handler = {"apply": "nurse", "first": "head_nurse", "in1": "doctor"}[to]
    story.complete(handler, "submit" if to == "apply" else "approve")
    story.expect_open({"apply": "first", "first": "in1", "in1": "in2"}[to] if mode == "rewalk" else "in2")


def test_into_an_embedded_sub_process_that_was_passed(bpm: Bpm) -> None:
    story = bpm.deploy_files(INSIDE).start("p", by="nurse").approve(by="head_nurse").approve(by="doctor")
    story.approve(by="surgeon").send_back(by="hr_head", to="in2").expect_open(("in2", "surgeon"))
    story.approve(by="surgeon").expect_open(("last", "hr_head"))


def test_behind_an_inclusive_split_with_one_branch(bpm: Bpm) -> None:
    """The only branch that was taken is a serial way: nothing runs beside it, nothing was joined with it."""
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/><inclusiveGateway id="o" default="o_a"/><inclusiveGateway id="j"/>'
        + start_task()
        + task("a", "doctor")
        + task("b", "surgeon")
        + task("last", "hr_head")
        + chain("s", "apply", "o", "a", "j", "last", "e")
        + flow("o", "b", "both = true")
        + flow("b", "j")
    )
    story = bpm.deploy_files(files).start("p", by="nurse", both=False).expect_open("a").approve(by="doctor")
    refused = returning(story, "hr_head", "a")
    assert refused is None or isinstance(refused, Conflict)
    story.expect_open("last" if refused else "a")


def test_a_step_may_name_where_it_returns_to(bpm: Bpm) -> None:
    files = line(
        ("first", task("first", "head_nurse", inner='<piyue:return to="none"/>')),
        ("second", task("second", "doctor", inner='<piyue:return to="initiator" mode="jump"/>')),
    )
    story = bpm.deploy_files(files).start("p", by="nurse")
    assert isinstance(returning(story, "head_nurse", "initiator"), Invalid)
    story.approve(by="head_nurse")
    assert isinstance(returning(story, "doctor", "first"), Invalid)
    assert isinstance(returning(story, "doctor", "initiator", "rewalk"), Invalid)
    assert returning(story, "doctor", "initiator", "jump") is None
    story.submit(by="nurse").expect_open(("second", "doctor"))


def test_what_is_offered_is_what_is_possible(bpm: Bpm) -> None:
    """Each target and mode that the page offers succeeds."""
    story = forked(bpm).approve(by="hr_clerk").approve(by="surgeon")
    with bpm.db.reading() as session:
        detail = queries.work_item_detail(session, bpm.actor("hr_head"), story.item("hr_head").id)
    assert "first" in str(detail.actions)


def test_a_return_writes_the_trail_and_keeps_the_opinion(bpm: Bpm) -> None:
    story = bpm.deploy_files(THREE).start("p", by="nurse").send_back(by="head_nurse", to="initiator")
    assert story.trail[-1][:2] == ("return", "first") or story.trail[-1][:2] == ("send_back", "first")
    done = story.items("done")
    assert {i.person for i in done} == {"nurse", "head_nurse"}


def test_in_a_countersign_one_return_cancels_the_others_items(bpm: Bpm) -> None:
    files = line(
        ("first", task("first", "head_nurse")),
        ("sign", task("sign", "doctor", "surgeon", "hr_clerk", inner='<piyue:round policy="all"/>')),
    )
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="head_nurse").approve(by="doctor")
    story.send_back(by="surgeon").expect_open(("first", "head_nurse")).approve(by="head_nurse")
    story.expect_open(("sign", "doctor"), ("sign", "surgeon"), ("sign", "hr_clerk"))


def test_the_admin_jumps_out_of_and_into_a_branch_without_hanging(bpm: Bpm) -> None:
    from tests.engine.bpm.contracts.kit import by_task_id

    story = forked(bpm)
    story.act(
        "jump", "process_admin", story.id, task_id=by_task_id(story, "a2"), to="a1", reason="重新核对"
    ).expect_open("a1", "b1")
    story.approve(by="doctor").approve(by="surgeon").approve(by="hr_clerk").expect_open("last")


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_a_return_needs_a_reason_and_an_open_item(bpm: Bpm, text: str) -> None:
    story = bpm.deploy_files(THREE).start("p", by="nurse").approve(by="head_nurse")
    done = story.item("head_nurse", "first", "done")
    with pytest.raises(Conflict):
        story.act("send_back", "head_nurse", done.id, to="initiator", opinion="退")
    with pytest.raises(Invalid):
        story.act("send_back", "doctor", story.item("doctor").id, to="initiator", opinion=text)


def test_the_initiators_step_returns_nowhere(bpm: Bpm) -> None:
    story = bpm.deploy_files(THREE).start("p", by="nurse").send_back(by="head_nurse", to="initiator")
    assert isinstance(returning(story, "nurse", "previous"), Conflict | Invalid)
    story.expect_open(("apply", "nurse"))


def test_returning_with_a_boundary_timer_on_the_steps(bpm: Bpm) -> None:
    """The timer of the step left is void, that of the target runs anew."""
    from tests.engine.bpm.contracts.kit import boundary, timer, timers

    body = (
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="late"/><endEvent id="later"/>'
        + start_task()
        + task("first", "head_nurse")
        + boundary("t1", "first", timer("P1D"))
        + task("second", "doctor")
        + boundary("t2", "second", timer("P2D"))
        + chain("s", "apply", "first", "second", "e")
        + flow("t1", "late")
        + flow("t2", "later")
    )
    story = bpm.deploy_files(diagram(body)).start("p", by="nurse")
    assert set(timers(story)) == {"t1"}
    story.approve(by="head_nurse")
    assert set(timers(story)) == {"t2"}
    story.send_back(by="doctor")
    assert set(timers(story)) == {"t1"}
    assert commands.fire_due(bpm.db) == 0


def test_in_a_second_round_of_a_loop_one_returns_twice_to_the_first_and_back(bpm: Bpm) -> None:
    story = bpm.deploy_files(LOOP).start("p", by="nurse").approve(by="doctor").reject(by="head_nurse")
    story.approve(by="doctor").send_back(by="head_nurse", to="draft").send_back(by="doctor", to="check")
    story.expect_open(("check", "head_nurse")).send_back(by="head_nurse", to="draft").expect_open(("draft", "doctor"))
