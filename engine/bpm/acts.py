"""What has happened since: the one rule that both the take-back and its button ask (撤回)."""

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from engine.batch import Batch, Statement

# after these verbs nothing is taken back
_ACTED = Statement(
    """
    SELECT mine.id IS NULL
      OR EXISTS (
        SELECT 1 FROM action_log WHERE instance_id = :instance AND id > mine.id
          AND verb IN ('complete', 'return', 'reassign', 'claim', 'job', 'timer', 'event', 'jump')
      )
      OR EXISTS (
        SELECT 1 FROM work_item i JOIN work_round r ON r.id = i.round_id
        WHERE i.instance_id = :instance AND i.state = 'done' AND r.opened_at >= :closed_at AND r.id > :round
      ) AS acted
    FROM (
      SELECT max(id) AS id FROM action_log
      WHERE instance_id = :instance AND item_id = :item AND verb IN ('complete', 'start')
    ) AS mine
    """,
    acted=bool,
)


def acted_since(
    session: Session, *, instance_id: uuid.UUID, item_id: uuid.UUID, round_id: uuid.UUID, closed_at: datetime
) -> bool:
    """Whether anybody, or a system step, has acted since a work item decided its round."""
    batch = Batch()
    batch.query(_ACTED, {"instance": instance_id, "item": item_id, "round": round_id, "closed_at": closed_at})
    acted: bool = batch.run(session)[0][0].acted
    return acted
