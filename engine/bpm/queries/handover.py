"""What people who have left leave behind (待交接): open items of disabled people, for process admins and auditors."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, text, union_all
from sqlalchemy.orm import Session

from engine.bpm.models import Instance, InstanceState, Process, WorkItem, WorkRound
from engine.bpm.queries.search import require_overseer
from engine.org.actor import Actor
from engine.org.models import Department, Person

MOST = 200
"""People, and items of one person, that are told at once."""

# each walks a partial index of its own
_LEFT = (
    text("work_item.state = 'open' AND work_item.kind <> 'read'"),
    text("work_item.state = 'open' AND work_item.kind = 'read'"),
    text("work_item.state IN ('standby', 'queued')"),
)


@dataclass(frozen=True, slots=True)
class Leaver:
    """A disabled person whom open items wait for: since when disabled, how many there are, since when the oldest."""

    person_id: uuid.UUID
    staff_number: str
    name: str
    department: str
    since: datetime
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class LeftItem:
    """An item of theirs: `state` is open, standby (another has claimed the step) or queued (not yet their turn)."""

    id: uuid.UUID
    instance_id: uuid.UUID
    title: str
    process_name: str
    step_name: str
    kind: str
    state: str
    urgency: int
    opened_at: datetime


def _left(*where: Any) -> Select[Any]:
    """Select the ids of what is left: of running instances, for in an ended one nothing waits for anybody."""
    parts = (
        select(WorkItem.id, WorkItem.assignee_id, WorkItem.opened_at)
        .join(Person, Person.id == WorkItem.assignee_id)
        .join(Instance, Instance.id == WorkItem.instance_id)
        .where(Person.disabled_at.is_not(None), Instance.state == InstanceState.RUNNING, predicate, *where)
        for predicate in _LEFT
    )
    left = union_all(*parts).subquery()
    return select(left.c.id, left.c.assignee_id, left.c.opened_at)


def leavers(session: Session, viewer: Actor, limit: int = MOST) -> list[Leaver]:
    """Return who has left something behind, the last disabled first; 200 at most. Raises Forbidden."""
    require_overseer(viewer)
    left = _left().subquery()
    counted = (
        select(left.c.assignee_id, func.count().label("count"), func.min(left.c.opened_at).label("oldest"))
        .group_by(left.c.assignee_id)
        .subquery()
    )
    rows = session.execute(
        select(
            Person.id, Person.staff_number, Person.name, Department.name, Person.disabled_at, counted.c.count,
            counted.c.oldest,
        )
        .join(counted, counted.c.assignee_id == Person.id)
        .join(Department, Department.id == Person.department_id)
        .order_by(Person.disabled_at.desc(), Person.id)
        .limit(limit)
    )  # fmt: skip
    return [Leaver(*row) for row in rows]


def left_items(session: Session, viewer: Actor, person_id: uuid.UUID, limit: int = MOST) -> list[LeftItem]:
    """Return what a disabled person has left behind, the most urgent and oldest first. Raises Forbidden."""
    require_overseer(viewer)
    left = _left(WorkItem.assignee_id == person_id).subquery()
    rows = session.execute(
        select(
            WorkItem.id, WorkItem.instance_id, Instance.title, Process.name, WorkRound.step_name, WorkItem.kind,
            WorkItem.state, WorkItem.urgency, WorkItem.opened_at,
        )
        .join(left, left.c.id == WorkItem.id)
        .join(WorkRound, WorkRound.id == WorkItem.round_id)
        .join(Instance, Instance.id == WorkItem.instance_id)
        .join(Process, Process.key == Instance.process_key)
        .order_by(WorkItem.urgency.desc(), WorkItem.id)
        .limit(limit)
    )  # fmt: skip
    return [LeftItem(*row) for row in rows]
