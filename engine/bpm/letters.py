"""Which rows of the outbox are dead letters (投递失败), and what they are about.

What an instance waits for and the outbox gave up is an incident, and mended there. A dead letter is the rest: a notice
to a person, an event that has no receiver yet. So each row has one place where it is tried again.
"""

import uuid
from collections.abc import Sequence

import orjson
from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from engine.bpm.models import Incident, WorkItem
from engine.outbox import DEAD, Outbox


def given_up(
    system: str | None = None, topic: str | None = None, reason: str | None = None
) -> list[ColumnElement[bool]]:
    """Return the conditions on a row that is a dead letter, of one kind and one reason where they are given."""
    conditions: list[ColumnElement[bool]] = [Outbox.state == DEAD, ~exists().where(Incident.outbox_id == Outbox.id)]
    for column, value in ((Outbox.system, system), (Outbox.topic, topic), (Outbox.last_error, reason)):
        if value is not None:
            conditions.append(column == value)
    return conditions


def about_instances(session: Session, rows: Sequence[Outbox]) -> dict[int, uuid.UUID]:
    """Return the instances that rows are about, by the rows' ids; a message from outside is about none."""
    named = {row.id: orjson.loads(row.payload) for row in rows}
    found = {id_: uuid.UUID(about["instance"]) for id_, about in named.items() if "instance" in about}
    items = {id_: uuid.UUID(about["item"]) for id_, about in named.items() if id_ not in found and "item" in about}
    if items:
        asked = select(WorkItem.id, WorkItem.instance_id).where(WorkItem.id.in_(items.values()))
        instances = dict(session.execute(asked).all())
        found |= {id_: instances[item_id] for id_, item_id in items.items() if item_id in instances}
    return found
