"""Whose consent counts when the same person is asked again (同一人合并)."""

import pytest
from sqlalchemy import select

from engine.bpm.models import WorkRound
from tests.dsl import Bpm, bpmn, chain, start_task, task

MERGE = '<piyue:merge when="{when}"/>'


def steps(*tasks: tuple[str, str]) -> dict[str, str | bytes]:
    """Return a process of these steps in a row, each (name, XML)."""
    names = [name for name, _ in tasks]
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + "".join(text for _, text in tasks)
    return {**bpmn(body + chain("s", "apply", *names, "e"))}


def again(who: str, when: str) -> tuple[str, str]:
    return "again", task("again", who, inner=MERGE.format(when=when))


LAST = ("last", task("last", "hr_head"))


@pytest.mark.parametrize("when", ["previous", "anywhere"])
def test_submitting_is_no_consent(bpm: Bpm, when: str) -> None:
    story = bpm.deploy_files(steps(again("nurse", when), LAST)).start("p", by="nurse")
    story.expect_open(("again", "nurse"))


@pytest.mark.parametrize("when", ["previous", "anywhere"])
def test_filling_a_form_is_no_consent(bpm: Bpm, when: str) -> None:
    files = steps(("fill", task("fill", "doctor", kind="fill")), again("doctor", when), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse")
    story.submit(by="doctor").expect_open(("again", "doctor"))


def test_a_consent_that_was_taken_back_does_not_count(bpm: Bpm) -> None:
    files = steps(("one", task("one", "doctor")), ("two", task("two", "surgeon")), again("doctor", "anywhere"), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse")
    item = story.item("doctor").id
    story.approve(by="doctor").act("take_back", "doctor", item)
    story.act("reassign", "doctor", story.item("doctor").id, to=bpm.person("hr_clerk"), reason="出差")
    story.approve(by="hr_clerk").approve(by="surgeon").expect_open(("again", "doctor"))


def test_a_consent_given_again_after_a_take_back_counts(bpm: Bpm) -> None:
    files = steps(("one", task("one", "doctor")), ("two", task("two", "surgeon")), again("doctor", "anywhere"), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse")
    item = story.item("doctor").id
    story.approve(by="doctor").act("take_back", "doctor", item)
    story.approve(by="doctor").approve(by="surgeon").expect_open("last")


def test_what_was_agreed_before_an_admins_jump_does_not_count(bpm: Bpm) -> None:
    files = steps(("one", task("one", "doctor")), ("two", task("two", "surgeon")), again("doctor", "anywhere"), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").approve(by="surgeon")
    story.expect_open("last")
    with bpm.db.reading() as session:
        open_ = select(WorkRound.task_id).where(WorkRound.instance_id == story.id, WorkRound.closed_at.is_(None))
        task_id = session.scalars(open_).one()
    story.act("jump", "process_admin", story.id, task_id=task_id, to="two", reason="重走")
    story.approve(by="surgeon").expect_open(("again", "doctor"))
