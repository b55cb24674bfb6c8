"""The database: one engine, one Session type, one place that commits.

Writes go through `Database.unit_of_work`, reads through `Database.reading` (a read-only transaction). The hot path
sends its statements as one `engine.batch.Batch`.
"""

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg
import uuid_utils.compat
from sqlalchemy import DateTime, Dialect, LargeBinary, TypeDecorator, Uuid, create_engine, event
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry

from engine.batch import send_deferred, translated
from engine.errors import EngineError, Unavailable
from engine.writing import BEGIN_PENDING, Writing, begun, forget

Part = TypeVar("Part")


class UTCDateTime(TypeDecorator[datetime]):
    """Aware moments in Python; timestamptz on PostgreSQL, naive UTC text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive moments; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give aware moments back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Parent of all tables."""

    type_annotation_map = {datetime: UTCDateTime, uuid.UUID: Uuid, bytes: LargeBinary}


def new_id() -> uuid.UUID:
    """Return a new primary key: UUIDv7 (RFC 9562), so that keys sort by creation time."""
    return uuid_utils.compat.uuid7()


class Database:
    """An engine with its two kinds of session."""

    def __init__(self, url: str, *, pool_size: int = 10, audit_key: bytes = b"") -> None:
        self._info: dict[str, Any] = {"audit_key": audit_key, "mirrors": (), "looks": {}}
        self.url = make_url(url)
        if self.url.get_backend_name() == "postgresql":
            self._writing: type[Session] = Writing
            self.engine = _postgresql(url, pool_size)
            self._reading = _postgresql_reading(url, pool_size)
        else:
            self._writing = Session
            self.engine = _sqlite(url)
            self._reading = self.engine.execution_options(deferred=True)
        self.nudge: Callable[[], None] = lambda: None
        self._provided: dict[type, Any] = {}

    def provide(self, part: object) -> None:
        """Give handlers, which know the database alone, a part that was made with settings: a connector's client."""
        self._provided[type(part)] = part

    @property
    def mirrors(self) -> tuple[str, ...]:
        """The systems that show people's items elsewhere, as `engine.bpm.mirrors` tells them of changes."""
        mirrors: tuple[str, ...] = self._info["mirrors"]
        return mirrors

    @mirrors.setter
    def mirrors(self, systems: tuple[str, ...]) -> None:
        self._info["mirrors"] = systems

    @property
    def looks(self) -> dict[str, Any]:
        """What mirrors add to the transaction that tells of a change, by system (`engine.bpm.mirrors.look`)."""
        looks: dict[str, Any] = self._info["looks"]
        return looks

    def part(self, kind: type[Part]) -> Part | None:
        """Return the part of a kind, None where none was provided."""
        return self._provided.get(kind)

    def own(self, kind: type[Part]) -> Part:
        """Return this database's one part of a kind that needs no settings, made when it is first asked for."""
        part: Part = self._provided.get(kind) or self._provided.setdefault(kind, kind())
        return part

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """One transaction: committed when the block ends well, rolled back otherwise; then the worker is nudged."""
        with self._writing(self.engine, expire_on_commit=False, info=dict(self._info)) as session:
            try:
                yield session
                session.commit()
            except DBAPIError as error:
                session.rollback()
                if error.orig is not None and isinstance(busy := translated(error.orig), Unavailable):
                    raise busy from error
                raise
            except psycopg.Error as error:  # of a commit that nothing else was said with
                session.rollback()
                raise translated(error) from error
            except EngineError as error:
                session.rollback()
                if error.afterwards is not None:
                    error.afterwards(session)
                    session.commit()
                raise
            if session.info.get("outbox"):
                self.nudge()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read-only session; what is loaded stays usable after it."""
        with Session(self._reading, expire_on_commit=False, info=dict(self._info)) as session:
            yield session

    def dispose(self) -> None:
        """Close all pooled connections, and those of the parts that hold any."""
        for part in self._provided.values():
            if hasattr(part, "close"):
                part.close()
        self.engine.dispose()
        self._reading.dispose()


_POSTGRESQL: dict[str, Any] = {"max_overflow": 0, "pool_timeout": 10, "pool_use_lifo": True, "hide_parameters": True}


def _postgresql(url: str, pool_size: int) -> Engine:
    """Return the engine of writers. A transaction begins with its first statement, in the same round trip.

    psycopg prepares nothing itself: after a ROLLBACK it would deallocate all, the hot path's statements too. Those
    find rows by their keys, for which one plan is as good as a new one for each set of values (0.1 ms of planning). It
    is made to use the indexes, however small the tables still are: it outlives their growth (ADR 0004).
    """
    settings = {
        "lock_timeout": "3000",
        "timezone": "UTC",
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "jit": "off",  # what has no index seems dear enough to compile
    }
    options = {
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        "prepare_threshold": None,
        "autocommit": True,
    }
    engine = create_engine(url, pool_size=pool_size, connect_args=options, **_POSTGRESQL)
    _close_what_comes_back_late(engine)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            begun(connection.connection)

    @event.listens_for(engine, "commit")
    def _committing(connection: Connection) -> None:
        send_deferred(connection.connection, connection.engine, commit=True)

    @event.listens_for(engine, "rollback")
    def _rolled_back(connection: Connection) -> None:
        if not (connection.invalidated or connection.closed):
            forget(connection.connection)

    @event.listens_for(engine, "before_cursor_execute")
    def _executing(connection: Connection, cursor: Any, *_: object) -> None:
        send_deferred(connection.connection, connection.engine)
        if connection.info.pop(BEGIN_PENDING, False):
            connection.connection.driver_connection.execute("BEGIN")  # type: ignore[union-attr]

    return engine


def _close_what_comes_back_late(engine: Engine) -> None:
    """Close the connections that were in use when the pool was given up; that pool would keep them for nobody."""
    pools = 0

    @event.listens_for(engine, "engine_disposed")
    def _given_up(_engine: Engine) -> None:
        nonlocal pools
        pools += 1

    @event.listens_for(engine, "connect")
    def _connected(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["pool"] = pools

    @event.listens_for(engine, "checkin")
    def _returned(_connection: object, record: ConnectionPoolEntry) -> None:
        if record.info.get("pool", pools) != pools:
            record.invalidate()


def _postgresql_reading(url: str, pool_size: int) -> Engine:
    """Return the engine of readers: each statement sees the newest state, as under READ COMMITTED; nothing can write.

    Without a transaction around it a read is one round trip, and its prepared statements outlive it.
    """
    options = {"options": "-c default_transaction_read_only=on -c timezone=UTC", "prepare_threshold": 2}
    return create_engine(url, pool_size=pool_size, isolation_level="AUTOCOMMIT", connect_args=options, **_POSTGRESQL)


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 10, "check_same_thread": False}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the transaction begins below, not at the driver's guess
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=NORMAL", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # a writer takes the lock at once: two readers that both want to write would deadlock
        deferred = connection.get_execution_options().get("deferred")
        connection.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")

    return engine
