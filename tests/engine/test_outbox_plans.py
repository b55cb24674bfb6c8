"""What making rows unnecessary costs where PostgreSQL planned it for an empty table, and a backlog has come since."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from engine.db import Database
from engine.outbox import leasing
from tests.factories import plans
from tests.factories.outbox import NOON

SHARDS = 2000  # of two rows each
TAKEN = 50  # the older rows of as many shards, in our hands
UNTIL = NOON + timedelta(seconds=15)
BACKLOG = (
    "INSERT INTO outbox (system, key, topic, lane, payload, state, attempts, due_at, last_error, created_at) "
    "SELECT 'oa.ekp', md5((i / 2)::text), 'push', 'oa.ekp', '{}', 'pending', 0, %(at)s, '', %(at)s "
    "FROM generate_series(0, %(last)s) i"
)
HANDS = (
    "UPDATE outbox SET lease_owner = 'w', lease_until = %(until)s, attempts = 1 WHERE id = ANY("
    "SELECT min(id) FROM outbox GROUP BY system, key ORDER BY 1 LIMIT %(taken)s) RETURNING id"
)


@pytest.fixture(params=[False, True], ids=["never analysed", "analysed"])
def superseding(request: pytest.FixtureRequest, committed_db: Database) -> Iterator[plans.Early]:
    early = plans.Early(committed_db, leasing._SUPERSEDE, "outbox", analysed=request.param)
    yield early
    early.close()


@pytest.mark.backend("postgresql")
def test_what_a_younger_row_makes_unnecessary_is_found_by_its_shard_however_long_the_backlog(
    superseding: plans.Early,
) -> None:
    raw = superseding.raw
    raw.execute(BACKLOG, {"at": NOON - timedelta(hours=1), "last": 2 * SHARDS - 1})
    ids = [id_ for (id_,) in raw.execute(HANDS, {"until": UNTIL, "taken": TAKEN})]
    plan = superseding.plan()
    used = [(n["Index Name"], n.get("Index Cond", "")) for n in plan if "Index Name" in n]
    assert "ix_outbox_due" not in dict(used), json.dumps(plan, indent=1)
    shards = [condition for index, condition in used if index == "ix_outbox_shard"]
    assert shards, json.dumps(plan, indent=1)
    assert all("(system)" in condition and "(key)" in condition for condition in shards), json.dumps(plan, indent=1)
    given = {"ids": json.dumps(ids), "owner": "w", "until": UNTIL, "now": NOON, "why": leasing.SUPERSEDED}
    ran = superseding.run(given)
    most = 2 * 2 * SHARDS + 4 * TAKEN  # twice through the table
    assert plans.looked_at(ran, "outbox") <= most, json.dumps(ran, indent=1)
    done = raw.execute("SELECT id FROM outbox WHERE state = 'done' ORDER BY id").fetchall()
    assert [id_ for (id_,) in done] == sorted(ids)
