"""The trail of an instance as its people see it (办理过程): who did what, when, how long it took, who has read.

However long a trail is, what is read of it is bounded: readers are counted in the database, names are cut.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import and_, case, func, or_, select, true
from sqlalchemy.orm import Session

from engine.bpm import definitions, visibility
from engine.bpm.models import ActionLog, Instance, ItemKind, ItemState, WorkItem, WorkRound
from engine.bpm.runtime import Definition
from engine.org.actor import Actor
from engine.org.models import Department, Person

MAX_ENTRIES = 500
"""Entries of a timeline; of a longer trail the newest."""
MAX_NAMES = 200
"""Names of handlers or of people who have not read, for each open step."""

# what the engine notes for itself, and what admins mend
_INTERNAL = ("settle", "retry", "dismiss")
_WAITING = (ItemState.OPEN, ItemState.STANDBY, ItemState.QUEUED)


@dataclass(frozen=True, slots=True)
class Entry:
    """One action: `actor` is None for the engine itself. `took` is how long the actor had the item.

    `target` says to whom or where a return, jump, reassignment, copy or urge went; `note` why the engine acted.
    """

    id: int
    item_id: uuid.UUID | None
    at: datetime
    actor_id: uuid.UUID | None
    actor: str | None
    department: str | None
    verb: str
    step: str | None
    step_name: str | None
    outcome: str | None
    outcome_name: str | None
    opinion: str
    took: timedelta | None
    target: str
    note: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A person whose part of an open step is not done: open, standby (他人已签收) or queued (未轮到)."""

    person_id: uuid.UUID
    item_id: uuid.UUID
    name: str
    state: str
    opened_at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class Step:
    """A round: an open step, or a read step (传阅), which keeps being read after the process has gone on.

    Of a read step `total` and `done` count the readers; `waiting` holds at most 200 people of the `total - done`.
    """

    round_id: uuid.UUID
    step: str
    step_name: str
    kind: str
    opened_at: datetime
    closed_at: datetime | None
    total: int
    done: int
    waiting: tuple[Waiting, ...]

    @property
    def took(self) -> timedelta | None:
        """How long the step took; None while it is open."""
        return None if self.closed_at is None else self.closed_at - self.opened_at


@dataclass(frozen=True, slots=True)
class Timeline:
    """The trail, oldest first; `cut` when there are older entries than these. `steps`: open ones and read ones."""

    entries: tuple[Entry, ...]
    cut: bool
    steps: tuple[Step, ...]

    @property
    def open(self) -> tuple[Step, ...]:
        """The steps where the instance now stands."""
        return tuple(step for step in self.steps if step.closed_at is None)


def timeline(session: Session, viewer: Actor, instance_id: uuid.UUID) -> Timeline:
    """Return the trail of an instance. Raises NotFound unless the viewer may see it."""
    return Trail(session, viewer, visibility.require(session, viewer, instance_id)).read()


class Trail:
    """The trail of an instance that is known to be visible to the viewer."""

    def __init__(self, session: Session, viewer: Actor, instance: Instance) -> None:
        self._session, self._viewer, self._instance = session, viewer, instance
        self._definition = definitions.version(session, instance.version_id).definition

    def read(self) -> Timeline:
        """Return the timeline, in three statements."""
        statement = (
            select(ActionLog, Person.name, Department.name, WorkItem.opened_at)
            .outerjoin(Person, Person.id == ActionLog.actor_id)
            .outerjoin(Department, Department.id == Person.department_id)
            .outerjoin(WorkItem, WorkItem.id == ActionLog.item_id)
            .where(ActionLog.instance_id == self._instance.id, self._shown())
            .order_by(ActionLog.id.desc())
            .limit(MAX_ENTRIES + 1)
        )
        rows = self._session.execute(statement).all()
        entries = [_entry(self._definition, *row) for row in rows[:MAX_ENTRIES]]
        return Timeline(tuple(reversed(entries)), len(rows) > MAX_ENTRIES, self.steps())

    def _shown(self) -> Any:
        # readers are counted, not listed, but for those who had something to say
        silent = and_(ActionLog.verb == "read", ActionLog.opinion == "")
        internal = true() if self._viewer.sees_all else ActionLog.verb.not_in(_INTERNAL)
        return and_(~silent, internal)

    def steps(self) -> tuple[Step, ...]:
        """Return the open rounds and the read rounds with their people, in two statements."""
        counted = func.sum(case((WorkItem.state.in_((ItemState.DONE, *_WAITING)), 1), else_=0))
        done = func.sum(case((WorkItem.state == ItemState.DONE, 1), else_=0))
        statement = (
            select(WorkRound, func.coalesce(counted, 0), func.coalesce(done, 0))
            .outerjoin(WorkItem, WorkItem.round_id == WorkRound.id)
            .where(WorkRound.instance_id == self._instance.id)
            .where(or_(WorkRound.closed_at.is_(None), WorkRound.kind == ItemKind.READ))
            .group_by(WorkRound.id)
            .order_by(WorkRound.id.desc())
            .limit(MAX_NAMES)
        )
        rounds = self._session.execute(statement).all()
        waiting = self._waiting([row[0].id for row in rounds])
        return tuple(
            Step(
                r.id, r.step, r.step_name, r.kind, r.opened_at, r.closed_at, total, finished,
                tuple(waiting.get(r.id, ())),
            )
            for r, total, finished in reversed(rounds)
        )  # fmt: skip

    def _waiting(self, round_ids: list[uuid.UUID]) -> Mapping[uuid.UUID, list[Waiting]]:
        order = (WorkItem.position, Person.rank, WorkItem.id)
        people = (
            select(
                WorkItem.round_id,
                WorkItem.id,
                WorkItem.assignee_id,
                Person.name,
                WorkItem.state,
                WorkItem.opened_at,
                WorkItem.read_at,
                func.row_number().over(partition_by=WorkItem.round_id, order_by=order).label("number"),
            )
            .join(Person, Person.id == WorkItem.assignee_id)
            .where(WorkItem.round_id.in_(round_ids), WorkItem.state.in_(_WAITING))
            .subquery()
        )
        found: dict[uuid.UUID, list[Waiting]] = {}
        for row in self._session.execute(
            select(people).where(people.c.number <= MAX_NAMES).order_by(people.c.round_id, people.c.number)
        ):
            person = Waiting(row.assignee_id, row.id, row.name, row.state, row.opened_at, row.read_at)
            found.setdefault(row.round_id, []).append(person)
        return found


def _entry(
    definition: Definition, row: ActionLog, actor: str | None, department: str | None, opened_at: datetime | None
) -> Entry:
    detail: dict[str, Any] = orjson.loads(row.detail)
    return Entry(
        id=row.id,
        item_id=row.item_id,
        at=row.at,
        actor_id=row.actor_id,
        actor=actor,
        department=department,
        verb=row.verb,
        step=row.step,
        step_name=row.step_name or definition.names.get(row.step or ""),
        outcome=row.outcome,
        outcome_name=_outcome_name(definition, row),
        opinion=row.opinion,
        took=None if opened_at is None or row.verb not in ("complete", "return", "read") else row.at - opened_at,
        target=_target(definition, row.verb, detail),
        note=str(detail.get("why", "")) if row.verb == "auto" else "",
    )


def _outcome_name(definition: Definition, row: ActionLog) -> str | None:
    if row.outcome is None or row.verb == "return":
        return None
    task = definition.tasks.get(row.step or "")
    outcome = None if task is None else task.outcome(row.outcome)
    return None if outcome is None else outcome.name


def _target(definition: Definition, verb: str, detail: Mapping[str, Any]) -> str:
    """Return whom or what an action was aimed at, in words; nothing else of a row's detail is shown."""
    to = detail.get("to")
    match verb:
        case "return" | "jump":
            return definition.names.get(str(to), str(to))
        case "reassign":
            return str(detail.get("name", ""))
        case "circulate" | "copy" | "urge" if isinstance(to, list):
            count = int(detail.get("count", len(to)))
            names = "、".join(str(name) for name in to[:20])
            return f"{names}等 {count} 人" if count > len(to[:20]) else names
        case _:
            return ""
