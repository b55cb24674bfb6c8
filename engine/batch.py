"""Plain SQL on the hot path: statements with :name parameters for both drivers, sent together as one batch.

On PostgreSQL the writes of a batch become ONE statement (a WITH of data-modifying parts) and everything goes out in
one round trip; on SQLite they run in order. The parts of a WITH see the same snapshot and may not change the same row
twice, so a batch never does: a command writes each row once.
"""

import re
import sqlite3
import uuid
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal

import orjson
import psycopg
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection

from engine.errors import Unavailable
from engine.wire import Wire
from engine.writing import BEGIN_PENDING, DEFERRED, Writing, holds_objects

STORED = "%Y-%m-%d %H:%M:%S.%f"  # how SQLAlchemy keeps a moment on SQLite
_MANY = 8  # rows; more go as one JSON parameter
# serialization failure, deadlock, lock timeout: the same request may succeed when sent again
_BUSY = {"40001", "40P01", "55P03"}
_NAME = re.compile(r"(?<!:):([a-z_]\w*)")
_INSERT = re.compile(
    r"INSERT INTO (?P<table>\w+) \((?P<columns>[^)]*)\) VALUES \((?P<values>[^)]*)\)(?P<rest>.*)", re.S
)

AMONG = "(SELECT CAST(value AS uuid) FROM json_array_elements_text(CAST(:ids AS json)))"
"""In a statement after IN: the ids that its parameter `ids` lists, as `listed` writes them."""

# Parameters skip SQLAlchemy's types; on SQLite these two write what its types write.
sqlite3.register_adapter(uuid.UUID, lambda value: value.hex)
sqlite3.register_adapter(datetime, lambda value: value.astimezone(UTC).strftime(STORED))

_TRIPPED = "22012"  # division by zero: how a tripwire fails a statement whose commit is on the way
_WIRE = "wire"

Params = Mapping[str, Any]


class Statement:
    """One SQL statement.

    A query names its columns' types where the driver of SQLite gives them back as text: `id=uuid.UUID, at=datetime`.
    `sqlite` is its text for SQLite where that isn't the same but for the locks.
    """

    def __init__(self, sql: str, *, sqlite: str | None = None, **types: type) -> None:
        self.sql = sql
        self.names = tuple(dict.fromkeys(_NAME.findall(sql)))
        self.insert = _INSERT.fullmatch(sql)
        sqlite = (sqlite or sql).replace(AMONG, "(SELECT value FROM json_each(:ids))")
        self.sqlite = re.sub(r"\s+FOR (NO KEY )?UPDATE( OF \w+)?", "", sqlite)
        self.postgresql = numbered(sql, {name: n for n, name in enumerate(self.names, 1)})
        self._types = types
        self._make: Callable[[Iterable[Any]], Any] | None = None

    def row(self, columns: Iterable[str]) -> Callable[[Iterable[Any]], Any]:
        """Return what makes a named tuple of a row with these columns."""
        if self._make is None:
            row: Any = namedtuple("Row", list(columns))  # type: ignore[misc]
            self._make = row._make
        return self._make

    def sqlite_rows(self, cursor: sqlite3.Cursor) -> list[Any]:
        """Return a query's rows with the values that SQLite keeps as text as the types that the query names."""
        columns = [column[0] for column in cursor.description]
        make = self.row(columns)
        given = [_GIVEN.get(self._types.get(column, object)) for column in columns]
        return [
            make(convert(v) if convert and v is not None else v for convert, v in zip(given, row, strict=True))
            for row in cursor
        ]


def numbered(sql: str, numbers: Mapping[str, int]) -> str:
    """Return the SQL with PostgreSQL's own placeholders: $1, $2, … for the names."""
    return _NAME.sub(lambda match: f"${numbers[match[1]]}", sql)


def listed(ids: Iterable[uuid.UUID]) -> str:
    """Return ids as a statement takes them that says AMONG; any number of them is one parameter."""
    return orjson.dumps([id_.hex for id_ in ids]).decode()


_GIVEN: dict[type, Callable[[Any], Any]] = {
    uuid.UUID: lambda value: uuid.UUID(hex=value),
    datetime: lambda value: datetime.strptime(value, STORED).replace(tzinfo=UTC),
    bool: bool,
}


@dataclass(slots=True)
class _Work:
    statement: Statement
    params: list[Params]
    answer: Literal["", "rows", "count"] = ""  # with an answer it is a statement of its own, not joined with others
    expect: int | None = None
    why: str = ""


class Batch:
    """Statements sent together, in order."""

    def __init__(self) -> None:
        self._work: list[_Work] = []

    def add(
        self, statement: Statement, params: Params | Sequence[Params], *, expect: int | None = None, why: str = ""
    ) -> None:
        """Queue a write; a list of params runs it once for each.

        `expect` is the number of rows it must change: a tripwire behind the lock, named by `why`.
        """
        self._work.append(_Work(statement, [params] if isinstance(params, Mapping) else list(params), "", expect, why))

    def query(self, statement: Statement, params: Params) -> None:
        """Queue a query (or a write that returns rows); `run` returns its rows."""
        self._work.append(_Work(statement, [params], "rows"))

    def change(self, statement: Statement, params: Params) -> None:
        """Queue a write that the statements after it see; `run` returns how many rows it changed."""
        self._work.append(_Work(statement, [params], "count"))

    def run(self, session: Session) -> list[Any]:
        """Send everything; return the answers of what `query` and `change` have queued, in order.

        Raises Unavailable where a tripwire finds another row count, or a lock could not be had: nothing is kept then.
        """
        pooled, engine = _connected(session)
        send_deferred(pooled, engine)
        return self.send(pooled, engine)

    def apart(self, session: Session) -> list[Any]:
        """Send everything ahead of the caller's transaction, where none has begun: on PostgreSQL one of their own.

        It is kept whatever becomes of the caller's, so it must stand by itself. On SQLite, and where the caller's
        transaction has begun, they are part of that. Raises as `run` does.
        """
        alone = isinstance(session, Writing) and session.untouched
        pooled, engine = _connected(session)
        send_deferred(pooled, engine)
        try:
            return self.send(pooled, engine, commit=alone)
        finally:
            if alone and pooled.is_valid:
                pooled.info[BEGIN_PENDING] = True  # the caller's is still to come

    def defer(self, session: Session) -> None:
        """Send the writes together with the commit; earlier, if anything else is said on the connection before it."""
        pooled, engine = _connected(session)
        send_deferred(pooled, engine)
        if engine.dialect.name == "sqlite":
            self.send(pooled, engine)
        else:
            pooled.info[DEFERRED] = self

    def send(self, pooled: PoolProxiedConnection, engine: Engine, *, commit: bool = False) -> list[Any]:
        """Send everything on a connection, its BEGIN first where that is still to come, its COMMIT last for `commit`.

        Returns the answers.
        """
        raw: Any = pooled.driver_connection
        try:
            if engine.dialect.name == "sqlite":
                return _in_order(raw, self._work)
            info = pooled.info
            begin = info.pop(BEGIN_PENDING, False)
            wire = info.get(_WIRE) or info.setdefault(_WIRE, Wire(raw))
            return _pipelined(wire, self._work, begin=begin, commit=commit)
        except (psycopg.Error, sqlite3.Error) as error:
            if getattr(raw, "closed", False):
                pooled.invalidate(error)
                engine.dispose()  # the server that this connection has lost was that of the pool's others too
                raise Unavailable("数据库连接中断，请稍后重试", code="database_lost") from error
            raise translated(error) from error


def asked(session: Session, statement: Statement, params: Params) -> list[Any]:
    """Return the rows of one query."""
    batch = Batch()
    batch.query(statement, params)
    [rows] = batch.run(session)
    return list(rows)


def _connected(session: Session) -> tuple[PoolProxiedConnection, Engine]:
    if holds_objects(session):
        session.flush()
    if isinstance(session, Writing):
        return session.pooled(), session.engine
    connection = session.connection()
    return connection.connection, connection.engine


def send_deferred(pooled: PoolProxiedConnection, engine: Engine, *, commit: bool = False) -> None:
    """Send what was deferred on a connection, with its COMMIT where that is next."""
    deferred: Batch | None = pooled.info.pop(DEFERRED, None)
    if deferred is not None:
        deferred.send(pooled, engine, commit=commit)


def _in_order(raw: sqlite3.Connection, work: list[_Work]) -> list[Any]:
    found: list[Any] = []
    for one in work:
        cursor = raw.cursor()
        for params in one.params:
            cursor.execute(one.statement.sqlite, params)
        if one.answer:
            found.append(one.statement.sqlite_rows(cursor) if one.answer == "rows" else cursor.rowcount)
        elif one.expect is not None:
            _check(one, cursor.rowcount)
    return found


def _pipelined(wire: Wire, work: list[_Work], *, begin: bool, commit: bool) -> list[Any]:
    steps = [list(step) for _, step in groupby(work, key=lambda w: id(w) if w.answer else 0)]
    sent: list[tuple[str, Sequence[Any]]] = []
    for step in steps:
        if step[0].answer:
            statement, params = step[0].statement, step[0].params[0]
            sent.append((statement.postgresql, [params[name] for name in statement.names]))
        else:
            sent.append(_joined(step, strict=commit))
    # what begins and ends in one round trip is a transaction without saying so
    first, last = begin and not commit, commit and not begin
    results = wire.run([("BEGIN", ())] * first + sent + [("COMMIT", ())] * last)
    found: list[Any] = []
    for result, step in zip(results[first:], steps, strict=False):
        if step[0].answer == "rows":
            found.append(wire.rows(result, step[0].statement.row))
        elif step[0].answer:
            found.append(result.command_tuples)
        elif not commit:
            counts = wire.rows(result, lambda _: tuple)[0]
            for one, changed in zip((w for w in step if w.expect is not None), counts, strict=False):
                _check(one, changed)
    return found


def _check(work: _Work, changed: int) -> None:
    if changed != work.expect:
        raise Unavailable(f"数据刚刚被别人修改（{work.why}），请刷新后重试", code="concurrent_change")


def _joined(step: list[_Work], *, strict: bool) -> tuple[str, list[Any]]:
    """Join writes into one statement and its parameters; the rows of one insert join, in their order.

    `strict`: the statement itself fails where a tripwire finds another row count, because its commit is on the way.
    """
    rows: dict[object, list[Params]] = {}
    parts: dict[object, tuple[Statement, int | None]] = {}
    for number, work in enumerate(step):
        for at, params in enumerate(work.params):
            key: object = work.statement if work.statement.insert else (number, at)
            rows.setdefault(key, []).append(params)
            parts.setdefault(key, (work.statement, work.expect))
    shape = tuple((s, _many(len(rows[key])), expect) for key, (s, expect) in parts.items())
    values: list[Any] = []
    for key, (statement, count, _) in zip(parts, shape, strict=True):
        if count == 0:
            values.append(_json(statement, rows[key]))
        else:
            values += [params[name] for params in rows[key] for name in statement.names]
    return _composed(shape, strict), values


def _many(count: int) -> int:
    """Return the number of rows, or 0 where they go as one JSON parameter."""
    return count if count <= _MANY else 0


def _json(statement: Statement, rows: list[Params]) -> str:
    assert statement.insert is not None
    columns = statement.insert["columns"].split(", ")
    sources = statement.insert["values"].split(", ")
    named = [(column, source[1:]) for column, source in zip(columns, sources, strict=True) if source[0] == ":"]
    return orjson.dumps([{c: row[n] for c, n in named} for row in rows], default=_bytea).decode()


def _bytea(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(f"{type(value).__name__} is no column value")


@lru_cache(maxsize=2048)
def _composed(shape: tuple[tuple[Statement, int, int | None], ...], strict: bool) -> str:
    """Return the WITH statement of these parts; it ends by counting the rows of those that expect a number.

    `strict` divides by zero where a count is another (SQLSTATE 22012).
    """
    parts, counted, before, at = [], [], "", 0
    for number, (statement, count, expect) in enumerate(shape):
        if count == 0:
            at += 1
            sql = _from_json(statement, at)
        else:
            sql = statement.sql
            if statement.insert is not None:
                found = statement.insert
                row = f"({found['values']})"
                tuples = [numbered(row, _numbers(statement, at + n * len(statement.names))) for n in range(count)]
                sql = f"INSERT INTO {found['table']} ({found['columns']}) VALUES {', '.join(tuples)}{found['rest']}"
            else:
                sql = numbered(sql, _numbers(statement, at))
            at += count * len(statement.names)
        parts.append(f"w{number} AS ({sql} RETURNING 1)")
        count_rows = f"(SELECT count(*) FROM w{number})"
        if expect is not None:
            one = f"1 / (CASE WHEN {count_rows} = {expect} THEN 1 ELSE 0 END)" if strict else count_rows
            counted.append(before + one)
            before = ""
        elif statement.insert is None:
            # read as well: parts that nothing reads run last, and rows must be locked in the order of the batch
            before += f"0 * {count_rows} + "
    return f"WITH {', '.join(parts)} SELECT {', '.join(counted) or '1'}"


def _numbers(statement: Statement, after: int) -> dict[str, int]:
    return {name: n for n, name in enumerate(statement.names, after + 1)}


def _from_json(statement: Statement, number: int) -> str:
    """Return the insert of any number of rows from one JSON parameter."""
    assert statement.insert is not None
    table, columns, rest = (statement.insert[name] for name in ("table", "columns", "rest"))
    sources = statement.insert["values"].split(", ")
    chosen = ", ".join(f"r.{c}" if s[0] == ":" else s for c, s in zip(columns.split(", "), sources, strict=True))
    source = f"json_populate_recordset(NULL::{table}, ${number})"
    return f"INSERT INTO {table} ({columns}) SELECT {chosen} FROM {source} r{rest}"


def translated(error: BaseException) -> Exception:
    """Return what a driver's error means: Unavailable where the same request may succeed later, else itself."""
    if getattr(error, "sqlstate", None) in _BUSY or "database is locked" in str(error):
        return Unavailable("系统繁忙，请稍后重试", code="busy")
    if getattr(error, "sqlstate", None) == _TRIPPED:
        return Unavailable("数据刚刚被别人修改，请刷新后重试", code="concurrent_change")
    if "idem_key" in str(error):  # the same request at the same moment: the other one is carried out
        return Unavailable("同一请求正在处理，请稍后重试", code="busy")
    return error if isinstance(error, Exception) else RuntimeError(str(error))
