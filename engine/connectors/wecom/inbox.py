"""Handles the callbacks that were kept, each by the function that was registered for its event.

A function is called at least once for an event, outside of any transaction, and raises the outbox's errors; one that
fails is called again. What it returns, or `done`, is kept as the result.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.connectors.wecom.models import WeComCallback
from engine.db import Database
from engine.outbox import Leased
from engine.outbox.table import affected

IGNORED = "ignored"
"""The result of an event that nobody has asked for."""
_LONGEST = 200

Function = Callable[[Database, Mapping[str, Any]], object]

_functions: dict[str, Function] = {}


def on(*events: str) -> Callable[[Function], Function]:
    """Register the decorated function for events, in lower case; it takes the database and the decrypted body."""

    def register(function: Function) -> Function:
        for event in events:
            if event in _functions:
                raise RuntimeError(f"two functions for {event}")
            _functions[event] = function
        return function

    return register


def _dead(leased: Leased, reason: str, session: Session) -> None:
    _note(session, leased.payload["id"], result=f"failed: {reason}"[:_LONGEST])


@outbox.handler("callback", "event", in_transaction=False, on_dead=_dead)
@outbox.handler("wecom", "callback", in_transaction=False, on_dead=_dead)
def handle(db: Database, leased: Leased) -> None:
    """Do what a callback asks for, once: one that was handled is left alone."""
    with db.reading() as session:
        found = session.get(WeComCallback, leased.payload["id"])
    if found is None or found.handled_at is not None:
        return
    function = _functions.get(found.event)
    result = IGNORED if function is None else function(db, orjson.loads(found.body)) or "done"
    with db.unit_of_work() as session:
        _note(session, found.id, result=str(result)[:_LONGEST], handled_at=clock.now())


def purge(db: Database, before: datetime, limit: int) -> int:
    """Delete up to `limit` callbacks that came before a moment and return how many."""
    old = select(WeComCallback.id).where(WeComCallback.received_at < before).order_by(WeComCallback.id).limit(limit)
    with db.unit_of_work() as session:
        statement = delete(WeComCallback).where(WeComCallback.id.in_(old))
        return affected(session.execute(statement.execution_options(synchronize_session=False)))


def _note(session: Session, id_: int, **values: Any) -> None:
    statement = update(WeComCallback).where(WeComCallback.id == id_).values(**values)
    session.execute(statement.execution_options(synchronize_session=False))
