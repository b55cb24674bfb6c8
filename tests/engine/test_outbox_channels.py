"""Channels: lanes of their own, the newest wins, the breaker, the pause."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from engine import clock, outbox
from engine.db import Database
from engine.outbox import ChannelIncident, Leased, Outbox
from engine.outbox.breaker import LONGEST_PAUSE
from tests.factories.outbox import NOON, drain, incidents, state, states, stored, wecom_at_noon, write

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _wecom() -> Iterator[None]:
    with wecom_at_noon():
        yield


class Side:
    """The other side: it answers, or fails in some way."""

    def __init__(self) -> None:
        self.error: Callable[[], Exception] | None = None
        self.got: list[int] = []

    def tell(self, db: Database, row: Leased) -> None:
        outbox.take(db, row.system)
        if self.error is not None:
            raise self.error()
        self.got.append(row.payload["n"])


@pytest.fixture
def side() -> Side:
    """The other side, behind the topic wecom/tell."""
    found = Side()
    outbox.handler("wecom", "tell", in_transaction=False)(found.tell)
    return found


def away() -> Exception:
    return outbox.Transient("对方没有回答")


def break_it(db: Database, side: Side) -> None:
    """Let five rows fail in a row."""
    side.error = away
    write(db, *"abcde")
    assert drain(db) == ["later"] * 5


def test_each_lane_gives_its_own_rows_and_no_lane_gives_all(committed_db: Database) -> None:
    outbox.declare("notice", "items")
    write(committed_db, "a", "b")
    write(committed_db, "c", system="notice", topic="items")
    assert outbox.lanes() == {"wecom": 2}
    assert [row.key for row in outbox.lease(committed_db, "w", 8, outbox.INSIDE)] == ["c"]
    assert [row.key for row in outbox.lease(committed_db, "w", 8, "wecom")] == ["a", "b"]
    clock.freeze(NOON + MINUTE)
    assert {row.key for row in outbox.lease(committed_db, "w", 8)} == {"a", "b", "c"}


def test_what_a_channel_does_in_a_transaction_is_inside(committed_db: Database, side: Side) -> None:
    outbox.handler("wecom", "callback", in_transaction=True)(lambda *_: None)
    break_it(committed_db, side)
    write(committed_db, "click", topic="callback")
    assert [row.key for row in outbox.lease(committed_db, "w", 8, outbox.INSIDE)] == ["click"]


def test_only_the_newest_of_a_shard_runs_and_other_topics_keep_their_place(committed_db: Database) -> None:
    ran: list[tuple[str, int]] = []
    outbox.handler("wecom", "tell", in_transaction=False, newest=True)(
        lambda _, row: ran.append((row.key, row.payload["n"]))
    )
    outbox.handler("wecom", "file", in_transaction=False)(lambda _, row: ran.append(("file", row.payload["n"])))
    write(committed_db, "a", "a", "b", "a")
    write(committed_db, "a", topic="file")
    write(committed_db, "a")
    assert set(drain(committed_db)) == {"done"}
    assert sorted(ran) == [("a", 0), ("b", 2), ("file", 0)]
    assert ran.index(("file", 0)) < ran.index(("a", 0))
    rows = stored(committed_db)
    assert {row.state for row in rows} == {"done"}
    assert [row.last_error for row in rows] == ["superseded", "superseded", "", "superseded", "", ""]
    assert state(committed_db).sent == 3


def test_a_younger_row_that_is_not_due_makes_no_other_wait(committed_db: Database) -> None:
    ran: list[int] = []
    outbox.handler("wecom", "tell", in_transaction=False, newest=True)(lambda _, row: ran.append(row.payload["n"]))
    write(committed_db, "a")
    with committed_db.unit_of_work() as session:
        outbox.enqueue(session, "wecom", "a", "tell", {"n": 1}, due_at=NOON + MINUTE)
    assert drain(committed_db) == ["done"]
    assert ran == [0]


def test_what_is_done_in_passing_takes_no_place_of_what_is_leased(committed_db: Database) -> None:
    outbox.handler("wecom", "tell", in_transaction=False, newest=True)(lambda *_: None)
    write(committed_db, *"aaa", *"bbb", "c", "d")
    rows = outbox.lease(committed_db, "w1", 3, "wecom")
    assert [(row.key, row.payload["n"], row.attempts) for row in rows] == [("a", 2, 1), ("b", 5, 1), ("c", 6, 1)]
    assert states(committed_db) == ["done", "done", "pending", "done", "done", "pending", "pending", "pending"]
    assert [row.key for row in outbox.lease(committed_db, "w2", 3, "wecom")] == ["d"]


def test_four_threads_lose_no_newest_row(committed_db: Database) -> None:
    shown: dict[str, int] = {}
    clock.freeze(None)

    @outbox.handler("wecom", "tell", in_transaction=False, newest=True)
    def tell(_db: Database, row: Leased) -> None:
        shown[row.key] = row.payload["n"]

    writing, broken = threading.Event(), []

    def work(owner: str) -> None:
        try:
            while not writing.is_set() or "pending" in states(committed_db):
                for row in outbox.lease(committed_db, owner, 3, "wecom"):
                    assert outbox.run(committed_db, row) == "done"
        except Exception as error:
            broken.append(error)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        write(committed_db, *(f"k{number % 5}" for number in range(15)))
    writing.set()
    for thread in threads:
        thread.join()
    assert broken == []
    assert set(states(committed_db)) == {"done"}
    assert shown == {f"k{number}": number + 10 for number in range(5)}


def test_what_may_lag_has_a_lane_of_its_own_in_the_one_channel(committed_db: Database, side: Side) -> None:
    outbox.handler("wecom", "board", in_transaction=False, aside=True)(side.tell)
    write(committed_db, "figures", topic="board")
    write(committed_db, "a")
    assert outbox.lanes() == {"wecom": 2, "wecom.aside": 1}
    for lane, key in (("wecom", "a"), ("wecom.aside", "figures")):
        (row,) = outbox.lease(committed_db, "w", 8, lane)
        assert row.key == key
        assert outbox.run(committed_db, row) == "done"
    break_it(committed_db, side)
    write(committed_db, "figures", topic="board")
    assert outbox.lease(committed_db, "w", 8, "wecom.aside") == []  # the breaker is that of the channel
    with committed_db.reading() as session:
        (found,) = outbox.states(session)
    assert (found.state, found.pending, found.failed) == ("down", 6, 5)
    side.error = None
    until = state(committed_db).open_until
    assert until is not None
    clock.freeze(until)
    (probe,) = outbox.lease(committed_db, "w", 8, "wecom.aside")
    assert outbox.run(committed_db, probe) == "done"
    assert set(drain(committed_db)) == {"done"}  # an answer to either brings the rows of both back
    assert states(committed_db) == ["done"] * 8
    assert incidents(committed_db) == [("down", "对方没有回答", True)]


def test_what_is_sent_is_counted_with_the_next_lease_or_at_the_end(committed_db: Database, side: Side) -> None:
    write(committed_db, *"abc")
    rows = outbox.lease(committed_db, "w", 8, "wecom")
    assert [outbox.run(committed_db, row) for row in rows] == ["done"] * 3
    assert state(committed_db).sent == 0
    outbox.write_sent(committed_db)
    outbox.write_sent(committed_db)
    assert state(committed_db).sent == 3


def test_the_first_answer_in_a_process_ends_a_row_of_failures(committed_db: Database, side: Side) -> None:
    write(committed_db, *"abcdefghi")
    rows = outbox.lease(committed_db, "w", 9, "wecom")
    for position, row in enumerate(rows):
        side.error = None if position == 4 else away
        outbox.run(committed_db, row)
    assert (state(committed_db).failures, state(committed_db).failed) == (4, 8)
    assert incidents(committed_db) == []


def test_a_row_that_asks_nothing_of_the_other_side_says_nothing_of_it(committed_db: Database, side: Side) -> None:
    outbox.handler("wecom", "board", in_transaction=False)(lambda *_: None)
    side.error = away
    write(committed_db, *"abcd")
    assert drain(committed_db) == ["later"] * 4
    write(committed_db, "quiet", topic="board")
    write(committed_db, "e")
    assert sorted(drain(committed_db)) == ["done", "later"]  # the fifth failure in a row, for all that
    assert incidents(committed_db) == [("down", "对方没有回答", False)]
    write(committed_db, "quiet", topic="board")
    clock.freeze(state(committed_db).open_until or NOON)
    found = drain(committed_db)  # whatever probes first: only what asks is an answer
    assert "done" in found
    assert incidents(committed_db) == [("down", "对方没有回答", False)]
    assert (state(committed_db).open_until or NOON) > clock.now()
    side.error = None
    clock.freeze(state(committed_db).open_until or NOON)
    assert set(drain(committed_db)) == {"done"}
    assert incidents(committed_db) == [("down", "对方没有回答", True)]


def test_a_handler_with_more_to_do_goes_on_at_once_and_uses_up_no_attempt(committed_db: Database) -> None:
    parts = iter(range(100))

    @outbox.handler("wecom", "tell", in_transaction=False, max_attempts=3)
    def tell(_db: Database, _row: Leased) -> None:
        if next(parts) < 60:
            raise outbox.Again

    write(committed_db, "a")
    assert drain(committed_db) == ["later"] * 60 + ["done"]
    assert [row.attempts for row in stored(committed_db)] == [1]


def test_a_long_handler_renews_its_lease_and_one_that_came_late_is_told(committed_db: Database) -> None:
    def advance(seconds: int) -> None:
        clock.freeze(clock.now() + seconds * SECOND)

    @outbox.handler("wecom", "tell", in_transaction=False)
    def tell(db: Database, row: Leased) -> None:
        advance(14)
        outbox.renew(db, row)
        advance(14)
        assert outbox.lease(db, "other", 8) == []
        advance(2)
        assert [row.key for row in outbox.lease(db, "other", 8)] == ["a"]
        outbox.renew(db, row)
        raise AssertionError("it went on with a row that another worker has")

    write(committed_db, "a")
    (row,) = outbox.lease(committed_db, "w", 8)
    assert outbox.run(committed_db, row) == "lost"


def test_wrong_settings_pause_the_channel_with_one_incident_and_cost_no_attempt(
    committed_db: Database, side: Side
) -> None:
    side.error = lambda: outbox.Configuration("应用密钥不正确")
    write(committed_db, "a", "b", "c")
    assert drain(committed_db) == ["later"] * 3  # those leased together
    assert drain(committed_db) == []
    assert [(row.state, row.attempts, row.last_error) for row in stored(committed_db)] == [
        ("pending", 0, "应用密钥不正确")
    ] * 3
    assert incidents(committed_db) == [("paused", "应用密钥不正确", False)]
    clock.freeze(NOON + timedelta(days=3))
    assert drain(committed_db) == []


def test_failures_in_a_row_open_the_breaker_with_one_incident(committed_db: Database, side: Side) -> None:
    break_it(committed_db, side)
    assert drain(committed_db) == []
    write(committed_db, "x")
    assert drain(committed_db) == []
    assert incidents(committed_db) == [("down", "对方没有回答", False)]
    assert (state(committed_db).failures, state(committed_db).failed) == (5, 5)


def test_a_success_between_keeps_it_closed(committed_db: Database, side: Side) -> None:
    for _ in range(3):
        side.error = away
        write(committed_db, *"abcd")
        for row in outbox.lease(committed_db, "w", 4):
            outbox.run(committed_db, row)
        side.error = None
        clock.freeze(clock.now() + timedelta(hours=1))
        drain(committed_db)
    assert incidents(committed_db) == []
    assert set(states(committed_db)) == {"done"}


def test_other_lanes_go_on_while_one_is_down(committed_db: Database, side: Side) -> None:
    outbox.handler("notice", "items", in_transaction=True)(lambda *_: None)
    break_it(committed_db, side)
    write(committed_db, "a", system="notice", topic="items")
    assert drain(committed_db) == ["done"]


def test_an_open_breaker_lets_one_row_probe_and_waits_longer_each_time(committed_db: Database, side: Side) -> None:
    break_it(committed_db, side)
    pauses: list[timedelta] = []
    for _ in range(12):
        until = state(committed_db).open_until
        assert until is not None
        pauses.append(until - clock.now())
        clock.freeze(until - timedelta(microseconds=1))
        assert outbox.lease(committed_db, "w", 8, "wecom") == []
        clock.freeze(until)
        (probe,) = outbox.lease(committed_db, "w1", 8, "wecom")
        assert outbox.lease(committed_db, "w2", 8, "wecom") == []  # one probes
        assert outbox.run(committed_db, probe) == "later"
    for number, pause in enumerate(pauses):
        assert min(4.0 * 2**number, 240) <= pause.total_seconds() <= min(6.0 * 2**number, 300)
    assert incidents(committed_db) == [("down", "对方没有回答", False)]
    assert max(row.attempts for row in stored(committed_db)) <= 1


def test_the_turn_to_probe_comes_back_from_a_worker_that_was_killed(committed_db: Database, side: Side) -> None:
    break_it(committed_db, side)
    clock.freeze(NOON + MINUTE)
    assert len(outbox.lease(committed_db, "killed", 8, "wecom")) == 1
    clock.freeze(NOON + MINUTE + 14 * SECOND)
    assert outbox.lease(committed_db, "w", 8, "wecom") == []
    clock.freeze(NOON + MINUTE + 15 * SECOND)
    assert len(outbox.lease(committed_db, "w", 8, "wecom")) == 1


def test_a_down_channel_without_rows_keeps_its_turn_for_the_next_one(committed_db: Database, side: Side) -> None:
    break_it(committed_db, side)
    side.error = lambda: outbox.Permanent("收件人已离职")
    with committed_db.unit_of_work() as session:
        for row in session.scalars(select(Outbox)):
            row.state = "done"
    clock.freeze(NOON + MINUTE)
    assert outbox.lease(committed_db, "w", 8, "wecom") == []
    write(committed_db, "x")
    assert drain(committed_db) == ["dead"]
    assert incidents(committed_db) == [("down", "对方没有回答", True)]  # a refusal is an answer


def test_six_hours_of_outage_lose_nothing_raise_one_incident_and_drain_at_once(
    committed_db: Database, side: Side
) -> None:
    outbox.limit("wecom", per_minute=100_000)
    side.error = away
    written = 0
    while clock.now() < NOON + timedelta(hours=6):
        write(committed_db, f"k{written}", f"k{written + 1}")
        written += 2
        drain(committed_db)
        clock.freeze(clock.now() + 2 * MINUTE)
    assert states(committed_db) == ["pending"] * written
    assert max(row.attempts for row in stored(committed_db)) <= 5
    side.error = None
    clock.freeze(clock.now() + LONGEST_PAUSE)  # the next probe is no further away
    assert drain(committed_db) == ["done"] * written  # with no more waiting
    assert len(side.got) == written
    assert incidents(committed_db) == [("down", "对方没有回答", True)]
    with committed_db.reading() as session:
        assert session.scalars(select(ChannelIncident.resolved_by)).all() == [None]


def test_rows_that_were_to_wait_anyway_still_do_when_the_channel_is_back(committed_db: Database, side: Side) -> None:
    break_it(committed_db, side)
    with committed_db.unit_of_work() as session:
        outbox.enqueue(session, "wecom", "later", "tell", {"n": 9}, due_at=NOON + timedelta(hours=1))
    side.error = None
    clock.freeze(NOON + MINUTE)
    assert drain(committed_db) == ["done"] * 5
    assert states(committed_db) == ["done"] * 5 + ["pending"]


def test_being_told_when_to_come_again_is_no_outage(committed_db: Database, side: Side) -> None:
    side.error = lambda: outbox.Transient("限流", delay=MINUTE)
    write(committed_db, *"abcdefg")
    assert drain(committed_db) == ["later"] * 7
    assert incidents(committed_db) == []
    assert {row.due_at for row in stored(committed_db)} == {NOON + MINUTE}


def test_four_threads_fail_and_recover_without_deadlocks(committed_db: Database, side: Side) -> None:
    write(committed_db, *(f"k{number}" for number in range(80)))
    side.error = away
    clock.freeze(None)
    start = threading.Barrier(4)
    broken: list[Exception] = []

    def work(owner: str) -> None:
        start.wait()
        try:
            for _ in range(8):
                for row in outbox.lease(committed_db, owner, 4, "wecom"):
                    outbox.run(committed_db, row)
            side.error = None
            with committed_db.unit_of_work() as session:
                outbox.channels.locked(session, "wecom").open_until = clock.now()
            while "pending" in states(committed_db):
                for row in outbox.lease(committed_db, owner, 4, "wecom"):
                    outbox.run(committed_db, row)
        except Exception as error:
            broken.append(error)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    assert states(committed_db) == ["done"] * 80
    assert len(side.got) == 80
    assert [kind for kind, _, resolved in incidents(committed_db) if resolved] == ["down"]


def test_two_channels_of_one_name_are_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="two channels wecom"):
        outbox.channel("wecom", per_minute=1)
