"""Which rows of the outbox are dead letters (投递失败), and what they are about.

What an instance waits for and the outbox gave up is an incident, and mended there. A dead letter is the rest: a notice
to a person, an event that has no receiver yet. So each row has one place where it is tried again.
"""

import uuid

import orjson
from sqlalchemy import ColumnElement, exists

from engine.bpm.models import Incident
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


def about_instance(row: Outbox) -> uuid.UUID | None:
    """Return the instance that a row is about, None for a message from outside."""
    named = orjson.loads(row.payload).get("instance")
    return None if named is None else uuid.UUID(named)
