"""What people who have left leave behind: every open item is found, and handed over one by one."""

import uuid
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from engine.bpm import commands, queries
from engine.errors import Forbidden, Invalid
from engine.org.models import Person
from engine.org.staff_import import import_staff
from engine.org.staff_template import staff_workbook
from tests.dsl import Bpm, bpmn, chain, start_task, task

LEFT = datetime(2026, 3, 1, tzinfo=UTC)
FILES = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task()
    + task("review", "head_nurse", "pediatrics_head")
    + task("turn", "finance_head", "doctor", inner='<piyue:round policy="in_turn"/>')
    + task("circulate", "doctor", "surgeon", kind="read")
    + chain("s", "apply", "review", "turn", "circulate", "e"),
    key="left",
)


@pytest.fixture
def deployed(bpm: Bpm) -> Bpm:
    """The hospital with a process of every kind of waiting."""
    return bpm.deploy_files(FILES)


def leave(bpm: Bpm, *people: str) -> None:
    with bpm.db.unit_of_work() as session:
        ids = [bpm.person(who) for who in people]
        session.execute(update(Person).where(Person.id.in_(ids)).values(disabled_at=LEFT))


def left(bpm: Bpm, who: str) -> list[tuple[str, str]]:
    with bpm.db.reading() as session:
        items = queries.left_items(session, bpm.actor("process_admin"), bpm.person(who))
    return [(item.step_name, item.state) for item in items]


def hand_over(bpm: Bpm, who: str, to: str, **options: str) -> list[str]:
    with bpm.db.reading() as session:
        ids = [row.id for row in queries.left_items(session, bpm.actor("process_admin"), bpm.person(who))]
    done = commands.hand_over(bpm.db, bpm.actor("process_admin"), ids, to=bpm.person(to), reason="离职交接", **options)
    bpm.work()
    return [row.refusal for row in done]


def test_everything_that_waits_is_found(deployed: Bpm) -> None:
    story = deployed.start("left", by="nurse")
    other = deployed.start("left", by="nurse").approve(by="head_nurse")
    story.act("claim", "head_nurse", story.item("head_nurse").id)
    leave(deployed, "pediatrics_head", "doctor")
    assert left(deployed, "pediatrics_head") == [("review", "standby")]
    assert left(deployed, "doctor") == [("turn", "queued")]
    other.approve(by="finance_head")
    assert left(deployed, "doctor") == [("turn", "open")]
    with deployed.db.reading() as session:
        found = queries.leavers(session, deployed.actor("process_admin"))
    assert {(row.person_id, row.count) for row in found} == {
        (deployed.person("pediatrics_head"), 1),
        (deployed.person("doctor"), 1),
    }
    assert all(row.since == LEFT for row in found)

    other.act("terminate", "process_admin", other.id, reason="不办了")  # in an ended one nothing waits
    assert left(deployed, "doctor") == []
    assert left(deployed, "surgeon") == []  # who is here has left nothing behind


def test_all_to_one_person_each_with_its_result(deployed: Bpm) -> None:
    first = deployed.start("left", by="nurse")
    second = deployed.start("left", by="nurse")
    second.act("reassign", "head_nurse", second.item("head_nurse").id, to=deployed.person("surgeon"), reason="轮休")
    leave(deployed, "pediatrics_head")
    done, refused = hand_over(deployed, "pediatrics_head", "surgeon")
    assert done == ""
    assert "已在这一步的办理人中" in refused
    assert first.open == {("review", "head_nurse"), ("review", "surgeon")}
    assert second.open == {("review", "surgeon"), ("review", "pediatrics_head")}
    assert [verb for verb, _, _ in first.trail] == ["start", "reassign"]
    assert hand_over(deployed, "pediatrics_head", "doctor") == [""]
    assert left(deployed, "pediatrics_head") == []


def test_who_stands_by_or_waits_in_turn_is_replaced_where_they_stood(deployed: Bpm) -> None:
    story = deployed.start("left", by="nurse")
    story.act("claim", "head_nurse", story.item("head_nurse").id)
    leave(deployed, "pediatrics_head")
    assert hand_over(deployed, "pediatrics_head", "surgeon") == [""]
    assert story.open == {("review", "head_nurse")}
    story.act("unclaim", "head_nurse", story.item("head_nurse").id)
    assert story.open == {("review", "head_nurse"), ("review", "surgeon")}
    story.approve(by="surgeon")
    leave(deployed, "doctor")
    assert hand_over(deployed, "doctor", "archivist") == [""]
    story.approve(by="finance_head").expect_open(("turn", "archivist"))


def test_sent_twice_it_is_done_once(deployed: Bpm) -> None:
    story = deployed.start("left", by="nurse")
    item = story.item("pediatrics_head").id
    leave(deployed, "pediatrics_head")
    for _ in range(2):
        done = commands.hand_over(
            deployed.db, deployed.actor("process_admin"), [item], to=deployed.person("doctor"), reason="离职", key="k"
        )
        assert [row.refusal for row in done] == [""]
    assert [verb for verb, _, _ in story.trail] == ["start", "reassign"]


def test_an_import_that_disables_leads_here_too(deployed: Bpm) -> None:
    deployed.start("left", by="nurse")
    with deployed.db.unit_of_work() as session:
        person = session.get_one(Person, deployed.person("pediatrics_head"))
        row = [person.staff_number, person.name, "EK", person.post, "", "", "", "", "20", "停用", ""]
        department = ["EK", "儿科", "临床", "", "", "", "10", "在职"]
        import_staff(session, None, staff_workbook([department], [row]))
    assert left(deployed, "pediatrics_head") == [("review", "open")]


def test_who_may(deployed: Bpm) -> None:
    story = deployed.start("left", by="nurse")
    item = story.item("pediatrics_head").id
    leave(deployed, "pediatrics_head")
    to = deployed.person("doctor")
    with deployed.db.reading() as session, pytest.raises(Forbidden):
        queries.leavers(session, deployed.actor("nurse"))
    for who in ("nurse", "auditor"):
        with pytest.raises(Forbidden):
            commands.hand_over(deployed.db, deployed.actor(who), [item], to=to, reason="离职")
    admin = deployed.actor("process_admin")
    with pytest.raises(Invalid):
        commands.hand_over(deployed.db, admin, [item], to=to, reason=" ")
    with pytest.raises(Invalid, match="1 到 200 件"):
        commands.hand_over(deployed.db, admin, [], to=to, reason="离职")
    (unknown,) = commands.hand_over(deployed.db, admin, [uuid.uuid4()], to=to, reason="离职")
    assert "没有" in unknown.refusal
