"""The trail of an instance as its people see it (办理过程): who did what, when, how long it took, who has read.

However long a trail is, what is read of it is bounded: readers are counted in the database, names are cut.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from engine.batch import Batch, Statement
from engine.bpm import definitions, runtime, visibility
from engine.bpm.definitions import Version
from engine.bpm.models import Instance, InstanceState, ItemKind, ItemState, WorkItem
from engine.bpm.queries.paging import Keyset, Page
from engine.bpm.queries.rulings import Ruled, may_read, ruled
from engine.bpm.queries.views import SHOWN, shown_fields
from engine.bpm.runtime import Awaited, Definition
from engine.org.actor import Actor
from engine.org.directory import REVISION, Directory, directory
from engine.org.models import Department, Person

MAX_ENTRIES = 500
"""Entries of a timeline; of a longer trail the newest."""
MAX_NAMES = 200
"""Names of handlers or of people who have not read, for each open step."""
_SPARED = 3  # names shown of those who needn't act any more


@dataclass(frozen=True, slots=True)
class Entry:
    """One action: `actor` is None for the engine itself. `took` is how long the actor had the item.

    `target` says to whom or where a return, jump, reassignment, copy or urge went; `note` why the engine acted; `ruled`
    what a decision said, for those who may see what it read.
    `via` is the outside system in which it was done (`oa.ekp`), "" where that was here.
    `spared` is on the decision that closed a round: who else had it then and needn't act any more.
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
    via: str = ""
    spared: "Spared | None" = None
    ruled: Ruled | None = None


@dataclass(frozen=True, slots=True)
class Spared:
    """Who had not acted when a round was decided: the first names, how many, and the round's policy."""

    names: tuple[str, ...]
    total: int
    policy: str


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

    Of a read step `total` and `done` count the readers; `waiting` holds at most 200 people of the `total - done`, and
    `readers` tells who the others are. `task_id` tells two open rounds of one step apart. `policy` says how it is
    decided: any, all, in_turn, share, at_least (`value` percent, people) or, of a read step, none.
    """

    round_id: uuid.UUID
    task_id: int
    step: str
    step_name: str
    kind: str
    policy: str
    value: int
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
class Reader:
    """A person who has acknowledged a read item (已阅), and when."""

    item_id: uuid.UUID
    name: str
    department: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Timeline:
    """The trail, oldest first; `cut` when there are older entries than these. `steps`: open ones and read ones.

    `awaited` is what the instance waits for beside its people.
    """

    entries: tuple[Entry, ...]
    cut: bool
    steps: tuple[Step, ...]
    awaited: tuple[Awaited, ...]

    @property
    def open(self) -> tuple[Step, ...]:
        """The steps where the instance now stands."""
        return tuple(step for step in self.steps if step.closed_at is None)

    @property
    def past(self) -> tuple[Entry | Step, ...]:
        """What is over, in the order in which it ended: actions, and the read steps that the process has left."""
        read = (step for step in self.steps if step.closed_at is not None and step.total)
        ended: list[tuple[datetime, Entry | Step]] = [(step.closed_at or step.opened_at, step) for step in read]
        return tuple(part for _, part in sorted([*((e.at, e) for e in self.entries), *ended], key=itemgetter(0)))


# in the order of the rows' fields
_READER_COLUMNS: tuple[Any, ...] = (WorkItem.id, Person.name, Department.name, WorkItem.closed_at)
_READERS = Keyset("readers", ((WorkItem.closed_at, datetime), (WorkItem.id, uuid.UUID)))
_ENTRIES = Statement(
    """
    SELECT l.id, l.round_id, l.item_id, l.at, l.actor_id, l.verb, l.step, l.step_name, l.outcome, l.opinion, l.detail,
      i.opened_at
    FROM action_log l LEFT JOIN work_item i ON i.id = l.item_id
    WHERE l.instance_id = :id
      AND NOT (l.verb = 'read' AND l.opinion = '') -- readers are counted, not listed, but for those who said something
      AND (:all OR l.verb NOT IN ('settle', 'retry', 'dismiss', 'requeue')) -- what the engine notes, what admins mend
    ORDER BY l.id DESC LIMIT :most
    """,
    round_id=uuid.UUID,
    item_id=uuid.UUID,
    at=datetime,
    actor_id=uuid.UUID,
    opened_at=datetime,
)
_ROUNDS = Statement(
    """
    SELECT r.id, r.task_id, r.step, r.step_name, r.kind, r.opened_at, r.closed_at,
      count(CASE WHEN i.state IN ('done', 'open', 'standby', 'queued') THEN 1 END) AS total,
      count(CASE WHEN i.state = 'done' THEN 1 END) AS done
    FROM work_round r LEFT JOIN work_item i ON i.round_id = r.id
    WHERE r.instance_id = :id AND (r.closed_at IS NULL OR r.kind = 'read')
    GROUP BY r.id ORDER BY r.id DESC LIMIT :most
    """,
    id=uuid.UUID,
    opened_at=datetime,
    closed_at=datetime,
)
_WAITING = Statement(
    """
    SELECT round_id, id, assignee_id, state, opened_at, read_at FROM (
      SELECT i.*, row_number() OVER (PARTITION BY i.round_id ORDER BY i.position, p.rank, i.id) AS number
      FROM work_item i JOIN person p ON p.id = i.assignee_id
      WHERE i.state IN ('open', 'standby', 'queued') AND i.round_id IN (
        SELECT id FROM work_round WHERE instance_id = :id AND (closed_at IS NULL OR kind = 'read')
        ORDER BY id DESC LIMIT :most
      )
    ) AS waiting WHERE number <= :most ORDER BY round_id, number
    """,
    round_id=uuid.UUID,
    id=uuid.UUID,
    assignee_id=uuid.UUID,
    opened_at=datetime,
    read_at=datetime,
)

# who had an item when their round was decided without them
_LEFT = Statement(
    """
    SELECT round_id, assignee_id, total FROM (
      SELECT i.round_id, i.assignee_id, count(*) OVER (PARTITION BY i.round_id) AS total,
        row_number() OVER (PARTITION BY i.round_id ORDER BY i.position, i.id) AS number
      FROM work_item i WHERE i.state = 'closed' AND i.round_id IN (
        SELECT id FROM work_round WHERE instance_id = :id AND closed_at IS NOT NULL AND kind <> 'read'
        ORDER BY id DESC LIMIT :most
      )
    ) AS closed WHERE number <= :few ORDER BY round_id, number
    """,
    round_id=uuid.UUID,
    assignee_id=uuid.UUID,
)


def timeline(session: Session, viewer: Actor, instance_id: uuid.UUID) -> Timeline:
    """Return the trail of an instance. Raises NotFound unless the viewer may see it."""
    instance = visibility.require(session, viewer, instance_id, undefer(Instance.engine_state))
    batch = Batch()
    batch.query(SHOWN, {"id": instance_id, "viewer": viewer.person_id, "all": viewer.sees_all})
    ask(batch, viewer, instance_id)
    batch.query(REVISION, {})  # after what names people: the directory holds them all
    shown, *answers, revision = batch.run(session)
    version = definitions.version(session, instance.version_id)
    fields = None if viewer.sees_all else shown_fields(version, [row.step for row in shown])
    return told(version, directory(session, revision[0].revision), instance, answers, fields)


def ask(batch: Batch, viewer: Actor, instance_id: uuid.UUID) -> None:
    """Queue what a timeline is read from: `told` takes the four answers."""
    batch.query(_ENTRIES, {"id": instance_id, "all": viewer.sees_all, "most": MAX_ENTRIES + 1})
    batch.query(_LEFT, {"id": instance_id, "most": MAX_ENTRIES, "few": _SPARED})
    ask_steps(batch, viewer, instance_id)


def ask_steps(batch: Batch, viewer: Actor, instance_id: uuid.UUID) -> None:
    """Queue what the steps are read from: `told_steps` takes the two answers. Who sees the instance sees them all."""
    batch.query(_ROUNDS, {"id": instance_id, "most": MAX_NAMES})
    batch.query(_WAITING, {"id": instance_id, "most": MAX_NAMES})


def told(
    version: Version, people: Directory, instance: Any, answers: Sequence[list[Any]], fields: frozenset[str] | None
) -> Timeline:
    """Return the timeline from the answers to `ask`; `instance` is a row with its engine state.

    `fields` are those that the viewer may see, None for who sees everything.
    """
    rows, left, *steps = answers
    definition = version.definition
    spared: dict[uuid.UUID, list[Any]] = {}
    for row in left:
        spared.setdefault(row.round_id, []).append(row)
    entries = []
    for row in rows[:MAX_ENTRIES]:  # the newest first: the decision that closed a round is the last one in it
        closed = spared.pop(row.round_id, []) if row.verb == "complete" else []
        entries.append(_entry(version, people, row, closed, fields))
    return Timeline(
        tuple(reversed(entries)), len(rows) > MAX_ENTRIES, told_steps(definition, people, steps),
        awaited(definition, instance),
    )  # fmt: skip


def awaited(definition: Definition, instance: Any) -> tuple[Awaited, ...]:
    """Return what an instance, a row with its engine state, waits for beside its people; nothing once it has ended."""
    return runtime.awaited(definition, instance.engine_state) if instance.state == InstanceState.RUNNING else ()


def told_steps(definition: Definition, people: Directory, answers: Sequence[list[Any]]) -> tuple[Step, ...]:
    """Return the open rounds and the read rounds with their people, from the answers to `ask_steps`."""
    rounds, items = answers
    waiting: dict[uuid.UUID, list[Waiting]] = {}
    for i in items:
        name = people.people[i.assignee_id].name
        waiting.setdefault(i.round_id, []).append(Waiting(i.assignee_id, i.id, name, i.state, i.opened_at, i.read_at))
    return tuple(
        Step(
            round_id=r.id,
            task_id=r.task_id,
            step=r.step,
            step_name=r.step_name,
            kind=r.kind,
            policy=definition.tasks[r.step].round.policy,
            value=definition.tasks[r.step].round.value,
            opened_at=r.opened_at,
            closed_at=r.closed_at,
            total=r.total,
            done=r.done,
            waiting=tuple(waiting.get(r.id, ())),
        )
        for r in reversed(rounds)
    )


def readers(
    session: Session,
    viewer: Actor,
    instance_id: uuid.UUID,
    round_id: uuid.UUID,
    *,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[Reader]:
    """Return who has read in a read step (已阅名单), the last one first. Who sees the instance sees them all.

    Raises NotFound unless the viewer may see the instance, Invalid for a limit out of range or another list's cursor.
    """
    visibility.require(session, viewer, instance_id)
    statement = (
        select(*_READER_COLUMNS)
        .select_from(WorkItem)
        .join(Person, Person.id == WorkItem.assignee_id)
        .join(Department, Department.id == Person.department_id)
        .where(
            WorkItem.instance_id == instance_id,
            WorkItem.round_id == round_id,
            WorkItem.kind == ItemKind.READ,
            WorkItem.state == ItemState.DONE,
        )
    )
    rows = [Reader(*row) for row in session.execute(_READERS.narrowed(statement, cursor, limit))]
    return _READERS.page(rows, [(row.at, row.item_id) for row in rows], limit)


def _entry(version: Version, people: Directory, row: Any, spared: list[Any], fields: frozenset[str] | None) -> Entry:
    definition = version.definition
    actor = None if row.actor_id is None else people.people[row.actor_id]
    handled = row.opened_at is not None and row.verb in ("complete", "return", "read")
    detail: dict[str, Any] = orjson.loads(row.detail)
    told = row.verb == "decide" and (fields is None or may_read(version, row.step, fields))
    decided = ruled(detail) if told else None
    return Entry(
        id=row.id,
        item_id=row.item_id,
        at=row.at,
        actor_id=row.actor_id,
        actor=None if actor is None else actor.name,
        department=None if actor is None else people.departments[actor.department_id].name,
        verb=row.verb,
        step=row.step,
        step_name=row.step_name or definition.names.get(row.step or ""),
        outcome=row.outcome,
        outcome_name=_outcome_name(definition, row),
        opinion=row.opinion,
        took=row.at - row.opened_at if handled else None,
        target=_target(definition, row.verb, detail),
        note=str(detail.get("why", "")) if row.verb == "auto" else decided.sentence if decided else "",
        via=str(detail.get("via", "")),
        spared=Spared(
            tuple(people.people[each.assignee_id].name for each in spared),
            spared[0].total,
            definition.tasks[row.step].round.policy,
        )
        if spared
        else None,
        ruled=decided,
    )


def _outcome_name(definition: Definition, row: Any) -> str | None:
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
