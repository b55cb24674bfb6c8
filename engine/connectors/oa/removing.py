"""Taking an item out of a list of an OA where it doesn't belong (移除): a ghost's, or that of another account's.

It is a row of the item's own shard, so that it stands between what was pushed before and what is pushed after.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine import clock, outbox
from engine.batch import Batch, Statement
from engine.connectors.oa import todos
from engine.connectors.oa.adapters.protocol import Shown, State, UnknownPerson
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.sites import connected
from engine.db import Database

REMOVE = "remove"

_ITEM = Statement(
    "SELECT m.instance_id, m.account, m.title, m.workflow, m.node, m.kind, m.urgency, m.started_at, m.opened_at, "
    "m.shown, m.sending, m.stamp, p.name FROM oa_item m JOIN person p ON p.id = m.person_id "
    "WHERE m.site = :site AND m.item_id = :item",
    instance_id=uuid.UUID,
    started_at=datetime,
    opened_at=datetime,
)
_STAMP = Statement("UPDATE oa_item SET stamp = :stamp WHERE site = :site AND item_id = :item")
# it is nowhere now: the next push finds out anew whose it is
_NOWHERE = Statement(
    "UPDATE oa_item SET shown = '', sending = '', account = '', doubtful_at = NULL "
    "WHERE site = :site AND item_id = :item AND account = :account"
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What there is to say of an item that we may know nothing of."""

    instance_id: uuid.UUID
    title: str
    node: str
    started_at: datetime
    opened_at: datetime
    workflow: str = ""
    kind: str = "decide"
    urgency: int = 0
    name: str = ""


def declare(system: str) -> None:
    """Declare what a site's channel does."""
    outbox.handler(system, REMOVE, in_transaction=False)(remove)


def moved(site: Site, item_id: uuid.UUID, account: str, now: datetime) -> dict[str, Any]:
    """Return the row that takes an item of ours out of the list of the account that it was pushed to."""
    return outbox.row(site.system, item_id.hex, REMOVE, {"item": item_id.hex, "account": account}, now)


def ghost(site: Site, shown: Shown, account: str, now: datetime) -> dict[str, Any]:
    """Return the row that takes out of an account's list what we may know by that list alone."""
    told = {"item": shown.key.lower(), "account": account, "title": shown.title, "node": shown.node}
    return outbox.row(site.system, shown.key.lower(), REMOVE, told, now)


def remove(db: Database, row: outbox.Leased) -> None:
    """Have an OA no longer show an item in an account's list."""
    sites = connected(db)
    connection = sites.serving(row.system)
    account, now = str(row.payload["account"]), clock.now()
    item_id = uuid.UUID(row.payload["item"])
    where = {"site": connection.site.code, "item": item_id}
    with db.unit_of_work() as session:
        asked = Batch()
        asked.query(_ITEM, where)
        [found] = asked.run(session)
        item = found[0] if found else None
        if item is not None and item.account == account and not (item.shown or item.sending):
            return
        stamp = max(int(now.timestamp() * 1000), (item.stamp if item else 0) + 1)
        told = Batch()
        told.add(_STAMP, where | {"stamp": stamp})
        told.defer(session)
    known = item or _Known(item_id, row.payload.get("title", ""), row.payload.get("node", ""), now, now)
    todo = todos.described(
        connection.site,
        sites.base_url,
        item_id,
        known,
        person=known.name,
        account=account,
        sender="",
        sender_account="",
        stamp=stamp,
        quiet=True,
    )
    try:
        connection.adapter.put(todo, State.DELETED, doubtful=True)
    except UnknownPerson:
        pass  # whoever isn't there has no list
    with db.unit_of_work() as session:
        done = Batch()
        done.add(_NOWHERE, where | {"account": account})
        done.defer(session)
