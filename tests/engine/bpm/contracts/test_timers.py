"""Timers: due moments, boundaries that interrupt and that don't, cycles, pauses of the worker, two workers at once."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from engine import clock
from engine.bpm import commands
from engine.errors import EngineError, Invalid
from tests.dsl import Bpm, Story, bpmn, chain, start_task, task
from tests.engine.bpm.contracts.kit import (
    MONDAY,
    boundary,
    diagram,
    form,
    incidents,
    line,
    starting,
    sub,
    timer,
    timers,
)


@pytest.fixture(autouse=True)
def _monday() -> Iterator[None]:
    clock.freeze(MONDAY)
    yield
    clock.freeze(None)


def after(bpm: Bpm, **passed: float) -> None:
    """Let time pass, then let the worker work."""
    clock.freeze(clock.now() + timedelta(**passed))
    bpm.work()


def guarded(text: str, kind: str = "timeDuration", *, interrupting: bool = True) -> dict[str, str]:
    """A step with a timer on it that leads to another step."""
    return diagram(
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/>'
        + starting("f")
        + task("work", "head_nurse")
        + boundary("late", "work", timer(text, kind), interrupting=interrupting)
        + task("boss", "hr_head")
        + chain("s", "apply", "work", "e")
        + chain("late", "boss", "f")
    ) | form("f", "deadline", "wait", ("urgent", "checkbox"))


def test_an_interrupting_timer_takes_the_step_away(bpm: Bpm) -> None:
    story = bpm.deploy_files(guarded("PT2H")).start("p", by="nurse")
    item = story.item("head_nurse")
    after(bpm, hours=1, minutes=59)
    story.expect_open("work")
    after(bpm, minutes=1)
    story.expect_open(("boss", "hr_head"))
    with pytest.raises(EngineError):
        story.act("complete", "head_nurse", item.id, "approve")
    assert timers(story) == {}
    story.approve(by="hr_head").expect_state("completed")


def test_another_timer_leaves_the_step(bpm: Bpm) -> None:
    story = bpm.deploy_files(guarded("PT2H", interrupting=False)).start("p", by="nurse")
    after(bpm, hours=2)
    story.expect_open("work", "boss").approve(by="head_nurse").expect_open("boss").expect_state("running")
    story.approve(by="hr_head").expect_state("completed")


@pytest.mark.parametrize("interrupting", [True, False])
def test_the_timer_of_an_ended_step_never_fires(bpm: Bpm, interrupting: bool) -> None:
    files = guarded("PT2H", interrupting=interrupting)
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="head_nurse").expect_state("completed")
    after(bpm, days=9)
    story.expect_open()
    assert timers(story) == {}


@pytest.mark.parametrize("end", ["withdraw", "terminate"])
def test_an_ended_instance_has_no_timers(bpm: Bpm, end: str) -> None:
    story = bpm.deploy_files(guarded("PT2H")).start("p", by="nurse")
    story.act(end, "nurse" if end == "withdraw" else "process_admin", story.id, reason="不要了")
    assert timers(story) == {}
    after(bpm, days=9)
    story.expect_open()


@pytest.mark.parametrize(
    ("text", "kind", "due"),
    [
        ("PT2H", "timeDuration", MONDAY + timedelta(hours=2)),
        ('duration("P1DT1H")', "timeDuration", MONDAY + timedelta(days=1, hours=1)),
        ('if urgent then duration("PT1H") else duration("P9D")', "timeDuration", MONDAY + timedelta(hours=1)),
        ("wait", "timeDuration", MONDAY + timedelta(minutes=90)),
        ("2026-03-05T10:00:00+08:00", "timeDate", datetime(2026, 3, 5, 2, tzinfo=UTC)),
        ("2026-03-05T10:00:00Z", "timeDate", datetime(2026, 3, 5, 10, tzinfo=UTC)),
        ("2026-03-05T10:00:00", "timeDate", datetime(2026, 3, 5, 2, tzinfo=UTC)),
        ("2026-03-05", "timeDate", datetime(2026, 3, 5, 15, 59, 59, tzinfo=UTC)),
        ("date(deadline)", "timeDate", datetime(2026, 3, 6, 15, 59, 59, tzinfo=UTC)),
        ("deadline", "timeDate", datetime(2026, 3, 6, 15, 59, 59, tzinfo=UTC)),
        ('date and time(deadline + "T17:30:00@Asia/Shanghai")', "timeDate", datetime(2026, 3, 6, 9, 30, tzinfo=UTC)),
        ('date and time("2026-03-05T10:00:00")', "timeDate", datetime(2026, 3, 5, 2, tzinfo=UTC)),
    ],
)
def test_when_a_timer_is_due(bpm: Bpm, text: str, kind: str, due: datetime) -> None:
    """Times without a zone are the hospital's; a date alone means its end."""
    story = bpm.deploy_files(guarded(text, kind)).start(
        "p", by="nurse", deadline="2026-03-06", wait="PT1H30M", urgent=True
    )
    assert timers(story) == {"late": due}
    clock.freeze(due - timedelta(seconds=1))
    bpm.work()
    story.expect_open("work")
    clock.freeze(due)
    bpm.work()
    story.expect_open("boss")


def test_a_date_that_has_passed_fires_at_once(bpm: Bpm) -> None:
    bpm.deploy_files(guarded("2020-01-01", "timeDate")).start("p", by="nurse").expect_open("boss")


@pytest.mark.parametrize("text", ["nothing", "deadline"])
def test_a_duration_that_is_none_refuses_the_act_with_an_incident(bpm: Bpm, text: str) -> None:
    files = line(("first", task("first", "doctor")), ("pause", pause(text)), ("last", task("last", "hr_head")))
    story = bpm.deploy_files(files).start("p", by="nurse", deadline="2026-03-06")
    with pytest.raises(commands.ProcessFault) as fault:
        story.approve(by="doctor")
    assert text in fault.value.message
    story.expect_open("first")
    assert incidents(story) == ["timer"]


def test_a_fault_right_after_the_start_refuses_the_start(bpm: Bpm) -> None:
    bpm.deploy_files(line(("pause", pause("nothing")), ("last", task("last", "hr_head"))))
    with pytest.raises(Invalid) as fault:
        bpm.start("p", by="nurse")
    assert "nothing" in fault.value.message


def pause(text: str, kind: str = "timeDuration") -> str:
    return f'<intermediateCatchEvent id="pause" name="pause">{timer(text, kind)}</intermediateCatchEvent>'


def test_a_pause_holds_the_way(bpm: Bpm) -> None:
    files = line(("pause", pause("P1D")), ("last", task("last", "hr_head")))
    story = bpm.deploy_files(files).start("p", by="nurse").expect_open().expect_state("running")
    after(bpm, hours=23)
    story.expect_open()
    after(bpm, hours=1)
    story.expect_open("last")


def count(story: Story, step: str) -> int:
    return len([i for i in story.items("open", "done", "cancelled", "closed") if i.step == step])


def test_a_cycle_fires_so_often_and_not_more(bpm: Bpm) -> None:
    story = bpm.deploy_files(guarded("R3/PT1H", "timeCycle", interrupting=False)).start("p", by="nurse")
    for fired in (1, 2, 3, 3, 3):
        after(bpm, hours=1)
        assert count(story, "boss") == fired
    story.approve(by="head_nurse")
    for _ in range(3):
        story.expect_state("running").approve(by="hr_head")
    story.expect_state("completed")


def test_a_cycle_stops_with_its_step(bpm: Bpm) -> None:
    story = bpm.deploy_files(guarded("R5/PT1H", "timeCycle", interrupting=False)).start("p", by="nurse")
    after(bpm, hours=1)
    story.approve(by="head_nurse")
    after(bpm, days=1)
    assert count(story, "boss") == 1
    assert timers(story) == {}


def test_a_cycle_keeps_its_beat_when_the_worker_was_late(bpm: Bpm) -> None:
    story = bpm.deploy_files(guarded("R9/PT1H", "timeCycle", interrupting=False)).start("p", by="nurse")
    after(bpm, hours=1, minutes=10)
    assert timers(story) == {"late": MONDAY + timedelta(hours=2)}


def test_after_a_long_pause_everything_due_is_worked_off_once(bpm: Bpm) -> None:
    bpm.deploy_files(guarded("PT2H"))
    stories = [bpm.start("p", by="nurse") for _ in range(7)]
    clock.freeze(MONDAY + timedelta(days=40))
    assert commands.fire_due(bpm.db, limit=3) == 3
    assert sum("boss" in s.open_steps for s in stories) == 3
    bpm.work()
    assert all(s.open == {("boss", "hr_head")} for s in stories)
    assert all(count(s, "boss") == 1 for s in stories)


def test_a_chain_of_timers_after_a_long_pause(bpm: Bpm) -> None:
    """A second timer starts when the first has fired, by the clock of then."""
    two = f'<intermediateCatchEvent id="two" name="two">{timer("P1D")}</intermediateCatchEvent>'
    files = line(("pause", pause("P1D")), ("two", two), ("last", task("last", "hr_head")))
    story = bpm.deploy_files(files).start("p", by="nurse")
    after(bpm, days=30)
    after(bpm, days=1)
    story.expect_open("last")


def test_two_workers_fire_it_once(bpm: Bpm) -> None:
    story = bpm.deploy_files(guarded("PT2H", interrupting=False)).start("p", by="nurse")
    clock.freeze(MONDAY + timedelta(hours=3))
    barrier, fired, failed = threading.Barrier(3), list[int](), list[BaseException]()

    def work() -> None:
        barrier.wait()
        try:
            fired.append(commands.fire_due(bpm.db))
        except BaseException as error:
            failed.append(error)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == []
    assert sum(fired) == 1
    assert count(story, "boss") == 1


def test_two_timers_behind_an_event_gateway_have_due_dates_of_their_own(bpm: Bpm) -> None:
    def catch(name: str, text: str) -> str:
        return f'<intermediateCatchEvent id="{name}" name="{name}">{timer(text)}</intermediateCatchEvent>'

    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/><eventBasedGateway id="g"/>'
        + start_task()
        + catch("long", "P5D")
        + catch("short", "P1D")
        + task("a", "doctor")
        + task("b", "surgeon")
        + chain("s", "apply", "g", "long", "a", "e")
        + chain("g", "short", "b", "f")
    )
    story = bpm.deploy_files(files).start("p", by="nurse")
    assert timers(story) == {"long": MONDAY + timedelta(days=5), "short": MONDAY + timedelta(days=1)}
    after(bpm, days=1)
    story.expect_open(("b", "surgeon"))
    assert timers(story) == {}
    after(bpm, days=9)
    story.expect_open(("b", "surgeon"))


@pytest.mark.parametrize("interrupting", [True, False])
def test_a_timer_on_a_sub_process(bpm: Bpm, interrupting: bool) -> None:
    body = (
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/>'
        + start_task()
        + sub("box", ("in1", task("in1", "doctor")), ("in2", task("in2", "surgeon")))
        + boundary("late", "box", timer("P1D"), interrupting=interrupting)
        + task("boss", "hr_head")
        + chain("s", "apply", "box", "e")
        + chain("late", "boss", "f")
    )
    story = bpm.deploy_files(diagram(body)).start("p", by="nurse").approve(by="doctor").expect_open("in2")
    assert timers(story) == {"late": MONDAY + timedelta(days=1)}
    after(bpm, days=1)
    story.expect_open(*(["boss"] if interrupting else ["in2", "boss"]))
    if not interrupting:
        story.approve(by="surgeon").expect_open("boss")
    story.approve(by="hr_head").expect_state("completed")


def test_a_timer_of_a_returned_step_runs_anew(bpm: Bpm) -> None:
    files = guarded("PT2H")
    story = bpm.deploy_files(files).start("p", by="nurse")
    after(bpm, hours=1)
    story.send_back(by="head_nurse", to="initiator")
    assert timers(story) == {}
    after(bpm, hours=5)
    story.submit(by="nurse")
    assert timers(story) == {"late": MONDAY + timedelta(hours=8)}


def test_several_timers_on_one_step(bpm: Bpm) -> None:
    body = (
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/><endEvent id="g"/>'
        + start_task()
        + task("work", "head_nurse")
        + boundary("remind", "work", timer("P1D"), interrupting=False)
        + boundary("late", "work", timer("P2D"))
        + task("note", "doctor", kind="read")
        + task("boss", "hr_head")
        + chain("s", "apply", "work", "e")
        + chain("remind", "note", "f")
        + chain("late", "boss", "g")
    )
    story = bpm.deploy_files(diagram(body)).start("p", by="nurse")
    after(bpm, days=3)
    story.expect_open("note", "boss")
