"""A person's boxes (待办、待阅、已办、我发起的、抄送、草稿): pages and counts.

Each box walks one index of the viewer's own rows, newest first, so that a page costs the same for a person with ten
thousand items as for one with ten; the predicates of partial indexes stand literally in the SQL, as planners need them.
"""

import enum
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Integer, Select, bindparam, func, literal_column, null, select, text
from sqlalchemy.orm import Session, aliased

from engine import clock
from engine.batch import Batch, Statement
from engine.bpm import definitions
from engine.bpm.models import Copy, Draft, Instance, InstanceState, Process, WorkItem, WorkRound
from engine.bpm.queries.paging import Filters, Keyset, Page
from engine.bpm.queries.trail import awaited
from engine.bpm.runtime import Awaited
from engine.errors import Invalid
from engine.org.actor import Actor
from engine.org.models import Department, Person

CAP = 999
"""Counts are exact up to here; one more stands for "more"."""

_HANDLERS = 5  # names shown of one open step


class Box(enum.StrEnum):
    """The boxes of a person."""

    TODO = "todo"  # 待办: to decide or to fill
    READ_TODO = "read_todo"  # 待阅
    DONE = "done"  # 已办、已阅, the last one handled first
    STARTED = "started"  # 我发起的
    COPIED = "copied"  # 抄送我的
    DRAFTS = "drafts"  # 草稿: of items still open, and of instances not yet started


@dataclass(frozen=True, slots=True)
class Handling:
    """An open step of an instance: its first handlers by name, and how many there are; none for a read step."""

    step_name: str
    kind: str
    handlers: tuple[str, ...]
    total: int


@dataclass(frozen=True, slots=True)
class BoxRow:
    """A row of a box; what a box doesn't have is None.

    `id` is that of the item, instance, copy or draft. `arrived_at` is when it came into the box: opened, handled,
    started, copied, or last saved. `sender` and `reason` are those of a copy. Of `started`: `now` are the open steps,
    `awaited` what an instance without any waits for.
    """

    id: uuid.UUID
    item_id: uuid.UUID | None
    instance_id: uuid.UUID | None
    process_key: str
    process_name: str
    version_id: uuid.UUID | None
    step: str | None
    step_name: str | None
    title: str | None
    summary: str | None
    applicant: str | None
    department: str | None
    urgency: int | None
    kind: str | None
    outcome: str | None
    state: str | None
    opened_at: datetime | None
    arrived_at: datetime
    read_at: datetime | None
    due_at: datetime | None
    sender: str | None
    reason: str | None
    now: tuple[Handling, ...] = field(default=())
    awaited: tuple[Awaited, ...] = field(default=())

    @property
    def unread(self) -> bool:
        """Whether the viewer has not opened it yet."""
        return self.read_at is None

    @property
    def overdue(self) -> bool:
        """Whether it should have been done by now; what is done never is."""
        return self.due_at is not None and self.due_at <= clock.now()


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows the viewer's boxes hold: exact up to 999, 1000 for more."""

    todo: int
    read_todo: int
    copied_unread: int
    drafts: int

    def shown(self) -> dict[str, str]:
        """Return the counts as people see them."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: shown(n) for name, n in values.items()}


@dataclass(frozen=True, slots=True)
class Board:
    """What a person has on the table (工作台数字): 待办, 待阅, 我发起 (still running), 逾期; exact up to 999.

    Each is the number of rows that a box shows: `todo`, `read_todo`, `started` narrowed to running instances, and the
    first two narrowed to what is overdue.
    """

    todo: int
    read_todo: int
    started: int
    overdue: int
    overdue_todo: int  # how many of those are in `todo`


def shown(count: int) -> str:
    """Return a count as people see it."""
    return f"{CAP}+" if count > CAP else str(count)


@dataclass(frozen=True, slots=True)
class _List:
    """How a box is read: its statement without page and filters, its order, and what filters look at.

    `bare` is the statement with nothing but the rows' process.
    """

    statement: Select[Any]
    bare: Select[Any]
    keyset: Keyset
    process: Any
    urgency: Any
    moment: Any
    due: Any = None


_OPEN = text("work_item.state = 'open' AND work_item.kind <> 'read'")
_OPEN_READ = text("work_item.state = 'open' AND work_item.kind = 'read'")
_HANDLED = text("work_item.state IN ('done', 'reassigned') AND work_item.origin <> 'started'")
_UNREAD_COPY = text("copy.read_at IS NULL")
_VIEWER: ColumnElement[Any] = bindparam("viewer")
_Sender = aliased(Person)
_COLUMNS = [name for name in BoxRow.__dataclass_fields__ if name not in ("now", "awaited")]
_INSTANCE = {
    "process_name": Process.name,
    "version_id": Instance.version_id,
    "title": Instance.title,
    "summary": Instance.summary,
    "applicant": Person.name,
    "department": Department.name,
    "state": Instance.state,
}


def _columns(**given: Any) -> list[ColumnElement[Any]]:
    return [given.get(name, null()).label(name) for name in _COLUMNS]


_AnySelect = TypeVar("_AnySelect", bound=Select[Any])


def _described(statement: _AnySelect) -> _AnySelect:
    return (
        statement.join(Process, Process.key == Instance.process_key)
        .join(Person, Person.id == Instance.initiator_id)
        .join(Department, Department.id == Instance.department_id)
    )


def _items(name: str, predicate: Any, *, handled: bool = False) -> _List:
    moment = WorkItem.closed_at if handled else WorkItem.opened_at
    columns = _columns(
        **_INSTANCE,
        id=WorkItem.id,
        item_id=WorkItem.id,
        instance_id=WorkItem.instance_id,
        process_key=WorkItem.process_key,
        step=WorkRound.step,
        step_name=WorkRound.step_name,
        urgency=WorkItem.urgency,
        kind=WorkItem.kind,
        outcome=WorkItem.outcome,
        opened_at=WorkItem.opened_at,
        arrived_at=moment,
        read_at=WorkItem.read_at,
        due_at=null() if handled else WorkRound.due_at,
    )
    statement = (
        select(*columns)
        .select_from(WorkItem)
        .join(WorkRound, WorkRound.id == WorkItem.round_id)
        .join(Instance, Instance.id == WorkItem.instance_id)
        .where(WorkItem.assignee_id == _VIEWER, predicate)
    )
    order: tuple[tuple[Any, type], ...] = ((WorkItem.id, uuid.UUID),)
    if handled:
        order = ((WorkItem.closed_at, datetime), *order)
    bare = select(WorkItem.process_key).where(WorkItem.assignee_id == _VIEWER, predicate)
    due = None if handled else WorkRound.due_at
    return _List(_described(statement), bare, Keyset(name, order), WorkItem.process_key, WorkItem.urgency, moment, due)


def _started() -> _List:
    columns = _columns(
        **_INSTANCE,
        id=Instance.id,
        instance_id=Instance.id,
        process_key=Instance.process_key,
        urgency=Instance.urgency,
        opened_at=Instance.started_at,
        arrived_at=Instance.started_at,
        read_at=Instance.started_at,
    )
    statement = _described(select(*columns).select_from(Instance)).where(Instance.initiator_id == _VIEWER)
    bare = select(Instance.process_key).where(Instance.initiator_id == _VIEWER)
    order = Keyset(Box.STARTED, ((Instance.id, uuid.UUID),))
    return _List(statement, bare, order, Instance.process_key, Instance.urgency, Instance.started_at)


def _copied() -> _List:
    columns = _columns(
        **_INSTANCE,
        id=Copy.id,
        instance_id=Copy.instance_id,
        process_key=Instance.process_key,
        urgency=Instance.urgency,
        opened_at=Copy.created_at,
        arrived_at=Copy.created_at,
        read_at=Copy.read_at,
        sender=_Sender.name,
        reason=Copy.reason,
    )
    statement = (
        select(*columns)
        .select_from(Copy)
        .join(Instance, Instance.id == Copy.instance_id)
        .join(_Sender, _Sender.id == Copy.sender_id)
        .where(Copy.person_id == _VIEWER)
    )
    bare = select(Instance.process_key).join(Copy, Copy.instance_id == Instance.id).where(Copy.person_id == _VIEWER)
    order = Keyset(Box.COPIED, ((Copy.id, uuid.UUID),))
    return _List(_described(statement), bare, order, Instance.process_key, Instance.urgency, Copy.created_at)


def _drafts() -> _List:
    process_key = func.coalesce(Draft.process_key, Instance.process_key)
    columns = _columns(
        **_INSTANCE,
        id=Draft.id,
        item_id=Draft.item_id,
        instance_id=Instance.id,
        process_key=process_key,
        step_name=WorkRound.step_name,
        urgency=Instance.urgency,
        kind=WorkItem.kind,
        opened_at=WorkItem.opened_at,
        arrived_at=Draft.updated_at,
        read_at=Draft.updated_at,
    )
    statement = (
        select(*columns)
        .select_from(Draft)
        .outerjoin(WorkItem, WorkItem.id == Draft.item_id)
        .outerjoin(WorkRound, WorkRound.id == WorkItem.round_id)
        .outerjoin(Instance, Instance.id == WorkItem.instance_id)
        .join(Process, Process.key == process_key)
        .outerjoin(Person, Person.id == Instance.initiator_id)
        .outerjoin(Department, Department.id == Instance.department_id)
        .where(Draft.person_id == _VIEWER, _STILL_WANTED)
    )
    bare = statement.with_only_columns(process_key.label("process_key"))
    order = Keyset(Box.DRAFTS, ((Draft.id, uuid.UUID),))
    return _List(statement, bare, order, process_key, Instance.urgency, Draft.updated_at)


_STILL_WANTED = Draft.item_id.is_(None) | (WorkItem.state == "open")
_LISTS: Mapping[Box, _List] = {
    Box.TODO: _items(Box.TODO, _OPEN),
    Box.READ_TODO: _items(Box.READ_TODO, _OPEN_READ),
    Box.DONE: _items(Box.DONE, _HANDLED, handled=True),
    Box.STARTED: _started(),
    Box.COPIED: _copied(),
    Box.DRAFTS: _drafts(),
}


def box_processes(session: Session, viewer: Actor, box: str) -> dict[str, str]:
    """Return the names of the processes that occur in one of the viewer's own boxes, by key, for a filter.

    The newest rows alone are looked at, along the box's index, however long it is; a longer box offers every process.
    Raises Invalid for an unknown box.
    """
    chosen = _list(box)
    newest = chosen.bare.order_by(*(column.desc() for column, _ in chosen.keyset.columns))
    rows = newest.limit(literal_column(str(CAP + 1), Integer)).subquery()
    found = session.execute(
        select(Process.key, Process.name, func.count())
        .join(rows, rows.c.process_key == Process.key)
        .group_by(Process.key, Process.name),
        {"viewer": viewer.person_id},
    ).all()
    names = {key: name for key, name, _ in found}
    if sum(count for _, _, count in found) > CAP:
        names |= {process.key: process.name for process in session.execute(select(Process.key, Process.name))}
    return dict(sorted(names.items(), key=lambda each: each[1]))


def outcome_name(session: Session, viewer: Actor, row: BoxRow) -> str:
    """Return what the viewer of a row decided, in the words of the step (同意、归档); empty where it has no outcome."""
    if row.outcome is None or row.version_id is None:
        return ""
    task = definitions.version(session, row.version_id).definition.tasks.get(row.step or "")
    outcome = None if task is None else task.outcome(row.outcome)
    return "退回" if row.outcome == "return" else "" if outcome is None else outcome.name


def _list(box: str) -> _List:
    if box not in set(Box):
        raise Invalid(f"没有这个信箱，可选：{'、'.join(Box)}", code="bad_box")
    return _LISTS[Box(box)]


def page(
    session: Session,
    viewer: Actor,
    box: str,
    *,
    filters: Filters = Filters(),
    cursor: str | None = None,
    limit: int = 20,
) -> Page[BoxRow]:
    """Return a page of one of the viewer's own boxes, newest first; `limit` is 1 to 100 rows.

    One statement, and up to two more for where the instances of `started` now stand. Raises Invalid for an unknown box,
    a limit out of range, and a cursor that no page of this box gave.
    """
    chosen = _list(box)
    conditions = filters.conditions(
        process=chosen.process,
        title=Instance.title,
        urgency=chosen.urgency,
        moment=chosen.moment,
        state=Instance.state,
        due=chosen.due,
    )
    statement = chosen.keyset.narrowed(chosen.statement.where(*conditions), cursor, limit)
    rows = [BoxRow(*row) for row in session.execute(statement, {"viewer": viewer.person_id})]
    keys = [(row.arrived_at, row.id) if box == Box.DONE else (row.id,) for row in rows]
    found = chosen.keyset.page(rows, keys, limit)
    return replace(found, rows=standing(session, viewer, found.rows)) if box == Box.STARTED else found


class _Standing(Protocol):
    """A row of a list of instances."""

    @property
    def id(self) -> uuid.UUID: ...
    @property
    def state(self) -> str | None: ...


_Row = TypeVar("_Row", bound=_Standing)


def standing(session: Session, viewer: Actor, rows: Sequence[_Row]) -> tuple[_Row, ...]:
    """Return rows of instances that the viewer is known to see, with where these stand: `now` and `awaited`.

    One statement, and one more where instances run without an open step.
    """
    if not rows:
        return ()
    steps = open_steps(session, viewer, [row.id for row in rows])
    idle = [row.id for row in rows if row.state == InstanceState.RUNNING and row.id not in steps]
    waits: dict[uuid.UUID, tuple[Awaited, ...]] = {}
    if idle:
        columns = Instance.id, Instance.version_id, Instance.state, Instance.engine_state
        for instance in session.execute(select(*columns).where(Instance.id.in_(idle))):
            waits[instance.id] = awaited(definitions.version(session, instance.version_id).definition, instance)
    return tuple(
        replace(row, now=steps.get(row.id, ()), awaited=waits.get(row.id, ()))  # type: ignore[type-var]
        for row in rows
    )


def open_steps(
    session: Session, viewer: Actor, instance_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, tuple[Handling, ...]]:
    """Return the open steps of instances that the viewer is known to see, with names of handlers, in one statement."""
    names = (
        select(
            WorkItem.round_id,
            Person.name,
            func.row_number()
            .over(partition_by=WorkItem.round_id, order_by=(WorkItem.position, WorkItem.id))
            .label("number"),
            func.count().over(partition_by=WorkItem.round_id).label("total"),
        )
        .join(Person, Person.id == WorkItem.assignee_id)
        .where(WorkItem.instance_id.in_(instance_ids), _OPEN)
        .subquery()
    )
    statement = (
        select(WorkRound.instance_id, WorkRound.id, WorkRound.step_name, WorkRound.kind, names.c.name, names.c.total)
        .outerjoin(names, (names.c.round_id == WorkRound.id) & (names.c.number <= _HANDLERS))
        .where(WorkRound.instance_id.in_(instance_ids), WorkRound.closed_at.is_(None))
        .order_by(WorkRound.id, names.c.number)
    )
    found: dict[uuid.UUID, dict[uuid.UUID, Handling]] = {}
    for instance_id, round_id, step_name, kind, name, total in session.execute(statement):
        rounds = found.setdefault(instance_id, {})
        known = rounds.get(round_id, Handling(step_name, kind, (), 0))
        rounds[round_id] = replace(known, handlers=(*known.handlers, name), total=total) if name else known
    return {instance_id: tuple(rounds.values()) for instance_id, rounds in found.items()}


def _counted(rows: Select[Any]) -> ColumnElement[int]:
    bounded = rows.limit(literal_column(str(CAP + 1))).subquery()
    return select(func.count()).select_from(bounded).scalar_subquery()


_ONE: ColumnElement[int] = literal_column("1")
_COUNTS = select(
    _counted(select(_ONE).select_from(WorkItem).where(WorkItem.assignee_id == _VIEWER, _OPEN)),
    _counted(select(_ONE).select_from(WorkItem).where(WorkItem.assignee_id == _VIEWER, _OPEN_READ)),
    _counted(select(_ONE).select_from(Copy).where(Copy.person_id == _VIEWER, _UNREAD_COPY)),
    _counted(
        select(_ONE)
        .select_from(Draft)
        .outerjoin(WorkItem, WorkItem.id == Draft.item_id)
        .where(Draft.person_id == _VIEWER, _STILL_WANTED)
    ),
)


def _overdue(predicate: Any) -> Select[Any]:
    return (
        select(_ONE)
        .select_from(WorkItem)
        .join(WorkRound, WorkRound.id == WorkItem.round_id)
        .where(WorkItem.assignee_id == _VIEWER, predicate, WorkRound.due_at <= bindparam("now"))
    )


_BOARD = Statement(
    str(
        select(
            _counted(select(_ONE).select_from(WorkItem).where(WorkItem.assignee_id == _VIEWER, _OPEN)),
            _counted(select(_ONE).select_from(WorkItem).where(WorkItem.assignee_id == _VIEWER, _OPEN_READ)),
            _counted(
                select(_ONE)
                .select_from(Instance)
                .where(Instance.initiator_id == _VIEWER, Instance.state == literal_column("'running'"))
            ),
            _counted(_overdue(_OPEN)),
            _counted(_overdue(_OPEN_READ)),
        )
    )
)


def board(session: Session, viewer: Actor) -> Board:
    """Return what the viewer's workbench shows, in one statement: all numbers are of one moment."""
    batch = Batch()
    batch.query(_BOARD, {"viewer": viewer.person_id, "now": clock.now()})
    [[found]] = batch.run(session)
    todo, read_todo, started, late, late_reading = found
    return Board(todo, read_todo, started, late + late_reading, late)


def counts(session: Session, viewer: Actor) -> Counts:
    """Return how many rows the viewer's boxes hold, in one statement over their indexes."""
    return Counts(*session.execute(_COUNTS, {"viewer": viewer.person_id}).one())
