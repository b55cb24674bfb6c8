"""The migrations: what they make is what the code expects, they go back, and they keep what is there."""

import uuid
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

import engine.registry
from engine import audit
from engine.db import Base, Database
from engine.org.directory import directory
from engine.settings import ROOT
from tests.conftest import AUDIT_KEY

assert engine.registry  # importing it registers every table

AT = datetime(2026, 3, 2, tzinfo=UTC)


def config(database_url: str) -> Config:
    found = Config()
    found.set_main_option("script_location", str(ROOT / "alembic"))
    found.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return found


def test_the_migrated_tables_are_those_of_the_code(database_url: str) -> None:
    database = create_engine(database_url)
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    database.dispose()


def test_every_migration_goes_back(database_url: str) -> None:
    command.downgrade(config(database_url), "base")
    database = create_engine(database_url)
    assert set(inspect(database).get_table_names()) <= {"alembic_version"}
    database.dispose()
    command.upgrade(config(database_url), "head")


def test_the_trail_and_the_people_of_the_version_before_are_kept(database_url: str) -> None:
    command.downgrade(config(database_url), "0002")
    person, instance, version = (uuid.uuid4() for _ in range(3))
    key = b"the key of a request"
    log = audit.log_row(AUDIT_KEY, instance_id=instance, verb="start", at=AT, actor_id=person, idem_key=key)
    fill(
        database_url,
        department={"id": version, "code": "EK", "name": "儿科", "kind": "clinical", "sort": 0},
        person={
            "id": person, "staff_number": "1001", "name": "张三", "pinyin": "", "department_id": version, "post": "",
            "rank": 100, "mobile": "", "email": "", "password_hash": "", "failed_logins": 3, "locked_until": AT,
        },
        process={"key": "leave", "name": "请假", "category": ""},
        process_version={
            "id": version, "key": "leave", "number": 1, "files": b"", "digest": "", "deployed_at": AT, "note": "",
        },
        instance={
            "id": instance, "process_key": "leave", "version_id": version, "title": "请假", "summary": "",
            "initiator_id": person, "department_id": version, "urgency": 0, "state": "running", "version": 1,
            "engine_state": b"", "data": b"{}", "started_at": AT,
        },
        action_log=log,
    )  # fmt: skip
    command.upgrade(config(database_url), "head")
    database = Database(database_url, audit_key=AUDIT_KEY)
    with database.unit_of_work() as session:
        assert audit.verify(session) == (1, [])
        before = directory(session)
        assert not before.people[person].system
        session.execute(text("UPDATE person SET name = '李四'"))
        assert directory(session).people[person].name == "李四"  # its trigger is there
        session.execute(text("UPDATE person SET system = true"))
        assert directory(session).people[person].system
    with pytest.raises(IntegrityError):  # as one request is carried out once
        fill(database_url, action_log=log)
    with database.unit_of_work() as session:
        audit.record(session, None, "staff_import", {}, at=AT)
    database.dispose()
    with pytest.raises(IntegrityError):  # going back throws no part of the trail away
        command.downgrade(config(database_url), "0002")


def fill(database_url: str, **rows: dict[str, object]) -> None:
    """Put one row into each of some tables, as their columns are now."""
    database = create_engine(database_url)
    try:
        with database.begin() as connection:
            for table, row in rows.items():
                names = ", ".join(row)
                values = ", ".join(f":{name}" for name in row)
                connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
    finally:
        database.dispose()
