"""The trail: a row is signed as it is written, and any change of it is found."""

import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from engine import audit
from engine.batch import Batch
from engine.bpm.models import ActionLog, Instance, Process, ProcessVersion, WorkItem
from engine.db import Database
from engine.errors import Conflict
from engine.org.actor import Actor
from engine.org.models import Department, Person
from tests.dsl import Bpm, bpmn, chain, start_task, task

KEY = b"k" * 32
AT = datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=ZoneInfo("Asia/Shanghai"))

CHANGES: dict[str, Any] = {
    "round_id": uuid.uuid4(),
    "item_id": None,
    "step": "approve2",
    "step_name": "",
    "actor_id": None,
    "verb": "return",
    "outcome": None,
    "opinion": "同意 ",
    "at": AT.astimezone(UTC) + timedelta(microseconds=1),
    "path": '["b","a"]',
    "detail": '{"to":["x"]}',
    "idem_key": b"\x00\x02",
}


@pytest.fixture
def instance(session: Session) -> Instance:
    """An instance with its initiator."""
    department = Department(code="D1", name="内科", kind="临床")
    session.add(department)
    session.flush()
    person = Person(staff_number="1001", name="张三", department_id=department.id)
    process = Process(key="leave", name="请假")
    session.add_all([person, process])
    session.flush()
    version = ProcessVersion(key="leave", number=1, files=b"", digest="", deployed_at=AT)
    session.add(version)
    session.flush()
    instance = Instance(
        process_key="leave",
        version_id=version.id,
        title="请假",
        initiator_id=person.id,
        department_id=department.id,
        engine_state=b"",
        data=b"",
        started_at=AT,
    )
    session.add(instance)
    session.flush()
    return instance


def write(session: Session, instance: Instance) -> None:
    batch = Batch()
    batch.add(audit.INSERT_ACTION, audit.log_row(KEY, instance_id=instance.id, verb="start", at=AT))
    batch.add(
        audit.INSERT_ACTION,
        audit.log_row(
            KEY,
            instance_id=instance.id,
            verb="complete",
            at=AT,
            actor_id=instance.initiator_id,
            round_id=uuid.uuid4(),
            item_id=uuid.uuid4(),
            step="approve",
            step_name="审批",
            outcome="approve",
            opinion="同意。\n“请”尽快\u2028办理 🩺",
            path=["a", "b"],
            detail={"to": []},
            idem_key=b"\x00\x01\xff",
        ),
    )
    batch.run(session)


def rows(session: Session) -> list[dict[str, Any]]:
    return [dict(row) for row in session.execute(select(ActionLog.__table__).order_by(ActionLog.id)).mappings()]


def broken(session: Session) -> list[int]:
    session.info["audit_key"] = KEY
    return audit.verify(session)[1]


def test_what_was_written_verifies_as_it_comes_back(session: Session, instance: Instance) -> None:
    write(session, instance)
    assert len(rows(session)) == 2
    assert broken(session) == []


@pytest.mark.parametrize("column", CHANGES)
def test_a_change_of_any_column_is_found(session: Session, instance: Instance, column: str) -> None:
    write(session, instance)
    changed = rows(session)[1]["id"]
    session.execute(update(ActionLog).where(ActionLog.id == changed).values({column: CHANGES[column]}))
    assert broken(session) == [changed]


@pytest.mark.parametrize("id_", [-(2**63), -1, 0, 2**62 + 1, 2**63 - 1])
def test_a_row_is_found_wherever_it_was_put(session: Session, instance: Instance, id_: int) -> None:
    write(session, instance)
    session.execute(insert(ActionLog).values(rows(session)[1] | {"id": id_, "idem_key": None, "opinion": "不同意"}))
    assert broken(session) == [id_]


def test_every_signed_column_is_tried() -> None:
    columns = {column.name for column in ActionLog.__table__.columns} - {"id", "mac"}
    assert columns == set(audit.FIELDS) == {*CHANGES, "instance_id"}


def test_a_row_moved_to_another_instance_is_found(session: Session, instance: Instance) -> None:
    write(session, instance)
    row = rows(session)[0]
    session.execute(update(ActionLog).where(ActionLog.id == row["id"]).values(instance_id=None))
    assert broken(session) == [row["id"]]


def test_a_forged_row_and_a_foreign_code_are_found(session: Session, instance: Instance) -> None:
    write(session, instance)
    first, second = rows(session)
    session.execute(insert(ActionLog), [audit.log_row(b"x" * 32, instance_id=instance.id, verb="approve", at=AT)])
    session.execute(update(ActionLog).where(ActionLog.id == first["id"]).values(mac=second["mac"]))
    session.execute(update(ActionLog).where(ActionLog.id == second["id"]).values(mac=b""))
    assert broken(session) == [row["id"] for row in rows(session)]


@pytest.mark.parametrize("column", audit.FIELDS)
def test_a_readers_row_is_proved_with_its_item(bpm: Bpm, column: str) -> None:
    reading = task("circulate", "head_nurse", "surgeon", kind="read")
    line = chain("s", "apply", "circulate", "e")
    bpm.deploy_files(bpmn(f'<startEvent id="s"/><endEvent id="e"/>{start_task()}{reading}{line}'))
    bpm.start("p", by="nurse").read(by="head_nurse")
    with bpm.db.unit_of_work() as session:
        assert audit.verify(session)[1] == []
        row = next(row for row in rows(session) if row["verb"] == "read")
        assert row["step"] == "circulate"
        change = {column: (CHANGES | {"instance_id": None})[column]}
        session.execute(update(ActionLog).where(ActionLog.id == row["id"]).values(change))
        assert audit.verify(session)[1] == [row["id"]]


@pytest.mark.parametrize("column", ["outcome", "opinion", "assignee_id"])
def test_an_item_that_says_something_else_than_its_trail_is_found(bpm: Bpm, column: str) -> None:
    line = chain("s", "apply", "first", "second", "e")
    steps = task("first", "head_nurse", "surgeon") + task("second", "doctor")
    bpm.deploy_files(bpmn(f'<startEvent id="s"/><endEvent id="e"/>{start_task()}{steps}{line}'))
    story = bpm.start("p", by="nurse").complete("head_nurse", "reject", opinion="不同意")
    story.act("take_back", "head_nurse", story.item("head_nurse", "first", "done").id)
    story.complete("head_nurse", "approve", opinion="同意").send_back("doctor").approve("head_nurse")
    with bpm.db.unit_of_work() as session:
        assert audit.verify(session)[1] == []
        decided = [row for row in rows(session) if row["verb"] in ("complete", "return")]
        changes = {"outcome": "reject", "opinion": "伪造的意见", "assignee_id": bpm.person("nurse")}
        change = update(WorkItem).where(WorkItem.id == decided[-1]["item_id"]).values({column: changes[column]})
        session.execute(change)
        assert audit.verify(session)[1] == [decided[-1]["id"]]


def test_a_row_written_again_is_found(session: Session, instance: Instance) -> None:
    write(session, instance)
    copied = {name: value for name, value in rows(session)[0].items() if name != "id"}
    session.execute(insert(ActionLog), [copied])
    assert broken(session) == [rows(session)[-1]["id"]]


def test_no_two_rows_share_an_encoding() -> None:
    base = audit.log_row(KEY, instance_id=uuid.uuid4(), verb="v", at=AT)
    alike = [
        base | {"step": "a", "step_name": "b"},
        base | {"step": "ab", "step_name": ""},
        base | {"step": 'a","b', "step_name": None},
        base | {"step": None, "step_name": None},
        base | {"step": "null", "step_name": None},
        base | {"step": "", "step_name": None},
    ]
    assert len({audit.row_mac(KEY, fields) for fields in alike}) == len(alike)


def test_an_activity_without_an_instance_is_signed_alike(session: Session, instance: Instance) -> None:
    token = uuid.uuid4()
    who = Actor(instance.initiator_id, "张三", instance.department_id, token_id=token)
    audit.record(session, who, "deploy", {"key": "leave"}, at=AT)
    audit.record(session, None, "login_locked", {"number": "1001"}, at=AT, about=instance.initiator_id)
    first, second = rows(session)
    assert orjson.loads(first["detail"]) == {"key": "leave", "token": str(token)}
    assert (first["instance_id"], first["actor_id"], first["item_id"]) == (None, instance.initiator_id, None)
    assert (second["actor_id"], second["item_id"]) == (None, instance.initiator_id)
    assert audit.verify(session) == (2, [])
    session.execute(update(ActionLog).where(ActionLog.id == first["id"]).values(detail='{"key":"leave"}'))
    session.execute(update(ActionLog).where(ActionLog.id == second["id"]).values(instance_id=instance.id))
    assert audit.verify(session) == (2, [first["id"], second["id"]])


def test_an_activity_is_lost_with_its_transaction_and_kept_with_it(committed_db: Database) -> None:
    for kept in (False, True):
        with suppress(Conflict), committed_db.unit_of_work() as session:
            audit.record(session, None, "staff_import", {}, at=AT)
            if not kept:
                raise Conflict("x")
        with committed_db.reading() as session:
            assert audit.verify(session) == (int(kept), [])


def test_the_whole_trail_is_verified_in_chunks(bpm: Bpm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "CHUNK", 2)
    story = bpm.deploy_files(bpmn(f'<startEvent id="s"/><endEvent id="e"/>{start_task()}{chain("s", "apply", "e")}'))
    for _ in range(5):
        story.start("p", by="nurse")
    with bpm.db.reading() as session:
        assert audit.verify(session) == (7, [])  # the import of the hospital, the deployment, five starts
    with bpm.db.unit_of_work() as session:
        third = sorted(session.scalars(select(ActionLog.id)))[2]
        session.execute(update(ActionLog).where(ActionLog.id == third).values(opinion="另一个意见"))
    with bpm.db.reading() as session:
        assert audit.verify(session) == (7, [third])
