"""People's figures (工作台数字) shown by mirrors: whose have perhaps changed, told a little later and once.

Whoever shows them counts anew (`queries.board`) and compares with what is shown: who is told of in vain costs a query.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import Batch, Statement

DELAY = timedelta(seconds=8)
"""From a change to the count: so many changes within it are one, and there are at most 9 counts a minute."""
COMMIT = timedelta(seconds=1)
"""What a transaction may take until its end: a count that is due before then wouldn't see its change."""


def _enqueue(people: str) -> Statement:
    """Return the insert of rows for `people`, a query of their ids in 32 hexadecimal digits.

    One that still waits when this change is committed counts it too.
    """
    return Statement(
        "INSERT INTO outbox (system, key, topic, lane, payload, state, attempts, due_at, last_error, created_at) "
        "SELECT CAST(:system AS VARCHAR(20)), 'board:' || p.id, 'board', CAST(:lane AS VARCHAR(20)), "
        "'{\"person\":\"' || p.id || '\"}', 'pending', 0, :due_at, '', :created_at "
        f"FROM ({people}) p WHERE NOT EXISTS (SELECT 1 FROM outbox o WHERE o.system = :system "
        "AND o.key = 'board:' || p.id AND o.state = 'pending' AND o.due_at > :committed)"
    )


_ONE = _enqueue("SELECT CAST(:person AS VARCHAR(32)) AS id")
# Those whose items came or went with it, who handles an open step (claiming leaves no moment on an item), who is late
# with reading; the initiator where the instance began or ended.
_TOUCHED = _enqueue(
    "SELECT replace(CAST(i.assignee_id AS VARCHAR(36)), '-', '') AS id "
    "FROM work_item i JOIN work_round r ON r.id = i.round_id WHERE i.instance_id = :instance "
    "AND (i.opened_at >= :since OR i.closed_at >= :since OR (i.state IN ('open', 'standby') "
    "AND (i.kind <> 'read' OR r.due_at <= :since))) UNION "
    "SELECT replace(CAST(initiator_id AS VARCHAR(36)), '-', '') FROM instance "
    "WHERE id = :instance AND (started_at >= :since OR ended_at >= :since)"
)


def enqueue(session: Session, batch: Batch, person_id: uuid.UUID) -> None:
    """Queue a row `(system, "board:<person>", "board")` for each mirror with figures, due in 8 s; id in hex."""
    _add(session, batch, _ONE, {"person": person_id.hex})


def enqueue_touched(session: Session, batch: Batch, instance_id: uuid.UUID, since: datetime) -> None:
    """Queue such rows for all whose figures a change of an instance at `since` may have changed."""
    _add(session, batch, _TOUCHED, {"instance": instance_id, "since": since})


def _add(session: Session, batch: Batch, statement: Statement, params: dict[str, Any]) -> None:
    now = clock.now()
    for system in session.info.get("mirrors", ()):
        if not outbox.is_declared(system, "board"):
            continue
        batch.add(
            statement,
            params | {"committed": now + COMMIT} | outbox.row(system, "", "board", {}, now, due_at=now + DELAY),
        )
        session.info["outbox"] = True
