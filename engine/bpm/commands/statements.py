"""The SQL of the hot path: what a command reads behind its lock and what it writes in one batch."""

from datetime import datetime
from typing import Any
from uuid import UUID

from engine.batch import Statement
from engine.org.directory import REVISION

_INSTANCE = (
    "SELECT id, process_key, version_id, title, summary, initiator_id, department_id, urgency, state, version, "
    f"engine_state, data, started_at, ({REVISION.sql}) AS org_revision FROM instance WHERE id = "
)
_INSTANCE_TYPES: dict[str, Any] = {
    "id": UUID,
    "version_id": UUID,
    "initiator_id": UUID,
    "department_id": UUID,
    "started_at": datetime,
    "org_revision": UUID,
}

INSTANCE = Statement(_INSTANCE + ":id", **_INSTANCE_TYPES)
# one more command on the same instance waits here, 3 seconds at most
LOCK_INSTANCE = Statement(_INSTANCE + ":id FOR NO KEY UPDATE", **_INSTANCE_TYPES)
LOCK_BY_ITEM = Statement(
    _INSTANCE + "(SELECT instance_id FROM work_item WHERE id = :item) FOR NO KEY UPDATE", **_INSTANCE_TYPES
)

REPLAY = Statement(
    "SELECT verb, item_id, instance_id, actor_id, outcome, opinion, detail FROM action_log WHERE idem_key = :idem_key",
    item_id=UUID,
    instance_id=UUID,
    actor_id=UUID,
)

_ITEM = (
    "SELECT i.id, i.round_id, i.instance_id, i.kind, i.assignee_id, i.state, i.position, i.why, i.origin, i.claimed, "
    "i.outcome, i.opinion, i.opened_at, i.read_at, i.closed_at, r.task_id, r.step, r.step_name, "
    "r.closed_at AS round_closed_at, r.due_at, r.sender_id, p.name AS assignee_name, (i.id = :item AND EXISTS "
    "(SELECT 1 FROM draft d WHERE d.item_id = i.id AND d.person_id = i.assignee_id)) AS drafted FROM work_item i "
    "JOIN work_round r ON r.id = i.round_id JOIN person p ON p.id = i.assignee_id "
)
_ITEM_TYPES: dict[str, Any] = {
    "id": UUID,
    "round_id": UUID,
    "instance_id": UUID,
    "assignee_id": UUID,
    "sender_id": UUID,
    "claimed": bool,
    "drafted": bool,
    "opened_at": datetime,
    "read_at": datetime,
    "closed_at": datetime,
    "round_closed_at": datetime,
    "due_at": datetime,
}
ITEMS_OF_ROUND = Statement(
    _ITEM + "WHERE i.round_id = (SELECT round_id FROM work_item WHERE id = :item) ORDER BY i.position, i.id",
    **_ITEM_TYPES,
)
ITEM = Statement(_ITEM + "WHERE i.id = :item", **_ITEM_TYPES)
OPEN_ROUNDS = Statement(
    "SELECT id, task_id, step, step_name, kind FROM work_round "
    "WHERE instance_id = :id AND closed_at IS NULL ORDER BY id",
    id=UUID,
)

# what was decided, by people or by the step itself, and undone, newest first (同一人合并)
DECISIONS = Statement(
    "SELECT l.verb, l.step, l.actor_id, l.outcome FROM action_log l WHERE l.instance_id = :id "
    "AND l.verb IN ('complete', 'take_back', 'return', 'jump', 'auto') ORDER BY l.id DESC LIMIT :limit",
    actor_id=UUID,
)
DECISIONS_BY_ITEM = Statement(
    DECISIONS.sql.replace(":id ", "(SELECT instance_id FROM work_item WHERE id = :item) "), actor_id=UUID
)

UPDATE_INSTANCE = Statement(
    "UPDATE instance SET version = version + 1, engine_state = :engine_state, data = :data, title = :title, "
    "summary = :summary, urgency = :urgency, state = :state, ended_at = :ended_at WHERE id = :id AND version = :version"
)
TOUCH_INSTANCE = Statement("UPDATE instance SET version = version + 1 WHERE id = :id AND version = :version")
INSERT_INSTANCE = Statement(
    "INSERT INTO instance (id, process_key, version_id, title, summary, initiator_id, department_id, urgency, state, "
    "version, engine_state, data, started_at, ended_at) VALUES (:id, :process_key, :version_id, :title, :summary, "
    ":initiator_id, :department_id, :urgency, :state, 1, :engine_state, :data, :started_at, :ended_at)"
)
INSERT_ROUND = Statement(
    "INSERT INTO work_round (id, instance_id, task_id, step, step_name, kind, sender_id, until_all, outcome, "
    "opened_at, due_at, closed_at) VALUES (:id, :instance_id, :task_id, :step, :step_name, :kind, :sender_id, "
    ":until_all, :outcome, :opened_at, :due_at, :closed_at)"
)
CLOSE_ROUND = Statement(
    "UPDATE work_round SET outcome = :outcome, closed_at = :closed_at WHERE id = :id AND closed_at IS NULL"
)
INSERT_ITEM = Statement(
    "INSERT INTO work_item (id, round_id, instance_id, process_key, urgency, kind, assignee_id, state, position, "
    "why, origin, parent_id, claimed, outcome, opinion, opened_at, read_at, closed_at) VALUES (:id, :round_id, "
    ":instance_id, :process_key, :urgency, :kind, :assignee_id, :state, :position, :why, :origin, :parent_id, "
    ":claimed, :outcome, :opinion, :opened_at, :read_at, :closed_at)"
)
# As it was read: readers acknowledge without the instance's lock, and what one has read isn't taken from them.
UPDATE_ITEM = Statement(
    "UPDATE work_item SET state = :state, claimed = :claimed, outcome = :outcome, opinion = :opinion, "
    "opened_at = :opened_at, closed_at = :closed_at WHERE id = :id AND state = :before"
)
CLOSE_ROUND_ITEMS = Statement(
    "UPDATE work_item SET state = :state, closed_at = :closed_at "
    "WHERE round_id = :round_id AND state IN ('open', 'standby', 'queued') AND id <> :except_id"
)
# readers of a step that didn't wait for them, when a return takes the step back
CANCEL_UNDONE = Statement(
    "UPDATE work_item SET state = 'cancelled', closed_at = :closed_at WHERE state = 'open' AND round_id IN "
    "(SELECT id FROM work_round WHERE instance_id = :id AND task_id = :task_id AND closed_at IS NOT NULL)"
)
CLOSE_INSTANCE_ITEMS = Statement(
    "UPDATE work_item SET state = 'cancelled', closed_at = :closed_at "
    "WHERE instance_id = :id AND state IN ('open', 'standby', 'queued')"
)
CLOSE_INSTANCE_ROUNDS = Statement(
    "UPDATE work_round SET closed_at = :closed_at WHERE instance_id = :id AND closed_at IS NULL"
)
# A reader's three, in one round trip and in this order. What a retried request did before is found by its key, so that
# it does nothing; the next two do something only where the first has changed the item.
ACKNOWLEDGE = Statement(
    "UPDATE work_item SET state = 'done', outcome = 'acknowledge', opinion = :opinion, closed_at = :at, "
    "read_at = COALESCE(read_at, :at) WHERE id = :item_id AND assignee_id = :actor_id AND state = 'open' "
    "AND kind = 'read' AND NOT EXISTS (SELECT 1 FROM action_log WHERE idem_key = :idem_key)"
)


def _then(sql: str) -> Statement:
    """Return a statement that finds the item `i` only as this transaction has changed it just before."""
    return Statement(
        sql.replace("CHANGED", "i.xmin = pg_current_xact_id()::xid"), sqlite=sql.replace("CHANGED", "changes() = 1")
    )


# The lock on the round makes two last readers see one another: what follows is asked behind it.
LOG_READ = _then(
    "INSERT INTO action_log (instance_id, round_id, item_id, step, step_name, actor_id, verb, outcome, opinion, at, "
    "path, detail, idem_key, mac) SELECT i.instance_id, i.round_id, i.id, r.step, r.step_name, :actor_id, :verb, "
    ":outcome, :opinion, :at, :path, :detail, :idem_key, :mac FROM work_item i JOIN work_round r ON r.id = i.round_id "
    "WHERE i.id = :item_id AND CHANGED FOR NO KEY UPDATE OF r"
)
# The step may end with this reader: when nobody's item is open any more, or by its own rule, which the handler asks.
SETTLE_READ = _then(
    "INSERT INTO outbox (system, key, topic, payload, state, attempts, due_at, last_error, created_at) "
    "SELECT 'settle', CAST(r.instance_id AS text), 'round', "
    "'{\"instance\":\"' || r.instance_id || '\",\"round\":\"' || r.id || '\"}', 'pending', 0, :at, '', :at "
    "FROM work_item i JOIN work_round r ON r.id = i.round_id WHERE i.id = :item_id AND CHANGED "
    "AND r.closed_at IS NULL AND (NOT r.until_all OR NOT EXISTS "
    "(SELECT 1 FROM work_item o WHERE o.round_id = r.id AND o.state = 'open'))"
)
READ_COUNTS = Statement(
    "SELECT count(*) AS total, sum(CASE WHEN state = 'done' THEN 1 ELSE 0 END) AS done FROM work_item "
    "WHERE round_id = :id AND state IN ('open', 'done')"
)
INSERT_TIMER = Statement(
    "INSERT INTO timer (instance_id, task_id, element, due_at) VALUES (:instance_id, :task_id, :element, :due_at) "
    "ON CONFLICT (instance_id, task_id) DO UPDATE SET due_at = excluded.due_at"
)
DELETE_TIMER = Statement("DELETE FROM timer WHERE instance_id = :instance_id AND task_id = :task_id")
INSERT_SUBSCRIPTION = Statement(
    "INSERT INTO subscription (instance_id, task_id, kind, name, correlation) "
    "VALUES (:instance_id, :task_id, :kind, :name, :correlation)"
)
DELETE_SUBSCRIPTION = Statement("DELETE FROM subscription WHERE instance_id = :instance_id AND task_id = :task_id")
DELETE_TIMERS = Statement("DELETE FROM timer WHERE instance_id = :id")
DELETE_SUBSCRIPTIONS = Statement("DELETE FROM subscription WHERE instance_id = :id")
INSERT_INCIDENT = Statement(
    "INSERT INTO incident (id, instance_id, task_id, step, kind, message, created_at) "
    "VALUES (:id, :instance_id, :task_id, :step, :kind, :message, :created_at)"
)
DELETE_DRAFT = Statement("DELETE FROM draft WHERE item_id = :item_id AND person_id = :person_id")
UPSERT_SEARCH = Statement(
    "INSERT INTO search_value (instance_id, field, process_key, text, number, moment) "
    "VALUES (:instance_id, :field, :process_key, :text, :number, :moment) ON CONFLICT (instance_id, field) "
    "DO UPDATE SET text = excluded.text, number = excluded.number, moment = excluded.moment"
)
