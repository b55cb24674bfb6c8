"""Taking back (撤回): one's own handled item, while nobody has acted on what followed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from engine import clock
from engine.bpm.operations import Context, operation
from engine.errors import Conflict, Forbidden, NotFound
from tests.dsl import Bpm, Story, bpmn, chain, flow, start_task, task
from tests.engine.bpm.contracts.kit import boundary, diagram, line, sub, timer


@operation("contracts.take_back.nothing")
def _nothing(session: Session, context: Context, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


TWO = line(("first", task("first", "head_nurse")), ("second", task("second", "doctor", "surgeon")))


def take_back(story: Story, by: str, step: str) -> Story:
    return story.act("take_back", by, story.item(by, step, "done").id)


def refused(story: Story, by: str, step: str) -> str:
    """Assert that a take-back comes too late and changes nothing; returns what the person is told."""
    before = story.open
    with pytest.raises(Conflict) as conflict:
        take_back(story, by, step)
    assert story.open == before
    return conflict.value.message


def passed_on(bpm: Bpm) -> Story:
    return bpm.deploy_files(TWO).start("p", by="nurse").approve(by="head_nurse").expect_open("second")


def test_while_the_next_is_unread_or_only_read(bpm: Bpm) -> None:
    story = passed_on(bpm)
    take_back(story, "head_nurse", "first").expect_open(("first", "head_nurse")).approve(by="head_nurse")
    story.act("mark_opened", "doctor", item_id=story.item("doctor").id)
    take_back(story, "head_nurse", "first").expect_open(("first", "head_nurse"))
    assert not [i for i in story.items("open") if i.step == "second"]


def test_while_the_clock_stands_still(bpm: Bpm) -> None:
    """Stories and simulations hold the clock: what came first is known by the order of the rows."""
    clock.freeze(clock.now())
    take_back(passed_on(bpm), "head_nurse", "first").expect_open(("first", "head_nurse"))


def test_who_had_the_next_step_is_told_that_it_was_taken_back(bpm: Bpm) -> None:
    story = passed_on(bpm)
    item = story.item("doctor")
    take_back(story, "head_nurse", "first")
    with pytest.raises(Conflict) as late:
        story.act("complete", "doctor", item.id, "approve")
    assert "曾淑贞" in late.value.message


def test_not_after_the_next_has_decided(bpm: Bpm) -> None:
    story = passed_on(bpm).approve(by="doctor")
    refused(story, "head_nurse", "first")


def test_not_after_the_next_has_returned_it(bpm: Bpm) -> None:
    story = passed_on(bpm).send_back(by="doctor", to="first").expect_open("first")
    refused(story, "head_nurse", "first")


def test_not_after_the_next_has_returned_it_further(bpm: Bpm) -> None:
    story = passed_on(bpm).send_back(by="doctor", to="initiator").expect_open("apply")
    refused(story, "head_nurse", "first")


def test_not_after_the_next_has_claimed_it(bpm: Bpm) -> None:
    """Claiming is an act: the claimer counts on it."""
    story = passed_on(bpm)
    story.act("claim", "doctor", story.item("doctor").id)
    refused(story, "head_nurse", "first")


def test_not_after_the_next_has_passed_it_on(bpm: Bpm) -> None:
    story = passed_on(bpm)
    story.act("reassign", "doctor", story.item("doctor").id, to=bpm.person("hr_clerk"), reason="出差")
    refused(story, "head_nurse", "first")


def test_one_of_a_countersign_that_followed_has_decided(bpm: Bpm) -> None:
    files = line(
        ("first", task("first", "head_nurse")),
        ("sign", task("sign", "doctor", "surgeon", inner='<piyue:round policy="all"/>')),
    )
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="head_nurse").approve(by="doctor")
    assert "诸葛子轩" in refused(story, "head_nurse", "first")


def test_one_of_the_readers_that_followed_has_read(bpm: Bpm) -> None:
    files = line(("first", task("first", "head_nurse")), ("read", task("read", "doctor", "surgeon", kind="read")))
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="head_nurse").read(by="doctor")
    refused(story, "head_nurse", "first")


def test_one_of_two_branches_that_followed_has_decided(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/><parallelGateway id="split"/><parallelGateway id="join"/>'
        + start_task()
        + task("first", "head_nurse")
        + task("a", "doctor")
        + task("b", "surgeon")
        + task("last", "hr_head")
        + chain("s", "apply", "first", "split", "a", "join", "last", "e")
        + chain("split", "b", "join")
    )
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="head_nurse")
    take_back(story, "head_nurse", "first").expect_open("first").approve(by="head_nurse").expect_open("a", "b")
    story.approve(by="doctor")
    refused(story, "head_nurse", "first")
    take_back(story, "doctor", "a").expect_open("a", "b").approve(by="doctor").approve(by="surgeon")
    story.expect_open("last")
    for by, step in [("doctor", "a"), ("surgeon", "b"), ("head_nurse", "first")]:
        refused(story, by, step)
    story.approve(by="hr_head").expect_state("completed")


def test_ones_own_part_of_an_open_countersign(bpm: Bpm) -> None:
    files = line(("sign", task("sign", "doctor", "surgeon", "hr_clerk", inner='<piyue:round policy="all"/>')))
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").approve(by="surgeon")
    take_back(story, "doctor", "sign").expect_open(("sign", "doctor"), ("sign", "hr_clerk"))
    story.reject(by="doctor").approve(by="hr_clerk").expect_state("completed")


def test_in_turn_until_the_one_after_has_decided(bpm: Bpm) -> None:
    files = line(("sign", task("sign", "doctor", "surgeon", "hr_clerk", inner='<piyue:round policy="in_turn"/>')))
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").expect_open(("sign", "surgeon"))
    take_back(story, "doctor", "sign").expect_open(("sign", "doctor"))
    story.approve(by="doctor").expect_open(("sign", "surgeon")).approve(by="surgeon")
    refused(story, "doctor", "sign")
    story.approve(by="hr_clerk").expect_state("completed")


def test_after_an_early_end_the_others_have_their_items_again(bpm: Bpm) -> None:
    files = line(
        ("sign", task("sign", "doctor", "surgeon", "hr_clerk", inner='<piyue:round policy="all" veto="true"/>')),
        ("last", task("last", "hr_head")),
    )
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").reject(by="surgeon").expect_open("last")
    refused_for_other = story.item("hr_clerk", "sign", "closed")
    take_back(story, "surgeon", "sign").expect_open(("sign", "surgeon"), ("sign", "hr_clerk"))
    with pytest.raises(Conflict):
        story.act("take_back", "hr_clerk", refused_for_other.id)
    story.approve(by="surgeon").approve(by="hr_clerk").expect_open("last")


def test_the_candidates_of_an_any_sign_have_it_again(bpm: Bpm) -> None:
    files = line(("any", task("any", "doctor", "surgeon")), ("last", task("last", "hr_head")))
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").expect_open("last")
    take_back(story, "doctor", "any")
    assert ("any", "doctor") in story.open
    story.approve(by="doctor").expect_open("last")


def test_not_after_a_system_step_ran_in_between(bpm: Bpm) -> None:
    files = line(
        ("first", task("first", "head_nurse")),
        (
            "work",
            (
                '<serviceTask id="work"><extensionElements><piyue:operation name="contracts.take_back.nothing"/>'
                "</extensionElements></serviceTask>"
            ),
        ),
        ("second", task("second", "doctor")),
    )
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="head_nurse").expect_open("second")
    refused(story, "head_nurse", "first")


def test_not_after_a_timer_led_on(bpm: Bpm) -> None:
    pause = f'<intermediateCatchEvent id="pause">{timer("PT1H")}</intermediateCatchEvent>'
    files = line(("first", task("first", "head_nurse")), ("pause", pause), ("second", task("second", "doctor")))
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="head_nurse").expect_open()
    take_back(story, "head_nurse", "first").expect_open("first").approve(by="head_nurse")
    clock.freeze(clock.now() + timedelta(hours=2))
    bpm.work()
    story.expect_open("second")
    refused(story, "head_nurse", "first")


def test_not_after_the_end(bpm: Bpm) -> None:
    story = passed_on(bpm).approve(by="doctor").expect_state("completed")
    refused(story, "doctor", "second")
    other = passed_on(bpm)
    other.act("withdraw", "nurse", other.id, reason="不要了")
    refused(other, "head_nurse", "first")


def test_not_after_the_step_behind_has_been_left_by_a_timer(bpm: Bpm) -> None:
    body = (
        '<startEvent id="s"/><endEvent id="e"/>'
        + start_task()
        + task("first", "head_nurse")
        + task("second", "doctor")
        + boundary("late", "second", timer("PT1H"))
        + task("boss", "hr_head")
        + chain("s", "apply", "first", "second", "e")
        + flow("late", "boss")
        + flow("boss", "e")
    )
    story = bpm.deploy_files(diagram(body)).start("p", by="nurse").approve(by="head_nurse")
    clock.freeze(clock.now() + timedelta(hours=2))
    bpm.work()
    refused(story.expect_open("boss"), "head_nurse", "first")


@pytest.mark.parametrize("last", [False, True])
def test_not_after_everybody_inside_a_sub_process_has_acted(bpm: Bpm, last: bool) -> None:
    files = line(
        ("first", task("first", "head_nurse")),
        ("box", sub("box", ("inside", task("inside", "doctor")), ("more", task("more", "surgeon")))),
        ("last", task("last", "hr_head")),
    )
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="head_nurse").approve(by="doctor")
    if last:
        story.approve(by="surgeon").expect_open("last")
    refused(story, "head_nurse", "first")


def test_not_after_everybody_in_the_branches_has_acted(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/><parallelGateway id="split"/><parallelGateway id="join"/>'
        + start_task()
        + task("a", "doctor")
        + task("b", "surgeon")
        + task("last", "hr_head")
        + chain("s", "apply", "split", "a", "join", "last", "e")
        + chain("split", "b", "join")
    )
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").approve(by="surgeon")
    refused(story.expect_open("last"), "nurse", "apply")


def test_the_last_step_of_a_sub_process(bpm: Bpm) -> None:
    """Nobody has acted since, and leaving an embedded sub-process is no act."""
    files = line(("box", sub("box", ("inside", task("inside", "doctor")))), ("last", task("last", "hr_head")))
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").expect_open("last")
    take_back(story, "doctor", "inside").expect_open(("inside", "doctor"))


def test_the_initiator_takes_the_request_back_to_correct_it(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse", days=3)
    take_back(story, "nurse", "apply").expect_open(("apply", "nurse")).submit(by="nurse", days=4)
    story.expect_open("first")


def test_one_takes_back_only_ones_own_and_only_once(bpm: Bpm) -> None:
    story = passed_on(bpm)
    item = story.item("head_nurse", "first", "done")
    with pytest.raises(Forbidden):
        story.act("take_back", "nurse", item.id)
    with pytest.raises(NotFound):
        story.act("take_back", "hr_clerk", item.id)
    take_back(story, "head_nurse", "first")
    with pytest.raises(Conflict):
        story.act("take_back", "head_nurse", item.id)


def test_what_is_open_can_not_be_taken_back(bpm: Bpm) -> None:
    story = passed_on(bpm)
    with pytest.raises(Conflict):
        story.act("take_back", "doctor", story.item("doctor").id)


def test_a_return_is_not_taken_back_as_if_it_were_a_decision(bpm: Bpm) -> None:
    """The one who returned may not undo it once the target has answered."""
    story = passed_on(bpm).send_back(by="doctor", to="first").approve(by="head_nurse").expect_open("second")
    refused(story, "doctor", "second")


def test_a_reader_who_has_read_can_not_unread_after_the_step(bpm: Bpm) -> None:
    files = line(("read", task("read", "doctor", kind="read")), ("last", task("last", "hr_head")))
    story = bpm.deploy_files(files).start("p", by="nurse").read(by="doctor").approve(by="hr_head")
    refused(story, "doctor", "read")
