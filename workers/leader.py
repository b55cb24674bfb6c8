"""One leader among the workers, for what must not be done by all of them."""

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from engine.db import Database

_LOCK = 0x70_69_79_75_65  # "piyue": the number of the advisory lock


class Leader:
    """A claim to lead: on PostgreSQL an advisory lock of a connection kept for it, which ends with the process.

    On SQLite there is one worker, and it leads.
    """

    def __init__(self, db: Database) -> None:
        self._engine = db.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._alone = db.engine.dialect.name == "sqlite"
        self._connection: Connection | None = None

    def leads(self) -> bool:
        """Whether this worker leads now; where nobody does it takes the lead. Raises what the database raises."""
        if self._alone:
            return True
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT 1"))
            except DBAPIError:  # the lock went with the connection, which SQLAlchemy has given up
                self._connection.close()
                self._connection = None
            else:
                return True
        connection = self._engine.connect()
        if connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}).scalar_one():
            self._connection = connection
            return True
        connection.close()
        return False

    def resign(self) -> None:
        """Let another worker lead."""
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            except DBAPIError:
                pass
            self._connection.close()
            self._connection = None
