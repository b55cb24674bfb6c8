"""Open items that an OA isn't yet to have: from before it was connected, until the first load has come to them."""

import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from engine import clock
from engine.batch import Batch, Statement
from engine.connectors.oa import mirroring
from engine.connectors.oa.models import OALoad
from engine.connectors.oa.sites import Connection

_COUNT = Statement(
    f"SELECT count(*) AS unmirrored FROM work_item i WHERE i.state = 'open' AND i.id <= :until AND {mirroring.UNSEEN}"
)
_LAST = uuid.UUID(int=2**128 - 1)


def counted_from(session: Session, connection: Connection) -> int:
    """Return how many open items the first load hasn't come to.

    Where none was ever needed, because the OA has all that is open, that is noted: from now on each must be there.
    """
    code = connection.site.code
    load = session.get(OALoad, code)
    if load is not None and load.state == "done":
        return 0
    batch = Batch()
    batch.query(_COUNT, {"site": code, "until": _LAST if load is None else load.until or _LAST})
    [[row]] = batch.run(session)
    if load is None and not row.unmirrored:
        now = clock.now()
        session.add(OALoad(site=code, state="done", total=0, queued=0, started_at=now, ended_at=now, started_by=None))
        session.flush()
    return int(row.unmirrored)


def unloaded(session: Session, connection: Connection, items: Iterable[Any]) -> set[uuid.UUID]:
    """Return which open items without a record are still the first load's to bring."""
    load = session.get(OALoad, connection.site.code)
    if load is not None and load.state == "done":
        return set()
    if load is None or load.until is None:
        return {item.item_id for item in items}
    after, until = load.after or uuid.UUID(int=0), load.until
    return {item.item_id for item in items if after < item.item_id <= until}
