"""The rate of a channel: exact over threads and processes, waited for, or come again for."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.db import Database
from engine.outbox import Leased
from tests.factories.outbox import NOON, drain, incidents, state, states, wecom_at_noon, write

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _wecom() -> Iterator[None]:
    with wecom_at_noon():
        yield


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was slept, instead of sleeping."""
    naps: list[float] = []
    monkeypatch.setattr("engine.outbox.rate.time.sleep", naps.append)
    return naps


@pytest.mark.parametrize("per_minute", [1, 2, 20, 100])
def test_no_minute_holds_more_calls_than_allowed(committed_db: Database, slept: list[float], per_minute: int) -> None:
    outbox.limit("wecom", per_minute=per_minute)
    moments: list[float] = []
    for number in range(180 * 4):
        now = number * 0.25
        clock.freeze(NOON + now * SECOND)
        while True:
            before = len(slept)
            try:
                outbox.take(committed_db, "wecom")
            except outbox.Transient:
                break
            moments.append(now + sum(slept[before:]))
    windows = [sum(start <= moment < start + 60 for moment in moments) for start in moments]
    assert max(windows) == per_minute
    assert len(moments) >= 2 * per_minute


@pytest.mark.backend("postgresql")
def test_places_taken_ahead_by_several_processes_stay_under_the_rate(
    committed_db: Database, database_url: str, slept: list[float]
) -> None:
    outbox.limit("wecom", per_minute=2400)
    processes = [committed_db, Database(database_url), Database(database_url)]
    moments: list[float] = []
    for number in range(65 * 20):
        now = number * 0.05
        clock.freeze(NOON + now * SECOND)
        busy = [processes[0]] if number < 40 else processes  # one has places that it uses late
        for process in busy:
            before = len(slept)
            try:
                outbox.take(process, "wecom")
            except outbox.Transient:
                continue
            moments.append(now + sum(slept[before:]))
    moments.sort()
    windows, first = [], 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 60:
            first += 1
        windows.append(last - first + 1)
    assert 2300 <= max(windows) <= 2400
    for process in processes[1:]:
        process.dispose()


@pytest.mark.parametrize(("per_minute", "asked"), [(6000, 13), (600, 100)])
def test_much_is_taken_eight_at_a_time_and_for_a_second(
    committed_db: Database, slept: list[float], monkeypatch: pytest.MonkeyPatch, per_minute: int, asked: int
) -> None:
    outbox.limit("wecom", per_minute=per_minute)
    asks: list[object] = []
    kept = committed_db.unit_of_work

    def counted() -> AbstractContextManager[Session]:
        asks.append(0)
        return kept()

    monkeypatch.setattr(committed_db, "unit_of_work", counted)
    for _ in range(100):
        try:
            outbox.take(committed_db, "wecom")
        except outbox.Transient:
            pass
    assert len(asks) == asked
    clock.freeze(NOON + SECOND)
    outbox.take(committed_db, "wecom")
    assert len(asks) == asked + 1  # those that were left are too old


@pytest.mark.usefixtures("slept")
def test_places_are_exact_for_threads_that_ask_together(committed_db: Database) -> None:
    start, had, full = threading.Barrier(6), [], []

    def ask() -> None:
        start.wait()
        for _ in range(30):
            try:
                outbox.take(committed_db, "wecom")
                had.append(1)
            except outbox.Transient as error:
                full.append(error.delay)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 60 at once, and those of the next 2 s, for which one waits: one each 60/541 s
    assert len(had) == 60 + 18
    assert len(full) == 180 - 78


@pytest.mark.usefixtures("slept")
def test_a_row_without_a_place_comes_again_and_no_attempt_is_counted(committed_db: Database) -> None:
    outbox.limit("wecom", per_minute=10)

    @outbox.handler("wecom", "tell", in_transaction=False, max_attempts=2)
    def tell(db: Database, _row: Leased) -> None:
        outbox.take(db, "wecom")

    write(committed_db, *(f"k{number}" for number in range(40)))
    minutes = 0
    while "pending" in states(committed_db):
        drain(committed_db)
        clock.freeze(clock.now() + 5 * SECOND)
        minutes += 1
        assert minutes < 100
    assert set(states(committed_db)) == {"done"}
    assert state(committed_db).failed == 0
    assert incidents(committed_db) == []
    assert clock.now() - NOON >= timedelta(minutes=3)


def test_more_places_than_ever_are_free_at_once_are_a_mistake(committed_db: Database) -> None:
    with pytest.raises(ValueError, match="at most 60"):
        outbox.take(committed_db, "wecom", 61)
