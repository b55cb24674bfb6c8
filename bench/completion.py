"""The cost of completing a work item that decides its step, through the command and on PostgreSQL.

`completion.latency_ratio`: a head of department agrees to a leave of five days (`processes/leave_request`, the demo
hospital's data), which opens the review of the staff office, as the API does it: `commands.complete` in
`db.unit_of_work()`, with an idempotency key. Measured against one prepared statement in autocommit that writes the
same rows of the same sizes into the same tables (`_bare.py`); both in turn, A B B A, medians.

`completion.wal_ratio`: the log that both write, without full-page images (`_hospital.Wal` says why), in turn too.

`completion.growth_5000`: the median of 200 completions of an instance that has gone 5,000 rounds of a loop (agree, then
refuse, which leads back), over the median of 200 in the first rounds of another one, both in turn. The 5,000 rounds are
driven without waiting for the disk.

`--profile` prints where the time goes.
"""

import argparse
import cProfile
import pstats
import time
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any

from sqlalchemy import text

from bench._bare import Bare
from bench._hospital import AUDIT_KEY, Hospital, Wal, Work, hospital, in_turn, report
from bench._wire import counted
from engine.bpm import commands
from engine.db import Database
from engine.org.actor import Actor
from tests.dsl import bpmn, chain, flow, start_task, task

WARM_UP, TURNS, WAL_TURNS = 40, 250, 100
ROUNDS, SAMPLE = 5_000, 200
OPINION = "同意，注意休息，请与同组护士做好交接。"

LOOP = bpmn(
    '<startEvent id="s"/><endEvent id="e"/><exclusiveGateway id="back"/>'
    '<exclusiveGateway id="agreed" default="agreed_back"/>'
    + start_task()
    + task("review", "head_nurse")
    + task("confirm", "pediatrics_head")
    + chain("s", "apply", "back", "review", "confirm", "agreed", "back")
    + flow("agreed", "e", 'outcome = "approve"'),
    key="loop",
    extension='<piyue:process title="=initiator.name + &quot;的申请&quot;" category="行政"/>',
)


def complete(db: Database, actor: Actor, item: uuid.UUID, outcome: str = "approve") -> None:
    """Complete an item as the API does."""
    with db.unit_of_work() as session:
        done = commands.complete(session, actor, item, outcome, opinion=OPINION, key=str(item))
    if not done.decided:
        raise SystemExit("the completion did not decide its step")


class Leaves:
    """Requests for five days of leave, each with one item of the head's that is open."""

    def __init__(self, at: Hospital) -> None:
        self._at = at
        self._nurse = at.actor("doctor")
        self.head = at.actor("pediatrics_head")
        first = datetime.now(UTC).date() + timedelta(days=30)
        self._data = {
            "leave_type": "事假",
            "start_date": first.isoformat(),
            "end_date": (first + timedelta(days=4)).isoformat(),
            "reason": "家中有事，需回老家处理。",
        }

    def started(self, count: int) -> list[uuid.UUID]:
        """Start some and return the head's items."""
        instances = [self._at.start(self._nurse, "leave_request", self._data) for _ in range(count)]
        with self._at.connect() as connection:
            rows = connection.execute(
                "SELECT id FROM work_item WHERE instance_id = ANY(%s) AND state = 'open' AND assignee_id = %s",
                [instances, self.head.person_id],
            ).fetchall()
        if len(rows) != count:
            raise SystemExit("the head has not got every request")
        return [row[0] for row in rows]


def work(at: Hospital, leaves: Leaves, bare: Bare, count: int) -> tuple[list[Work], ...]:
    """Return `count` completions by the command and as many by the bare statement."""
    ours: list[Work] = [partial(complete, at.db, leaves.head, item) for item in leaves.started(count)]
    theirs: list[Work] = [partial(bare.write, bare.prepared(item)) for item in leaves.started(count)]
    return ours, theirs


def ratios(at: Hospital) -> None:
    """Measure the command against the bare statement."""
    leaves = Leaves(at)
    (model,) = leaves.started(1)
    complete(at.db, leaves.head, model)
    with at.connect() as connection:
        bare = Bare(connection, model)
        ours, theirs = work(at, leaves, bare, WARM_UP + TURNS)
        at.settle()
        began = time.process_time()
        first, second = in_turn(WARM_UP, TURNS, ours.__getitem__, theirs.__getitem__)
        cpu = (time.process_time() - began) / (WARM_UP + TURNS) * 1000
        with Wal(at) as wal:
            ours, theirs = work(at, leaves, bare, WARM_UP + WAL_TURNS)
            sums = [0, 0]
            for turn, pair in enumerate(zip(ours, theirs, strict=True)):
                for side in (0, 1):
                    written = wal.of(pair[side])
                    sums[side] += written if turn >= WARM_UP else 0
        with counted(at.url) as (url, count):
            seen = Database(url, audit_key=AUDIT_KEY)
            for turn, item in enumerate(leaves.started(10)):
                if turn == 5:  # by then everything is prepared and cached
                    count.clear()
                complete(seen, leaves.head, item)
            seen.dispose()
        report("completion.round_trips", count["round trips"] / 5, "per completion")
        report("completion.statements", count["statements"] / 5, "per completion")
    report("completion.bare_ms", median(second), "ms")
    report("completion.command_ms", median(first), "ms")
    report("completion.cpu_ms", cpu, "ms of the client for both")
    report("completion.bare_wal", sums[1] / WAL_TURNS, "B")
    report("completion.command_wal", sums[0] / WAL_TURNS, "B")
    report("completion.latency_ratio", median(first) / median(second), "ratio")
    report("completion.wal_ratio", sums[0] / sums[1], "ratio")


def growth(at: Hospital) -> None:
    """Measure a completion in the first rounds of a loop and, in turn with it, after 5,000."""
    at.deploy_files(LOOP)
    old = Loop(at)
    old.drive(2 * ROUNDS)
    young = Loop(at)
    at.settle()
    later, first = in_turn(WARM_UP, SAMPLE, lambda _: old.next(at.db), lambda _: young.next(at.db))
    report("completion.first_rounds_ms", median(first), "ms")
    report("completion.after_5000_ms", median(later), "ms")
    report("completion.growth_5000", median(later) / median(first), "ratio")


class Loop:
    """One instance that goes round: the head nurse agrees, the head of the department refuses."""

    def __init__(self, at: Hospital) -> None:
        self._at = at
        self._turns = ((at.actor("head_nurse"), "approve"), (at.actor("pediatrics_head"), "reject"))
        self._instance = at.start(at.actor("nurse"), "loop", {})
        self._done = 0
        self._connection = at.connect()

    def next(self, db: Database) -> Work:
        """Return the completion of the item that is open."""
        actor, outcome = self._turns[self._done % 2]
        row = self._connection.execute(
            "SELECT id FROM work_item WHERE instance_id = %s AND assignee_id = %s AND state = 'open' "
            "AND kind <> 'read'",
            [self._instance, actor.person_id],
        ).fetchone()
        assert row is not None
        self._done += 1
        return partial(complete, db, actor, row[0], outcome)

    def drive(self, count: int) -> None:
        """Complete the next items without waiting for the disk."""
        with self._at.connect() as connection:
            connection.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
        fast = Database(self._at.url, audit_key=AUDIT_KEY)
        for _ in range(count):
            self.next(fast)()
        fast.dispose()
        with self._at.connect() as connection:
            connection.execute("ALTER ROLE CURRENT_USER RESET synchronous_commit")


def profile(at: Hospital) -> None:
    """Print where the time of a completion goes, in the order of the time spent in a function itself and below it."""
    leaves = Leaves(at)
    items = leaves.started(WARM_UP + TURNS)
    for item in items[:WARM_UP]:
        complete(at.db, leaves.head, item)
    profiler = cProfile.Profile()
    with at.db.unit_of_work() as session:
        session.execute(text("SELECT 1"))
    profiler.enable()
    for item in items[WARM_UP:]:
        complete(at.db, leaves.head, item)
    profiler.disable()
    stats: Any = pstats.Stats(profiler)
    print(f"{TURNS} completions")
    stats.sort_stats("tottime").print_stats(45)
    stats.sort_stats("cumulative").print_stats(90)


def main() -> None:
    """Measure and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--profile", action="store_true", help="print where the time goes instead of the figures")
    options = arguments.parse_args()
    with hospital("leave_request") as at:
        if options.profile:
            profile(at)
        else:
            ratios(at)
            growth(at)


if __name__ == "__main__":
    main()
