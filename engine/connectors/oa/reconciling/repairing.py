"""Mending what a reconciliation found, as far as the site's cap allows; the OA is told by the outbox as always."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from engine import outbox
from engine.batch import Batch
from engine.connectors.oa import mirroring, pushing, removing
from engine.connectors.oa.reconciling.findings import Finding
from engine.connectors.oa.sites import Connection

NOTHING, REPAIRED, CAPPED, UNABLE = "", "repaired", "capped", "unable"


def judged(findings: Iterable[Finding], left: int, *, repair: bool) -> list[tuple[Finding, str]]:
    """Return what becomes of each finding where so many repairs are left."""
    found = []
    for finding in findings:
        result = NOTHING
        if finding.cure == "none":
            result = UNABLE
        elif repair and left <= 0:
            result = CAPPED
        elif repair:
            result, left = REPAIRED, left - 1
        found.append((finding, result))
    return found


def repair(session: Session, connection: Connection, findings: Iterable[Finding], now: datetime) -> None:
    """Queue the cures."""
    again, instances, rows = dict[uuid.UUID, None](), dict[uuid.UUID, None](), []
    for finding in findings:
        if finding.cure == "remove" and finding.shown is not None:
            rows.append(removing.ghost(connection.site, finding.shown, finding.account, now))
        elif finding.cure == "move" and finding.item_id is not None:
            rows.append(removing.moved(connection.site, finding.item_id, finding.account, now))
            rows.append(mirroring.pushing_row(connection.site.system, finding.item_id))
        else:
            again |= dict.fromkeys(finding.items)
            if finding.instance_id is not None:
                instances[finding.instance_id] = None
    batch = Batch()
    for instance_id in instances:
        mirroring.changed(connection, session, batch, instance_id)
    outbox.put(session, batch, rows)
    if instances or rows:
        batch.run(session)
    if again:
        pushing.doubt(session, connection, list(again), quiet=True)
