"""The database: one engine, one Session type, one place that commits.

Writes go through `Database.unit_of_work`, reads through `Database.reading` (a read-only transaction). The hot path
sends its statements as one `Batch`: plain SQL, pipelined in one round trip on PostgreSQL, in order on SQLite.
"""

import re
import sqlite3
import uuid
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import uuid_utils.compat
from sqlalchemy import DateTime, Dialect, LargeBinary, TypeDecorator, Uuid, create_engine, event
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session

from engine.errors import EngineError, Unavailable

# serialization failure, deadlock, lock timeout: the same request may succeed when sent again
_BUSY = {"40001", "40P01", "55P03"}
_STORED = "%Y-%m-%d %H:%M:%S.%f"


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


# Batch parameters skip SQLAlchemy's types; on SQLite these two write what its types write.
sqlite3.register_adapter(uuid.UUID, lambda value: value.hex)
sqlite3.register_adapter(datetime, lambda value: value.astimezone(UTC).strftime(_STORED))


class Statement:
    """One SQL statement with :name parameters, ready for both drivers.

    A query names its columns' types where the driver of SQLite gives them back as text: `id=uuid.UUID, at=datetime`.
    """

    def __init__(self, sql: str, **types: type) -> None:
        self.sqlite = re.sub(r"\s+FOR (NO KEY )?UPDATE( OF \w+)?", "", sql)
        self.postgresql = re.sub(r"(?<!:):([a-z_]\w*)", r"%(\1)s", sql.replace("%", "%%"))
        self._types = types
        self._row: Callable[..., Any] | None = None

    def rows(self, cursor: Any, dialect: str) -> list[Any]:
        """Read a query's rows as named tuples."""
        found = cursor.fetchall()
        if self._row is None:
            self._row = namedtuple("Row", [column[0] for column in cursor.description])  # type: ignore[misc]
        if dialect == "sqlite" and found:
            given = [_GIVEN.get(self._types.get(column[0], object)) for column in cursor.description]
            found = [tuple(c(v) if c and v is not None else v for c, v in zip(given, r, strict=True)) for r in found]
        return [self._row(*row) for row in found]


_GIVEN: dict[type, Callable[[Any], Any]] = {
    uuid.UUID: lambda value: uuid.UUID(hex=value),
    datetime: lambda value: datetime.strptime(value, _STORED).replace(tzinfo=UTC),
    bool: bool,
}


class Batch:
    """Statements sent together, in order: one round trip on PostgreSQL."""

    def __init__(self) -> None:
        self._work: list[tuple[Statement, Mapping[str, Any] | Sequence[Mapping[str, Any]], int | None, str]] = []
        self._queries: set[int] = set()

    def add(
        self,
        statement: Statement,
        params: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        expect: int | None = None,
        why: str = "",
    ) -> None:
        """Queue a statement; a list of params runs it once for each.

        `expect` is the number of rows it must change: a tripwire behind the lock, named by `why`.
        """
        self._work.append((statement, params, expect, why))

    def query(self, statement: Statement, params: Mapping[str, Any]) -> None:
        """Queue a query; `run` returns the rows of all queries, in order."""
        self._queries.add(len(self._work))
        self.add(statement, params)

    def run(self, session: Session) -> list[list[Any]]:
        """Send everything; return the queries' rows.

        Raises Unavailable where a tripwire finds another row count, or a lock could not be had: nothing is kept then.
        """
        session.flush()
        connection = session.connection()
        raw: Any = connection.connection.driver_connection
        dialect = connection.dialect.name
        try:
            if dialect == "postgresql":
                with raw.pipeline():
                    cursors = [self._send(raw, w[0].postgresql, w[1]) for w in self._work]
            else:
                cursors = [self._send(raw, w[0].sqlite, w[1]) for w in self._work]
            found = [self._work[i][0].rows(cursors[i], dialect) for i in sorted(self._queries)]
        except connection.dialect.loaded_dbapi.Error as error:
            raise _translated(error) from error
        for cursor, (_, _, expect, why) in zip(cursors, self._work, strict=True):
            if expect is not None and cursor.rowcount != expect:
                raise Unavailable(f"数据刚刚被别人修改（{why}），请刷新后重试", code="concurrent_change")
        return found

    @staticmethod
    def _send(raw: Any, sql: str, params: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
        cursor = raw.cursor()
        if isinstance(params, Mapping):
            cursor.execute(sql, params)
        else:
            cursor.executemany(sql, params)
        return cursor


def _translated(error: BaseException) -> Exception:
    if getattr(error, "sqlstate", None) in _BUSY or "database is locked" in str(error):
        return Unavailable("系统繁忙，请稍后重试", code="busy")
    if "idem_key" in str(error):  # the same request at the same moment: the other one is carried out
        return Unavailable("同一请求正在处理，请稍后重试", code="busy")
    return error if isinstance(error, Exception) else RuntimeError(str(error))


class Database:
    """An engine with its two kinds of session."""

    def __init__(self, url: str, *, pool_size: int = 10, audit_key: bytes = b"") -> None:
        self._info = {"audit_key": audit_key}
        self.url = make_url(url)
        self.engine = _postgresql(url, pool_size) if self.url.get_backend_name() == "postgresql" else _sqlite(url)
        self._reading = self.engine.execution_options(
            **({"postgresql_readonly": True} if self.engine.dialect.name == "postgresql" else {"deferred": True})
        )
        self.nudge: Callable[[], None] = lambda: None

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """One transaction: committed when the block ends well, rolled back otherwise; then the worker is nudged."""
        with Session(self.engine, expire_on_commit=False, info=dict(self._info)) as session:
            try:
                yield session
                session.commit()
            except DBAPIError as error:
                session.rollback()
                if error.orig is not None and isinstance(busy := _translated(error.orig), Unavailable):
                    raise busy from error
                raise
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
        """Close all pooled connections."""
        self.engine.dispose()


def _postgresql(url: str, pool_size: int) -> Engine:
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=False,
        connect_args={"options": "-c lock_timeout=3000 -c timezone=UTC", "prepare_threshold": 2},
    )


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 10, "check_same_thread": False})

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
