"""Mirrors (镜像): other systems that show people what waits for them, such as WeCom's cards.

The engine doesn't know them: whoever connects one names it in `Database.mirrors`. After each change of an instance's
items or notices every mirror gets one row in the outbox and looks at the rows as they are then. So it makes no
difference who acted and where, and nothing is lost where several changes are told as one (ADR 0013).
"""

import uuid

from sqlalchemy.orm import Session

from engine import outbox


def changed(session: Session, instance_id: uuid.UUID) -> None:
    """Let every mirror look at an instance again: a row `(system, instance, "tell")` each, in this transaction."""
    key = str(instance_id)
    for system in session.info.get("mirrors", ()):
        outbox.enqueue(session, system, key, "tell", {"instance": key})
