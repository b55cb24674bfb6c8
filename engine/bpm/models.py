"""Tables of the process engine.

The engine's own state is one small blob per instance; people's part of a step are rows: a round (一轮办理) of work
items (待办事项). History lives in the action log (办理记录), never in the state.
"""

import enum
import uuid
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from engine.db import Base, new_id

if TYPE_CHECKING:
    from engine.bpm.lint.finding import Finding

_BIGID = BigInteger().with_variant(Integer(), "sqlite")


class InstanceState(enum.StrEnum):
    """State of a process instance (流程实例)."""

    RUNNING = "running"  # 办理中
    COMPLETED = "completed"  # 已办结
    WITHDRAWN = "withdrawn"  # 已撤销, by the initiator
    TERMINATED = "terminated"  # 已终止, by an admin


class ItemState(enum.StrEnum):
    """State of a work item (待办事项)."""

    OPEN = "open"  # in its assignee's box
    STANDBY = "standby"  # another candidate has claimed the step (他人已签收)
    QUEUED = "queued"  # in turn: not yet this person's turn
    DONE = "done"  # decided, filled or acknowledged by the assignee
    CLOSED = "closed"  # no longer needed: the round was decided without it
    REASSIGNED = "reassigned"  # passed on to another person (已转办)
    CANCELLED = "cancelled"  # the step was left by a return, a timer or the end of the instance


class ItemKind(enum.StrEnum):
    """What the assignee does: decide (审批), fill (填写), read (传阅)."""

    DECIDE = "decide"
    FILL = "fill"
    READ = "read"


class IncidentKind(enum.StrEnum):
    """What keeps an instance from going on (异常); pages name the kinds in `web.phrases`.

    An incident stands on an instance, at an element: an admin mends it and tries again, or passes over it. What the
    outbox gives up and no instance waits for, a notice or a message without a receiver, is a dead letter instead.
    """

    JOB = "job"  # an operation that the outbox gave up, or that reported an error which nothing catches
    EVENT = "event"  # a message that could not be delivered to a waiting instance
    SETTLE = "settle"  # a read step with enough readers that could not go on
    NOBODY = "nobody"  # nobody to handle a step: process admins or named people have it
    TIMER = "timer"  # a due moment that can't be computed, or a timer that fails when it fires
    GATEWAY = "gateway"  # no flow out of a gateway holds
    EXPRESSION = "expression"  # an expression that has no answer
    DECISION = "decision"  # a decision that has no answer for a reason: a table that only matches nothing answers null
    BUDGET = "budget"  # too many automatic steps in one go
    ERROR = "error"  # an error end event that nothing catches


class Process(Base):
    """A process by its key (流程); versions hang below it."""

    __tablename__ = "process"

    key: Mapped[str] = mapped_column(String(60), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    category: Mapped[str] = mapped_column(String(40), default="")
    current_version_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("process_version.id", use_alter=True))
    suspended_at: Mapped[datetime | None]


class ProcessVersion(Base):
    """A deployed version of a process; running instances stay on theirs."""

    __tablename__ = "process_version"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    key: Mapped[str] = mapped_column(ForeignKey("process.key"))
    number: Mapped[int]
    files: Mapped[bytes]  # zstd of JSON {path: text}: process.bpmn, forms/*.json, called processes
    digest: Mapped[str] = mapped_column(String(64))
    deployed_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    deployed_at: Mapped[datetime]
    note: Mapped[str] = mapped_column(String(400), default="")
    fresh = False  # whether this very call of `definitions.deploy` made it
    findings = tuple["Finding", ...]()  # the warnings that this very call found

    __table_args__ = (UniqueConstraint("key", "number"),)


class Instance(Base):
    """A process instance (流程实例): one document or request on its way."""

    __tablename__ = "instance"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    process_key: Mapped[str] = mapped_column(ForeignKey("process.key"))
    version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("process_version.id"))
    title: Mapped[str] = mapped_column(String(200))
    summary: Mapped[str] = mapped_column(String(200), default="")  # THE deciding figure, e.g. "病假 5 天"
    initiator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    department_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("department.id"))
    urgency: Mapped[int] = mapped_column(default=0)  # 缓急: 0 普通, 1 平急, 2 加急, 3 特急
    state: Mapped[str] = mapped_column(String(12), default=InstanceState.RUNNING)
    version: Mapped[int] = mapped_column(default=1)  # one more at each save
    engine_state: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    data: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)  # JSON of plain values
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_instance_initiator", "initiator_id", "id"),
        Index("ix_instance_state", "state", "process_key", "id"),
    )


class WorkRound(Base):
    """One round of handling (一轮办理): a user task that is open, or was."""

    __tablename__ = "work_round"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instance.id"))
    task_id: Mapped[int]  # the waiting task in the engine's state
    step: Mapped[str] = mapped_column(String(80))  # element id in the diagram
    step_name: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(8))
    sender_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))  # whose action opened it (上一办理人)
    until_all: Mapped[bool] = mapped_column(default=False, server_default=false())  # no reader alone ends it (传阅到人)
    outcome: Mapped[str | None] = mapped_column(String(40))
    opened_at: Mapped[datetime]
    due_at: Mapped[datetime | None]  # the earliest timer on the step's border, as it was when it opened (办理期限)
    closed_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_work_round_instance", "instance_id", "id"),)


class WorkItem(Base):
    """One person's part of a round (待办事项)."""

    __tablename__ = "work_item"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    round_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("work_round.id"))
    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instance.id"))
    process_key: Mapped[str] = mapped_column(String(60))
    urgency: Mapped[int] = mapped_column(default=0)
    kind: Mapped[str] = mapped_column(String(8))
    assignee_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    state: Mapped[str] = mapped_column(String(10), default=ItemState.OPEN)
    position: Mapped[int] = mapped_column(default=0)  # order in turn
    why: Mapped[str] = mapped_column(String(200))  # why this person, for the person (为什么是我)
    origin: Mapped[str] = mapped_column(
        String(12), default="assigned"
    )  # assigned, reassigned, circulated, started (发起)
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("work_item.id"))
    claimed: Mapped[bool] = mapped_column(default=False)
    outcome: Mapped[str | None] = mapped_column(String(40))
    opinion: Mapped[str] = mapped_column(Text, default="")
    opened_at: Mapped[datetime]
    read_at: Mapped[datetime | None]  # first opened by the assignee
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ix_work_item_todo",
            "assignee_id",
            "id",
            postgresql_where=text("state = 'open' AND kind <> 'read'"),
            sqlite_where=text("state = 'open' AND kind <> 'read'"),
        ),
        Index(
            "ix_work_item_read_todo",
            "assignee_id",
            "id",
            postgresql_where=text("state = 'open' AND kind = 'read'"),
            sqlite_where=text("state = 'open' AND kind = 'read'"),
        ),
        Index(
            "ix_work_item_done",
            "assignee_id",
            "closed_at",
            "id",
            postgresql_where=text("state IN ('done', 'reassigned') AND origin <> 'started'"),
            sqlite_where=text("state IN ('done', 'reassigned') AND origin <> 'started'"),
        ),
        Index(
            "ix_work_item_waiting",
            "assignee_id",
            postgresql_where=text("state IN ('standby', 'queued')"),
            sqlite_where=text("state IN ('standby', 'queued')"),
        ),
        Index("ix_work_item_round", "round_id", "state"),
        Index("ix_work_item_instance", "instance_id", "assignee_id"),
    )


class Copy(Base):
    """A copy (抄送) of an instance to a person, with a reason and a read receipt; the copied don't decide."""

    __tablename__ = "copy"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instance.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    sender_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_copy_person", "person_id", "id"),
        Index(
            "ix_copy_unread",
            "person_id",
            postgresql_where=text("read_at IS NULL"),
            sqlite_where=text("read_at IS NULL"),
        ),
        UniqueConstraint("instance_id", "person_id"),
    )


class Draft(Base):
    """What a person has typed and not sent (暂存): for a work item, or for a new instance of a process."""

    __tablename__ = "draft"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    item_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("work_item.id"))
    process_key: Mapped[str | None] = mapped_column(ForeignKey("process.key"))
    content: Mapped[bytes]  # JSON {data, opinion, outcome}
    updated_at: Mapped[datetime]

    __table_args__ = (Index("ix_draft_person", "person_id", "id"), UniqueConstraint("person_id", "item_id"))


class ActionLog(Base):
    """The trail (办理记录): one row per action, never updated, each with an HMAC over its content.

    What is done to no instance (操作记录: logins, roles, deployments) has none; `item_id` is then what it was done to.
    """

    __tablename__ = "action_log"

    id: Mapped[int] = mapped_column(_BIGID, Identity(), primary_key=True)
    instance_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("instance.id"))
    round_id: Mapped[uuid.UUID | None]
    item_id: Mapped[uuid.UUID | None]
    step: Mapped[str | None] = mapped_column(String(80))
    step_name: Mapped[str | None] = mapped_column(String(80))
    actor_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))  # None: the engine itself
    verb: Mapped[str] = mapped_column(String(20))
    outcome: Mapped[str | None] = mapped_column(String(40))
    opinion: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime]
    path: Mapped[str] = mapped_column(Text, default="[]")  # JSON: elements and flows that the engine walked
    detail: Mapped[str] = mapped_column(Text, default="{}")  # JSON, by verb
    idem_key: Mapped[bytes | None] = mapped_column(unique=True)
    mac: Mapped[bytes]

    __table_args__ = (
        Index("ix_action_log_instance", "instance_id", "id"),
        *(
            Index(
                f"ix_action_log_activity_{name}",
                *columns,
                "at",
                "id",
                postgresql_where=text("instance_id IS NULL"),
                sqlite_where=text("instance_id IS NULL"),
            )
            for name, columns in (("at", ()), ("verb", ("verb",)), ("actor", ("actor_id",)), ("about", ("item_id",)))
        ),
    )


class Timer(Base):
    """A due timer of an open task: found by `due_at`, never by loading instances."""

    __tablename__ = "timer"

    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instance.id"), primary_key=True)
    task_id: Mapped[int] = mapped_column(primary_key=True)
    element: Mapped[str] = mapped_column(String(80))
    due_at: Mapped[datetime] = mapped_column(index=True)


class Subscription(Base):
    """An instance that waits for a message or a signal (消息、信号)."""

    __tablename__ = "subscription"

    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instance.id"), primary_key=True)
    task_id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))  # message, signal
    name: Mapped[str] = mapped_column(String(80))
    correlation: Mapped[str] = mapped_column(String(200), default="")

    __table_args__ = (Index("ix_subscription_name", "kind", "name", "correlation"),)


class Incident(Base):
    """Something that an admin must mend (异常)."""

    __tablename__ = "incident"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instance.id"), index=True)
    task_id: Mapped[int | None]
    step: Mapped[str | None] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(20))  # IncidentKind
    message: Mapped[str] = mapped_column(String(400))
    outbox_id: Mapped[int | None] = mapped_column(_BIGID)
    created_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))

    __table_args__ = (
        Index(
            "ix_incident_open",
            "id",
            postgresql_where=text("resolved_at IS NULL"),
            sqlite_where=text("resolved_at IS NULL"),
        ),
    )


class SearchValue(Base):
    """A field that the process declares searchable, typed."""

    __tablename__ = "search_value"

    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instance.id"), primary_key=True)
    field: Mapped[str] = mapped_column(String(60), primary_key=True)
    process_key: Mapped[str] = mapped_column(String(60))
    text: Mapped[str | None] = mapped_column(String(200))
    number: Mapped[Decimal | None] = mapped_column(Numeric(20, 4))
    moment: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_search_text", "process_key", "field", "text"),
        Index("ix_search_number", "process_key", "field", "number"),
        Index("ix_search_moment", "process_key", "field", "moment"),
    )
