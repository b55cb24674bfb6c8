"""The rows of what is sent (发送记录) as the handler of messages reads and marks them: plain SQL, in batches."""

import uuid
from datetime import datetime
from functools import cache
from typing import NamedTuple

from engine.batch import AMONG, Statement

TEXTS = Statement(
    "SELECT d.id, d.shown, d.reason, d.sent_at, n.title, n.text, n.created_at, a.userid FROM wecom_delivery d "
    "JOIN notice n ON n.id = d.notice_id JOIN wecom_account a ON a.person_id = d.person_id "
    "WHERE d.instance_id = :id AND d.form = 'text' AND d.shown IN ('', 'again') AND a.vanished_at IS NULL "
    "ORDER BY d.id",
    id=uuid.UUID,
    sent_at=datetime,
    created_at=datetime,
)
"""Text messages of an instance that are to be sent."""

CARDS = Statement(
    "SELECT d.id, d.notice_id, d.shown, d.reason, d.response_code, d.code_at, d.msgid, d.sent_at, a.userid, "
    "w.id AS item_id, w.round_id, w.assignee_id, w.state, w.outcome, w.opened_at, w.closed_at, "
    "r.step, r.step_name, r.task_id FROM wecom_delivery d JOIN work_item w ON w.id = d.item_id "
    "JOIN work_round r ON r.id = w.round_id JOIN wecom_account a ON a.person_id = d.person_id "
    "WHERE d.instance_id = :id AND d.form = 'card' AND a.vanished_at IS NULL ORDER BY d.id",
    id=uuid.UUID,
    notice_id=uuid.UUID,
    code_at=datetime,
    sent_at=datetime,
    item_id=uuid.UUID,
    round_id=uuid.UUID,
    assignee_id=uuid.UUID,
    opened_at=datetime,
    closed_at=datetime,
)
"""Cards of an instance, sent or not: the columns of a Delivery, then those of an Item."""

CHAT = Statement("SELECT instance_id FROM wecom_chat WHERE instance_id = :id", instance_id=uuid.UUID)
"""Whether an instance has a group chat."""


class Delivery(NamedTuple):
    """A card as it was sent, or is to be."""

    id: uuid.UUID
    notice_id: uuid.UUID
    shown: str
    reason: str
    response_code: str | None
    code_at: datetime | None
    msgid: str | None
    sent_at: datetime
    userid: str


class Item(NamedTuple):
    """A work item with its round, as a card shows it."""

    id: uuid.UUID
    round_id: uuid.UUID
    assignee_id: uuid.UUID
    state: str
    outcome: str | None
    opened_at: datetime
    closed_at: datetime | None
    step: str
    step_name: str
    task_id: int


@cache
def marking(names: tuple[str, ...], *, guarded: bool) -> Statement:
    """Return the update of these columns, `guarded` by the code that the deliveries still have."""
    changes = ", ".join(f"{name} = :{name}" for name in names)
    guard = " AND response_code = :code" if guarded else ""
    return Statement(f"UPDATE wecom_delivery SET {changes} WHERE id IN {AMONG}{guard}")
