"""The bare statement: the rows that a completion must write, in one prepared statement, nothing else.

It is what the cost of a completion is measured against: no lock, no checks, no engine, no round trip but one.
"""

import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

import psycopg

from engine.db import new_id

_STATEMENT = """
WITH saved AS (
  UPDATE instance SET version = version + 1, engine_state = %(engine_state)s, data = %(data)s, title = %(title)s,
    summary = %(summary)s, urgency = %(urgency)s, state = %(state)s, ended_at = NULL
  WHERE id = %(instance)s AND version = %(version)s
), decided AS (
  UPDATE work_item SET state = 'done', outcome = %(outcome)s, opinion = %(opinion)s, closed_at = %(at)s
  WHERE id = %(item)s AND state = 'open'
), closed AS (
  UPDATE work_round SET outcome = %(outcome)s, closed_at = %(at)s WHERE id = %(round)s AND closed_at IS NULL
), opened AS (
  INSERT INTO work_round (id, instance_id, task_id, step, step_name, kind, sender_id, until_all, opened_at)
  VALUES (%(new_round)s, %(instance)s, %(task_id)s, %(step)s, %(step_name)s, %(kind)s, %(actor)s, false, %(at)s)
), items AS (
  INSERT INTO work_item (id, round_id, instance_id, process_key, urgency, kind, assignee_id, state, position, why,
    origin, claimed, opinion, opened_at)
  VALUES (%(new_item)s, %(new_round)s, %(instance)s, %(process_key)s, %(urgency)s, %(kind)s, %(assignee)s, 'open', 0,
    %(why)s, 'assigned', false, '', %(at)s)
), logged AS (
  INSERT INTO action_log (instance_id, round_id, item_id, step, step_name, actor_id, verb, outcome, opinion, at, path,
    detail, idem_key, mac)
  VALUES (%(instance)s, %(round)s, %(item)s, %(old_step)s, %(old_step_name)s, %(actor)s, 'complete', %(outcome)s,
    %(opinion)s, %(at)s, %(path)s, %(detail)s, %(idem_key)s, %(mac)s),
    (%(instance)s, NULL, NULL, %(ruled_step)s, %(ruled_name)s, NULL, 'decide', %(ruled_outcome)s, %(ruled_opinion)s,
    %(at)s, %(ruled_path)s, %(ruled_detail)s, NULL, %(ruled_mac)s)
)
INSERT INTO outbox (system, key, topic, payload, state, attempts, due_at, last_error, created_at)
VALUES (%(system)s, %(key)s, %(topic)s, %(payload)s, 'pending', 0, %(at)s, '', %(at)s)
"""

_MODEL = """
SELECT i.engine_state, i.data, i.title, i.summary, i.urgency, i.state, i.process_key, n.task_id, n.step, n.step_name,
  n.kind, w.assignee_id AS assignee, w.why, l.step AS old_step, l.step_name AS old_step_name, l.actor_id AS actor,
  l.outcome, l.opinion, l.path, l.detail, o.system, o.key, o.topic, o.payload, r.step AS ruled_step,
  r.step_name AS ruled_name, r.outcome AS ruled_outcome, r.opinion AS ruled_opinion, r.path AS ruled_path,
  r.detail AS ruled_detail
FROM action_log l JOIN instance i ON i.id = l.instance_id
JOIN work_round n ON n.instance_id = i.id AND n.closed_at IS NULL JOIN work_item w ON w.round_id = n.id
JOIN outbox o ON o.key = i.id::text AND o.created_at = l.at
JOIN action_log r ON r.instance_id = i.id AND r.verb = 'decide' AND r.at = l.at
WHERE l.item_id = %s AND l.verb = 'complete'
"""


class Bare:
    """Writes for one item what the command has written for another, its like."""

    def __init__(self, connection: "psycopg.Connection[Any]", done: uuid.UUID) -> None:
        self._connection = connection
        cursor = connection.execute(_MODEL, [done])
        assert cursor.description is not None
        rows = cursor.fetchall()
        if len(rows) != 1:
            raise SystemExit("the completion that serves as a model did not rule once and open one round with one item")
        self._values = dict(zip((column.name for column in cursor.description), rows[0], strict=True))

    def prepared(self, item: uuid.UUID) -> dict[str, Any]:
        """Return the parameters for another item; nothing of this is timed."""
        row = self._connection.execute(
            "SELECT i.id, i.version, w.round_id FROM work_item w JOIN instance i ON i.id = w.instance_id "
            "WHERE w.id = %s",
            [item],
        ).fetchone()
        assert row is not None
        own = {"instance": row[0], "version": row[1], "round": row[2], "item": item, "key": str(row[0])}
        new: dict[str, Any] = {"new_round": new_id(), "new_item": new_id()}
        new |= {
            "idem_key": secrets.token_bytes(16),
            "mac": secrets.token_bytes(32),
            "ruled_mac": secrets.token_bytes(32),
        }
        return self._values | own | new

    def write(self, values: dict[str, Any]) -> None:
        """Run the statement: one transaction of its own, one round trip."""
        if self._connection.execute(_STATEMENT, values | {"at": datetime.now(UTC)}).rowcount != 1:
            raise SystemExit("the bare statement wrote nothing")
