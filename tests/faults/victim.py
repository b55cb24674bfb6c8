"""A service that is killed: completes whatever is open, one item after the other, and tells what was acknowledged."""

import uuid
from multiprocessing.connection import Connection

import engine.registry  # noqa: F401  (what it imports is loaded once, before this process is forked)
from engine.bpm import commands
from engine.db import Database
from engine.org.actor import Actor
from tests.faults.crowd import act, held


def complete_for_ever(
    url: str, key: bytes, mine: list[uuid.UUID], actors: dict[uuid.UUID, Actor], told: Connection
) -> None:
    """Complete the open items of some instances in a loop until the process is killed; send each id that is stored."""
    db = Database(url, pool_size=1, audit_key=key)
    while True:
        for item in held(db, mine):
            act(db, commands.complete, actors[item.assignee], item.id, "approve", opinion="同意", key=str(item.id))
            told.send(item.id)
