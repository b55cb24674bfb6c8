"""What a person may do now with an item or an instance: the buttons. The commands check again, behind the lock."""

import uuid
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock
from engine.bpm import runtime
from engine.bpm.acts import acted_since
from engine.bpm.commands import returning
from engine.bpm.commands.talking import URGE_EVERY
from engine.bpm.definitions import Version
from engine.bpm.extensions import Outcome, ReturnRule
from engine.bpm.models import InstanceState, ItemKind, ItemState, WorkItem
from engine.bpm.queries.trail import Step, Timeline
from engine.org.actor import ADMIN, Actor


@dataclass(frozen=True, slots=True)
class ReturnTarget:
    """A step that may be returned to (退回)."""

    step: str
    name: str


@dataclass(frozen=True, slots=True)
class Actions:
    """`may` names commands. `returns`: where a return may go, the nearest step first; `return_modes`: rewalk, jump.

    Whether a jump is possible is decided when it is tried: it depends on what then runs in parallel.
    """

    may: frozenset[str]
    outcomes: tuple[Outcome, ...] = ()
    returns: tuple[ReturnTarget, ...] = ()
    return_modes: tuple[str, ...] = ()


class Deciding:
    """Derives the actions on one instance, with what its detail has read already."""

    def __init__(
        self, session: Session, viewer: Actor, instance: Any, version: Version, trail: Timeline, *, handled: bool
    ) -> None:
        self._session, self._viewer, self._instance = session, viewer, instance
        self._definition, self._trail = version.definition, trail
        self._running = instance.state == InstanceState.RUNNING
        self._initiator = instance.initiator_id == viewer.person_id
        self._involved = self._initiator or handled or viewer.has(ADMIN)

    def on_instance(self) -> Actions:
        """Return what may be done with the instance itself."""
        may = {"comment"}
        if self._involved:
            may.add("copy")
        if self._running:
            may |= {"withdraw"} if self._initiator else set()
            may |= {"terminate", "jump"} if self._viewer.has(ADMIN) else set()
            may |= {"urge"} if self._involved and self._urgeable() else set()
        return Actions(frozenset(may))

    def on_item(self, item: Any) -> Actions:
        """Return what may be done with a work item (a row of `statements.ITEM`), and with its instance."""
        may = set(self.on_instance().may)
        mine = item.assignee_id == self._viewer.person_id
        reading = item.kind == ItemKind.READ
        waits = self._running and item.state in (ItemState.OPEN, ItemState.STANDBY, ItemState.QUEUED)
        if waits and not reading and ((mine and item.state == ItemState.OPEN) or self._viewer.has(ADMIN)):
            may.add("reassign")
        if mine and reading and self._circulates(item):
            may.add("circulate")
        if mine and self._running and item.state == ItemState.DONE and self._takes_back(item):
            may.add("take_back")
        if not (mine and self._running and item.state == ItemState.OPEN):
            return Actions(frozenset(may))
        task = self._definition.tasks[item.step]
        may |= {"complete", "draft"}
        if task.round.policy == "any" and not reading:
            may |= {"unclaim"} if item.claimed else {"claim"} if len(self._open_of(item.round_id)) > 1 else set()
        returns = () if reading else self._returns(task.returns, item.task_id)
        if returns:
            may.add("return")
        modes = ("rewalk", "jump") if task.returns.mode == "choose" else (task.returns.mode,)
        return Actions(frozenset(may), task.outcomes, returns, modes if returns else ())

    def _urgeable(self) -> bool:
        since = clock.now() - URGE_EVERY
        me = self._viewer.person_id
        urged = any(e.verb == "urge" and e.actor_id == me and e.at > since for e in self._trail.entries)
        waiting = (person for step in self._trail.steps for person in step.waiting)
        return not urged and any(p.state == ItemState.OPEN and p.person_id != me for p in waiting)

    def _open_of(self, round_id: uuid.UUID) -> Collection[Any]:
        steps: list[Step] = [step for step in self._trail.steps if step.round_id == round_id]
        return [person for step in steps for person in step.waiting if person.state == ItemState.OPEN]

    def _circulates(self, item: Any) -> bool:
        return item.round_closed_at is None or self._definition.tasks[item.step].round.policy == "none"

    def _returns(self, rule: ReturnRule, task_id: int) -> tuple[ReturnTarget, ...]:
        reachable = returning.offered(self._definition, self._instance.engine_state, rule, task_id)
        return tuple(ReturnTarget(step, self._definition.names.get(step, step)) for step in reachable)

    def _takes_back(self, item: Any) -> bool:
        """Whether nobody has acted on what followed (撤回); a round that is still open lets go of any decision."""
        if item.kind == ItemKind.READ or item.outcome == "return" or item.closed_at is None:
            return False
        if item.round_closed_at is None:
            in_turn = self._definition.tasks[item.step].round.policy == "in_turn"
            return not in_turn or not self._acted_in_turn(item)
        if acted_since(
            self._session,
            instance_id=item.instance_id,
            item_id=item.id,
            round_id=item.round_id,
            closed_at=item.closed_at,
        ):
            return False
        data = orjson.loads(self._instance.data)
        with suppress(runtime.Unreachable, runtime.RuntimeFault, LookupError):
            state = self._instance.engine_state
            runtime.advance(self._definition, state, data, runtime.TakeBack(item.task_id), now=clock.now())
            return True
        return False

    def _acted_in_turn(self, item: Any) -> bool:
        after = select(WorkItem.id).where(
            WorkItem.round_id == item.round_id,
            WorkItem.position > item.position,
            WorkItem.state.not_in((ItemState.OPEN, ItemState.QUEUED)),
        )
        return self._session.scalar(after.limit(1)) is not None
