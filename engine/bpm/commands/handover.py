"""Handing over (交接) what somebody who has left leaves behind: one reassignment (换人) after another."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from engine.bpm.commands import checks
from engine.bpm.commands.people import reassign
from engine.db import Database
from engine.errors import EngineError, Forbidden, Invalid
from engine.org.actor import ADMIN, Actor

HAND_OVER_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of one item; `refusal` says why it stays where it is, empty where it was handed over."""

    item_id: uuid.UUID
    refusal: str = ""


def hand_over(
    db: Database, actor: Actor, items: Sequence[uuid.UUID], *, to: uuid.UUID, reason: str, key: str | None = None
) -> list[Handed]:
    """Reassign items to one person, each in a transaction of its own: what is refused keeps none of the others.

    Sent again under its `key` it does nothing twice. Raises Forbidden unless the actor is a process admin, Invalid
    without a reason, or for no or more than 200 items.
    """
    if not actor.has(ADMIN):
        raise Forbidden("只有流程管理员可以交接别人的待办", code="not_admin")
    checks.check_opinion(reason, required=True, what="交接")
    if not 1 <= len(items) <= HAND_OVER_LIMIT:
        message = f"请选择 1 到 {HAND_OVER_LIMIT} 件要交接的事项"
        raise Invalid(message, code="items", errors=[{"place": "items", "message": message}])
    found = []
    for item_id in dict.fromkeys(items):
        try:
            with db.unit_of_work() as session:
                own_key = None if key is None else f"{key}:{item_id}"
                reassign(session, actor, item_id, to=to, reason=reason, key=own_key)
        except EngineError as refusal:
            found.append(Handed(item_id, refusal.message))
        else:
            found.append(Handed(item_id))
    return found
