"""Two commands that meet on one instance, on PostgreSQL; `tests/faults` has the crowds."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from engine import clock
from engine.bpm import commands
from engine.bpm.commands import timers
from engine.bpm.models import Instance, InstanceState, Timer, WorkItem, WorkRound
from engine.db import Database
from engine.errors import Conflict, EngineError, Unavailable
from tests.dsl import Bpm, bpmn, chain, flow, start_task, task
from tests.faults import invariants
from tests.faults.crowd import answer, at_once, await_waiting

pytestmark = pytest.mark.backend("postgresql")

TIMED = bpmn(
    '<startEvent id="s"/><endEvent id="e"/><endEvent id="late"/>'
    + start_task()
    + task("review", "head_nurse", "surgeon")
    + task("confirm", "pediatrics_head")
    + '<boundaryEvent id="day" attachedToRef="review"><timerEventDefinition><timeDuration>P1D</timeDuration>'
    + "</timerEventDefinition></boundaryEvent>"
    + chain("s", "apply", "review", "confirm", "e")
    + flow("day", "late"),
    key="timed",
)


def test_of_two_who_claim_one_holds_the_step(bpm: Bpm) -> None:
    bpm.deploy_files(TIMED)
    for _ in range(10):
        story = bpm.start("timed", by="nurse")
        mine = [(bpm.actor(who), story.item(who).id) for who in ("head_nurse", "surgeon")]
        answers = at_once(*[partial(answer, bpm.db, commands.claim, actor, item) for actor, item in mine])
        refused = [a for a in answers if isinstance(a, Conflict)]
        assert len(refused) == 1
        assert "签收" in refused[0].message
        assert len(story.items("open")) == len(story.items("standby")) == 1


def test_a_decision_and_a_withdrawal_at_once_leave_one_of_them(bpm: Bpm) -> None:
    bpm.deploy_files(TIMED)
    nurse, head = bpm.actor("nurse"), bpm.actor("head_nurse")
    for _ in range(10):
        story = bpm.start("timed", by="nurse")
        item = story.item("head_nurse").id
        withdrawn, decided = at_once(
            partial(answer, bpm.db, commands.withdraw, nurse, story.id, reason="不请了"),
            partial(answer, bpm.db, commands.complete, head, item, "approve"),
        )
        # a withdrawal may follow the decision, never the other way round
        assert not isinstance(withdrawn, Conflict)
        assert story.instance.state == InstanceState.WITHDRAWN
        assert ("complete" in [verb for verb, *_ in story.trail]) is not isinstance(decided, Conflict)
    invariants.require(bpm.db)


def test_what_a_reader_has_read_meanwhile_is_not_passed_on(bpm: Bpm) -> None:
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + task("circulate", "doctor", "surgeon", kind="read")
    bpm.deploy_files(bpmn(body + chain("s", "apply", "circulate", "e"), key="circulated"))
    story = bpm.start("circulated", by="nurse")
    doctor, item = bpm.actor("doctor"), story.item("doctor").id

    def reassign() -> None:
        with bpm.db.unit_of_work() as session:
            commands.reassign(session, doctor, item, to=bpm.person("head_nurse"), reason="外出")
            with bpm.db.unit_of_work() as reading:  # a reader takes no lock on the instance
                assert commands.acknowledge(reading, doctor, item, opinion="已阅，请落实")

    with pytest.raises(Unavailable) as refused:
        reassign()
    assert refused.value.code == "concurrent_change"  # the request is tried again, and told that it is too late
    with bpm.db.reading() as session:
        row = session.get_one(WorkItem, item)
        assert (row.state, row.opinion) == ("done", "已阅，请落实")
    assert story.open == {("circulate", "surgeon")}
    invariants.require(bpm.db)


def test_a_timer_that_comes_due_while_its_step_is_decided_gives_way(bpm: Bpm) -> None:
    bpm.deploy_files(TIMED)
    story = bpm.start("timed", by="nurse")
    item = story.item("head_nurse").id
    with bpm.db.reading() as session:
        timer = session.scalars(select(Timer).where(Timer.instance_id == story.id)).one()
    clock.freeze(clock.now() + timedelta(days=2))
    with ThreadPoolExecutor(1) as thread, bpm.db.unit_of_work() as session:
        session.execute(select(Instance.id).where(Instance.id == story.id).with_for_update())
        firing = thread.submit(_fire, bpm.db, timer)
        await_waiting(bpm.db)
        commands.complete(session, bpm.actor("head_nurse"), item, "approve")
        session.commit()
        assert firing.result() is False
    story.expect_open("confirm")
    invariants.require(bpm.db)


def _fire(db: Database, timer: Timer) -> bool:
    with db.unit_of_work() as session:
        return timers.fire(session, timer.instance_id, timer.task_id)


def test_a_reader_who_acknowledges_while_the_reading_is_left_gives_way(bpm: Bpm) -> None:
    reading = task("circulate", "head_nurse", "surgeon", kind="read")
    line = chain("s", "apply", "circulate", "e")
    bpm.deploy_files(bpmn(f'<startEvent id="s"/><endEvent id="e"/>{start_task()}{reading}{line}', key="reading"))
    story = bpm.start("reading", by="nurse")
    item = story.item("head_nurse").id
    with bpm.db.reading() as session:
        row = session.scalars(
            select(WorkRound).where(WorkRound.instance_id == story.id, WorkRound.kind == "read")
        ).one()
    admin, jump = bpm.actor("process_admin"), {"task_id": row.task_id, "to": "apply", "reason": "重办"}
    with ThreadPoolExecutor(1) as thread, bpm.db.unit_of_work() as session:
        # an acknowledgement has its item; what comes next is the round
        session.execute(select(WorkItem.id).where(WorkItem.id == item).with_for_update())
        leaving = thread.submit(answer, bpm.db, commands.jump, admin, story.id, **jump)
        await_waiting(bpm.db)
        assert commands.acknowledge(session, bpm.actor("head_nurse"), item)
        session.commit()
        assert not isinstance(leaving.result(), EngineError)
    story.expect_open("apply")
    assert _deadlocks(bpm.db) == 0
    invariants.require(bpm.db)


def _deadlocks(db: Database) -> int:
    with db.reading() as session:
        statement = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return int(session.connection().exec_driver_sql(statement).scalar_one())


def test_an_acknowledgement_at_the_same_moment_is_one(bpm: Bpm) -> None:
    reading = task("circulate", "head_nurse", "surgeon", kind="read")
    line = chain("s", "apply", "circulate", "e")
    bpm.deploy_files(bpmn(f'<startEvent id="s"/><endEvent id="e"/>{start_task()}{reading}{line}', key="reading"))
    story = bpm.start("reading", by="nurse")
    item = story.item("head_nurse").id
    clock.freeze(clock.now())
    try:
        for first in (True, False):
            with bpm.db.unit_of_work() as session:
                assert commands.acknowledge(session, bpm.actor("head_nurse"), item, key=f"k{first}") is first
    finally:
        clock.freeze(None)
    assert [verb for verb, _, _ in story.trail] == ["start", "read"]
