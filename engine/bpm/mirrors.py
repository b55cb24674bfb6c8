"""Mirrors (镜像): other systems that show people what waits for them, such as WeCom's cards.

The engine doesn't know them: whoever connects one names it in `Database.mirrors`. After each change of an instance's
items or notices every mirror gets one row in the outbox and looks at the rows as they are then, or takes the difference
at once by statements of its own (`looks`). So it makes no difference who acted and where, and nothing is lost where
several changes are told as one (ADR 0013, 0015).
"""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import Batch
from engine.bpm import figures, looks
from engine.bpm.commands import checks, returning
from engine.bpm.commands.case import Case
from engine.bpm.commands.statements import INSTANCE
from engine.bpm.extensions import Outcome
from engine.bpm.models import ItemKind
from engine.errors import EngineError


def changed(session: Session, batch: Batch, instance_id: uuid.UUID, since: datetime | None = None) -> None:
    """Let every mirror look at an instance again: a row `(system, instance, "tell")` each, queued in the batch.

    `since` is when the instance changed: then people's figures may be others (`figures`).
    """
    key, now = str(instance_id), clock.now()
    systems = looks.changed(session, batch, instance_id, since)
    outbox.put(session, batch, [outbox.row(system, key, "tell", {"instance": key}, now) for system in systems])
    if since is not None:
        figures.enqueue_touched(session, batch, instance_id, since)


@dataclass(frozen=True, slots=True)
class Offer:
    """What an open item offers: `taps` are outcomes that go through as they are, `others` need words or the form.

    A step that `fills` has no taps: whoever fills in a form looks at it.
    """

    taps: tuple[Outcome, ...]
    others: tuple[Outcome, ...]
    returns: bool  # whether it may be returned (退回)
    fills: bool = False


class Offers:
    """Tells what the open items of one instance offer to their assignees, away from our own pages."""

    def __init__(self, session: Session, instance_id: uuid.UUID) -> None:
        batch = Batch()
        batch.query(INSTANCE, {"id": instance_id})
        [[row]] = batch.run(session)
        self._case = Case(session, None, row, clock.now())

    def outcome(self, step: str, outcome_id: str | None) -> Outcome | None:
        """Return an outcome of a step."""
        return self._case.definition.tasks[step].outcome(outcome_id or "")

    def of(self, step: str, task_id: int) -> Offer:
        """Return what an open item of a step offers; what needs the form is a tap where that is complete as it is."""
        case, task = self._case, self._case.definition.tasks[step]
        complete, fills = False, task.kind == ItemKind.FILL
        with suppress(EngineError):
            checks.form_data(case, step, {}, task_id)
            complete = True
        taps = tuple(
            o for o in task.outcomes if not fills and o.opinion != "required" and (complete or o.form != "required")
        )
        others = tuple(o for o in task.outcomes if o not in taps)
        back = returning.offered(case.definition, case.state, task.returns, task_id)
        return Offer(taps, others, bool(back), fills)
