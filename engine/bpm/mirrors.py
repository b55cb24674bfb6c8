"""Mirrors (镜像): other systems that show people what waits for them, such as WeCom's cards.

The engine doesn't know them: whoever connects one names it in `Database.mirrors`. After each change of an instance's
items or notices every mirror gets one row in the outbox and looks at the rows as they are then. So it makes no
difference who acted and where, and nothing is lost where several changes are told as one (ADR 0013).
"""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from engine import clock, outbox
from engine.batch import Batch
from engine.bpm import figures
from engine.bpm.commands import checks, returning
from engine.bpm.commands.case import Case
from engine.bpm.extensions import Outcome
from engine.bpm.models import Instance
from engine.errors import EngineError


def changed(session: Session, instance_id: uuid.UUID, since: datetime | None = None) -> None:
    """Let every mirror look at an instance again: a row `(system, instance, "tell")` each, in this transaction.

    `since` is when the instance changed: then people's figures may be others (`figures`).
    """
    systems, key = session.info.get("mirrors", ()), str(instance_id)
    for system in systems:
        outbox.enqueue(session, system, key, "tell", {"instance": key})
    if systems and since is not None:
        batch = Batch()
        figures.enqueue(session, batch, sorted(figures.touched(session, instance_id, since)))
        batch.run(session)


@dataclass(frozen=True, slots=True)
class Offer:
    """What an open item offers: `taps` are outcomes that go through as they are, `others` need words or the form."""

    taps: tuple[Outcome, ...]
    others: tuple[Outcome, ...]
    returns: bool  # whether it may be returned (退回)


class Offers:
    """Tells what the open items of one instance offer to their assignees, away from our own pages."""

    def __init__(self, session: Session, instance_id: uuid.UUID) -> None:
        loaded = undefer(Instance.engine_state), undefer(Instance.data)
        row = session.scalars(select(Instance).where(Instance.id == instance_id).options(*loaded)).one()
        self._case = Case(session, None, row, clock.now())

    def outcome(self, step: str, outcome_id: str | None) -> Outcome | None:
        """Return an outcome of a step."""
        return self._case.definition.tasks[step].outcome(outcome_id or "")

    def of(self, step: str, task_id: int) -> Offer:
        """Return what an open item of a step offers; what needs the form is a tap where that is complete as it is."""
        case, task = self._case, self._case.definition.tasks[step]
        complete = False
        with suppress(EngineError):
            checks.form_data(case, step, {}, task_id)
            complete = True
        taps = tuple(o for o in task.outcomes if o.opinion != "required" and (complete or o.form != "required"))
        others = tuple(o for o in task.outcomes if o not in taps)
        back = returning.offered(case.definition, case.state, task.returns, task_id)
        return Offer(taps, others, bool(back))
