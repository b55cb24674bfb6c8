"""What every worker does by the clock."""

from collections.abc import Callable
from datetime import timedelta

from engine import attachments, clock, outbox
from engine.db import Database
from engine.settings import Settings
from workers.loop import Tick

KEEP_DONE = timedelta(days=30)  # how long rows that are done stay in the outbox
_HOUR, _DAY = 3600.0, 86400.0
_AT_ONCE = 1000


def housekeeping(settings: Settings) -> list[Tick]:
    """Return the purges, done by the leader."""

    def outbox_rows(db: Database) -> bool:
        return outbox.purge(db, clock.now() - KEEP_DONE, _AT_ONCE) == _AT_ONCE

    def expired_attachments(db: Database) -> bool:
        return attachments.purge(db, settings, _AT_ONCE) == _AT_ONCE

    def orphan_files(db: Database) -> bool:
        attachments.purge_files(db, settings)
        return False

    return [
        Tick("purge.outbox", _HOUR, outbox_rows, leader_only=True),
        Tick("purge.attachments", _HOUR, expired_attachments, leader_only=True),
        Tick("purge.files", _DAY, orphan_files, leader_only=True),
    ]


def timers(fire_due: Callable[[Database, int], int], limit: int = 100) -> Tick:
    """Return the tick that fires due timers; rows are claimed with SKIP LOCKED, so every worker takes its share."""
    return Tick("timers", 1.0, lambda db: fire_due(db, limit) == limit)
