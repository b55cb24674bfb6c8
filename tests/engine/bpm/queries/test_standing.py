"""Where an instance stands when no person has it: on its page, its diagram and in the lists."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from engine import clock
from engine.bpm import commands, queries
from engine.bpm.models import Incident
from engine.bpm.operations import operation
from engine.bpm.queries import Box
from engine.bpm.runtime import Awaited
from engine.db import new_id
from tests.dsl import Bpm, Story, chain, flow, start_task, task
from tests.engine.bpm.contracts.kit import diagram, line

OUTSIDE = '<message id="m" name="arrived"/><signal id="g" name="recall"/>'
MESSAGE = (
    '<intermediateCatchEvent id="goods" name="到货"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>'
)
SIGNAL = '<intermediateCatchEvent id="call" name="召回"><signalEventDefinition signalRef="g"/></intermediateCatchEvent>'


@operation("tests.note")
def note(_session: Any, _context: Any, _inputs: Any) -> dict[str, Any]:
    """Do nothing."""
    return {}


def awaited(story: Story, who: str = "nurse") -> dict[str, tuple[Awaited, ...]]:
    """Return what each place says that an instance waits for."""
    bpm = story.bpm
    with bpm.db.reading() as session:
        viewer, admin = bpm.actor(who), bpm.actor("process_admin")
        (mine,) = (r for r in queries.page(session, viewer, Box.STARTED).rows if r.id == story.id)
        (every,) = (r for r in queries.instances(session, admin).rows if r.id == story.id)
        return {
            "page": queries.instance_detail(session, viewer, story.id).timeline.awaited,
            "diagram": queries.diagram(session, viewer, story.id).awaited,
            "started": mine.awaited,
            "admin": every.awaited,
        }


def everywhere(story: Story) -> tuple[Awaited, ...]:
    """Return what all places agree upon."""
    found = awaited(story)
    (one,) = set(found.values())
    return one


def test_a_timer_with_its_moment_but_not_the_reminders_of_a_step(bpm: Bpm) -> None:
    start = (clock.today() + timedelta(days=5)).isoformat()
    leave = {"leave_type": "年休假", "start_date": start, "end_date": start, "reason": "探亲"}
    story = bpm.deploy("leave_request").start("leave_request", "nurse", **leave)
    assert everywhere(story) == (), "the step is reminded every day, but a person has it"
    story.approve("head_nurse")
    due = datetime.fromisoformat(f"{start}T08:00:00+08:00")
    assert everywhere(story) == (Awaited("leave_begins", "休假开始", "timer", due),)
    story.act("withdraw", "nurse", story.id, reason="不休了")
    assert everywhere(story) == ()


@pytest.mark.parametrize(
    ("event", "expected"),
    [(MESSAGE, Awaited("goods", "到货", "message", None)), (SIGNAL, Awaited("call", "召回", "signal", None))],
)
def test_messages_and_signals(bpm: Bpm, event: str, expected: Awaited) -> None:
    story = bpm.deploy_files(line((expected.element, event), outside=OUTSIDE)).start("p", "nurse")
    assert everywhere(story) == (expected,)


def test_a_job_that_has_not_run_yet(bpm: Bpm) -> None:
    work = (
        '<serviceTask id="work" name="编号"><extensionElements><piyue:operation name="tests.note"/>'
        "</extensionElements></serviceTask>"
    )
    bpm.deploy_files(line(("work", work), ("check", task("check", "head_nurse"))))
    with bpm.db.unit_of_work() as session:
        id_ = commands.start(session, bpm.actor("nurse"), "p", data={}).instance_id
    story = Story(bpm, id_)
    assert everywhere(story) == (Awaited("work", "编号", "job", None),)
    bpm.work()
    assert everywhere(story) == ()


def test_beside_a_person_the_page_tells_both_and_the_lists_the_person(bpm: Bpm) -> None:
    body = '<startEvent id="s"/><parallelGateway id="f"/><parallelGateway id="j"/><endEvent id="e"/>'
    body += start_task() + task("check", "head_nurse") + MESSAGE
    body += chain("s", "apply", "f", "check", "j", "e") + flow("f", "goods") + flow("goods", "j")
    story = bpm.deploy_files(diagram(body, outside=OUTSIDE)).start("p", "nurse")
    found = awaited(story)
    assert [w.element for w in found["page"]] == ["goods"]
    assert found["page"] == found["diagram"]
    assert found["started"] == found["admin"] == ()


def test_who_else_had_it_is_told_at_the_decision_of_an_any_sign(bpm: Bpm) -> None:
    story = bpm.deploy_files(line(("check", task("check", "nurse", "surgeon", "hr_head")))).start("p", "doctor")
    story.approve("surgeon")
    with bpm.db.reading() as session:
        entries = queries.timeline(session, bpm.actor("doctor"), story.id).entries
    told = [(e.verb, e.spared and (set(e.spared.names), e.spared.total, e.spared.policy)) for e in entries]
    assert told == [("start", None), ("complete", ({"单晓燕", "翟建国"}, 2, "any"))]


def test_everybody_of_a_countersign_has_acted(bpm: Bpm) -> None:
    both = task("check", "nurse", "surgeon", inner='<piyue:round policy="all"/>')
    story = bpm.deploy_files(line(("check", both))).start("p", "doctor").approve("nurse")
    with bpm.db.reading() as session:
        (step,) = queries.timeline(session, bpm.actor("doctor"), story.id).open
    assert (step.policy, step.total, step.done) == ("all", 2, 1)
    story.approve("surgeon")
    with bpm.db.reading() as session:
        entries = queries.timeline(session, bpm.actor("doctor"), story.id).entries
    assert [e.spared for e in entries] == [None, None, None]


def test_a_read_step_stands_where_it_ended_and_above_what_is_open(bpm: Bpm) -> None:
    body = '<startEvent id="s"/><parallelGateway id="f"/><parallelGateway id="j"/><endEvent id="e"/>' + start_task()
    body += task("read", "nurse", kind="read") + task("check", "surgeon") + task("file", "archivist", kind="fill")
    body += chain("s", "apply", "f", "check", "j", "file", "e") + flow("f", "read") + flow("read", "j")
    story = bpm.deploy_files(diagram(body)).start("p", "doctor").read("nurse").approve("surgeon")

    def past() -> list[str]:
        with bpm.db.reading() as session:
            trail = queries.timeline(session, bpm.actor("doctor"), story.id)
        assert all(step.closed_at is None for step in trail.open)
        return [part.step_name or "" for part in trail.past]

    assert past() == ["apply", "read", "check"]
    story.submit("archivist")
    assert past() == ["apply", "read", "check", "file"]


def test_an_incident_offers_what_mends_it(bpm: Bpm) -> None:
    nobody = task("check").replace('rule="initiator"', 'rule="expression" value="=[]"')
    story = bpm.deploy_files(line(("check", nobody))).start("p", "doctor")
    item = story.item("process_admin")
    with bpm.db.unit_of_work() as session:
        for kind, task_id in (("timer", 9), ("gateway", None)):
            session.add(
                Incident(
                    id=new_id(), instance_id=story.id, task_id=task_id, kind=kind, message="", created_at=clock.now()
                )
            )

    def offered() -> dict[str, tuple[bool, uuid.UUID | None]]:
        with bpm.db.reading() as session:
            rows = queries.incidents(session, bpm.actor("process_admin")).rows
        return {row.kind: (row.retryable, row.item_id) for row in rows}

    assert offered() == {"nobody": (False, item.id), "timer": (True, None), "gateway": (False, None)}
    story.act("reassign", "process_admin", item.id, to=bpm.person("nurse"), reason="由她核对")
    assert set(offered()) == {"timer", "gateway"}, "a step with a handler needs no mending"
    with bpm.db.reading() as session:
        mended = session.scalars(select(Incident).where(Incident.kind == "nobody")).one()
    assert mended.resolved_by == bpm.person("process_admin")
