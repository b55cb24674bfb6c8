"""Due timers that can't be fired: they never stop the others, and a worker that was late spoils nothing."""

import logging
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import orjson
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from engine import clock
from engine.bpm import commands
from engine.bpm.commands import ProcessFault, timers
from engine.bpm.models import Incident, Instance, Timer
from engine.db import Database
from engine.errors import Unavailable
from tests.dsl import Bpm, Story, bpmn, chain, start_task, task
from tests.engine.bpm.contracts.kit import MONDAY, boundary, timer
from tests.engine.bpm.contracts.kit import timers as running
from tests.faults import invariants

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _monday() -> Iterator[None]:
    clock.freeze(MONDAY)
    yield
    clock.freeze(None)


def reminded(text: str = "PT1H", kind: str = "timeDuration") -> dict[str, str]:
    """A step with a timer on it that opens another step beside it."""
    return bpmn(
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/>'
        + start_task()
        + task("work", "head_nurse")
        + boundary("late", "work", timer(text, kind), interrupting=False)
        + task("boss", "hr_head")
        + chain("s", "apply", "work", "e")
        + chain("late", "boss", "f")
    )


def incident(story: Story) -> list[Incident]:
    with story.bpm.db.reading() as session:
        return list(session.scalars(select(Incident).where(Incident.instance_id == story.id)))


def spoil(bpm: Bpm, story: Story, stored: bytes) -> None:
    with bpm.db.unit_of_work() as session:
        session.execute(update(Instance).where(Instance.id == story.id).values(data=stored))


def test_a_timer_that_fails_stops_no_other_and_waits(bpm: Bpm, caplog: pytest.LogCaptureFixture) -> None:
    bpm.deploy_files(reminded())
    bad = bpm.start("p", by="nurse")
    kept = bad.instance.data
    spoil(bpm, bad, '{"patient": "张三'.encode())
    clock.freeze(MONDAY + timedelta(minutes=1))
    good = bpm.start("p", by="nurse")
    clock.freeze(MONDAY + 2 * HOUR)
    with caplog.at_level(logging.WARNING):
        assert commands.fire_due(bpm.db, limit=1) == 0
    assert commands.fire_due(bpm.db, limit=1) == 1  # the younger one, though there is room for one only
    good.expect_open("work", "boss")
    assert running(bad) == {"late": MONDAY + 2 * HOUR + timers.DEFECT}
    [line] = [r.getMessage() for r in caplog.records if r.name == timers.__name__]
    assert str(bad.id) in line
    assert "JSONDecodeError" in line
    assert "case.py" in line
    assert "张三" not in caplog.text
    assert "patient" not in caplog.text

    [told] = incident(bad)
    assert (told.kind, told.step, told.resolved_at) == ("timer", "late", None)
    assert "JSONDecodeError (commands/case.py" in told.message
    assert "张三" not in told.message
    clock.freeze(clock.now() + timers.DEFECT)
    assert commands.fire_due(bpm.db) == 0
    assert len(incident(bad)) == 1, "it failed again, and is told once"

    spoil(bpm, bad, kept)
    clock.freeze(clock.now() + timers.DEFECT)
    assert commands.fire_due(bpm.db) == 1
    bad.expect_open("work", "boss")
    assert [found.resolved_at for found in incident(bad)] == [clock.now()], "it has mended itself"


def behind_a_timer(boss: str) -> dict[str, str]:
    """A step whose timer leads to another one."""
    return bpmn(
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/>'
        + start_task()
        + task("work", "head_nurse")
        + boundary("late", "work", timer("PT1H"), interrupting=False)
        + boss
        + chain("s", "apply", "work", "e")
        + chain("late", "boss", "f")
    )


def refusing() -> dict[str, str]:
    """A timer behind which nobody is found, where the step then refuses."""
    nobody = (
        '<userTask id="boss" name="boss"><extensionElements><piyue:task kind="decide"/>'
        '<piyue:assign rule="field" field="chosen"/><piyue:nobody do="refuse"/></extensionElements></userTask>'
    )
    return behind_a_timer(nobody)


def test_a_timer_behind_which_the_step_refuses_tells_an_admin_who_may_try_again(bpm: Bpm) -> None:
    story = bpm.deploy_files(refusing()).start("p", by="nurse")
    clock.freeze(MONDAY + HOUR)
    assert commands.fire_due(bpm.db) == 0
    [told] = incident(story)
    assert (told.kind, told.step) == ("timer", "late")
    assert "找不到办理人" in told.message
    spoil(bpm, story, orjson.dumps(orjson.loads(story.instance.data) | {"chosen": str(bpm.person("hr_head"))}))
    story.act("retry", "process_admin", told.id).expect_open("work", "boss")
    assert [found.resolved_at is None for found in incident(story)] == [False]


def endless() -> dict[str, str]:
    """A timer behind which the handlers are computed by an expression that never comes to an end."""
    many = "for a in 1..100000 return for b in 1..100000 return a"
    computed = (
        '<userTask id="boss" name="boss"><extensionElements><piyue:task kind="decide"/>'
        f'<piyue:assign rule="expression" value="={many}"/></extensionElements></userTask>'
    )
    return behind_a_timer(computed)


def test_handlers_that_cannot_be_computed_are_an_incident_at_their_step(bpm: Bpm) -> None:
    story = bpm.deploy_files(endless()).start("p", by="nurse")
    clock.freeze(MONDAY + HOUR)
    assert commands.fire_due(bpm.db) == 0
    [told] = incident(story)
    assert (told.kind, told.step) == ("expression", "boss")
    assert running(story) == {}


def test_one_batch_fires_what_comes_after_a_bad_timer(bpm: Bpm) -> None:
    bpm.deploy_files(reminded())
    bad, *good = [bpm.start("p", by="nurse") for _ in range(3)]
    spoil(bpm, bad, b"\xff")
    clock.freeze(MONDAY + HOUR)
    assert commands.fire_due(bpm.db) == 2
    for story in good:
        story.expect_open("work", "boss")


@pytest.mark.parametrize("refusal", [Unavailable("忙", code="busy"), ProcessFault("没有路"), RuntimeError("defect")])
def test_who_lost_the_race_leaves_the_next_due_moment_alone(
    bpm: Bpm, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    bpm.deploy_files(reminded("R9/PT1H", "timeCycle"))
    story = bpm.start("p", by="nurse")
    fire = timers.fire

    def another_was_faster(session: Session, instance_id: uuid.UUID, task_id: int) -> bool:
        assert fire(session, instance_id, task_id)
        session.commit()
        raise refusal

    monkeypatch.setattr(timers, "fire", another_was_faster)
    clock.freeze(MONDAY + HOUR)
    assert commands.fire_due(bpm.db) == 0
    assert running(story) == {"late": MONDAY + 2 * HOUR}


def test_a_busy_database_puts_a_timer_off_for_a_moment(bpm: Bpm, monkeypatch: pytest.MonkeyPatch) -> None:
    bpm.deploy_files(reminded())
    story = bpm.start("p", by="nurse")

    def busy(*_: object) -> bool:
        raise Unavailable("忙", code="busy")

    monkeypatch.setattr(timers, "fire", busy)
    clock.freeze(MONDAY + HOUR)
    assert commands.fire_due(bpm.db) == 0
    assert running(story) == {"late": MONDAY + HOUR + timers.BUSY}


@pytest.mark.backend("postgresql")
def test_a_worker_passes_over_an_instance_that_is_worked_on(bpm: Bpm) -> None:
    bpm.deploy_files(reminded())
    held, free = bpm.start("p", by="nurse"), bpm.start("p", by="nurse")
    clock.freeze(MONDAY + HOUR)
    with bpm.db.unit_of_work() as session:
        session.execute(select(Instance.id).where(Instance.id == held.id).with_for_update(key_share=True))
        assert commands.fire_due(bpm.db) == 1
        free.expect_open("work", "boss")
        assert running(held) == {"late": MONDAY + HOUR}  # not put off: it is due as soon as it is free
    assert commands.fire_due(bpm.db) == 1
    held.expect_open("work", "boss")


@pytest.mark.backend("postgresql")
def test_workers_and_people_who_end_the_timers_do_not_deadlock(bpm: Bpm) -> None:
    bpm.deploy_files(reminded("R9/PT1H", "timeCycle"))
    stories = [bpm.start("p", by="nurse") for _ in range(12)]
    nurse = bpm.actor("nurse")
    clock.freeze(MONDAY + HOUR)

    def withdraw(story: Story) -> None:
        with bpm.db.unit_of_work() as session:
            commands.withdraw(session, nurse, story.id, reason="不要了")

    with ThreadPoolExecutor(6) as threads:
        workers = [threads.submit(commands.fire_due, bpm.db) for _ in range(3)]
        people = [threads.submit(withdraw, story) for story in stories[::2]]
        fired = sum(worker.result() for worker in workers)
        for person in people:
            person.result()
    fired += commands.fire_due(bpm.db)  # what was passed over
    assert deadlocks(bpm.db) == 0
    assert fired == sum(verb == "timer" for story in stories for verb, *_ in story.trail)
    for story in stories[1::2]:
        story.expect_open("work", "boss")
    for story in stories[::2]:
        story.expect_open().expect_state("withdrawn")
    with bpm.db.reading() as session:
        assert set(session.scalars(select(Timer.due_at))) == {MONDAY + 2 * HOUR}
    bpm.work()
    invariants.require(bpm.db)


def deadlocks(db: Database) -> int:
    with db.reading() as session:
        statement = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return int(session.connection().exec_driver_sql(statement).scalar_one())
