"""Workers that lose nothing: lease, order, newest, transient, permanent, configuration, breaker, pause, dead letters.

Issue 4, "Workers"; design 08, "Outbox".
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from engine import clock, outbox
from engine.db import Database
from engine.outbox.table import Outbox
from tests.factories.outbox import emptied

DB = pytest.mark.backend("sqlite")
BOTH = pytest.mark.backend("sqlite", "postgresql")


class Post:
    """A channel that does what the test says, and remembers."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.sent: list[str] = []
        self.fails: dict[str, Callable[[], Exception]] = {}

    def __call__(self, db: Database, row: outbox.Leased) -> None:
        outbox.take(db, row.system)
        what = str(row.payload["what"])
        if failure := self.fails.get(what) or self.fails.get("*"):
            raise failure()
        self.sent.append(what)

    def write(self, *what: str, key: str = "k", topic: str = "send") -> None:
        for each in what:
            with self.db.unit_of_work() as session:
                outbox.enqueue(session, "post", key, topic, {"what": each})

    def turn(self, rounds: int = 40) -> None:
        """Let a worker do all that is due."""
        for _ in range(rounds):
            rows = outbox.lease(self.db, "worker", 10)
            if not rows:
                return
            for row in rows:
                outbox.run(self.db, row)
        raise AssertionError("it never came to rest")

    def row(self, what: str) -> Any:
        with self.db.reading() as session:
            return session.scalars(select(Outbox).where(Outbox.payload.contains(f'"{what}"'))).one()

    def state(self) -> Any:
        with self.db.reading() as session:
            return next(s for s in outbox.states(session) if s.system == "post")

    def incidents(self) -> list[tuple[str, bool]]:
        with self.db.reading() as session:
            return [(i.kind, i.resolved_at is None) for i in outbox.incidents(session, 20)]


@pytest.fixture
def post(committed_db: Database) -> Iterator[Post]:
    clock.freeze(clock.now())
    with emptied():
        made = Post(committed_db)
        outbox.channel("post", per_minute=6000)
        outbox.declare("post", "send", "tell")
        outbox.handler("post", "send", in_transaction=False)(made)
        outbox.handler("post", "tell", in_transaction=False, newest=True)(made)
        yield made
    clock.freeze(None)


def later(seconds: float) -> None:
    clock.freeze(clock.now() + timedelta(seconds=seconds))


@BOTH
def test_a_row_is_in_one_workers_hands(post: Post) -> None:
    post.write("a", "b")
    post.write("c", key="other")
    first = outbox.lease(post.db, "one", 10)
    assert sorted(r.payload["what"] for r in first) == ["a", "c"], "the oldest of each key"
    assert outbox.lease(post.db, "two", 10) == []


@BOTH
def test_what_a_killed_worker_had_in_hand_comes_back_and_in_order(post: Post) -> None:
    post.write("a", "b")
    [gone] = outbox.lease(post.db, "killed", 10)
    later(14)
    assert outbox.lease(post.db, "two", 10) == []
    later(2)
    post.turn()
    assert post.sent == ["a", "b"]
    assert outbox.run(post.db, gone) == "lost" or post.sent.count("a") <= 2


@DB
def test_one_that_waits_to_be_tried_again_holds_up_its_key_and_no_other(post: Post) -> None:
    post.fails["a"] = lambda: outbox.Transient("busy", delay=timedelta(seconds=30))
    post.write("a", "b")
    post.write("c", key="other")
    post.turn()
    assert post.sent == ["c"]
    post.fails.clear()
    later(31)
    post.turn()
    assert post.sent == ["c", "a", "b"]


@DB
def test_the_newest_state_wins(post: Post) -> None:
    post.write("1", "2", "3", topic="tell")
    post.turn()
    assert post.sent == ["3"]


@DB
def test_transient_backs_off_to_an_hour_and_loses_nothing(post: Post) -> None:
    post.fails["a"] = lambda: outbox.Transient("503")
    post.write("a")
    waits = []
    for _ in range(14):
        post.turn()
        row = post.row("a")
        assert row.state == "pending"
        waits.append((row.due_at - clock.now()).total_seconds())
        assert 0 < waits[-1] <= 3600 * 1.3, waits
        later(waits[-1] + 400)
    post.fails.clear()
    later(4000)
    post.turn()
    assert post.sent == ["a"]


@DB
def test_permanent_is_a_dead_letter_with_its_reason_and_holds_up_nothing(post: Post) -> None:
    post.fails["a"] = lambda: outbox.Permanent("没有这个成员")
    post.write("a", "b")
    post.turn()
    assert post.row("a").state == "dead"
    assert "没有这个成员" in post.row("a").last_error
    assert post.sent == ["b"]
    assert post.incidents() == []


@DB
def test_configuration_pauses_the_channel_with_an_incident_and_keeps_all(post: Post) -> None:
    post.fails["a"] = lambda: outbox.Configuration("密钥不对")
    post.write("a")
    post.write("b", key="other")
    post.turn()
    state = post.state()
    assert state.state == "paused"
    assert "密钥不对" in state.reason
    assert post.incidents() == [("paused", True)]
    later(86400)
    post.turn()
    assert post.row("a").state == "pending"
    assert post.row("b").state in ("pending", "done")
    assert post.row("a").attempts <= 1


@DB
def test_the_breaker_opens_probes_and_drains_with_one_incident(post: Post) -> None:
    """Down for six hours: nothing lost, one incident, drained at once when it is back."""
    post.fails["*"] = lambda: outbox.Transient("no answer")
    for n in range(30):
        post.write(f"m{n}", key=f"k{n}")
    tried = 0
    for n in range(6 * 6):
        before = post.state().failed
        post.turn()
        tried = max(tried, post.state().failed - before) if n else 0
        later(600)
    assert post.state().state == "down"
    assert tried <= 3, "while it is down one row probes"
    assert post.incidents() == [("down", True)]
    post.fails.clear()
    post.turn()
    post.turn()
    assert sorted(post.sent) == sorted(f"m{n}" for n in range(30))
    assert post.incidents() == [("down", False)]
    assert post.state().state == "open"


@DB
def test_an_error_nobody_expected_is_given_up_after_a_few_tries(post: Post) -> None:
    post.fails["a"] = lambda: KeyError("単晓燕 13800000000")
    post.write("a")
    for _ in range(12):
        post.turn()
        later(4000)
    row = post.row("a")
    assert row.state == "dead"
    assert "13800000000" not in (row.last_error or ""), "an error's text may name people"


@DB
def test_a_row_of_one_channel_waits_for_no_other(post: Post) -> None:
    outbox.channel("fax", per_minute=6000)
    outbox.declare("fax", "send")
    faxed: list[int] = []
    outbox.handler("fax", "send", in_transaction=False)(lambda db, row: faxed.append(row.id))
    post.fails["*"] = lambda: outbox.Configuration("密钥不对")
    post.write("a")
    post.turn()
    with post.db.unit_of_work() as session:
        outbox.enqueue(session, "fax", "k", "send", {"what": "f"})
    post.turn()
    assert len(faxed) == 1


@DB
def test_the_rate_of_a_channel_holds_over_all(post: Post) -> None:
    outbox.channel("slow", per_minute=60)
    taken = 0
    while taken <= 60:
        try:
            outbox.take(post.db, "slow")
        except outbox.Transient:
            break
        taken += 1
    assert 1 <= taken <= 60


@DB
def test_the_same_key_is_written_once(post: Post) -> None:
    for _ in range(3):
        with post.db.unit_of_work() as session:
            outbox.enqueue(session, "post", "k", "send", {"what": "a"}, idem_key="once")
    post.turn()
    assert post.sent == ["a"]


@DB
def test_what_was_rolled_back_is_never_sent(post: Post) -> None:
    def crash() -> None:
        with post.db.unit_of_work() as session:
            outbox.enqueue(session, "post", "k", "send", {"what": "a"})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()
    post.turn()
    assert post.sent == []
