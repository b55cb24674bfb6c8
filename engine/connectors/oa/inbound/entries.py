"""What the OA's own lists hold, kept as it was last seen: under the OA's own ids, so that windows may overlap."""

import hashlib
import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from engine import clock
from engine.batch import Batch, Statement
from engine.connectors.oa.adapters.protocol import Foreign, State
from engine.connectors.oa.models import OAEntry, OAPoll
from engine.db import Database, new_id

STALE = timedelta(days=3)
KEPT, HANDLED_KEPT = timedelta(days=30), timedelta(days=90)

_WRITE = (
    "INSERT INTO oa_entry (id, site, person_id, request_id, state, title, workflow, node, sender, link, mobile_link, "
    "received_at, handled_at, arrived_at, seen_at) VALUES (:id, :site, :person, :request_id, :state, :title, "
    ":workflow, :node, :sender, :link, :mobile_link, :received_at, :handled_at, :arrived_at, :now) "
    "ON CONFLICT (site, person_id, request_id, state) DO UPDATE SET "
    "title = excluded.title, workflow = excluded.workflow, node = excluded.node, sender = excluded.sender, "
    "link = excluded.link, mobile_link = excluded.mobile_link, handled_at = excluded.handled_at, "
    "seen_at = excluded.seen_at, gone_at = NULL, "
)
_ENTRY = Statement(f"{_WRITE}received_at = excluded.received_at, arrived_at = excluded.arrived_at")
# received when it was first seen, for the OA doesn't tell
_UNTOLD = Statement(
    f"{_WRITE}arrived_at = CASE WHEN excluded.handled_at IS NULL THEN oa_entry.arrived_at ELSE excluded.arrived_at END"
)
_GONE = Statement(
    "UPDATE oa_entry SET gone_at = :now WHERE site = :site AND person_id = :person AND gone_at IS NULL "
    "AND state IN ('todo', 'read') AND seen_at < :now"
)
# what was done is finished now, or the other way round: one row of it is shown
_MOVED = Statement(
    "UPDATE oa_entry SET gone_at = :now WHERE site = :site AND person_id = :person AND gone_at IS NULL "
    "AND state IN ('done', 'finished') AND seen_at < :now AND request_id IN (SELECT e.request_id FROM oa_entry e "
    "WHERE e.site = :site AND e.person_id = :person AND e.state IN ('done', 'finished') AND e.seen_at = :now)"
)
_STALE = Statement(
    "UPDATE oa_entry SET gone_at = :now WHERE gone_at IS NULL AND state IN ('todo', 'read') AND seen_at < :before"
)
_OLD = Statement(
    "DELETE FROM oa_entry WHERE gone_at < :gone "
    "OR (state NOT IN ('todo', 'read') AND coalesce(handled_at, seen_at) < :handled)"
)


def write(
    batch: Batch, where: Mapping[str, Any], waiting: Iterable[Foreign], done: Iterable[Foreign], now: datetime
) -> None:
    """Queue what a person's lists hold now; `where`: the site and the person. What waits no more is gone.

    What was handled longer ago than it is kept isn't taken in. Of what is both done and finished the latter counts.
    """
    kept = [each for each in done if not each.state.open and (each.handled_at or now) >= now - HANDLED_KEPT]
    handled = {each.request_id: each for each in sorted(kept, key=lambda each: each.state == State.FINISHED)}
    found = {(each.request_id, each.state): each for each in (*handled.values(), *(e for e in waiting if e.state.open))}
    for statement, untold in ((_ENTRY, False), (_UNTOLD, True)):
        rows = [_written(each, now) for each in found.values() if (each.received_at is None) == untold]
        if rows:
            batch.add(statement, [{**where, **row} for row in rows])
    batch.change(_GONE, {**where, "now": now})
    if handled:
        batch.change(_MOVED, {**where, "now": now})


def purge(db: Database) -> None:
    """Delete what has long been gone from the lists, and what was handled long ago; nobody waits for days for a list.

    So what a site showed that isn't asked any more goes too.
    """
    now, batch = clock.now(), Batch()
    batch.change(_STALE, {"now": now, "before": now - STALE})
    batch.add(_OLD, {"gone": now - KEPT, "handled": now - HANDLED_KEPT})
    with db.unit_of_work() as session:
        batch.run(session)


def words(text: str, most: int) -> str:
    """Return a text in one line of at most so many characters, without any that nobody sees."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def forget(session: Session, site: str, people: Collection[uuid.UUID]) -> None:
    """Forget what lists of people held, and have them asked for anew: these were somebody else's, perhaps.

    A look that is under way finds that it is no longer wanted (`OAPoll.account`).
    """
    mine = update(OAPoll).where(OAPoll.site == site, OAPoll.person_id.in_(people))
    anew = {"account": None, "polled_at": None, "handled_to": None, "failures": 0, "error": "", "due_at": clock.now()}
    theirs = delete(OAEntry).where(OAEntry.site == site, OAEntry.person_id.in_(people))
    for statement in (mine.values(anew), theirs):  # the former waits for a look that is being written
        session.execute(statement, execution_options={"synchronize_session": False})


def _written(entry: Foreign, now: datetime) -> dict[str, Any]:
    """Return an entry as its columns take it, whatever the OA has sent; nothing has happened after now."""
    id_ = entry.request_id
    received = min(entry.received_at or now, now)
    handled = None if entry.handled_at is None else min(entry.handled_at, now)
    short = id_.isprintable() and len(id_) <= 80
    return {
        "id": new_id(),
        "request_id": id_ if short else hashlib.sha256(id_.encode(errors="replace")).hexdigest(),
        "state": str(entry.state),
        "title": words(entry.title, 300) or "（无标题）",
        "workflow": words(entry.workflow, 120),
        "node": words(entry.node, 120),
        "sender": words(entry.sender, 80),
        "link": _address(entry.link),
        "mobile_link": _address(entry.mobile_link),
        "received_at": received,
        "handled_at": handled,
        "arrived_at": handled or received,
        "now": now,
    }


def _address(link: str) -> str:
    """Return an address of a page, "" for whatever isn't one: nobody is to click on a script."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    web = parts.scheme in ("http", "https") and parts.netloc and link.isprintable() and " " not in link
    return link if web and len(link) <= 1000 else ""
