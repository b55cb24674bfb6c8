"""What process admins and auditors search: instances by state, process, text and fields; incidents (异常)."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from engine.bpm.models import Incident, Instance, Process, SearchValue, WorkItem, WorkRound
from engine.bpm.queries.boxes import Handling, standing
from engine.bpm.queries.paging import Filters, Keyset, Page
from engine.bpm.runtime import Awaited
from engine.errors import Forbidden, Invalid
from engine.org.actor import Actor
from engine.org.models import Department, Person

MAX_FIELDS = 5
"""Field filters of one search."""

_FIELD = re.compile(r"[^\W\d_]\w{0,59}")
_MAX_NUMBER = Decimal(10) ** 16  # of the column search_value.number


@dataclass(frozen=True, slots=True)
class FieldFilter:
    """A condition on a searchable field: `operator` is eq, ge, le, or begins (of a text). Raises Invalid.

    A text is compared with texts, a number with numbers, an aware moment with dates.
    """

    field: str
    operator: str
    value: str | Decimal | datetime

    def __post_init__(self) -> None:
        if not _FIELD.fullmatch(self.field):
            raise Invalid("没有这个可搜索的字段，请重新选择", code="bad_field")
        if self.operator not in (("eq", "begins") if isinstance(self.value, str) else ("eq", "ge", "le")):
            raise Invalid("文字用 eq 或 begins，数字和日期用 eq、ge 或 le", code="bad_operator")
        match self.value:
            case str() if not self.value.isprintable() or len(self.value) > 200:
                raise Invalid("搜索文字最多 200 个字，不能有特殊字符", code="bad_value")
            case Decimal() if not self.value.is_finite() or abs(self.value) >= _MAX_NUMBER:
                raise Invalid("数字太大，请改小", code="bad_value")
            case datetime() if self.value.tzinfo is None or not 1 < self.value.year < 9999:
                raise Invalid("时间不正确，请写明时区", code="bad_value")

    def condition(self, process_key: str) -> ColumnElement[bool]:
        """Return the condition on an instance."""
        column: Any = SearchValue.text
        if not isinstance(self.value, str):
            column = SearchValue.number if isinstance(self.value, Decimal) else SearchValue.moment
        match self.operator:
            case "eq":
                compared = column == self.value
            case "ge":
                compared = column >= self.value
            case "le":
                compared = column <= self.value
            case _:
                compared = column.startswith(self.value, autoescape=True)
        return exists().where(
            SearchValue.instance_id == Instance.id,
            SearchValue.process_key == process_key,
            SearchValue.field == self.field,
            compared,
        )


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """An instance in the admins' list, with the steps where it now stands."""

    id: uuid.UUID
    process_key: str
    process_name: str
    title: str
    summary: str
    applicant: str
    department: str
    urgency: int
    state: str
    started_at: datetime
    ended_at: datetime | None
    incident: bool
    now: tuple[Handling, ...] = ()
    awaited: tuple[Awaited, ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """Something to mend; `retryable` when a job or a timer waits for another try.

    `item_id`: an open item of the step where nobody was found, to be given to somebody else (换人).
    """

    id: uuid.UUID
    instance_id: uuid.UUID
    process_key: str
    process_name: str
    title: str
    step: str | None
    kind: str
    message: str
    retryable: bool
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    item_id: uuid.UUID | None


_INSTANCES = Keyset("instances", ((Instance.id, uuid.UUID),))
_INCIDENTS = Keyset("incidents", ((Incident.id, uuid.UUID),))
_STUCK: ColumnElement[bool] = exists().where(Incident.instance_id == Instance.id, Incident.resolved_at.is_(None))
_RETRYABLE: ColumnElement[bool] = Incident.outbox_id.is_not(None) | (
    Incident.task_id.is_not(None) & (Incident.kind != "nobody")
)
_ITEM: ColumnElement[Any] = (
    select(WorkItem.id)
    .join(WorkRound, WorkRound.id == WorkItem.round_id)
    .where(
        Incident.kind == "nobody",
        WorkRound.instance_id == Incident.instance_id,
        WorkRound.task_id == Incident.task_id,
        WorkItem.state == "open",
    )
    .order_by(WorkItem.id)
    .limit(1)
    .correlate(Incident)
    .scalar_subquery()
)
# in the order of the rows' fields
_INSTANCE_COLUMNS: tuple[Any, ...] = (
    Instance.id, Instance.process_key, Process.name, Instance.title, Instance.summary, Person.name, Department.name,
    Instance.urgency, Instance.state, Instance.started_at, Instance.ended_at, _STUCK,
)  # fmt: skip
_INCIDENT_COLUMNS: tuple[Any, ...] = (
    Incident.id, Incident.instance_id, Instance.process_key, Process.name, Instance.title, Incident.step,
    Incident.kind, Incident.message, _RETRYABLE, Incident.created_at, Incident.resolved_at, Person.name, _ITEM,
)  # fmt: skip


def instances(
    session: Session,
    viewer: Actor,
    *,
    filters: Filters = Filters(),
    fields: Sequence[FieldFilter] = (),
    stuck: bool = False,
    cursor: str | None = None,
    limit: int = 20,
) -> Page[InstanceRow]:
    """Search all instances, newest first; `fields` need a process in `filters`; `stuck`: with an open incident only.

    Up to three statements. Raises Forbidden unless the viewer is a process admin or an auditor, Invalid for bad
    filters.
    """
    require_overseer(viewer)
    if len(fields) > MAX_FIELDS:
        raise Invalid(f"最多 {MAX_FIELDS} 个字段条件", code="bad_field")
    if fields and filters.process is None:
        raise Invalid("按字段搜索时请先选择流程", code="bad_process")
    conditions = filters.conditions(
        process=Instance.process_key,
        title=Instance.title,
        urgency=Instance.urgency,
        moment=Instance.started_at,
        state=Instance.state,
    )
    statement = (
        select(*_INSTANCE_COLUMNS)
        .select_from(Instance)
        .join(Process, Process.key == Instance.process_key)
        .join(Person, Person.id == Instance.initiator_id)
        .join(Department, Department.id == Instance.department_id)
        .where(*conditions, *(field.condition(filters.process or "") for field in fields))
    )
    if stuck:
        statement = statement.where(_STUCK)
    rows = [InstanceRow(*row) for row in session.execute(_INSTANCES.narrowed(statement, cursor, limit))]
    found = _INSTANCES.page(rows, [(row.id,) for row in rows], limit)
    return replace(found, rows=standing(session, viewer, found.rows))


def incidents(
    session: Session,
    viewer: Actor,
    *,
    resolved: bool = False,
    process: str | None = None,
    cursor: str | None = None,
    limit: int = 20,
) -> Page[IncidentRow]:
    """Return incidents, newest first: open ones, or with `resolved` the mended ones.

    Raises Forbidden unless the viewer is a process admin or an auditor.
    """
    require_overseer(viewer)
    filters = Filters(process=process)
    statement = (
        select(*_INCIDENT_COLUMNS)
        .select_from(Incident)
        .join(Instance, Instance.id == Incident.instance_id)
        .join(Process, Process.key == Instance.process_key)
        .outerjoin(Person, Person.id == Incident.resolved_by)
        .where(Incident.resolved_at.is_not(None) if resolved else Incident.resolved_at.is_(None))
    )
    if filters.process is not None:
        statement = statement.where(Instance.process_key == filters.process)
    rows = [IncidentRow(*row) for row in session.execute(_INCIDENTS.narrowed(statement, cursor, limit))]
    return _INCIDENTS.page(rows, [(row.id,) for row in rows], limit)


def require_overseer(viewer: Actor) -> None:
    """Raise Forbidden unless the viewer is a process admin or an auditor."""
    if not viewer.sees_all:
        raise Forbidden("只有流程管理员和审计员可以查看", code="not_overseer")
