"""Who comes late to what nobody ended is told when, and by what."""

from datetime import timedelta

import pytest

from engine import clock
from engine.bpm import commands
from engine.errors import Conflict
from tests.dsl import Bpm, Story, chain, flow, start_task, task
from tests.engine.bpm.contracts.kit import MONDAY, boundary, diagram, timer

OUTSIDE = '<message id="m" name="货已到"/>'


def stopped_by(event: str) -> dict[str, str]:
    body = (
        '<startEvent id="s"/><endEvent id="e"/><exclusiveGateway id="x"/>'
        + start_task()
        + task("check", "doctor")
        + boundary("stop", "check", event)
        + task("last", "hr_head")
        + chain("s", "apply", "check", "x", "last", "e")
        + flow("stop", "x")
    )
    return diagram(body, outside=OUTSIDE)


def late(story: Story) -> str:
    item = story.item("doctor", "check", "cancelled")
    with pytest.raises(Conflict) as refused:
        story.act("complete", "doctor", item.id, "approve")
    assert refused.value.code == "item_closed"
    return str(refused.value.message)


def test_a_step_that_its_time_ended(bpm: Bpm) -> None:
    clock.freeze(MONDAY)
    story = bpm.deploy_files(stopped_by(timer("P1D"))).start("p", by="nurse")
    clock.freeze(MONDAY + timedelta(days=1, minutes=2))
    bpm.work()
    assert late(story.expect_open("last")) == "这一步已于 03-03 09:02 到时结束，无需再办理"


def test_a_step_that_a_message_ended(bpm: Bpm) -> None:
    clock.freeze(MONDAY)
    bpm.deploy_files(stopped_by('<messageEventDefinition messageRef="m"/>'))
    story, other = bpm.start("p", by="nurse"), bpm.start("p", by="nurse")
    clock.freeze(MONDAY + timedelta(minutes=5))
    with bpm.db.unit_of_work() as session:
        commands.send_message(session, "货已到", key="k")
    bpm.work()
    assert late(story.expect_open("last")) == "这一步已于 03-02 09:05 收到消息后结束，无需再办理"
    with bpm.db.unit_of_work() as session:
        commands.send_message(session, "货已到", key="k", actor=bpm.actor("process_admin"))
    bpm.work()
    assert late(other.expect_open("last")) == "已由燕子青于 03-02 09:05 发来消息，无需再办理"
