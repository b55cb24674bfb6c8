"""What is done by the clock."""

import io
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from engine import attachments, clock, outbox
from engine.attachments import Attachment
from engine.db import Database
from engine.org import auth
from engine.org.models import Department, LoginSession, Person
from engine.outbox import Outbox, handlers
from engine.settings import Settings
from workers import ticks

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
KEPT = (Outbox, Attachment, LoginSession)


@dataclass
class Somebody:
    """A viewer without roles."""

    person_id: uuid.UUID

    def has(self, *roles: str) -> bool:
        return False


def test_housekeeping_clears_what_is_old(committed_db: Database, tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    handlers.declared.add(("test", "old"))
    clock.freeze(NOON)
    try:
        with committed_db.unit_of_work() as session:
            department = Department(code="D1", name="内科", kind="临床")
            session.add(department)
            session.flush()
            person = Person(staff_number="1001", name="某某", department_id=department.id)
            session.add(person)
            session.flush()
            auth.login_as(session, "1001", demo=True, hours=24 * 30)
            attachments.receive(session, settings, Somebody(person.id), "a.txt", io.BytesIO(b"x"))
            outbox.enqueue(session, "test", "k", "old", {})
            session.get_one(Outbox, session.scalar(select(Outbox.id))).state = "done"
            session.get_one(Outbox, session.scalar(select(Outbox.id))).done_at = NOON
        counts = []
        for days in (0, 29, 31):
            clock.freeze(NOON + timedelta(days=days))
            assert {tick.name for tick in ticks.standard(settings) if tick.run(committed_db)} == set()
            with committed_db.reading() as session:
                counts.append([session.scalar(select(func.count()).select_from(t)) for t in KEPT])
        assert counts == [[1, 1, 1], [1, 0, 1], [0, 0, 0]]
    finally:
        clock.freeze(None)
        handlers.declared.discard(("test", "old"))
