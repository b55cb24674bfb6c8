"""People's figures (工作台数字) shown by mirrors: whose have perhaps changed, told a little later and once.

Whoever shows them counts anew (`queries.board`) and compares with what is shown: who is told of in vain costs a query.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import Batch, Statement
from engine.bpm.models import Instance, ItemKind, ItemState, WorkItem, WorkRound

DELAY = timedelta(seconds=8)
"""From a change to the count: so many changes within it are one, and there are at most 8 counts a minute."""

# one that waits for its time counts this change too
_ENQUEUE = Statement(
    "INSERT INTO outbox (system, key, topic, lane, payload, state, attempts, due_at, last_error, created_at) "
    "SELECT CAST(:system AS VARCHAR(20)), CAST(:key AS VARCHAR(80)), 'board', CAST(:lane AS VARCHAR(20)), :payload, "
    "'pending', 0, :due_at, '', :created_at WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE system = :system "
    "AND key = :key AND state = 'pending' AND due_at > :created_at)"
)


def enqueue(session: Session, batch: Batch, people: Iterable[uuid.UUID]) -> None:
    """Queue a row `(system, "board:<person>", "board")` for each mirror and person, due in 8 s."""
    now = clock.now()
    for system in session.info.get("mirrors", ()):
        for person in people:
            payload = {"person": str(person)}
            batch.add(_ENQUEUE, outbox.row(system, f"board:{person}", "board", payload, now, due_at=now + DELAY))
            session.info["outbox"] = True


def touched(session: Session, instance_id: uuid.UUID, since: datetime) -> set[uuid.UUID]:
    """Return whose figures a change of an instance at `since` may have changed.

    Those whose items came or went with it, who handles an open step (claiming leaves no moment on an item), who is late
    with reading; the initiator where the instance began or ended.
    """
    live = WorkItem.state.in_((ItemState.OPEN, ItemState.STANDBY))
    people = session.scalars(
        select(WorkItem.assignee_id)
        .join(WorkRound, WorkRound.id == WorkItem.round_id)
        .where(
            WorkItem.instance_id == instance_id,
            or_(
                WorkItem.opened_at >= since,
                WorkItem.closed_at >= since,
                live & (WorkItem.kind != ItemKind.READ),
                live & (WorkRound.due_at <= since),
            ),
        )
        .distinct()
    )
    found = set(people)
    ends = or_(Instance.started_at >= since, Instance.ended_at >= since)
    found.update(session.scalars(select(Instance.initiator_id).where(Instance.id == instance_id, ends)))
    return found
