"""The table and the writing of rows."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, CursorResult, Identity, Index, Integer, String, Text, literal_column, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from engine import clock
from engine.batch import Batch, Statement
from engine.db import Base
from engine.outbox.channels import lane
from engine.outbox.handlers import declared

_BIGID = BigInteger().with_variant(Integer(), "sqlite")
# Literals, because a database can't prove of a parameter that a partial index holds its rows.
PENDING, DONE, DEAD = (literal_column(f"'{state}'", String) for state in ("pending", "done", "dead"))


class Outbox(Base):
    """One thing to be done, once: by the handler of its system and topic."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(_BIGID, Identity(), primary_key=True)
    system: Mapped[str] = mapped_column(String(20))  # who does it: engine, notice, wecom, oa …
    key: Mapped[str] = mapped_column(String(80))  # what must stay in order, e.g. an instance's id
    topic: Mapped[str] = mapped_column(String(40))
    lane: Mapped[str] = mapped_column(String(20), default="", server_default="")  # whose threads do it
    payload: Mapped[str] = mapped_column(Text)  # JSON
    idem_key: Mapped[str | None] = mapped_column(String(120), unique=True)
    state: Mapped[str] = mapped_column(String(8), default="pending")  # pending, done, dead
    attempts: Mapped[int] = mapped_column(default=0)  # counted when leased, so that one that kills workers ends too
    due_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(80))
    last_error: Mapped[str] = mapped_column(String(400), default="")
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]

    # Partial, so that their size is that of the backlog, however many rows are done.
    __table_args__ = tuple(
        Index(name, *columns, postgresql_where=text(where), sqlite_where=text(where))
        for name, columns, where in (
            ("ix_outbox_due", ("lane", "due_at", "id"), "state = 'pending'"),
            ("ix_outbox_shard", ("system", "key", "id"), "state = 'pending'"),
            ("ix_outbox_done", ("done_at",), "state = 'done'"),
            ("ix_outbox_dead", ("system", "id"), "state = 'dead'"),
        )
    )


INSERT_OUTBOX = Statement(
    "INSERT INTO outbox (system, key, topic, lane, payload, idem_key, state, attempts, due_at, last_error, created_at) "
    "VALUES (:system, :key, :topic, :lane, :payload, :idem_key, 'pending', 0, :due_at, '', :created_at) "
    "ON CONFLICT (idem_key) DO NOTHING"
)

_MOVE = Statement(
    "UPDATE outbox SET due_at = :due_at WHERE system = :system AND key = :key AND state = 'pending' "
    "AND (lease_until IS NULL OR lease_until <= :now)"
)


def row(
    system: str,
    key: str,
    topic: str,
    payload: dict[str, Any],
    now: datetime,
    idem_key: str | None = None,
    due_at: datetime | None = None,
) -> dict[str, Any]:
    """Return the parameters of INSERT_OUTBOX; a second row with the same `idem_key` is left out in silence.

    A row that is not due yet holds up its shard. Raises ValueError for a topic that nobody declared.
    """
    if (system, topic) not in declared:
        raise ValueError(f"undeclared topic {system}/{topic}")
    return {
        "system": system,
        "key": key,
        "topic": topic,
        "lane": lane(system, topic),
        "payload": orjson.dumps(payload).decode(),
        "idem_key": idem_key,
        "due_at": due_at or now,
        "created_at": now,
    }


def put(session: Session, batch: Batch, rows: Iterable[dict[str, Any]]) -> None:
    """Add rows to a batch that `session` will run; the worker is nudged after the commit."""
    if params := list(rows):
        batch.add(INSERT_OUTBOX, params)
        session.info["outbox"] = True


def enqueue(
    session: Session,
    system: str,
    key: str,
    topic: str,
    payload: dict[str, Any],
    idem_key: str | None = None,
    due_at: datetime | None = None,
) -> None:
    """Write one row now, as `row` describes it."""
    batch = Batch()
    put(session, batch, [row(system, key, topic, payload, clock.now(), idem_key, due_at)])
    batch.run(session)


def move(session: Session, batch: Batch, system: str, key: str, due_at: datetime) -> None:
    """Let the rows of a shard that wait be due at another moment, earlier or later; those at work stay as they are."""
    batch.add(_MOVE, {"system": system, "key": key, "due_at": due_at, "now": clock.now()})
    session.info["outbox"] = True


def affected(result: Any) -> int:
    """Return how many rows a statement changed."""
    return result.rowcount if isinstance(result, CursorResult) else 0
