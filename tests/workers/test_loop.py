"""The worker: woken by commits and by the clock, stopped in order, never stopped by a row."""

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select, text

from engine import outbox
from engine.db import Database
from engine.outbox import Leased, Outbox
from tests.factories.outbox import emptied
from workers import loop
from workers.loop import Tick, Worker

PATIENCE = 30.0  # seconds until a test gives up


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """An empty registry, so that tests can name their topics as they like."""
    with emptied():
        outbox.declare("test", "job")
        yield


@pytest.fixture
def start(committed_db: Database) -> Iterator[Callable[..., Worker]]:
    """Start workers that are stopped after the test."""
    workers: list[Worker] = []

    def start(*ticks: Tick, threads: int = 2) -> Worker:
        workers.append(Worker(committed_db, ticks, threads=threads))
        workers[-1].start()
        return workers[-1]

    yield start
    for worker in workers:
        assert worker.stop(PATIENCE)


@pytest.fixture
def no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the sweep only a nudge wakes a thread."""
    monkeypatch.setattr(loop, "SWEEP", 3600.0)


def write(db: Database, *keys: str) -> None:
    with db.unit_of_work() as session:
        for number, key in enumerate(keys):
            outbox.enqueue(session, "test", key, "job", {"n": number})


def stored(db: Database) -> list[Outbox]:
    with db.reading() as session:
        return list(session.scalars(select(Outbox).order_by(Outbox.id)))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def states(db: Database) -> list[str]:
    return [row.state for row in stored(db)]


@pytest.mark.usefixtures("no_sweep")
def test_a_commit_wakes_the_worker(committed_db: Database, start: Callable[..., Worker]) -> None:
    outbox.handler("test", "job", in_transaction=True)(lambda *_: None)
    start()
    for number in range(1, 4):
        write(committed_db, "a", "b")
        until(lambda number=number: states(committed_db) == ["done"] * 2 * number)  # type: ignore[misc]


@pytest.mark.usefixtures("no_sweep")
def test_what_was_written_before_the_start_is_found(committed_db: Database, start: Callable[..., Worker]) -> None:
    outbox.handler("test", "job", in_transaction=True)(lambda *_: None)
    write(committed_db, *(f"k{number}" for number in range(20)))
    start()
    until(lambda: states(committed_db) == ["done"] * 20)


def test_the_sweep_finds_what_a_lost_nudge_left(
    committed_db: Database, start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SWEEP", 0.05)
    outbox.handler("test", "job", in_transaction=True)(lambda *_: None)
    start()
    committed_db.nudge = lambda: None  # as where another process has written
    write(committed_db, "a")
    until(lambda: states(committed_db) == ["done"])


@pytest.mark.usefixtures("no_sweep")
def test_a_nudge_wakes_one_thread_of_each_lane(
    committed_db: Database, start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[str, str]] = []
    lease = outbox.lease

    def counted(db: Database, owner: str, limit: int, of: str) -> list[Leased]:
        looks.append((of, owner))
        return lease(db, owner, limit, of)

    monkeypatch.setattr(outbox, "lease", counted)
    outbox.channel("far", per_minute=600, threads=4)
    worker = start(threads=3)
    until(lambda: len(looks) == 7)  # each when it starts
    looks.clear()
    worker.nudge()
    until(lambda: len(looks) == 2)
    outbox.handler("test", "job", in_transaction=True)(lambda *_: None)
    write(committed_db, "a")
    until(lambda: states(committed_db) == ["done"])
    until(lambda: len(looks) == 5)  # the row, what may follow it, and the channel in vain
    assert sorted({of for of, _ in looks}) == ["", "far"]


def test_what_may_lag_is_found_without_a_nudge_and_nothing_waits_for_it(
    committed_db: Database, start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SWEEP", 0.05)
    order: list[str] = []
    outbox.channel("far", per_minute=600, threads=1)
    outbox.handler("far", "figures", in_transaction=False, aside=True)(lambda _, row: order.append(row.key))
    outbox.handler("far", "message", in_transaction=False)(lambda _, row: order.append(row.key))
    with committed_db.unit_of_work() as session:
        for topic, keys in (("figures", "ABCDE"), ("message", "abcde")):
            for key in keys:
                outbox.enqueue(session, "far", key, topic, {})
    worker = start()
    until(lambda: states(committed_db) == ["done"] * 10)
    assert sorted(order) == [*"ABCDEabcde"]
    assert order.index("e") < order.index("E")
    worker.stop()
    with committed_db.reading() as session:
        assert [state.sent for state in outbox.states(session)] == [10]


def test_a_poisoned_row_blocks_no_other_shard(committed_db: Database, start: Callable[..., Worker]) -> None:
    @outbox.handler("test", "job", in_transaction=True)
    def poisoned(_session: object, row: Leased) -> None:
        if row.key == "bad":
            raise ValueError

    write(committed_db, "bad", "bad", "a", "b", "a")
    start(threads=1)
    until(lambda: states(committed_db).count("done") == 3)
    assert [row.state for row in stored(committed_db) if row.key == "bad"] == ["pending"] * 2


def test_a_slow_row_leaves_the_other_thread_to_the_rest(committed_db: Database, start: Callable[..., Worker]) -> None:
    begun, free = threading.Event(), threading.Event()

    @outbox.handler("test", "job", in_transaction=False)
    def slow(_db: Database, row: Leased) -> None:
        if row.key == "slow":
            begun.set()
            assert free.wait(PATIENCE)

    start()
    write(committed_db, "slow", "slow")
    assert begun.wait(PATIENCE)
    write(committed_db, "a", "b", "a")
    until(lambda: states(committed_db) == ["pending", "pending", "done", "done", "done"])
    free.set()
    until(lambda: states(committed_db) == ["done"] * 5)


def test_stopping_finishes_the_row_at_work_and_gives_the_others_back(committed_db: Database) -> None:
    begun, free = threading.Event(), threading.Event()

    @outbox.handler("test", "job", in_transaction=False)
    def slow(_db: Database, _row: Leased) -> None:
        begun.set()
        assert free.wait(PATIENCE)

    write(committed_db, *(f"k{number}" for number in range(5)))
    worker = Worker(committed_db, [], threads=1)
    worker.start()
    assert begun.wait(PATIENCE)
    assert not worker.stop(0.05)  # the handler is still at it
    free.set()
    assert worker.stop(PATIENCE)
    rows = stored(committed_db)
    assert [(row.state, row.attempts) for row in rows] == [("done", 1)] + [("pending", 0)] * 4
    assert {row.lease_until for row in rows} == {None}


def test_a_stopped_worker_takes_nothing_more(committed_db: Database) -> None:
    worker = Worker(committed_db, [Tick("idle", 3600, lambda _: False)])
    worker.start()
    assert worker.stop(PATIENCE)
    write(committed_db, "a")
    assert [(row.state, row.attempts) for row in stored(committed_db)] == [("pending", 0)]


def test_the_worker_outlives_the_database(
    committed_db: Database,
    start: Callable[..., Worker],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(loop, "SWEEP", 0.05)
    outbox.handler("test", "job", in_transaction=True)(lambda *_: None)
    with committed_db.unit_of_work() as session:
        session.execute(text("ALTER TABLE outbox RENAME TO gone"))
    with caplog.at_level(logging.ERROR):
        start()
        until(lambda: "worker failed" in caplog.text)
    with committed_db.unit_of_work() as session:
        session.execute(text("ALTER TABLE gone RENAME TO outbox"))
    write(committed_db, "a")
    until(lambda: states(committed_db) == ["done"])
    assert "SELECT" not in caplog.text  # neither statements nor their parameters


def test_ticks_run_again_at_once_while_more_is_waiting(committed_db: Database, start: Callable[..., Worker]) -> None:
    left = [3, 2, 1]
    ran = threading.Event()

    def some(_db: Database) -> bool:
        if left:
            left.pop()
            return True
        ran.set()
        return False

    start(Tick("some", 3600, some))
    assert ran.wait(PATIENCE)


def test_a_tick_that_fails_stops_neither_itself_nor_the_others(
    committed_db: Database, start: Callable[..., Worker], caplog: pytest.LogCaptureFixture
) -> None:
    counts = {"failing": 0, "good": 0}

    def failing(_db: Database) -> bool:
        counts["failing"] += 1
        raise ValueError("张三")

    def good(_db: Database) -> bool:
        counts["good"] += 1
        return False

    start(Tick("failing", 0.01, failing), Tick("good", 0.01, good))
    until(lambda: min(counts.values()) >= 3)
    assert "name=failing error=ValueError" in caplog.text
    assert "张三" not in caplog.text


@pytest.mark.backend("postgresql")
def test_only_the_leader_runs_what_is_the_leaders(committed_db: Database, start: Callable[..., Worker]) -> None:
    ran: list[str] = []
    alive: list[str] = []

    def ticks(name: str) -> list[Tick]:
        def lead(_db: Database) -> bool:
            ran.append(name)
            return False

        def live(_db: Database) -> bool:
            alive.append(name)
            return False

        return [Tick("lead", 0.01, lead, leader_only=True), Tick("live", 0.01, live)]

    first = start(*ticks("first"))
    until(lambda: "first" in ran)
    start(*ticks("second"))
    until(lambda: alive.count("second") >= 3)
    assert set(ran) == {"first"}
    assert first.stop(PATIENCE)
    until(lambda: "second" in ran)
