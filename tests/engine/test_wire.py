"""Statements in one round trip: values, failures in the middle, lost connections."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from engine import wire
from engine.batch import Batch, Statement
from engine.db import Database
from engine.errors import Unavailable
from engine.wire import Wire

pytestmark = pytest.mark.backend("postgresql")
PAIR = ("CREATE TEMP TABLE pair (n int PRIMARY KEY, t text)", ())


@pytest.fixture
def raw(database_url: str) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True, prepare_threshold=None) as connection:
        yield connection


def one(line: Wire, sql: str, *values: object) -> Any:
    """Return the only value of a query."""
    return line.rows(line.run([(sql, values)])[0], lambda _: tuple)[0][0]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uuid", uuid.uuid4()),
        ("timestamptz", datetime(2026, 2, 28, 23, 59, 59, 123456, UTC)),
        ("date", date(2024, 2, 29)),
        ("text", "五日假，请批：'\"\\ $1 %s 𠮷"),
        ("bytea", bytes(range(256))),
        ("bool", False),
        ("int8", 2**62),
        ("int4", -7),
        ("float8", 1.5),
        ("numeric", Decimal("12345678901234567890.12")),
        ("text", None),
    ],
)
def test_values_come_back_as_they_went(raw: "psycopg.Connection[Any]", kind: str, value: object) -> None:
    line = Wire(raw)
    for _ in range(3):  # parsed, then prepared
        assert one(line, f"SELECT $1::{kind}", value) == value


def test_numbers_of_any_size_go_into_one_statement(raw: "psycopg.Connection[Any]") -> None:
    line = Wire(raw)
    for number in (1, 40_000, 2**40, -1, None):
        assert one(line, "SELECT $1::int8", number) == number


def test_answers_larger_than_any_buffer(raw: "psycopg.Connection[Any]") -> None:
    line, text = Wire(raw), "传阅" * 1_000_000
    results = line.run([("SELECT $1::text", (text,)), ("SELECT repeat($1, 3000000)", ("ab",)), ("SELECT 1", ())] * 3)
    values = [line.rows(result, lambda _: tuple)[0][0] for result in results]
    assert values == [text, "ab" * 3_000_000, 1] * 3


def test_without_a_transaction_all_or_none(raw: "psycopg.Connection[Any]") -> None:
    line = Wire(raw)
    line.run([PAIR])
    insert = "INSERT INTO pair VALUES ($1, $2)"
    with pytest.raises(psycopg.errors.UniqueViolation):
        line.run([(insert, (1, "a")), (insert, (1, "b")), (insert, (2, "c"))])
    assert one(line, "SELECT count(*) FROM pair") == 0
    line.run([(insert, (1, "a")), (insert, (2, "b"))])
    assert one(line, "SELECT count(*) FROM pair") == 2


def test_what_fails_to_parse_is_told_and_forgotten(raw: "psycopg.Connection[Any]") -> None:
    line = Wire(raw)
    for _ in range(2):
        with pytest.raises(psycopg.errors.UndefinedTable):
            line.run([("SELECT 1", ()), ("SELECT * FROM later", ()), ("SELECT 2", ())])
    line.run([("CREATE TEMP TABLE later (n int)", ())])
    assert [len(line.rows(r, lambda _: tuple)) for r in line.run([("SELECT * FROM later", ()), ("SELECT 2", ())])] == [
        0,
        1,
    ]


def test_a_value_that_cannot_be_sent_leaves_the_connection_well(raw: "psycopg.Connection[Any]") -> None:
    line = Wire(raw)
    with pytest.raises(psycopg.Error):
        line.run([("SELECT 1", ()), ("SELECT $1::text", ("nul \x00",))])
    assert one(line, "SELECT 3") == 3


def test_more_statements_than_are_kept(raw: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_KEPT", 5)
    line = Wire(raw)
    for _ in range(2):
        assert [one(line, f"SELECT {n} + $1::int", 1) for n in range(12)] == list(range(1, 13))
    prepared = raw.execute("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''").fetchone()
    assert prepared == (5,)


def test_a_commit_refused_at_the_end_is_told(raw: "psycopg.Connection[Any]") -> None:
    line = Wire(raw)
    line.run([("CREATE TEMP TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)", ())])
    insert = ("INSERT INTO late VALUES ($1)", (1,))
    with pytest.raises(psycopg.errors.UniqueViolation):
        line.run([insert, insert])
    assert one(line, "SELECT count(*) FROM late") == 0


def test_a_query_whose_columns_have_changed_is_prepared_anew(raw: "psycopg.Connection[Any]") -> None:
    line = Wire(raw)
    line.run([("CREATE TEMP TABLE wide (n int)", ())])
    line.run([("INSERT INTO wide VALUES (7)", ())])
    assert one(line, "SELECT n FROM wide") == 7
    raw.execute("ALTER TABLE wide ALTER n TYPE text")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        one(line, "SELECT n FROM wide")
    assert one(line, "SELECT n FROM wide") == "7"


def test_psycopg_and_the_wire_share_a_transaction(raw: "psycopg.Connection[Any]") -> None:
    line = Wire(raw)
    line.run([PAIR])
    line.run([("BEGIN", ()), ("INSERT INTO pair VALUES ($1, $2)", (1, "a"))])
    raw.execute("INSERT INTO pair VALUES (%s, %s)", [2, "b"])
    assert one(line, "SELECT count(*) FROM pair") == 2
    raw.rollback()
    assert one(line, "SELECT count(*) FROM pair") == 0  # its prepared statements outlive the rollback


def test_a_lost_connection_is_told_and_not_used_again(committed_db: Database) -> None:
    hello, writing = Statement("SELECT pg_backend_pid() AS pid"), Statement("DELETE FROM draft WHERE item_id = :item")

    def pid(session: Any) -> int:
        batch = Batch()
        batch.query(hello, {})
        return int(batch.run(session)[0][0].pid)

    def cut() -> None:
        with committed_db.unit_of_work() as session:
            gone = pid(session)
            with committed_db.unit_of_work() as other:
                batch = Batch()
                batch.query(Statement("SELECT pg_terminate_backend(:pid) AS done"), {"pid": gone})
                assert batch.run(other)[0][0].done
            left.append(gone)
            batch = Batch()
            batch.add(writing, {"item": uuid.uuid4()})
            batch.defer(session)

    left: list[int] = []
    with pytest.raises(Unavailable) as lost:
        cut()
    assert lost.value.code == "database_lost"
    with committed_db.unit_of_work() as session:
        assert pid(session) not in left


def test_a_connection_that_was_in_use_when_the_pool_was_given_up_is_closed_when_it_comes_back(
    committed_db: Database,
) -> None:
    hello = Statement("SELECT 1 AS one")
    with committed_db.unit_of_work() as session:
        batch = Batch()
        batch.query(hello, {})
        batch.run(session)
        raw = session.pooled().driver_connection  # type: ignore[attr-defined]
        committed_db.engine.dispose()
        batch.run(session)  # it goes on till its unit of work ends
        assert not raw.closed
    assert raw.closed
    with committed_db.unit_of_work() as session:
        assert batch.run(session)[0][0].one == 1
