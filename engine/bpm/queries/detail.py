"""A work item or an instance in full: what it says by the viewer's rights, what they may do, and how it came here."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from engine import clock
from engine.batch import Batch, Statement
from engine.bpm import definitions, runtime, visibility
from engine.bpm.commands import checks, statements
from engine.bpm.commands.case import Case
from engine.bpm.definitions import Version
from engine.bpm.extensions import RoundPolicy
from engine.bpm.models import InstanceState, ItemState
from engine.bpm.queries import drafts, trail
from engine.bpm.queries.actions import Actions, Deciding
from engine.bpm.queries.drafts import DraftView
from engine.bpm.queries.trail import Timeline
from engine.bpm.queries.views import SHOWN, FormView, shown_fields
from engine.errors import NotFound
from engine.org.actor import Actor
from engine.org.directory import REVISION, directory

MAX_OPINIONS = 500


@dataclass(frozen=True, slots=True)
class Head:
    """The instance as the top of a page shows it; `revision` goes with an action that must not overtake another."""

    id: uuid.UUID
    process_key: str
    process_name: str
    version_id: uuid.UUID
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
    due_at: datetime | None
    closed_at: datetime | None
    round_id: uuid.UUID
    task_id: int
    step: str
    step_name: str
    policy: RoundPolicy

    @property
    def overdue(self) -> bool:
        """Whether it is still to be done and should have been by now."""
        return self.due_at is not None and self.closed_at is None and self.due_at <= clock.now()


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


_INSTANCE = Statement(
    f"""
    SELECT instance.id, instance.process_key, instance.version_id, instance.title, instance.summary,
      instance.initiator_id, instance.department_id, instance.urgency, instance.state, instance.version,
      instance.engine_state, instance.data, instance.started_at, instance.ended_at,
      p.name AS process_name, v.number AS version_number,
      {visibility.TAKES_PART} AS takes_part
    FROM instance JOIN process p ON p.key = instance.process_key
      JOIN process_version v ON v.id = instance.version_id
    WHERE instance.id = :id
    """,
    id=uuid.UUID,
    version_id=uuid.UUID,
    initiator_id=uuid.UUID,
    department_id=uuid.UUID,
    started_at=datetime,
    ended_at=datetime,
    takes_part=bool,
)
_OWN_TASKS = Statement(
    "SELECT r.step, r.task_id FROM work_item i JOIN work_round r ON r.id = i.round_id "
    "WHERE i.instance_id = :id AND i.assignee_id = :viewer AND i.state = 'open'"
)
_OPINIONS = Statement(
    """
    SELECT i.assignee_id, r.step, r.step_name, i.outcome, i.opinion, i.opened_at, i.closed_at
    FROM work_item i JOIN work_round r ON r.id = i.round_id JOIN person p ON p.id = i.assignee_id
    WHERE i.instance_id = :id AND i.state = 'done' AND (i.kind <> 'read' OR i.opinion <> '')
      AND :steps LIKE '%|' || replace(r.step, '_', '!_') || '|%' ESCAPE '!'
    ORDER BY p.rank, i.closed_at, i.id LIMIT :most
    """,
    assignee_id=uuid.UUID,
    opened_at=datetime,
    closed_at=datetime,
)


def work_item_detail(session: Session, viewer: Actor, item_id: uuid.UUID) -> ItemDetail:
    """Return a work item with its instance: the assignee sees the step's form, others what their own steps show.

    Raises NotFound unless the viewer may see the instance.
    """
    batch = Batch()
    batch.query(statements.ITEM, {"item": item_id})
    batch.query(drafts.OF_ITEM, {"viewer": viewer.person_id, "item": item_id})
    items, typed = batch.run(session)
    if not items:
        raise visibility.not_found()
    item = items[0]
    reading = _Reading(session, viewer, item.instance_id)
    mine = item.assignee_id == viewer.person_id
    forms: tuple[FormView, ...]
    if mine:
        editable = item.state == ItemState.OPEN and reading.instance.state == InstanceState.RUNNING
        form = FormView.of_step(reading.version, item.step, reading.scope(item.task_id), editable=editable)
        forms = () if form is None else (form,)
    else:
        forms = reading.forms()
    late = None
    if mine and item.state != ItemState.OPEN:
        late = checks.late(Case(session, viewer, reading.instance, clock.now()), item)
    return ItemDetail(
        head=reading.head(),
        forms=forms,
        actions=reading.deciding().on_item(item),
        opinions=reading.opinions(),
        timeline=reading.trail,
        item=_item_view(item, reading.version),
        draft=DraftView.of(typed),
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


def may_open(session: Session, viewer: Actor, instance_id: uuid.UUID, attachment_id: uuid.UUID) -> bool:
    """Whether a file stands in a field that the viewer may see, on the instance or on an open item of their own."""
    try:
        reading = _Reading(session, viewer, instance_id)
    except NotFound:
        return False
    if viewer.sees_all or any(attachment_id in form.attachments for form in reading.forms()):
        return True
    batch = Batch()
    batch.query(_OWN_TASKS, {"id": instance_id, "viewer": viewer.person_id})
    forms = (
        FormView.of_step(reading.version, own.step, reading.scope(own.task_id), editable=False)
        for own in batch.run(session)[0]
    )
    return any(attachment_id in form.attachments for form in forms if form is not None)


class _Reading:
    """An instance on its way to one viewer."""

    def __init__(self, session: Session, viewer: Actor, instance_id: uuid.UUID) -> None:
        self._session, self._viewer = session, viewer
        self.instance = _instance(session, viewer, instance_id)
        self.version: Version = definitions.version(session, self.instance.version_id)
        self.data: dict[str, Any] = orjson.loads(self.instance.data)
        self._boxes = {step: t.opinion_box for step, t in self.version.definition.tasks.items() if t.opinion_box}
        batch = Batch()
        mine = {"id": instance_id, "viewer": viewer.person_id, "all": viewer.sees_all}
        batch.query(SHOWN, mine)
        batch.query(_OPINIONS, {"id": instance_id, "steps": f"|{'|'.join(self._boxes)}|", "most": MAX_OPINIONS})
        trail.ask(batch, viewer, instance_id)
        batch.query(REVISION, {})  # after what names people: the directory holds them all
        shown, self._given, *answers, revision = batch.run(session)
        self._directory = directory(session, revision[0].revision)
        self._steps = [row.step for row in shown]
        self._handled = any(row.own for row in shown)
        fields = None if viewer.sees_all else shown_fields(self.version, self._steps)
        self.trail: Timeline = trail.told(self.version, self._directory, self.instance, answers, fields)

    def scope(self, task_id: int) -> dict[str, Any]:
        """Return the data as a task sees it: with the local scope of its multi-instance, while it is open."""
        return runtime.scope(self.version.definition, self.instance.engine_state, self.data, task_id)

    def forms(self) -> tuple[FormView, ...]:
        """Return the forms with the fields that the viewer may see."""
        shown = FormView.of_all if self._viewer.sees_all else FormView.of_reader
        return shown(self.version, self._steps, self.data)

    def deciding(self) -> Deciding:
        """Return what derives the actions."""
        handled = self._handled and not self._viewer.sees_all
        return Deciding(self._session, self._viewer, self.instance, self.version, self.trail, handled=handled)

    def head(self) -> Head:
        """Return the top of the page."""
        instance = self.instance
        return Head(
            id=instance.id,
            process_key=instance.process_key,
            process_name=instance.process_name,
            version_id=instance.version_id,
            version_number=instance.version_number,
            title=instance.title,
            summary=instance.summary,
            urgency=instance.urgency,
            state=instance.state,
            revision=instance.version,
            initiator_id=instance.initiator_id,
            initiator=self._directory.people[instance.initiator_id].name,
            department=self._directory.departments[instance.department_id].name,
            started_at=instance.started_at,
            ended_at=instance.ended_at,
        )

    def opinions(self) -> tuple[OpinionBox, ...]:
        """Return the opinion boxes that somebody has written in, in the order of the steps."""
        found: dict[str, dict[Any, Opinion]] = {box: {} for box in self._boxes.values()}
        for row in self._given:
            if row.step not in self._boxes:  # SQLite's LIKE takes A for a
                continue
            outcome = self.version.definition.tasks[row.step].outcome(row.outcome or "")
            outcome_name = "退回" if row.outcome == "return" else None if outcome is None else outcome.name
            person = self._directory.people[row.assignee_id]
            department = self._directory.departments[person.department_id].name
            at = row.closed_at or row.opened_at
            opinion = Opinion(person.name, department, row.step_name, outcome_name, row.opinion, at)
            # a round that was opened again holds the decisions that stand once more
            found[self._boxes[row.step]].setdefault((row.assignee_id, row.step, row.closed_at), opinion)
        return tuple(OpinionBox(box, tuple(given.values())) for box, given in found.items() if given)


def _instance(session: Session, viewer: Actor, instance_id: uuid.UUID) -> Any:
    """Return the instance as a row. Raises NotFound unless the viewer may see it."""
    batch = Batch()
    batch.query(_INSTANCE, {"id": instance_id, "viewer": viewer.person_id})
    for row in batch.run(session)[0]:
        if visibility.sees(session, viewer, row, takes_part=row.takes_part):
            return row
    raise visibility.not_found()


def _item_view(item: Any, version: Version) -> ItemView:
    return ItemView(
        id=item.id,
        assignee_id=item.assignee_id,
        assignee=item.assignee_name,
        state=item.state,
        kind=item.kind,
        why=item.why,
        origin=item.origin,
        claimed=item.claimed,
        outcome=item.outcome,
        opinion=item.opinion,
        opened_at=item.opened_at,
        read_at=item.read_at,
        due_at=item.due_at,
        closed_at=item.closed_at,
        round_id=item.round_id,
        task_id=item.task_id,
        step=item.step,
        step_name=item.step_name,
        policy=version.definition.tasks[item.step].round,
    )
