"""The cost of reading: one of 500 readers acknowledges, and a step is opened for 500 readers, on PostgreSQL.

`reading.ack_ratio`: `commands.acknowledge` in `db.unit_of_work()` with an idempotency key, as the API does it, against
one prepared statement in autocommit that writes the same rows of the same sizes (one UPDATE, one INSERT into the
trail); both in turn, A B B A, on readers of the same round, medians. The log of both is counted in turn too, without
full-page images (`_hospital.Wal` says why).

`reading.open_500_ms`: the median time of a completion that leads to a step with 500 readers: the whole command.
"""

import secrets
import uuid
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any

import psycopg

from bench._hospital import AUDIT_KEY, Hospital, Wal, Work, hospital, in_turn, milliseconds, report
from bench._wire import counted
from engine.bpm import commands
from engine.db import Database
from engine.org.actor import Actor
from tests.dsl import bpmn, chain, start_task, task

READERS, OPENINGS, WARM_UP = 500, 12, 40
BARE = """
WITH acknowledged AS (
  UPDATE work_item SET state = 'done', outcome = 'acknowledge', opinion = '', closed_at = %(at)s,
    read_at = COALESCE(read_at, %(at)s)
  WHERE id = %(item)s AND state = 'open' AND kind = 'read'
)
INSERT INTO action_log (instance_id, round_id, item_id, step, step_name, actor_id, verb, outcome, opinion, at, path,
  detail, idem_key, mac)
VALUES (%(instance)s, %(round)s, %(item)s, 'circulate', 'circulate', %(person)s, 'read', 'acknowledge', '', %(at)s,
  '[]', '{}', %(idem_key)s, %(mac)s)
"""


class Notices:
    """Notices to 500 readers each, opened by an approval."""

    def __init__(self, at: Hospital) -> None:
        self._at = at
        with at.connect() as connection:
            people = connection.execute(
                "SELECT staff_number, id FROM person WHERE disabled_at IS NULL ORDER BY id LIMIT %s", [READERS]
            ).fetchall()
        numbers = " ".join(number for number, _ in people)
        self._actors = {id_: at.actor(id_) for _, id_ in people}
        circulate = (
            '<userTask id="circulate" name="circulate"><extensionElements><piyue:task kind="read"/>'
            f'<piyue:assign rule="person" persons="{numbers}"/></extensionElements></userTask>'
        )
        body = start_task() + task("review", "pediatrics_head") + circulate
        line = chain("s", "apply", "review", "circulate", "e")
        at.deploy_files(bpmn(f'<startEvent id="s"/><endEvent id="e"/>{body}{line}', key="notice"))
        self._nurse, self._head = at.actor("nurse"), at.actor("pediatrics_head")

    def open(self, connection: "psycopg.Connection[Any]") -> tuple[float, list[tuple[uuid.UUID, Actor]]]:
        """Open one; return the milliseconds that it took and the readers' items."""
        instance = self._at.start(self._nurse, "notice", {})
        items = "SELECT id, assignee_id FROM work_item WHERE instance_id = %s AND state = 'open' ORDER BY id"
        review = connection.execute(items, [instance]).fetchall()[0][0]

        def approve() -> None:
            with self._at.db.unit_of_work() as session:
                commands.complete(session, self._head, review, "approve", key=str(review))

        took = milliseconds(approve)
        found = connection.execute(items, [instance]).fetchall()
        if len(found) != READERS:
            raise SystemExit(f"the step was opened for {len(found)} readers")
        return took, [(item, self._actors[person]) for item, person in found]

    def acknowledge(self, db: Database, item: uuid.UUID, actor: Actor) -> None:
        """Acknowledge as the API does."""
        with db.unit_of_work() as session:
            if not commands.acknowledge(session, actor, item, key=str(item)):
                raise SystemExit("the item was acknowledged before")


def bare(connection: "psycopg.Connection[Any]", item: uuid.UUID, person: uuid.UUID) -> Work:
    """Return the bare statement for a reader; what it needs is read before it is timed."""
    row = connection.execute("SELECT instance_id, round_id FROM work_item WHERE id = %s", [item]).fetchone()
    assert row is not None
    values = {"item": item, "instance": row[0], "round": row[1], "person": person}
    values |= {"idem_key": secrets.token_bytes(16), "mac": secrets.token_bytes(32)}
    return lambda: connection.execute(BARE, values | {"at": datetime.now(UTC)})


def main() -> None:
    """Measure and print the figures."""
    with hospital() as at, at.connect() as connection:
        notices = Notices(at)
        openings = [notices.open(connection) for _ in range(OPENINGS)]
        at.settle()
        *_, ours, theirs = (readers for _, readers in openings)
        # both kinds take readers of both rounds in turn; the last ones of a round stay, for they do more
        pairs = [pair if turn % 2 else pair[::-1] for turn, pair in enumerate(zip(ours, theirs, strict=True))]
        mixed, spare = pairs[:-20], pairs[-20:-10]
        first: list[Work] = [partial(notices.acknowledge, at.db, *one) for one, _ in mixed]
        second = [bare(connection, item, actor.person_id) for _, (item, actor) in mixed]
        turns = len(mixed) - WARM_UP
        command, statement = in_turn(WARM_UP, turns, first.__getitem__, second.__getitem__)
        with counted(at.url) as (url, counts):
            seen = Database(url, audit_key=AUDIT_KEY)
            for turn, ((item, actor), _) in enumerate(spare):
                if turn == 4:  # by then everything is prepared and cached
                    counts.clear()
                notices.acknowledge(seen, item, actor)
            seen.dispose()
        report("reading.ack_round_trips", counts["round trips"] / (len(spare) - 4), "per acknowledgement")
        with Wal(at) as wal:
            _, readers = notices.open(connection)
            written: tuple[list[int], list[int]] = [], []
            for turn, (item, actor) in enumerate(readers[:-10]):
                is_bare = turn % 2
                work = (
                    bare(connection, item, actor.person_id)
                    if is_bare
                    else partial(notices.acknowledge, at.db, item, actor)
                )
                if (count := wal.of(work)) and turn >= WARM_UP:
                    written[is_bare].append(count)
        report("reading.bare_ms", median(statement), "ms")
        report("reading.ack_ms", median(command), "ms")
        report("reading.bare_wal", sum(written[1]) / len(written[1]), "B")
        report("reading.ack_wal", sum(written[0]) / len(written[0]), "B")
        report("reading.ack_ratio", median(command) / median(statement), "ratio")
        report("reading.open_500_ms", median(took for took, _ in openings[2:]), "ms")


if __name__ == "__main__":
    main()
