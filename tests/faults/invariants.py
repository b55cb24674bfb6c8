"""What holds between the rows of an instance and the engine's state, whatever happened to either."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from engine import audit
from engine.bpm import definitions
from engine.bpm.models import (
    ActionLog,
    Instance,
    InstanceState,
    ItemKind,
    ItemState,
    Subscription,
    Timer,
    WorkItem,
    WorkRound,
)
from engine.bpm.runtime import specs
from engine.bpm.runtime.codec import decode
from engine.db import Database
from engine.outbox import Outbox

LIVE = (ItemState.OPEN, ItemState.STANDBY, ItemState.QUEUED)
DECISIONS = ("start", "complete", "return", "read")


def require(db: Database) -> int:
    """Assert that every instance is sound; returns how many there are."""
    found = list(violations(db))
    assert not found, "\n".join(found[:20])
    with db.reading() as session:
        return len(session.scalars(select(Instance.id)).all())


def violations(db: Database) -> Iterator[str]:
    """Name everything that is wrong, by instance."""
    with db.reading() as session:
        instances = session.scalars(select(Instance).options(undefer(Instance.data), undefer(Instance.engine_state)))
        rows = _Rows(session)
        for instance in instances.all():
            for problem in rows.of(session, instance).problems():
                yield f"{instance.id} ({instance.process_key}): {problem}"
        yield from (f"trail row {id_} is not as it was signed" for id_ in audit.verify(session)[1])


class _Rows:
    """All rows of a small database, by instance."""

    def __init__(self, session: Session) -> None:
        self._rounds = _by_instance(session.scalars(select(WorkRound).order_by(WorkRound.id)).all())
        self._items = _by_instance(session.scalars(select(WorkItem).order_by(WorkItem.id)).all())
        self._trail = _by_instance(session.scalars(select(ActionLog).order_by(ActionLog.id)).all())
        self._timers = _by_instance(session.scalars(select(Timer)).all())
        self._waits = _by_instance(session.scalars(select(Subscription)).all())
        notices = session.scalars(select(Outbox.payload).where(Outbox.system == "notice", Outbox.topic == "items"))
        self._told = {uuid.UUID(r) for payload in notices for r in orjson.loads(payload)["rounds"]}

    def of(self, session: Session, instance: Instance) -> "_Sound":
        version = definitions.version(session, instance.version_id)
        flow = decode(version.definition, instance.engine_state, orjson.loads(instance.data), datetime.now(UTC))
        tokens = flow.open_tokens()
        return _Sound(
            instance=instance,
            open_tasks=set(tokens),
            user_tasks={i for i, t in tokens.items() if isinstance(t.task_spec, specs.UserTask | specs.ManualTask)},
            rounds=self._rounds[instance.id],
            items=self._items[instance.id],
            trail=self._trail[instance.id],
            alarms=[*self._timers[instance.id], *self._waits[instance.id]],
            told=self._told,
            policies={step: task.round.policy for step, task in version.definition.tasks.items()},
        )


@dataclass
class _Sound:
    instance: Instance
    open_tasks: set[int]
    user_tasks: set[int]
    rounds: list[WorkRound]
    items: list[WorkItem]
    trail: list[ActionLog]
    alarms: list[Timer | Subscription]
    told: set[uuid.UUID]
    policies: dict[str, str]

    def problems(self) -> Iterator[str]:
        """Name what is wrong."""
        yield from self._rounds_and_tasks()
        yield from self._open_items()
        yield from self._trail_of_items()
        yield from self._saves()

    @property
    def _running(self) -> bool:
        return self.instance.state == InstanceState.RUNNING

    def _rounds_and_tasks(self) -> Iterator[str]:
        tasks = Counter(r.task_id for r in self.rounds if r.closed_at is None)
        if self._running and set(tasks) != self.user_tasks:
            yield f"open rounds are of tasks {sorted(tasks)}, open user tasks are {sorted(self.user_tasks)}"
        if self._running and not self.open_tasks:
            yield "it runs, but nothing is open in the engine"
        if not self._running and tasks:
            yield f"it has ended with open rounds of tasks {sorted(tasks)}"
        yield from (f"task {task} has {count} open rounds" for task, count in tasks.items() if count > 1)
        wanted = self.open_tasks if self._running else set()
        yield from (f"an alarm of task {a.task_id}, which isn't open" for a in self.alarms if a.task_id not in wanted)
        for row in self.rounds:
            if row.closed_at is None and row.id not in self.told:
                yield f"nobody is told of round {row.id} ({row.step})"

    def _open_items(self) -> Iterator[str]:
        rounds = {r.id: r for r in self.rounds}
        held = set()
        for item in self.items:
            row = rounds[item.round_id]
            unawaited = row.kind == ItemKind.READ and self.policies.get(row.step) == "none"
            if item.state == ItemState.OPEN:
                held.add(row.id)
            if item.state in LIVE and row.closed_at is not None and not unawaited:
                yield f"item {item.id} is {item.state} in a closed round of {row.step}"
            if item.state in LIVE and not self._running and not (unawaited and self._completed):
                yield f"item {item.id} is {item.state} in an instance that has ended"
            if (item.state in LIVE) != (item.closed_at is None):
                yield f"item {item.id} is {item.state}, closed at {item.closed_at}"
        for row in self.rounds:
            if row.closed_at is None and row.kind != ItemKind.READ and row.id not in held:
                yield f"nobody holds the open round of {row.step}"

    @property
    def _completed(self) -> bool:
        return self.instance.state == InstanceState.COMPLETED

    def _trail_of_items(self) -> Iterator[str]:
        """Each done item has one trail row, less what was taken back.

        A round that is opened again after somebody's take-back carries the others' decisions, in copies of their items.
        """
        actions = Counter((log.item_id, log.verb) for log in self.trail)
        rounds = {r.id: r for r in self.rounds}
        told = set()  # decisions that a trail row tells of
        for item in self.items:
            if any(actions[item.id, verb] for verb in DECISIONS):
                told.add((rounds[item.round_id].step, item.assignee_id, item.outcome, item.closed_at))
        for item in self.items:
            step = rounds[item.round_id].step
            decided = sum(actions[item.id, verb] for verb in DECISIONS)
            carried = item.opened_at < rounds[item.round_id].opened_at
            standing = decided + carried - actions[item.id, "take_back"]
            if item.state == ItemState.DONE:
                # 0: taken back together with its round, whose successor holds the open item
                if standing not in (0, 1) or not (decided or carried):
                    yield f"done item {item.id} of {step} has {decided} decisions in the trail"
                if (
                    carried
                    and not decided
                    and standing
                    and (step, item.assignee_id, item.outcome, item.closed_at) not in told
                ):
                    yield f"done item {item.id} of {step} carries a decision that nobody took"
            elif item.state in LIVE and decided > actions[item.id, "take_back"]:
                yield f"item {item.id} is {item.state}, but decided in the trail"
        for item_id, group in groupby(sorted(str(log.item_id) for log in self.trail if log.verb == "reassign")):
            if (count := len(list(group))) != 1:
                yield f"item {item_id} was reassigned {count} times"

    def _saves(self) -> Iterator[str]:
        kinds: dict[uuid.UUID | None, str] = {item.id: item.kind for item in self.items}
        saves = sum(
            log.verb not in ("auto", "decide", "read", "comment", "urge", "copy")
            and not (log.verb == "complete" and kinds.get(log.item_id) == ItemKind.READ)
            for log in self.trail
        )
        if self.instance.version != saves:
            yield f"version {self.instance.version} after {saves} saves in the trail"


def _by_instance(rows: Sequence[Any]) -> dict[uuid.UUID, list[Any]]:
    found: dict[uuid.UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.instance_id].append(row)
    return found
