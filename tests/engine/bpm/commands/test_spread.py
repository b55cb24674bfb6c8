"""Messages that are on their way at the same time: each finds somebody as long as somebody waits."""

import pytest
from sqlalchemy import select

from engine import outbox
from engine.bpm import commands
from tests.dsl import Bpm, chain, start_task, task
from tests.engine.bpm.contracts.kit import boundary, data, diagram, line

OUTSIDE = '<message id="m" name="reply"/>'
REPLY = '<messageEventDefinition messageRef="m"/>'
CATCH = (
    '<intermediateCatchEvent id="wait" name="wait"><extensionElements><piyue:input name="answer"/></extensionElements>'
    f"{REPLY}</intermediateCatchEvent>"
)
WAITING = line(("wait", CATCH), ("last", task("last", "hr_head")), outside=OUTSIDE)


def send(bpm: Bpm, *answers: str) -> None:
    """Send messages in one transaction, before the worker runs."""
    with bpm.db.unit_of_work() as session:
        for answer in answers:
            commands.send_message(session, "reply", payload={"answer": answer}, key=answer)


def spread(bpm: Bpm, count: int) -> None:
    """Address that many messages, deliver none."""
    for _ in range(count):
        [row] = [r for r in outbox.lease(bpm.db, "test", 1) if r.topic == "thrown"]
        assert outbox.run(bpm.db, row) == "done"


def test_two_messages_before_the_worker_runs_reach_two_instances(bpm: Bpm) -> None:
    bpm.deploy_files(WAITING)
    one, two, three = [bpm.start("p", by="nurse") for _ in range(3)]
    send(bpm, "first", "second")
    spread(bpm, 2)
    bpm.work()
    one.expect_open("last")
    two.expect_open("last")
    three.expect_open().expect_state("running")
    assert [data(story)["answer"] for story in (one, two)] == ["first", "second"]


def test_more_messages_than_waiting_end_quietly(bpm: Bpm) -> None:
    bpm.deploy_files(WAITING)
    stories = [bpm.start("p", by="nurse") for _ in range(2)]
    send(bpm, "first", "second", "third")
    spread(bpm, 3)
    bpm.work()
    for story in stories:
        story.expect_open("last")
    with bpm.db.reading() as session:
        assert set(session.scalars(select(outbox.Outbox.state))) == {"done"}


@pytest.mark.parametrize("end", ["withdraw", "terminate"])
def test_a_message_to_who_has_just_left_reaches_the_next(bpm: Bpm, end: str) -> None:
    bpm.deploy_files(WAITING)
    one, two = [bpm.start("p", by="nurse") for _ in range(2)]
    send(bpm, "answer")
    spread(bpm, 1)
    one.act(end, "nurse" if end == "withdraw" else "process_admin", one.id, reason="不要了")
    two.expect_open("last")
    assert data(two)["answer"] == "answer"


def test_an_event_that_goes_on_waiting_takes_both(bpm: Bpm) -> None:
    body = (
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/>'
        + start_task()
        + task("work", "doctor")
        + boundary("got", "work", REPLY, interrupting=False)
        + task("last", "hr_head")
        + chain("s", "apply", "work", "e")
        + chain("got", "last", "f")
    )
    story = bpm.deploy_files(diagram(body, outside=OUTSIDE)).start("p", by="nurse")
    send(bpm, "first", "second")
    spread(bpm, 2)
    bpm.work()
    assert [item.step for item in story.items()].count("last") == 2
