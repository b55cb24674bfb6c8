"""What the OA's own lists hold, kept as it was last seen: under the OA's own ids, so that windows may overlap."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from engine import clock
from engine.batch import Batch, Statement
from engine.connectors.oa.adapters.protocol import Foreign, State
from engine.db import Database, new_id

STALE = timedelta(days=3)
KEPT, HANDLED_KEPT = timedelta(days=30), timedelta(days=90)

_ENTRY = Statement(
    "INSERT INTO oa_entry (id, site, person_id, request_id, state, title, workflow, node, sender, link, mobile_link, "
    "received_at, handled_at, arrived_at, seen_at) VALUES (:id, :site, :person, :request_id, :state, :title, "
    ":workflow, :node, :sender, :link, :mobile_link, :received_at, :handled_at, :arrived_at, :now) "
    "ON CONFLICT (site, person_id, request_id, state) DO UPDATE SET "
    "title = excluded.title, workflow = excluded.workflow, node = excluded.node, sender = excluded.sender, "
    "link = excluded.link, mobile_link = excluded.mobile_link, received_at = excluded.received_at, "
    "handled_at = excluded.handled_at, arrived_at = excluded.arrived_at, seen_at = excluded.seen_at, gone_at = NULL"
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
    if found:
        batch.add(_ENTRY, [{**where, **_written(each), "now": now} for each in found.values()])
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


def _written(entry: Foreign) -> dict[str, Any]:
    """Return an entry as its columns take it, whatever the OA has sent."""
    id_ = entry.request_id
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
        "received_at": entry.received_at,
        "handled_at": entry.handled_at,
        "arrived_at": entry.handled_at or entry.received_at,
    }


def _address(link: str) -> str:
    """Return an address of a page, "" for whatever isn't one: nobody is to click on a script."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    web = parts.scheme in ("http", "https") and parts.netloc and link.isprintable() and " " not in link
    return link if web and len(link) <= 1000 else ""
