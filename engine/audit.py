"""The trail (办理记录): the one place that builds a row of `action_log`, and the proof that nobody changed one since.

Each row carries an HMAC over its content, so a row edited in the database is found. A row that is missing isn't: that
takes a chain over the rows.
"""

import uuid
from collections.abc import Iterable, Mapping
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

INSERT_ACTION = Statement(
    "INSERT INTO action_log (instance_id, round_id, item_id, step, step_name, actor_id, verb, outcome, opinion, at, "
    "path, detail, idem_key, mac) VALUES (:instance_id, :round_id, :item_id, :step, :step_name, :actor_id, :verb, "
    ":outcome, :opinion, :at, :path, :detail, :idem_key, :mac)"
)

_ROWS = Statement(
    f"SELECT id, {', '.join(FIELDS)}, mac FROM action_log WHERE id > :after ORDER BY id LIMIT :chunk",
    instance_id=uuid.UUID,
    round_id=uuid.UUID,
    item_id=uuid.UUID,
    actor_id=uuid.UUID,
    at=datetime,
)


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
    path: Iterable[str] = (),
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
        "at": at.astimezone(UTC),
        "path": orjson.dumps(list(path)).decode(),
        "detail": orjson.dumps({**(detail or {}), **by_token}).decode(),
        "idem_key": idem_key,
    }
    fields["mac"] = row_mac(key, fields)
    return fields


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

    The encoding is one JSON array: every row has exactly one, and no two rows share one.
    """
    values = [fields[name] for name in FIELDS]
    return mac(key, orjson.dumps(values, default=_hex))


def verify_rows(key: bytes, rows: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return the ids of the rows whose content no longer is what was signed; `rows` are mappings of all columns."""
    return [row["id"] for row in rows if not same(bytes(row["mac"]), row_mac(key, row))]


def verify(session: Session, chunk: int = 1000) -> tuple[int, list[int]]:
    """Check the whole trail of the session's database; returns how many rows there are and the ids of changed ones."""
    key, after, total, broken = session.info["audit_key"], 0, 0, list[int]()
    while True:
        batch = Batch()
        batch.query(_ROWS, {"after": after, "chunk": chunk})
        rows = batch.run(session)[0]
        if not rows:
            return total, broken
        total, after = total + len(rows), rows[-1].id
        broken += verify_rows(key, [row._asdict() for row in rows])


def _hex(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} is no column value")
