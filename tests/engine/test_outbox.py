"""The outbox: order, leases, exactly-once effects, retries, dead letters, upkeep."""

import logging
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import Batch
from engine.db import Database
from engine.errors import Conflict, Forbidden, NotFound, Unavailable
from engine.outbox import Leased, Outbox, handlers
from tests.factories.outbox import emptied

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
NEVER = NOON + timedelta(days=3650)


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """An empty registry, so that tests can name their topics as they like."""
    with emptied():
        yield


@pytest.fixture
def noon() -> Iterator[datetime]:
    """Hold the clock."""
    clock.freeze(NOON)
    yield NOON
    clock.freeze(None)


@dataclass
class Person:
    """Somebody with roles."""

    roles: frozenset[str] = frozenset()
    person_id: uuid.UUID = field(default_factory=uuid.uuid4)

    def has(self, *roles: str) -> bool:
        return not self.roles.isdisjoint(roles)


def write(db: Database, *keys: str, topic: str = "job", **options: object) -> None:
    outbox.declare("test", topic)
    with db.unit_of_work() as session:
        for number, key in enumerate(keys):
            outbox.enqueue(session, "test", key, topic, {"n": number}, **options)  # type: ignore[arg-type]


def stored(db: Database, topic: str = "job") -> list[Outbox]:
    with db.reading() as session:
        return list(session.scalars(select(Outbox).where(Outbox.topic == topic).order_by(Outbox.id)))


def leave_effect(session: Session, row: Leased) -> None:
    """An effect inside the database that the tests can count."""
    outbox.declare("test", "effect")
    outbox.enqueue(session, "test", f"effect {row.id}", "effect", {"of": row.id}, due_at=NEVER)


def drain(db: Database, owner: str = "w") -> list[str]:
    results: list[str] = []
    while rows := outbox.lease(db, owner, 8):
        results += [outbox.run(db, row) for row in rows]
    return results


def test_only_the_oldest_row_of_a_shard_is_leased(committed_db: Database) -> None:
    write(committed_db, "a", "a", "b", "a", "b", "c")
    first = outbox.lease(committed_db, "w1", 10)
    assert [(row.key, row.payload["n"]) for row in first] == [("a", 0), ("b", 2), ("c", 5)]
    assert outbox.lease(committed_db, "w2", 10) == []


def test_a_shard_goes_on_in_order_when_its_row_is_done(committed_db: Database) -> None:
    order: list[tuple[str, int]] = []
    outbox.handler("test", "job", in_transaction=False)(lambda _, row: order.append((row.key, row.payload["n"])))
    write(committed_db, "a", "a", "b", "a", "b")
    assert set(drain(committed_db)) == {"done"}
    assert [n for key, n in order if key == "a"] == [0, 1, 3]
    assert [n for key, n in order if key == "b"] == [2, 4]


def test_a_limit_takes_the_longest_due_first(committed_db: Database, noon: datetime) -> None:
    write(committed_db, "late", due_at=noon - timedelta(seconds=1))
    write(committed_db, "early", due_at=noon - timedelta(seconds=2))
    assert [row.key for row in outbox.lease(committed_db, "w", 1)] == ["early"]


def test_a_row_waits_until_it_is_due_and_holds_up_its_shard(committed_db: Database, noon: datetime) -> None:
    outbox.handler("test", "job", in_transaction=True)(lambda *_: None)
    write(committed_db, "a", due_at=noon + timedelta(minutes=5))
    write(committed_db, "a", "b")
    assert drain(committed_db) == ["done"]
    assert [row.state for row in stored(committed_db)] == ["pending", "pending", "done"]
    clock.freeze(noon + timedelta(minutes=5))
    assert drain(committed_db) == ["done", "done"]


def test_a_lease_ends_after_15_seconds_and_the_slow_worker_loses(committed_db: Database, noon: datetime) -> None:
    outbox.handler("test", "job", in_transaction=True)(leave_effect)
    write(committed_db, "a")
    (slow,) = outbox.lease(committed_db, "slow", 1)
    clock.freeze(noon + timedelta(seconds=14.9))
    assert outbox.lease(committed_db, "other", 1) == []
    clock.freeze(noon + timedelta(seconds=15))
    (taken,) = outbox.lease(committed_db, "other", 1)
    assert taken.attempts == 2
    assert outbox.run(committed_db, slow) == "lost"
    assert stored(committed_db, "effect") == []
    assert outbox.run(committed_db, taken) == "done"
    assert outbox.run(committed_db, taken) == "lost"
    assert len(stored(committed_db, "effect")) == 1


_KILLED = """
import os, signal, sys
from engine import outbox
from engine.db import Database
db = Database(sys.argv[1])
outbox.declare("test", "effect")
@outbox.handler("test", "job", in_transaction=True)
def die(session, row):
    outbox.enqueue(session, "test", "x", "effect", {"of": row.id})
    os.kill(os.getpid(), signal.SIGKILL)
outbox.run(db, outbox.lease(db, "killed", 1)[0])
"""


def test_a_worker_killed_in_the_middle_leaves_nothing_and_its_row_is_done_later(
    committed_db: Database, database_url: str
) -> None:
    outbox.handler("test", "job", in_transaction=True)(leave_effect)
    write(committed_db, "a", "a")
    killed = subprocess.run([sys.executable, "-c", _KILLED, database_url], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert stored(committed_db, "effect") == []
    assert outbox.lease(committed_db, "other", 1) == []
    clock.freeze(datetime.now(UTC) + timedelta(seconds=20))
    try:
        assert drain(committed_db) == ["done", "done"]
    finally:
        clock.freeze(None)
    assert [row.attempts for row in stored(committed_db)] == [2, 1]
    assert len(stored(committed_db, "effect")) == 2


def test_a_row_that_kills_every_worker_is_dead_in_the_end(committed_db: Database, noon: datetime) -> None:
    ran: list[int] = []
    outbox.handler("test", "job", in_transaction=False, max_attempts=3)(lambda _, row: ran.append(row.id))
    write(committed_db, "a")
    for attempt in range(4):
        clock.freeze(noon + attempt * timedelta(seconds=15))
        (row,) = outbox.lease(committed_db, "w", 1)  # and the worker is gone
    assert outbox.run(committed_db, row) == "dead"
    assert ran == []


@pytest.mark.parametrize("error", [outbox.Transient("no paper"), ValueError("no paper")])
@pytest.mark.parametrize("allowed", [1, 3, 12])
def test_a_row_may_say_how_often_it_is_tried(
    committed_db: Database, noon: datetime, allowed: int, error: Exception
) -> None:
    def fail(session: Session, row: outbox.Leased) -> None:
        raise error

    outbox.handler("test", "job", in_transaction=True, max_attempts=lambda _: allowed)(fail)
    write(committed_db, "a")
    results = []
    for hour in range(allowed):
        clock.freeze(noon + timedelta(hours=2 * hour))
        results += drain(committed_db)
    assert results == ["later"] * (allowed - 1) + ["dead"]


def test_busy_data_uses_up_no_try_that_is_the_last(committed_db: Database, noon: datetime) -> None:
    def busy(session: Session, row: outbox.Leased) -> None:
        raise Unavailable("busy")

    outbox.handler("test", "job", in_transaction=True, max_attempts=lambda _: 1)(busy)
    write(committed_db, "a")
    results = []
    for hour in range(3):
        clock.freeze(noon + timedelta(hours=2 * hour))
        results += drain(committed_db)
    assert results == ["later"] * 3


def test_four_threads_have_300_effects_exactly_once_and_in_order(committed_db: Database) -> None:
    outbox.handler("test", "job", in_transaction=True)(leave_effect)
    write(committed_db, *(f"shard {number % 60}" for number in range(300)))
    start = threading.Barrier(4)
    results: list[str] = []

    def work(owner: str) -> None:
        start.wait()
        # another thread may hold all heads for a moment: go on until no row is pending
        while any(row.state == "pending" for row in stored(committed_db)):
            results.extend(drain(committed_db, owner))

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["done"] * 300
    rows = stored(committed_db)
    assert {(row.state, row.attempts) for row in rows} == {("done", 1)}
    effects = stored(committed_db, "effect")
    assert sorted(row.payload for row in effects) == sorted(f'{{"of":{row.id}}}' for row in rows)
    place = {row.payload: row.id for row in effects}
    for key in {row.key for row in rows}:
        shard = [place[f'{{"of":{row.id}}}'] for row in rows if row.key == key]
        assert all(before < after for before, after in pairwise(shard))


def test_an_outside_effect_has_no_transaction_open(committed_db: Database) -> None:
    @outbox.handler("test", "job", in_transaction=False)
    def send(db: Database, row: Leased) -> None:
        with db.unit_of_work() as session:  # on SQLite this would wait for ever behind an open one
            leave_effect(session, row)

    write(committed_db, "a")
    assert drain(committed_db) == ["done"]
    assert len(stored(committed_db, "effect")) == 1


def test_transient_failures_back_off_from_a_second_to_an_hour(committed_db: Database, noon: datetime) -> None:
    @outbox.handler("test", "job", in_transaction=False)
    def fail(_db: Database, _row: Leased) -> None:
        raise outbox.Transient("对方系统无响应")

    write(committed_db, "a", "a")
    delays, now = [], noon
    for _ in range(15):
        clock.freeze(now)
        (row,) = outbox.lease(committed_db, "w", 10)
        assert outbox.run(committed_db, row) == "later"
        due = stored(committed_db)[0].due_at
        clock.freeze(due - timedelta(microseconds=1))
        assert outbox.lease(committed_db, "w", 10) == []
        delays.append((due - now).total_seconds())
        now = due
    for attempt, delay in enumerate(delays):
        assert min(0.8 * 2**attempt, 0.8 * 3600) <= delay <= min(1.2 * 2**attempt, 3600)
    assert len({delay / 2**attempt for attempt, delay in enumerate(delays[:10])}) > 1  # jitter
    assert stored(committed_db)[0].last_error == "对方系统无响应"


def test_the_other_side_may_say_when(committed_db: Database, noon: datetime) -> None:
    @outbox.handler("test", "job", in_transaction=False)
    def fail(_db: Database, _row: Leased) -> None:
        raise outbox.Transient("限流", delay=timedelta(minutes=7))

    write(committed_db, "a")
    assert drain(committed_db) == ["later"]
    assert stored(committed_db)[0].due_at == noon + timedelta(minutes=7)


def test_failed_effects_are_rolled_back_before_the_next_attempt(committed_db: Database, noon: datetime) -> None:
    @outbox.handler("test", "job", in_transaction=True)
    def flaky(session: Session, row: Leased) -> None:
        leave_effect(session, row)
        if row.attempts == 1:
            raise Unavailable("忙")

    write(committed_db, "a")
    assert drain(committed_db) == ["later"]
    assert stored(committed_db, "effect") == []
    clock.freeze(noon + timedelta(seconds=2))
    assert drain(committed_db) == ["done"]
    assert len(stored(committed_db, "effect")) == 1


def test_a_permanent_failure_is_dead_at_once_tells_the_hook_and_frees_its_shard(committed_db: Database) -> None:
    def on_dead(row: Leased, reason: str, session: Session) -> None:
        outbox.declare("test", "incident")
        outbox.enqueue(session, "test", "i", "incident", {"id": row.id, "reason": reason}, due_at=NEVER)

    @outbox.handler("test", "job", in_transaction=True, on_dead=on_dead)
    def refuse(session: Session, row: Leased) -> None:
        leave_effect(session, row)
        if row.payload["n"] == 0:
            raise outbox.Permanent("收件人已离职")

    write(committed_db, "a", "a")
    assert drain(committed_db) == ["dead", "done"]
    dead, done = stored(committed_db)
    assert (dead.state, dead.last_error, done.state) == ("dead", "收件人已离职", "done")
    assert [row.payload for row in stored(committed_db, "incident")] == [f'{{"id":{dead.id},"reason":"收件人已离职"}}']
    assert len(stored(committed_db, "effect")) == 1


def test_a_defect_is_tried_a_few_times_and_says_where_not_what(
    committed_db: Database, noon: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    @outbox.handler("test", "job", in_transaction=True)
    def defect(_session: Session, _row: Leased) -> None:
        raise KeyError("张三 13800000000")

    write(committed_db, "a")
    results = []
    with caplog.at_level(logging.DEBUG):
        for _ in range(handlers.DEFECTIVE):
            clock.freeze(stored(committed_db)[0].due_at)
            results += drain(committed_db)
    assert results == ["later"] * (handlers.DEFECTIVE - 1) + ["dead"]
    (row,) = stored(committed_db)
    assert row.last_error.startswith("KeyError (engine/test_outbox.py:")
    assert f"id={row.id} " in caplog.text
    assert "张三" not in row.last_error + caplog.text


def test_a_defect_in_the_hook_does_not_keep_the_row_alive(committed_db: Database) -> None:
    def on_dead(row: Leased, _reason: str, session: Session) -> None:
        leave_effect(session, row)
        session.execute(text("SELECT no_such_column FROM outbox"))

    @outbox.handler("test", "job", in_transaction=False, on_dead=on_dead)
    def refuse(_db: Database, _row: Leased) -> None:
        raise outbox.Permanent("无效")

    write(committed_db, "a")
    assert drain(committed_db) == ["dead"]
    assert stored(committed_db)[0].state == "dead"
    assert stored(committed_db, "effect") == []


def test_a_topic_of_a_newer_release_waits_before_it_is_dead(committed_db: Database) -> None:
    write(committed_db, "a", topic="unheard")
    assert drain(committed_db) == ["later"]


def test_released_rows_are_as_if_never_taken(committed_db: Database) -> None:
    write(committed_db, "a", "b")
    outbox.release(committed_db, outbox.lease(committed_db, "w1", 8))
    assert [(row.key, row.attempts) for row in outbox.lease(committed_db, "w2", 8)] == [("a", 1), ("b", 1)]


def test_the_same_idem_key_is_written_once(committed_db: Database) -> None:
    write(committed_db, "a", "a", idem_key="order 7")
    write(committed_db, "b", idem_key="order 7")
    write(committed_db, "c", "c")  # without a key there is nothing to compare
    assert [row.key for row in stored(committed_db)] == ["a", "c", "c"]


def test_the_batch_writes_what_enqueue_writes_and_both_nudge_after_the_commit(
    committed_db: Database, noon: datetime
) -> None:
    outbox.declare("test", "job")
    seen: list[int] = []
    committed_db.nudge = lambda: seen.append(len(stored(committed_db)))
    with committed_db.unit_of_work() as session:
        outbox.enqueue(session, "test", "k", "job", {"n": "值"})
    with committed_db.unit_of_work() as session:
        batch = Batch()
        outbox.put(session, batch, [outbox.row("test", "k", "job", {"n": "值"}, noon)])
        batch.run(session)
    with committed_db.unit_of_work() as session:
        outbox.put(session, Batch(), [])
    assert seen == [1, 2]
    first, second = ({k: v for k, v in vars(row).items() if k[0] != "_" and k != "id"} for row in stored(committed_db))
    assert first == second
    assert (first["payload"], first["created_at"], first["state"]) == ('{"n":"值"}', noon, "pending")


def test_topics_must_be_declared_and_handled() -> None:
    with pytest.raises(ValueError, match="test/typo"):
        outbox.row("test", "k", "typo", {}, NOON)
    outbox.declare("test", "job")
    with pytest.raises(RuntimeError, match="test/job"):
        outbox.check()
    outbox.handler("test", "job", in_transaction=True)(leave_effect)
    outbox.check()
    with pytest.raises(RuntimeError, match="two handlers"):
        outbox.handler("test", "job", in_transaction=True)(leave_effect)


def bury(db: Database) -> int:
    @outbox.handler("test", "job", in_transaction=False)
    def refuse(_db: Database, row: Leased) -> None:
        if row.payload["n"] == 0:
            raise outbox.Permanent("无效")

    write(db, "a", "a")
    (row,) = outbox.lease(db, "w", 1)
    assert outbox.run(db, row) == "dead"
    return row.id


def test_a_dead_letter_comes_back_before_the_younger_ones_but_not_beside_one(
    committed_db: Database, noon: datetime
) -> None:
    dead = bury(committed_db)
    (younger,) = outbox.lease(committed_db, "w", 1)
    with committed_db.unit_of_work() as session:
        outbox.requeue(session, Person(frozenset({"process_admin"})), dead)
    assert outbox.lease(committed_db, "w", 8) == []
    assert outbox.run(committed_db, younger) == "done"
    clock.freeze(noon + timedelta(seconds=15))
    assert [(row.id, row.attempts) for row in outbox.lease(committed_db, "w", 8)] == [(dead, 1)]


def test_requeue_is_for_admins_and_for_dead_letters(committed_db: Database) -> None:
    dead = bury(committed_db)
    admin = Person(frozenset({"process_admin"}))
    for stranger in (Person(), Person(frozenset({"system_admin", "auditor", "designer"}))):
        with committed_db.unit_of_work() as session, pytest.raises(Forbidden):
            outbox.requeue(session, stranger, dead)
    with committed_db.unit_of_work() as session, pytest.raises(NotFound):
        outbox.requeue(session, admin, dead + 1000)
    with committed_db.unit_of_work() as session, pytest.raises(Conflict):
        outbox.requeue(session, admin, dead + 1)


def test_depth_counts_by_system(committed_db: Database, noon: datetime) -> None:
    bury(committed_db)
    clock.freeze(noon + timedelta(hours=1))
    write(committed_db, "z")
    outbox.declare("other", "job")
    with committed_db.unit_of_work() as session:
        outbox.enqueue(session, "other", "k", "job", {})
    with committed_db.reading() as session:
        assert outbox.depth(session) == [
            outbox.Depth("other", 1, noon + timedelta(hours=1), 0),
            outbox.Depth("test", 2, noon, 0),
        ]


def test_purge_deletes_old_done_rows_only(committed_db: Database, noon: datetime) -> None:
    bury(committed_db)
    drain(committed_db)
    clock.freeze(noon + timedelta(days=31))
    write(committed_db, "new")
    drain(committed_db)
    assert outbox.purge(committed_db, noon + timedelta(days=1)) == 1
    assert outbox.purge(committed_db, noon + timedelta(days=1)) == 0
    assert [row.state for row in stored(committed_db)] == ["dead", "dead"]  # payload n == 0 is refused


@pytest.mark.backend("sqlite")
def test_leasing_does_not_read_the_rows_that_are_done(committed_db: Database, noon: datetime) -> None:
    write(committed_db, "a")
    seen: list[str] = []
    with committed_db.unit_of_work() as session:
        done = {"system": "test", "key": "k", "topic": "job", "payload": "{}", "state": "done"}
        session.execute(insert(Outbox), [done | {"due_at": noon, "created_at": noon}] * 100)
        raw = session.connection().connection.driver_connection
        assert raw is not None
        raw.set_trace_callback(seen.append)
    outbox.lease(committed_db, "w", 8)
    raw.set_trace_callback(None)
    statement = next(sql for sql in seen if "picked" in sql)
    with committed_db.reading() as session:
        plan = [step.detail for step in session.execute(text("EXPLAIN QUERY PLAN " + statement.replace(":", r"\:")))]
    assert any("ix_outbox_due" in step for step in plan)
    assert any("ix_outbox_shard" in step for step in plan)
    assert not any(step.startswith("SCAN outbox") and "INDEX" not in step for step in plan)
