"""What each OA is to show (镜像差异): the difference between an instance's items and what is wanted of them so far.

It is taken after each change of an instance, in the transaction that tells people of it, by plain SQL: so it makes no
difference who acted and by which way, and timers, cancels, returns and parallel branches need no words of their own.
What isn't open when it is first seen is never mirrored.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import Batch, Statement
from engine.bpm import looks
from engine.connectors.oa.adapters.protocol import State, fold
from engine.connectors.oa.sites import Connection, Sites
from engine.db import Database

PUSH = "push"

CURRENT = (
    "CASE WHEN i.state = 'open' THEN CASE WHEN i.kind = 'read' THEN :read ELSE 'todo' END "
    "WHEN i.state IN ('done', 'reassigned') THEN CASE WHEN n.state = 'running' THEN 'done' ELSE :finished END "
    "ELSE 'deleted' END"
)
"""What an OA is to show of the work item `i` of the instance `n`; `folded` gives its parameters."""

BEHIND = (
    "(m.sending <> '' OR (m.wanted <> m.shown AND (m.wanted IN ('todo', 'read') OR m.shown NOT IN ('', 'deleted'))))"
)
"""Whether the OA is still to be told of `m`: what it never had, or has no more, can't be done there."""

TITLE = "substr(n.title || CASE WHEN n.summary = '' THEN '' ELSE '（' || n.summary || '）' END, 1, 200)"
"""The title of the instance `n` with the deciding figure, for most of a kind have one title."""
_TEMPLATE = "CAST(:titled AS VARCHAR(60))"
_NAMED = f"replace(replace({_TEMPLATE}, '{{workflow}}', p.name), '{{node}}', r.step_name)"
_TITLED = (
    f"CASE WHEN {_TEMPLATE} = '{{title}}' THEN {TITLE} ELSE substr(replace({_NAMED}, '{{title}}', "
    f"substr({TITLE}, 1, greatest(20, 200 - length(replace({_NAMED}, '{{title}}', ''))))), 1, 200) END"
)
"""What an OA's list says of an item: as the site's file has it, once and for all; what is too long is cut in the title.

A place in the name of a process or a step would be filled in too: those are the designers' own.
"""

_KEY = "replace(CAST(i.id AS VARCHAR(36)), '-', '')"
UNSEEN = "(SELECT m.seq FROM oa_item m WHERE m.site = :site AND m.item_id = i.id) IS NULL"
"""Whether there is no record of the work item `i`; NOT EXISTS is planned as a join, which may read all for each."""
_NEW = (
    "SELECT CAST(:site AS VARCHAR(11)), i.id, i.instance_id, i.assignee_id, coalesce(r.sender_id, n.initiator_id), "
    f"{_TITLED}, p.name, r.step_name, i.kind, i.urgency, n.started_at, i.opened_at, {CURRENT}, :quiet, :now "
    "FROM work_item i JOIN instance n ON n.id = i.instance_id JOIN work_round r ON r.id = i.round_id "
    f"JOIN process p ON p.key = n.process_key WHERE i.state = 'open' AND {UNSEEN}"
)
_INSERT = (
    "INSERT INTO oa_item (site, item_id, instance_id, person_id, sender_id, title, workflow, node, kind, urgency, "
    "started_at, opened_at, wanted, quiet, changed_at) {new} ON CONFLICT DO NOTHING"
)


def _insert(where: str) -> Statement:
    sql = _INSERT.format(new=_NEW + where)
    return Statement(sql, sqlite=sql.replace("greatest(", "max("))


_PUSHES = (
    "INSERT INTO outbox (system, key, topic, lane, payload, state, attempts, due_at, last_error, created_at) "
    f"SELECT CAST(:system AS VARCHAR(20)), {_KEY}, CAST(:topic AS VARCHAR(40)), CAST(:lane AS VARCHAR(20)), "
    f"'{{\"item\":\"' || {_KEY} || '\"}}', 'pending', 0, :now, '', :now "
    "FROM work_item i JOIN instance n ON n.id = i.instance_id "
)
_WANTED = "(SELECT m.wanted FROM oa_item m WHERE m.site = :site AND m.item_id = i.id)"  # as UNSEEN: no join
_DIFFERS = f"coalesce({_WANTED}, CASE WHEN i.state = 'open' THEN '' ELSE {CURRENT} END) <> {CURRENT}"

# The rows to push come first: on SQLite the others have changed what it looks at, on PostgreSQL all see the same.
_PUSH_CHANGED = Statement(f"{_PUSHES}WHERE i.instance_id = :instance AND {_DIFFERS}")
_INSERT_NEW = _insert(" AND i.instance_id = :instance")
_WANT = (
    f"UPDATE oa_item SET wanted = (SELECT {CURRENT} FROM work_item i JOIN instance n ON n.id = i.instance_id "
    "WHERE i.id = oa_item.item_id), seq = seq + 1, changed_at = :now "
    "WHERE site = :site AND instance_id = :instance AND item_id IN (SELECT i.id FROM work_item i "
    f"JOIN instance n ON n.id = i.instance_id WHERE i.instance_id = :instance AND {_WANTED} <> {CURRENT})"
)
_UPDATE_WANTED = Statement(_WANT)

OLD = "i.id > :after AND i.id <= :until AND i.state = 'open' "
"""Which items `i` a page of the first load is taken from."""
_PAGE = f"i.id IN (SELECT i.id FROM work_item i WHERE {OLD}ORDER BY i.id LIMIT :limit)"
_PUSH_PAGE = Statement(f"{_PUSHES}WHERE {UNSEEN} AND {_PAGE}")
_INSERT_PAGE = _insert(f" AND {_PAGE}")


def connect(db: Database, sites: Sites) -> None:
    """Let every change of an instance be told to the sites that mirror."""
    for connection in sites:
        if connection.site.mirror:
            looks.look(db, connection.site.system, _Look(connection))


def folded(connection: Connection) -> dict[str, str]:
    """Return the parameters of CURRENT: the states as this OA tells them apart."""
    states = connection.adapter.states
    return {"read": str(fold(states, State.READ)), "finished": str(fold(states, State.FINISHED))}


@dataclass(frozen=True, slots=True)
class _Look:
    """How one site takes the difference."""

    connection: Connection

    def changed(self, session: Session, batch: Batch, instance_id: uuid.UUID, _since: datetime | None) -> None:
        """Queue what is wanted of an instance's items from now on, and a row to push for each that changed."""
        changed(self.connection, session, batch, instance_id)

    def read(self, session: Session, batch: Batch, item_id: uuid.UUID) -> None:
        """Queue a row to push: what is wanted is seen when it is."""
        outbox.put(session, batch, [pushing_row(self.connection.site.system, item_id)])


def changed(connection: Connection, session: Session, batch: Batch, instance_id: uuid.UUID) -> None:
    """Queue the difference of an instance: what is wanted of its items, and a row to push for each that changed."""
    given = _given(connection) | {"instance": instance_id, "quiet": False}
    for statement in (_PUSH_CHANGED, _INSERT_NEW, _UPDATE_WANTED):
        batch.add(statement, given)
    session.info["outbox"] = True


def pushing_row(system: str, item_id: uuid.UUID) -> dict[str, Any]:
    """Return the row that has an item pushed."""
    return outbox.row(system, item_id.hex, PUSH, {"item": item_id.hex}, clock.now())


def add_page(
    connection: Connection, session: Session, batch: Batch, after: uuid.UUID, until: uuid.UUID, limit: int
) -> None:
    """Queue open items behind `after` up to `until`, `limit` at most, that this OA hasn't: for the first load, quiet.

    One of them may close meanwhile and nobody tell: what is pushed is what the rows say when it is.
    """
    given = _given(connection) | {"after": after, "until": until, "limit": limit, "quiet": True}
    for statement in (_PUSH_PAGE, _INSERT_PAGE):
        batch.add(statement, given)
    session.info["outbox"] = True


def _given(connection: Connection) -> dict[str, object]:
    site, now = connection.site, clock.now()
    row = outbox.row(site.system, "", PUSH, {}, now)
    return folded(connection) | {
        "site": site.code, "system": site.system, "topic": PUSH, "lane": row["lane"], "now": now, "titled": site.title,
    }  # fmt: skip
