"""What the connections of writers and readers are set to."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.db import Database

pytestmark = pytest.mark.backend("postgresql")


def setting(session: Session, name: str) -> str:
    return str(session.execute(text(f"SHOW {name}")).scalar_one())


def test_writers_plan_once_and_by_the_indexes_however_small_the_tables_are(committed_db: Database) -> None:
    with committed_db.unit_of_work() as session:
        names = ("plan_cache_mode", "enable_seqscan", "jit", "lock_timeout", "TimeZone")
        assert [setting(session, name) for name in names] == ["force_generic_plan", "off", "off", "3s", "UTC"]
        plan = session.scalars(
            text("EXPLAIN UPDATE work_item SET claimed = true WHERE id = '00000000-0000-0000-0000-000000000000'")
        ).all()
    assert any("Index Scan" in line for line in plan), plan


def test_readers_plan_as_they_like_and_write_nothing(committed_db: Database) -> None:
    with committed_db.reading() as session:
        assert [setting(session, name) for name in ("plan_cache_mode", "enable_seqscan")] == ["auto", "on"]
        with pytest.raises(DBAPIError, match="read-only"):
            session.execute(text("DELETE FROM seal"))
