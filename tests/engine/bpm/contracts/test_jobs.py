"""Jobs: registered operations run exactly once, are tried again, become incidents, may refuse with a code."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.bpm import commands
from engine.bpm.models import Incident
from engine.bpm.operations import Context, OperationError, operation
from engine.errors import EngineError, Invalid
from engine.outbox import Transient
from tests.dsl import Bpm, Story, bpmn, chain, flow, start_task, task
from tests.engine.bpm.contracts.kit import boundary, data, diagram, form, incidents, line, starting

CALLS: list[tuple[str, Mapping[str, Any]]] = []
FAILING: list[Exception] = []


@operation("contracts.jobs.note")
def _note(session: Session, context: Context, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    CALLS.append((context.key, dict(inputs)))
    if FAILING:
        raise FAILING[0]
    return {"number": "〔2026〕1号", "given": dict(inputs)}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    CALLS.clear()
    FAILING.clear()
    yield
    clock.freeze(None)


def work(inner: str = "", *, tag: str = "serviceTask", retries: str = "") -> str:
    more = f' retries="{retries}"' if retries else ""
    return (
        f'<{tag} id="work" name="编号"><extensionElements><piyue:operation name="contracts.jobs.note"{more}>{inner}'
        f"</piyue:operation></extensionElements></{tag}>"
    )


MAPPED = (
    '<piyue:input name="word" value="=text"/><piyue:input name="literal" value="text"/>'
    '<piyue:output name="nr" value="=result.number"/>'
)
LAST = ("last", task("last", "hr_head"))


def later(bpm: Bpm, hours: float) -> None:
    clock.freeze(clock.now() + timedelta(hours=hours))
    bpm.work()


def incident(story: Story) -> uuid.UUID:
    with story.bpm.db.reading() as session:
        found = session.scalar(
            select(Incident.id).where(Incident.instance_id == story.id, Incident.resolved_at.is_(None))
        )
    assert found is not None
    return found


@pytest.mark.parametrize("tag", ["serviceTask", "scriptTask"])
def test_inputs_go_in_and_outputs_come_out(bpm: Bpm, tag: str) -> None:
    body = (
        '<startEvent id="s"/><endEvent id="e"/>'
        + starting("f")
        + work(MAPPED, tag=tag)
        + LAST[1]
        + chain("s", "apply", "work", "last", "e")
    )
    story = bpm.deploy_files(diagram(body) | form("f", "text", "nr")).start("p", by="nurse", text="院发")
    story.expect_open("last")
    assert [inputs for _, inputs in CALLS] == [{"word": "院发", "literal": "text"}]
    assert data(story)["nr"] == "〔2026〕1号"
    assert "given" not in data(story)


def test_an_operation_runs_once_however_often_the_worker_looks(bpm: Bpm) -> None:
    story = bpm.deploy_files(line(("work", work()), LAST)).start("p", by="nurse")
    for _ in range(3):
        later(bpm, 1)
    story.expect_open("last")
    assert len(CALLS) == 1


def test_what_fails_is_tried_again_under_the_same_key_until_it_works(bpm: Bpm) -> None:
    FAILING.append(RuntimeError("the printer is out of paper"))
    story = bpm.deploy_files(line(("work", work()), LAST)).start("p", by="nurse").expect_open()
    tried = len(CALLS)
    assert tried >= 1
    assert incidents(story) == []
    FAILING.clear()
    later(bpm, 12)
    story.expect_open("last")
    assert len(CALLS) == tried + 1
    assert len({key for key, _ in CALLS}) == 1


@pytest.mark.parametrize(
    ("retries", "error"), [("0", RuntimeError("x")), ("2", RuntimeError("x")), ("2", Transient("x"))]
)
def test_the_retries_end_in_one_incident_that_an_admin_retries(bpm: Bpm, retries: str, error: Exception) -> None:
    FAILING.append(error)
    story = bpm.deploy_files(line(("work", work(retries=retries)), LAST)).start("p", by="nurse")
    for _ in range(8):
        later(bpm, 12)
    assert len(CALLS) == int(retries) + 1
    assert incidents(story) == ["job"]
    story.expect_open().expect_state("running")
    with pytest.raises(EngineError):
        story.act("retry", "nurse", incident(story))
    story.act("retry", "process_admin", incident(story))
    for _ in range(8):
        later(bpm, 12)
    assert incidents(story) == ["job"], "it failed again"
    FAILING.clear()
    story.act("retry", "process_admin", incident(story)).expect_open("last")
    assert incidents(story) == []


CODES = '<error id="full" errorCode="FULL"/><error id="other" errorCode="OTHER"/>'


def caught(ref: str) -> dict[str, str]:
    catch = f'<errorEventDefinition errorRef="{ref}"/>' if ref else "<errorEventDefinition/>"
    return diagram(
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/>'
        + start_task()
        + work()
        + boundary("oops", "work", catch)
        + task("mend", "doctor")
        + LAST[1]
        + chain("s", "apply", "work", "last", "e")
        + chain("oops", "mend", "f"),
        outside=CODES,
    )


@pytest.mark.parametrize("ref", ["full", ""])
def test_a_refusal_with_a_code_is_caught_at_once(bpm: Bpm, ref: str) -> None:
    FAILING.append(OperationError("FULL", "号码用完了"))
    story = bpm.deploy_files(caught(ref)).start("p", by="nurse").expect_open(("mend", "doctor"))
    assert len(CALLS) == 1
    assert incidents(story) == []
    story.approve(by="doctor").expect_state("completed")


def test_a_refusal_that_nobody_catches_is_an_incident_at_once(bpm: Bpm) -> None:
    FAILING.append(OperationError("FULL", "号码用完了"))
    story = bpm.deploy_files(caught("other")).start("p", by="nurse").expect_open()
    later(bpm, 12)
    assert incidents(story) == ["job"]
    assert len(CALLS) == 1
    with bpm.db.reading() as session:
        assert "号码用完了" in str(session.scalar(select(Incident.message)))


def test_a_refusal_is_caught_around_a_sub_process(bpm: Bpm) -> None:
    FAILING.append(OperationError("FULL", "号码用完了"))
    inside = work() + chain("bs", "work", "be")
    body = (
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/>'
        + start_task()
        + f'<subProcess id="box" name="box"><startEvent id="bs"/><endEvent id="be"/>{inside}</subProcess>'
        + boundary("oops", "box", '<errorEventDefinition errorRef="full"/>')
        + task("mend", "doctor")
        + chain("s", "apply", "box", "e")
        + chain("oops", "mend", "f")
    )
    bpm.deploy_files(diagram(body, outside=CODES)).start("p", by="nurse").expect_open("mend")


def test_an_unknown_operation_is_refused_when_deployed(bpm: Bpm) -> None:
    files = line(("work", work().replace("contracts.jobs.note", "contracts.jobs.never")), LAST)
    with pytest.raises(Invalid) as refused:
        bpm.deploy_files(files)
    assert "contracts.jobs.never" in str(refused.value.fields) + refused.value.message


def test_a_result_that_is_no_plain_value_is_an_incident(bpm: Bpm) -> None:
    @operation(f"contracts.jobs.odd{uuid.uuid4().hex}")
    def odd(session: Session, context: Context, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"number": object()}

    from engine.bpm.operations import operation_names

    name = next(n for n in operation_names() if n.startswith("contracts.jobs.odd"))
    text = work('<piyue:output name="nr" value="=result.number"/>', retries="0").replace("contracts.jobs.note", name)
    story = bpm.deploy_files(line(("work", text), LAST)).start("p", by="nurse")
    for _ in range(4):
        later(bpm, 12)
    assert story.open_steps == set()
    assert incidents(story) == ["job"]


@pytest.mark.parametrize("value", ["=missing.field + 1", "=date(string(3))", "=1 / 0"])
def test_an_input_that_can_not_be_computed_does_not_end_in_a_stuck_instance(bpm: Bpm, value: str) -> None:
    """Either the value is null, as FEEL has it, or an incident tells of it."""
    files = line(("first", task("first", "doctor")), ("work", work(f'<piyue:input name="x" value="{value}"/>')), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse")
    try:
        story.approve(by="doctor")
    except commands.ProcessFault:
        story.expect_open("first")
        assert incidents(story)
        return
    story.expect_open("last")
    assert CALLS[0][1] == {"x": None}


def test_a_job_of_a_cancelled_step_does_not_run(bpm: Bpm) -> None:
    """Withdrawn before the worker came."""
    bpm.deploy_files(line(("work", work()), LAST))
    with bpm.db.unit_of_work() as session:
        started = commands.start(session, bpm.actor("nurse"), "p", data={}, key="job-cancelled")
    with bpm.db.unit_of_work() as session:
        commands.withdraw(session, bpm.actor("nurse"), started.instance_id, reason="不要了")
    bpm.work()
    assert CALLS == []
    Story(bpm, started.instance_id).expect_state("withdrawn").expect_open()


def test_a_job_that_was_leased_twice_has_one_effect(bpm: Bpm) -> None:
    bpm.deploy_files(line(("work", work()), LAST))
    clock.freeze(clock.now())
    with bpm.db.unit_of_work() as session:
        started = commands.start(session, bpm.actor("nurse"), "p", data={}, key="job-twice")
    first = outbox.lease(bpm.db, "one", 100)
    clock.freeze(clock.now() + timedelta(minutes=5))
    second = outbox.lease(bpm.db, "two", 100)
    for leased in [*second, *first]:
        outbox.run(bpm.db, leased)
    bpm.work()
    story = Story(bpm, started.instance_id).expect_open("last")
    assert [verb for verb, step, _ in story.trail if step == "work"] in (["job"], [])
    assert len([i for i in story.items("open") if i.step == "last"]) == 1


def test_two_jobs_side_by_side_each_keep_what_they_found(bpm: Bpm) -> None:
    def one(name: str, field: str) -> str:
        inner = f'<piyue:input name="for" value="{name}"/><piyue:output name="{field}" value="=result.given.for"/>'
        return work(inner).replace('id="work"', f'id="{name}"')

    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/><parallelGateway id="split"/><parallelGateway id="join"/>'
        + start_task()
        + one("a", "left")
        + one("b", "right")
        + LAST[1]
        + chain("s", "apply", "split", "a", "join", "last", "e")
        + chain("split", "b", "join")
    )
    story = bpm.deploy_files(files).start("p", by="nurse").expect_open("last")
    assert (data(story)["left"], data(story)["right"]) == ("a", "b")


def test_a_gateway_after_a_job_reads_its_result(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/><exclusiveGateway id="x" default="x_f"/>'
        + start_task()
        + work('<piyue:output name="nr" value="=result.number"/>')
        + LAST[1]
        + chain("s", "apply", "work", "x")
        + flow("x", "last", 'nr = "〔2026〕1号"')
        + flow("x", "f")
        + flow("last", "e")
    )
    bpm.deploy_files(files).start("p", by="nurse").expect_open("last")
