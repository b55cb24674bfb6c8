"""Our side: does our record of what an OA shows agree with the rows of the processes, and is it told of everything?"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from engine.batch import AMONG, Batch, Statement, asked, listed
from engine.connectors.oa import mirroring, pushing
from engine.connectors.oa.models import IGNORED, UNMAPPED
from engine.connectors.oa.reconciling.findings import GHOST, MISSING, OPEN, OURS, STALE, Finding, at_rest
from engine.connectors.oa.sites import Connection

_TEXT = "CAST({0} AS VARCHAR(36))"
# what is about to be told of the item, or of its instance, anyway
_PENDING = (
    "(EXISTS (SELECT 1 FROM outbox o WHERE o.system = :system AND o.state = 'pending' "
    f"AND o.key = replace({_TEXT.format('i.id')}, '-', '')) "
    "OR EXISTS (SELECT 1 FROM outbox o WHERE o.system = 'notice' AND o.state = 'pending' AND o.key = {instance}))"
)
_PENDING_POSTGRESQL = _PENDING.format(instance=_TEXT.format("i.instance_id"))
_DASHED = (
    "substr({0}, 1, 8) || '-' || substr({0}, 9, 4) || '-' || substr({0}, 13, 4) || '-' || substr({0}, 17, 4) "
    "|| '-' || substr({0}, 21)"
)
_PENDING_SQLITE = _PENDING.format(instance=_DASHED.format("i.instance_id"))
_COLUMNS = (
    "SELECT m.item_id, m.instance_id, m.person_id, m.account, m.title, m.node, m.wanted, m.shown, m.sending, m.seq, "
    "m.stamp, m.problem, m.reason, m.opened_at, m.changed_at, m.shown_at, "
    f"coalesce(m.doubtful_at > :settled, false) AS looked_at, {mirroring.CURRENT} AS current, {{pending}} AS pending "
    "FROM oa_item m JOIN work_item i ON i.id = m.item_id JOIN instance n ON n.id = m.instance_id "
    "WHERE m.site = :site AND "
)
_TYPES: dict[str, type] = {
    "item_id": uuid.UUID, "instance_id": uuid.UUID, "person_id": uuid.UUID, "opened_at": datetime,
    "changed_at": datetime, "shown_at": datetime, "looked_at": bool, "pending": bool,
}  # fmt: skip


def _statement(sql: str, **types: type) -> Statement:
    return Statement(
        sql.replace("{pending}", _PENDING_POSTGRESQL), sqlite=sql.replace("{pending}", _PENDING_SQLITE), **types
    )


_ROWS = _statement(
    f"{_COLUMNS}m.person_id IN {AMONG} AND (m.wanted IN ('todo', 'read') OR m.shown IN ('todo', 'read') "
    f"OR i.state = 'open' OR {mirroring.BEHIND} OR m.wanted <> {mirroring.CURRENT}) ORDER BY m.item_id",
    **_TYPES,
)
_BY_KEYS = _statement(f"{_COLUMNS}m.item_id IN {AMONG}", **_TYPES)
_ENTITLED = _statement(  # closed items of a person with a title, for lists that don't tell keys
    f"{_COLUMNS}i.assignee_id IN {AMONG} AND m.title = :title AND i.state <> 'open' ORDER BY m.opened_at DESC LIMIT 20",
    **_TYPES,
)
_UNKNOWN = _statement(
    "SELECT i.id AS item_id, i.instance_id, i.assignee_id AS person_id, "
    f"{mirroring.TITLE} AS title, r.step_name AS node, "
    "{pending} AS pending FROM work_item i JOIN instance n ON n.id = i.instance_id "
    f"JOIN work_round r ON r.id = i.round_id WHERE i.assignee_id IN {AMONG} AND i.state = 'open' "
    f"AND {mirroring.UNSEEN} ORDER BY i.id",
    item_id=uuid.UUID,
    instance_id=uuid.UUID,
    person_id=uuid.UUID,
    pending=bool,
)
_TOLD = Statement(
    "SELECT o.key FROM outbox o WHERE o.system = :system AND o.state = 'pending' AND o.key = :key "
    "UNION SELECT CAST(:key AS VARCHAR(80)) FROM work_item i WHERE i.id = :item AND i.state = 'open' "
    f"AND {mirroring.UNSEEN}"
)


class Record:
    """Our record of what an OA shows, as a session reads it."""

    def __init__(self, session: Session, connection: Connection) -> None:
        self._session = session
        site = connection.site
        self._given: dict[str, Any] = mirroring.folded(connection) | {
            "site": site.code, "system": site.system, "settled": pushing.SETTLED,
        }  # fmt: skip

    def rows(self, people: Iterable[uuid.UUID]) -> list[Any]:
        """Return the items of people that are open with us, or there, or of which something is amiss."""
        return self._ask(_ROWS, ids=listed(people))

    def by_keys(self, keys: Iterable[uuid.UUID]) -> dict[uuid.UUID, Any]:
        """Return items by their ids."""
        return {row.item_id: row for row in self._ask(_BY_KEYS, ids=listed(keys))}

    def entitled(self, person: uuid.UUID, title: str) -> list[Any]:
        """Return the newest closed items of a person with this title, 20 at most."""
        return self._ask(_ENTITLED, ids=listed([person]), title=title)

    def unknown(self, people: Iterable[uuid.UUID]) -> list[Any]:
        """Return the open items of people of which there is no record."""
        return self._ask(_UNKNOWN, ids=listed(people))

    def told(self, keys: Mapping[str, uuid.UUID]) -> set[str]:
        """Return of which keys something is about to be told, or which are of open items without a record."""
        batch = Batch()
        for key, item in keys.items():
            batch.query(_TOLD, self._given | {"key": key, "item": item})
        answers = batch.run(self._session) if keys else []
        return {key for key, rows in zip(keys, answers, strict=True) if rows}

    def _ask(self, statement: Statement, **given: Any) -> list[Any]:
        return asked(self._session, statement, self._given | given)


def compare(rows: Iterable[Any], unknown: Iterable[Any], accounts: Mapping[uuid.UUID, str]) -> Iterator[Finding]:
    """Yield where our record is behind; `unknown`: open items that should have one; `accounts` by person, of today."""
    for row in rows:
        if at_rest(row) and row.problem != IGNORED:
            yield from _of(row, accounts.get(row.person_id, ""))
    for row in unknown:
        if not row.pending:
            yield Finding(
                MISSING, OURS, row.title, f"{row.node}：没有镜像记录", "adopt", row.item_id, row.person_id,
                accounts.get(row.person_id, ""), (row.item_id,), row.instance_id,
            )  # fmt: skip


def _of(row: Any, account: str) -> Iterator[Finding]:
    there = row.shown in OPEN or row.sending in OPEN
    found = (row.item_id, row.person_id, row.account or account, (row.item_id,))
    if _behind(row):
        kind = STALE
        if row.current in OPEN and row.shown not in OPEN:
            kind = MISSING
        elif row.current not in OPEN and there:
            kind = GHOST
        hopeless = row.problem == UNMAPPED and not account
        yield Finding(kind, OURS, row.title, f"{row.node}：{_why(row)}", "none" if hopeless else "put", *found)
    elif row.current in OPEN and account and row.account != account:
        told = f"{row.node}：显示在账号 {row.account} 下，现在是 {account}"
        yield Finding(STALE, OURS, row.title, told, "move", *found)


def _behind(row: Any) -> bool:
    """Whether the OA must still be told, or our record says what the rows don't."""
    never = row.shown in ("", "deleted") and not row.sending and row.current not in OPEN
    return bool(row.sending or row.wanted != row.current or (row.current != row.shown and not never))


def _why(row: Any) -> str:
    if row.problem:
        return str(row.reason or row.problem)
    names = {"todo": "待办", "read": "待阅", "done": "已办", "finished": "办结", "deleted": "已删除", "": "没有"}
    if row.sending:
        return f"应为{names[row.current]}，推送的结果未知"
    return f"应为{names[row.current]}，记录是{names[row.shown]}"
