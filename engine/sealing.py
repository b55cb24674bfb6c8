"""Seals over the trail (办理记录封存): a row that is taken away, added or moved later is found, not only one edited.

The leader seals by the second what was written since: each seal hashes the rows up to an id together with the seal
before it (a hash chain), and is signed. Taking away the newest seals with their rows shows only against an anchor (锚)
that is kept outside: the newest seal's number and root, as `piyue audit head` prints them.
"""

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Integer, func, literal_column, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from engine import audit, clock
from engine.crypto import mac, same
from engine.db import Base, Database

ROWS = 20_000  # sealed together at most, so that the first seal of an old trail is no long transaction
_PATIENCE, _LOOK = 1.0, 0.02  # seconds to wait for writers, and between two looks at them

log = logging.getLogger(__name__)


class Seal(Base):
    """A seal (封存) over the rows of the trail after those of the seal before it, up to `last_id`."""

    __tablename__ = "seal"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last_id: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int]
    root: Mapped[bytes]
    at: Mapped[datetime]
    mac: Mapped[bytes]


@dataclass(slots=True)
class Proof:
    """What the seals prove: how many rows they cover, how many are younger than the newest, and what is wrong."""

    sealed: int = 0
    unsealed: int = 0
    wrong: list[str] = field(default_factory=list)


def seal(db: Database) -> bool:
    """Seal what was written since the last seal; True where more waits. Only the leader calls it."""
    horizon = _horizon(db)
    if horizon is None:
        return False
    with db.unit_of_work() as session:
        last = _newest(session)
        first, root = (last.last_id + 1, last.root) if last is not None else (audit.FIRST, b"")
        hashed = _Hashed(root)
        for row in audit.rows(session, first, horizon, ROWS):
            hashed.add(row._asdict())
        if not hashed.rows:
            return False
        made = Seal(
            number=1 if last is None else last.number + 1,
            last_id=hashed.last_id,
            rows=hashed.rows,
            root=hashed.root(),
            at=clock.now(),
        )
        made.mac = _signature(session, made)
        session.add(made)
        return hashed.rows == ROWS


def head(session: Session) -> str | None:
    """Return the anchor: the newest seal as `NUMBER:ROOT`, None before the first."""
    last = _newest(session)
    return None if last is None else _anchor(last)


def verify(session: Session, anchor: str = "") -> Proof:
    """Check every seal against the rows and the seal before it; and that the anchor's seal is still there."""
    proof, root, first, roots = Proof(), b"", audit.FIRST, set[str]()
    for number, one in enumerate(session.scalars(select(Seal).order_by(Seal.number)), 1):
        hashed = _Hashed(root)
        for row in audit.rows(session, first, one.last_id):
            hashed.add(row._asdict())
        if one.number != number or not same(bytes(one.mac), _signature(session, one)):
            proof.wrong.append(f"第 {number} 次封存缺失或被改动")
        place = f"编号 {max(first, 1)} 至 {one.last_id}"
        if hashed.rows != one.rows:
            proof.wrong.append(f"{place}：封存时 {one.rows} 行，现在 {hashed.rows} 行")
        elif hashed.root() != one.root:
            proof.wrong.append(f"{place}：内容与封存时不同")
        root, first = one.root, one.last_id + 1
        roots.add(_anchor(one))
        proof.sealed += hashed.rows
    proof.unsealed = sum(1 for _ in audit.rows(session, first))
    if anchor and anchor not in roots:
        proof.wrong.append(f"留存的锚 {anchor} 不在封存链上：其后的记录可能被整段删去")
    return proof


class _Hashed:
    """The hash of a seal: SHA-256 (FIPS 180-4) over the root before it and each row's columns as one JSON array."""

    def __init__(self, root: bytes) -> None:
        self._sha, self.rows, self.last_id = hashlib.sha256(root), 0, 0

    def add(self, row: Mapping[str, Any]) -> None:
        values = [row["id"], *(row[name] for name in audit.FIELDS), row["mac"]]
        self._sha.update(hashlib.sha256(orjson.dumps(values, default=audit.plain)).digest())
        self.rows, self.last_id = self.rows + 1, row["id"]

    def root(self) -> bytes:
        return self._sha.digest()


def _newest(session: Session) -> Seal | None:
    return session.scalars(select(Seal).order_by(Seal.number.desc()).limit(1)).first()


def _anchor(of: Seal) -> str:
    return f"{of.number}:{of.root.hex()}"


def _signature(session: Session, of: Seal) -> bytes:
    values = [of.number, of.last_id, of.rows, bytes(of.root).hex(), of.at]
    return mac(session.info["audit_key"], b"seal" + orjson.dumps(values))


_TRAIL = literal_column("action_log.id", Integer)
_WRITERS = text(
    "SELECT virtualtransaction FROM pg_locks WHERE relation = 'action_log'::regclass AND mode = 'RowExclusiveLock' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def _horizon(db: Database) -> int | None:
    """Return an id up to which every row is there that ever will be; None while nothing is new, or writers linger.

    Ids are given before rows are committed, so a smaller one may still appear. But whoever has one holds a lock on the
    table until then: when all who held it after an id was seen are gone, nothing below that id is on its way.
    """
    with db.reading() as session:
        newest = session.scalar(select(func.max(_TRAIL)).select_from(text("action_log")))
        last = _newest(session)
        if newest is None or (last is not None and newest <= last.last_id):
            return None
        if db.engine.dialect.name == "sqlite":
            return int(newest)  # one writer at a time
        writers = set(session.scalars(_WRITERS))
        deadline = time.monotonic() + _PATIENCE
        while writers & set(session.scalars(_WRITERS)):
            if time.monotonic() > deadline:
                log.warning("trail not sealed: a transaction that writes to it has been open for a second")
                return None
            time.sleep(_LOOK)
        return int(newest)
