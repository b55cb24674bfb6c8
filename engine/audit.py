"""The trail (办理记录): the one place that builds a row of `action_log`, and the proof that nobody changed one since.

Each row carries an HMAC over its content, so a row edited in the database is found. One that is missing is found by
`engine.sealing`.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from engine.batch import Batch, Statement
from engine.crypto import mac, same
from engine.viewer import Doer

# Everything but the number that the database gives and the code itself. The order is part of what is signed.
FIELDS = (
    "instance_id",
    "round_id",
    "item_id",
    "step",
    "step_name",
    "actor_id",
    "verb",
    "outcome",
    "opinion",
    "at",
    "path",
    "detail",
    "idem_key",
)
READ = "read"
CHUNK = 1000  # rows read at once
FIRST, LAST = -(2**63), 2**63 - 1  # of the ids that a database takes; it gives them from 1 on, a forger as they like
FROM_ITEM = ("instance_id", "round_id", "step", "step_name")  # what a reader's row takes from its item

INSERT_ACTION = Statement(
    "INSERT INTO action_log (instance_id, round_id, item_id, step, step_name, actor_id, verb, outcome, opinion, at, "
    "path, detail, idem_key, mac) VALUES (:instance_id, :round_id, :item_id, :step, :step_name, :actor_id, :verb, "
    ":outcome, :opinion, :at, :path, :detail, :idem_key, :mac)"
)

_ROWS = Statement(
    f"SELECT l.id, {', '.join(f'l.{name}' for name in FIELDS)}, l.mac, i.instance_id AS item_instance_id, "
    "i.round_id AS item_round_id, r.step AS item_step, r.step_name AS item_step_name FROM action_log l "
    "LEFT JOIN work_item i ON l.verb = 'read' AND i.id = l.item_id LEFT JOIN work_round r ON r.id = i.round_id "
    "WHERE l.id >= :first AND l.id <= :last ORDER BY l.id LIMIT :chunk",
    instance_id=uuid.UUID,
    round_id=uuid.UUID,
    item_id=uuid.UUID,
    actor_id=uuid.UUID,
    item_instance_id=uuid.UUID,
    item_round_id=uuid.UUID,
    at=datetime,
)

# What people read of an item, whose it was, its outcome and opinion, stands in the item too, which carries no code of
# its own.
_UNLIKE = Statement(
    "SELECT l.id FROM work_item i JOIN action_log l ON l.instance_id = i.instance_id AND l.item_id = i.id "
    "WHERE i.state = 'done' AND l.verb IN ('complete', 'return', 'read') AND (l.opinion <> i.opinion "
    "OR l.outcome IS DISTINCT FROM i.outcome OR l.actor_id IS DISTINCT FROM i.assignee_id) "
    "AND NOT EXISTS (SELECT 1 FROM action_log n WHERE n.instance_id = l.instance_id AND n.item_id = l.item_id "
    "AND n.id > l.id AND n.verb IN ('complete', 'return', 'read', 'take_back')) ORDER BY l.id"
)

# A row written again under another id is signed, but it is no act.
_TWICE = Statement("SELECT mac FROM action_log GROUP BY mac HAVING count(*) > 1")


def log_row(
    key: bytes,
    *,
    instance_id: uuid.UUID | None,
    verb: str,
    at: datetime,
    actor_id: uuid.UUID | None = None,
    token_id: uuid.UUID | None = None,
    round_id: uuid.UUID | None = None,
    item_id: uuid.UUID | None = None,
    step: str | None = None,
    step_name: str | None = None,
    outcome: str | None = None,
    opinion: str = "",
    path: Sequence[str] = (),
    detail: Mapping[str, Any] | None = None,
    idem_key: bytes | None = None,
) -> dict[str, Any]:
    """Return the parameters of INSERT_ACTION for one action.

    `key` is the installation's key for "audit"; without `actor_id` the engine itself acted; `path` names the elements
    and flows that the engine walked, in order; `detail` holds plain JSON values, by verb. The service token by which
    the actor did it stands in the detail as `token`.
    """
    by_token = {} if token_id is None else {"token": str(token_id)}
    fields: dict[str, Any] = {
        "instance_id": instance_id,
        "round_id": round_id,
        "item_id": item_id,
        "step": step,
        "step_name": step_name,
        "actor_id": actor_id,
        "verb": verb,
        "outcome": outcome,
        "opinion": opinion,
        "at": at if at.tzinfo is UTC else at.astimezone(UTC),
        "path": orjson.dumps(list(path)).decode() if path else "[]",
        "detail": orjson.dumps({**(detail or {}), **by_token}).decode() if detail or by_token else "{}",
        "idem_key": idem_key,
    }
    fields["mac"] = row_mac(key, fields)
    return fields


def read_row(
    key: bytes,
    *,
    item_id: uuid.UUID,
    actor_id: uuid.UUID,
    token_id: uuid.UUID | None,
    opinion: str,
    at: datetime,
    idem_key: bytes | None,
) -> dict[str, Any]:
    """Return the parameters of a reader's row (已阅), which is signed before anything was read of the item.

    Instance, round and step are the item's, filled in as the row is written; `verify` compares them.
    """
    return log_row(
        key,
        instance_id=None,
        verb=READ,
        at=at,
        actor_id=actor_id,
        token_id=token_id,
        item_id=item_id,
        outcome="acknowledge",
        opinion=opinion,
        idem_key=idem_key,
    )


def record(
    session: Session,
    actor: Doer | None,
    verb: str,
    detail: Mapping[str, Any],
    *,
    at: datetime,
    about: uuid.UUID | None = None,
) -> None:
    """Write an activity that belongs to no instance (操作记录) with the caller's transaction: kept or lost with it.

    Without `actor` it was done at the command line, or by nobody known. `about` is what it was done to: a person, a
    token; it takes the place of the item. `detail` holds plain JSON values that tell the rest by themselves.
    """
    row = log_row(
        session.info["audit_key"],
        instance_id=None,
        verb=verb,
        at=at,
        actor_id=None if actor is None else actor.person_id,
        token_id=None if actor is None else actor.token_id,
        item_id=about,
        detail=detail,
    )
    batch = Batch()
    batch.add(INSERT_ACTION, row)
    batch.defer(session)


def row_mac(key: bytes, fields: Mapping[str, Any]) -> bytes:
    """Return the HMAC-SHA256 of a row's FIELDS, as they were given to the database or as they came back from it.

    The encoding is one JSON array: every row has exactly one, and no two rows share one. A reader's row is signed
    without what it takes from its item.
    """
    of_item = FROM_ITEM if fields["verb"] == READ else ()
    values = [None if name in of_item else fields[name] for name in FIELDS]
    return mac(key, orjson.dumps(values, default=plain))


def intact(key: bytes, row: Mapping[str, Any]) -> bool:
    """Whether a row of the trail is what was signed; of a reader's row also whether it still is that of its item."""
    if row["verb"] == READ and any(row[name] != row[f"item_{name}"] for name in FROM_ITEM):
        return False
    return same(bytes(row["mac"]), row_mac(key, row))


def verify(session: Session) -> tuple[int, list[int]]:
    """Check every row of the session's database; returns how many there are and the ids of changed ones.

    A decision counts as changed too where its work item now says something else, and so does a row's copy.
    """
    key, total = session.info["audit_key"], 0
    batch = Batch()
    batch.query(_UNLIKE, {})
    batch.query(_TWICE, {})
    unlike, twice = batch.run(session)
    broken = {row.id for row in unlike}
    shared, seen = {bytes(row.mac) for row in twice}, set()
    for row in rows(session):
        total += 1
        code = bytes(row.mac)
        if not intact(key, row._asdict()) or code in seen:
            broken.add(row.id)
        elif code in shared:
            seen.add(code)
    return total, sorted(broken)


def rows(session: Session, first: int = FIRST, last: int = LAST, limit: int | None = None) -> Iterator[Any]:
    """Yield the trail's rows in the order of their ids, from `first` to `last`, `limit` at most.

    A reader's row has what its item says beside it (`item_…`).
    """
    left = LAST if limit is None else limit
    while left and first <= last:
        batch = Batch()
        batch.query(_ROWS, {"first": first, "last": last, "chunk": min(CHUNK, left)})
        found = batch.run(session)[0]
        yield from found
        if len(found) < min(CHUNK, left):
            return
        first, left = found[-1].id + 1, left - len(found)


def plain(value: object) -> str:
    """Return a column's value as JSON takes it: bytes as hexadecimal text."""
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} is no column value")
