"""The session of a unit of work on PostgreSQL: batches go straight over its connection.

SQLAlchemy's own transaction (a Connection, two transaction objects, their events) costs as much Python as a batch's
statements take the server. It begins with the first ORM statement, on the same connection, and only then.
"""

from typing import Any

import psycopg
from psycopg import pq
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection

# In a pooled connection's info. The first: its transaction begins with what is sent first, in the same round trip.
BEGIN_PENDING = "begin pending"
DEFERRED = "deferred batch"  # an engine.batch.Batch that goes out with the commit


class Writing(Session):
    """One transaction at a time on one connection, which batches and the ORM share."""

    def __init__(self, engine: Engine, **options: Any) -> None:
        super().__init__(engine, **options)
        self.engine = engine
        self._pooled: PoolProxiedConnection | None = None
        self._joined: Connection | None = None  # since the ORM has been used

    @property
    def untouched(self) -> bool:
        """Whether nothing has been said in this transaction, or is about to be."""
        return self._pooled is None and self._joined is None and not holds_objects(self)

    def pooled(self) -> PoolProxiedConnection:
        """Return the connection of the transaction."""
        if self._joined is not None:
            return self.connection().connection
        if self._pooled is None:
            self._pooled = self.engine.raw_connection()
            self._pooled.info[BEGIN_PENDING] = True
        return self._pooled

    def get_bind(self, *_: Any, **__: Any) -> Connection:
        """Let the ORM work on the transaction's connection."""
        if self._joined is None:
            self._joined = Connection(self.engine, connection=self.pooled())
        return self._joined

    def commit(self) -> None:
        """Send what was deferred, and commit, in one round trip where nothing else was said."""
        if holds_objects(self):
            self.flush()
        if self._joined is not None:
            super().commit()
        elif self._pooled is not None:
            deferred = self._pooled.info.pop(DEFERRED, None)
            if deferred is not None:
                deferred.send(self._pooled, self.engine, commit=True)
            elif not self._pooled.info.get(BEGIN_PENDING):
                self._pooled.driver_connection.commit()  # type: ignore[union-attr]
            self._release()

    def rollback(self) -> None:
        """Drop what was deferred and what was sent."""
        if self.in_transaction():
            super().rollback()
        if self._joined is None and self._pooled is not None:
            if self._pooled.is_valid and self._pooled.driver_connection is not None:
                try:
                    self._pooled.driver_connection.rollback()
                except psycopg.Error as error:
                    self._pooled.invalidate(error)
            self._release()

    def close(self) -> None:
        """Give the connection back."""
        if self.in_transaction() or holds_objects(self):
            super().close()
        if self._joined is not None:
            self._joined.close()
            self._joined = self._pooled = None
        self.rollback()

    def _release(self) -> None:
        assert self._pooled is not None
        forget(self._pooled)
        self._pooled.close()
        self._pooled = None


def holds_objects(session: Session) -> bool:
    """Whether a session may have something to flush; cheaper than asking what is new, changed or deleted."""
    return any(True for _ in session)


def forget(pooled: PoolProxiedConnection) -> None:
    """Leave nothing of a transaction to the connection's next; a lost connection took it along."""
    if pooled.is_valid:
        pooled.info.pop(DEFERRED, None)
        pooled.info.pop(BEGIN_PENDING, None)


def begun(pooled: PoolProxiedConnection) -> None:
    """Note that a transaction begins, where a batch has not begun it already."""
    raw: Any = pooled.driver_connection
    if raw.pgconn.transaction_status == pq.TransactionStatus.IDLE:
        pooled.info[BEGIN_PENDING] = True
