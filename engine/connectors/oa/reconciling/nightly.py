"""What happens by the clock: each site is reconciled at night, and what is long over is forgotten."""

from contextlib import suppress
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from engine import clock
from engine.batch import Batch, Statement
from engine.connectors.oa import mirroring
from engine.connectors.oa.models import OACheck, OAFinding
from engine.connectors.oa.reconciling.running import NIGHTLY, RUNNING, start
from engine.connectors.oa.sites import connected
from engine.db import Database
from engine.errors import Conflict

NIGHT = range(3, 6)
"""Hours of the local clock: at three, or later where no worker was there."""

_OVER = Statement(
    "DELETE FROM oa_item WHERE (site, item_id) IN (SELECT m.site, m.item_id FROM oa_item m "
    "JOIN instance n ON n.id = m.instance_id WHERE n.ended_at < :before AND m.shown NOT IN ('todo', 'read') "
    f"AND m.wanted NOT IN ('todo', 'read') AND NOT {mirroring.BEHIND} LIMIT :limit)"
)


def nightly(db: Database) -> None:
    """Begin the reconciliation of each site at three o'clock, once a night."""
    now = clock.now().astimezone(clock.LOCAL)
    if now.hour not in NIGHT:
        return
    for connection in connected(db):
        site = connection.site
        if site.mirror:
            with db.unit_of_work() as session, suppress(Conflict):  # somebody's is on its way: a little later
                last = _last(session, site.code)
                if last is None or last.astimezone(clock.LOCAL).date() < now.date():
                    start(session, None, connection, repair=site.nightly_repair, by=NIGHTLY)


def purge(db: Database, before: datetime, limit: int) -> bool:
    """Forget reports from before a moment, and items of instances that ended before; return whether there is more."""
    with db.unit_of_work() as session:
        old = select(OACheck.id).where(OACheck.started_at < before, OACheck.state != RUNNING).limit(1)
        check_id = session.scalar(old)
        if check_id is not None:
            session.execute(delete(OAFinding).where(OAFinding.check_id == check_id))
            session.execute(delete(OACheck).where(OACheck.id == check_id))
        batch = Batch()
        batch.change(_OVER, {"before": before, "limit": limit})
        [items] = batch.run(session)
    return check_id is not None or items == limit


def _last(session: Session, code: str) -> datetime | None:
    return session.scalar(select(func.max(OACheck.started_at)).where(OACheck.site == code, OACheck.by == NIGHTLY))
