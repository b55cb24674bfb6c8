"""A work item or an instance in full: what it says by the viewer's rights, what they may do, and how it came here."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session, undefer

from engine import clock
from engine.bpm import definitions, runtime, visibility
from engine.bpm.commands import checks
from engine.bpm.commands.case import Case
from engine.bpm.definitions import Version
from engine.bpm.extensions import RoundPolicy
from engine.bpm.models import (
    Draft,
    Instance,
    InstanceState,
    ItemKind,
    ItemState,
    Process,
    ProcessVersion,
    WorkItem,
    WorkRound,
)
from engine.bpm.queries.actions import Actions, Deciding
from engine.bpm.queries.trail import Timeline, Trail
from engine.bpm.queries.views import FormView
from engine.org.actor import Actor
from engine.org.models import Department, Person

MAX_OPINIONS = 500


@dataclass(frozen=True, slots=True)
class Head:
    """The instance as the top of a page shows it; `revision` goes with an action that must not overtake another."""

    id: uuid.UUID
    process_key: str
    process_name: str
    version_number: int
    title: str
    summary: str
    urgency: int
    state: str
    revision: int
    initiator_id: uuid.UUID
    initiator: str
    department: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody decided on a step, in their words."""

    name: str
    department: str
    step_name: str
    outcome_name: str | None
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OpinionBox:
    """An opinion box (意见框), e.g. 领导批示: opinions by rank, then by time."""

    name: str
    opinions: tuple[Opinion, ...]


@dataclass(frozen=True, slots=True)
class DraftView:
    """What the viewer has typed and not sent (暂存): data, opinion, outcome."""

    id: uuid.UUID
    content: Mapping[str, Any]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ItemView:
    """The work item: whose it is, and why theirs (为什么是我)."""

    id: uuid.UUID
    assignee_id: uuid.UUID
    assignee: str
    state: str
    kind: str
    why: str
    origin: str
    claimed: bool
    outcome: str | None
    opinion: str
    opened_at: datetime
    read_at: datetime | None
    closed_at: datetime | None
    round_id: uuid.UUID
    task_id: int
    step: str
    step_name: str
    policy: RoundPolicy


@dataclass(frozen=True, slots=True)
class InstanceDetail:
    """An instance for one viewer: `forms` hold only fields that a step showed them."""

    head: Head
    forms: tuple[FormView, ...]
    actions: Actions
    opinions: tuple[OpinionBox, ...]
    timeline: Timeline

    @property
    def attachments(self) -> tuple[uuid.UUID, ...]:
        """The ids of attachments that the visible fields name."""
        return tuple(dict.fromkeys(id_ for form in self.forms for id_ in form.attachments))


@dataclass(frozen=True, slots=True)
class ItemDetail(InstanceDetail):
    """A work item for one viewer. `late` says why its assignee can't handle it (any more), None while they can."""

    item: ItemView
    draft: DraftView | None
    late: str | None


def work_item_detail(session: Session, viewer: Actor, item_id: uuid.UUID) -> ItemDetail:
    """Return a work item with its instance: the assignee sees the step's form, others what their own steps show.

    Raises NotFound unless the viewer may see the instance.
    """
    statement = (
        select(WorkItem, WorkRound, Person.name)
        .join(WorkRound, WorkRound.id == WorkItem.round_id)
        .join(Person, Person.id == WorkItem.assignee_id)
        .where(WorkItem.id == item_id)
    )
    row = session.execute(statement).first()
    if row is None:
        raise visibility.not_found()
    item, step, assignee = row
    reading = _Reading(session, viewer, item.instance_id)
    mine = item.assignee_id == viewer.person_id
    forms: tuple[FormView, ...]
    if mine:
        editable = item.state == ItemState.OPEN and reading.instance.state == InstanceState.RUNNING
        form = FormView.of_step(reading.version, step.step, reading.scope(step.task_id), editable=editable)
        forms = () if form is None else (form,)
    else:
        forms = reading.forms()
    shown = _item_view(item, step, assignee, reading.version)
    late = None
    if mine and item.state != ItemState.OPEN:
        late = checks.late(Case(session, viewer, reading.instance, clock.now()), shown)
    return ItemDetail(
        head=reading.head(),
        forms=forms,
        actions=reading.deciding().on_item(item, step),
        opinions=reading.opinions(),
        timeline=reading.trail,
        item=shown,
        draft=_draft(session, viewer, item_id),
        late=late,
    )


def instance_detail(session: Session, viewer: Actor, instance_id: uuid.UUID) -> InstanceDetail:
    """Return an instance as the viewer may see it. Raises NotFound unless they may see it at all.

    Who handled steps sees the fields that these showed, process admins and auditors everything, every other reader the
    initiator's form without what is hidden there.
    """
    reading = _Reading(session, viewer, instance_id)
    return InstanceDetail(
        head=reading.head(),
        forms=reading.forms(),
        actions=reading.deciding().on_instance(),
        opinions=reading.opinions(),
        timeline=reading.trail,
    )


class _Reading:
    """An instance on its way to one viewer."""

    def __init__(self, session: Session, viewer: Actor, instance_id: uuid.UUID) -> None:
        self._session, self._viewer = session, viewer
        loaded = undefer(Instance.data), undefer(Instance.engine_state)
        self.instance = visibility.require(session, viewer, instance_id, *loaded)
        self.version: Version = definitions.version(session, self.instance.version_id)
        self.data: dict[str, Any] = orjson.loads(self.instance.data)
        self.trail: Timeline = Trail(session, viewer, self.instance).read()
        self._steps = self._handled()

    def scope(self, task_id: int) -> dict[str, Any]:
        """Return the data as a task sees it: with the local scope of its multi-instance, while it is open."""
        return runtime.scope(self.version.definition, self.instance.engine_state, self.data, task_id)

    def _handled(self) -> list[str]:
        """Return the steps that were the viewer's; all that were ever opened, for who sees everything."""
        opened = select(WorkRound.step).where(WorkRound.instance_id == self.instance.id)
        if not self._viewer.sees_all:
            opened = opened.join(WorkItem, WorkItem.round_id == WorkRound.id).where(
                WorkItem.assignee_id == self._viewer.person_id, WorkItem.state != ItemState.QUEUED
            )
        ordered = opened.group_by(WorkRound.step).order_by(func.min(WorkRound.opened_at), WorkRound.step)
        return list(self._session.scalars(ordered))

    def forms(self) -> tuple[FormView, ...]:
        """Return the forms with the fields that the viewer may see."""
        shown = FormView.of_all if self._viewer.sees_all else FormView.of_reader
        return shown(self.version, self._steps, self.data)

    def deciding(self) -> Deciding:
        """Return what derives the actions."""
        handled = bool(self._steps) and not self._viewer.sees_all
        return Deciding(self._session, self._viewer, self.instance, self.version, self.trail, handled=handled)

    def head(self) -> Head:
        """Return the top of the page."""
        instance = self.instance
        statement = (
            select(Process.name, ProcessVersion.number, Person.name, Department.name)
            .select_from(Process)
            .join(ProcessVersion, ProcessVersion.id == instance.version_id)
            .join(Person, Person.id == instance.initiator_id)
            .join(Department, Department.id == instance.department_id)
            .where(Process.key == instance.process_key)
        )
        process_name, number, initiator, department = self._session.execute(statement).one()
        return Head(
            id=instance.id,
            process_key=instance.process_key,
            process_name=process_name,
            version_number=number,
            title=instance.title,
            summary=instance.summary,
            urgency=instance.urgency,
            state=instance.state,
            revision=instance.version,
            initiator_id=instance.initiator_id,
            initiator=initiator,
            department=department,
            started_at=instance.started_at,
            ended_at=instance.ended_at,
        )

    def opinions(self) -> tuple[OpinionBox, ...]:
        """Return the opinion boxes that somebody has written in, in the order of the steps."""
        tasks = self.version.definition.tasks
        boxes = {step: task.opinion_box for step, task in tasks.items() if task.opinion_box}
        statement = (
            select(WorkItem, WorkRound.step, WorkRound.step_name, Person.name, Department.name)
            .join(WorkRound, WorkRound.id == WorkItem.round_id)
            .join(Person, Person.id == WorkItem.assignee_id)
            .join(Department, Department.id == Person.department_id)
            .where(WorkItem.instance_id == self.instance.id, WorkItem.state == ItemState.DONE)
            .where(WorkRound.step.in_(boxes), (WorkItem.kind != ItemKind.READ) | (WorkItem.opinion != ""))
            .order_by(Person.rank, WorkItem.closed_at, WorkItem.id)
            .limit(MAX_OPINIONS)
        )
        found: dict[str, dict[Any, Opinion]] = {box: {} for box in boxes.values() if box}
        for item, step, step_name, name, department in self._session.execute(statement):
            outcome = tasks[step].outcome(item.outcome or "")
            outcome_name = "退回" if item.outcome == "return" else None if outcome is None else outcome.name
            opinion = Opinion(name, department, step_name, outcome_name, item.opinion, item.closed_at or item.opened_at)
            # a round that was opened again holds the decisions that stand once more
            found[boxes[step] or ""].setdefault((item.assignee_id, step, item.closed_at), opinion)
        return tuple(OpinionBox(box, tuple(given.values())) for box, given in found.items() if given)


def _item_view(item: WorkItem, step: WorkRound, assignee: str, version: Version) -> ItemView:
    return ItemView(
        id=item.id,
        assignee_id=item.assignee_id,
        assignee=assignee,
        state=item.state,
        kind=item.kind,
        why=item.why,
        origin=item.origin,
        claimed=item.claimed,
        outcome=item.outcome,
        opinion=item.opinion,
        opened_at=item.opened_at,
        read_at=item.read_at,
        closed_at=item.closed_at,
        round_id=item.round_id,
        task_id=step.task_id,
        step=step.step,
        step_name=step.step_name,
        policy=version.definition.tasks[step.step].round,
    )


def _draft(session: Session, viewer: Actor, item_id: uuid.UUID) -> DraftView | None:
    mine = select(Draft).where(Draft.person_id == viewer.person_id, Draft.item_id == item_id)
    draft = session.scalar(mine)
    return None if draft is None else DraftView(draft.id, orjson.loads(draft.content), draft.updated_at)
