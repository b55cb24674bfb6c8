"""Looking after the outbox: dead letters, old rows."""

import logging
from datetime import datetime

import orjson
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from engine import clock
from engine.db import Database
from engine.errors import Conflict, Forbidden, NotFound
from engine.outbox.handlers import handlers
from engine.outbox.table import DONE, PENDING, Outbox, affected
from engine.viewer import Viewer

log = logging.getLogger(__name__)


def require_requeuer(actor: Viewer) -> None:
    """Raise Forbidden unless the actor may bring dead letters back."""
    if not actor.has("process_admin"):
        raise Forbidden("只有流程管理员可以重新投递", code="requeue_forbidden")


def requeue(session: Session, actor: Viewer, id: int) -> Outbox:  # noqa: A002
    """Bring a dead letter back, before everything younger in its shard, and return it.

    Raises Forbidden without the role process_admin, NotFound, and Conflict if the row is not dead.
    """
    require_requeuer(actor)
    found = session.get(Outbox, id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound(f"投递记录 {id} 不存在", code="outbox_not_found")
    if found.state != "dead":
        raise Conflict(f"投递记录 {id} 不是失败状态，无需重新投递", code="outbox_not_dead")
    # a younger row of the shard may be at work: wait for the end of its lease
    busy = select(func.max(Outbox.lease_until)).where(
        Outbox.system == found.system, Outbox.key == found.key, Outbox.state == PENDING
    )
    now = clock.now()
    found.state, found.attempts, found.done_at = "pending", 0, None
    found.due_at = max(now, session.scalar(busy) or now)
    session.flush()
    session.info["outbox"] = True
    handler = handlers.get((found.system, found.topic))
    if handler is not None and handler.on_requeue is not None:
        handler.on_requeue(orjson.loads(found.payload), session)
    log.info("outbox row requeued: id=%d by=%s", id, actor.person_id)
    return found


def purge(db: Database, before: datetime, limit: int = 5000) -> int:
    """Delete up to `limit` rows done before a moment and return how many; dead letters stay."""
    old = select(Outbox.id).where(Outbox.state == DONE, Outbox.done_at < before).order_by(Outbox.done_at).limit(limit)
    with db.unit_of_work() as session:
        return affected(
            session.execute(delete(Outbox).where(Outbox.id.in_(old)).execution_options(synchronize_session=False))
        )
