"""How PostgreSQL walks large tables for a statement whose parameters it doesn't know."""

from collections.abc import Iterator
from typing import Any

from psycopg.sql import SQL, Identifier, Literal
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.batch import Statement
from engine.db import Database


def nodes(session: Session, statement: str) -> list[dict[str, Any]]:
    """Return the nodes of a statement's generic plan, as JSON tells them; it is written with %(name)s.

    In this transaction alone the planner is told that the tables are large.
    """
    for setting in ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin"):
        session.execute(text(f"SET LOCAL {setting} = off"))
    # in this transaction alone: a million rows on every page, and nothing known of what an autovacuum has seen in them
    ours = "SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i')"
    session.execute(text(f"UPDATE pg_class SET reltuples = 1000000, relpages = 1 WHERE oid IN ({ours})"))
    session.execute(text(f"DELETE FROM pg_statistic WHERE starelid IN ({ours})"))
    session.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
    raw: Any = session.connection().connection.cursor()
    parameters = dict.fromkeys(_names(statement))
    numbered = statement
    for n, name in enumerate(parameters, 1):
        numbered = numbered.replace(f"%({name})s", f"${n}")
    raw.execute(f"PREPARE walk AS {numbered}")
    found = _explained(raw, "FORMAT JSON", [Literal(None)] * len(parameters))
    raw.execute("DEALLOCATE walk")
    return found


class Early:
    """A statement with the plan that one of our connections made while its tables were empty, and keeps as they grow.

    `analysed`: whether PostgreSQL had looked at them by then, or never.
    """

    def __init__(self, db: Database, statement: Statement, *tables: str, analysed: bool) -> None:
        self._names = statement.names
        self._pooled = db.engine.raw_connection()
        raw: Any = self._pooled.driver_connection
        self.raw = raw
        for table in tables:
            name = Identifier(table)
            raw.execute(SQL("ALTER TABLE {} SET (autovacuum_enabled = off)").format(name))
            if analysed:
                raw.execute(SQL("ANALYZE {}").format(name))
        raw.execute(f"PREPARE walk AS {statement.postgresql}")
        self.plan()  # made when it is first asked for

    def plan(self) -> list[dict[str, Any]]:
        """Return the nodes of its plan."""
        return _explained(self.raw.cursor(), "FORMAT JSON", [Literal(None)] * len(self._names))

    def run(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """Run it and return the nodes of its plan with what they have done."""
        values = [Literal(given[name]) for name in self._names]
        return _explained(self.raw.cursor(), "ANALYZE, TIMING OFF, FORMAT JSON", values)

    def close(self) -> None:
        """Give the connection up, with the statement that it keeps."""
        self._pooled.invalidate()


def walks(found: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Return the indexes that a plan scans, and in which direction."""
    return [(n.get("Index Name"), n.get("Scan Direction")) for n in found if n["Node Type"].startswith("Index")]


def looked_at(found: list[dict[str, Any]], table: str) -> int:
    """Return how many rows of a table a plan that has run has looked at, each as often as it was."""
    scans = [n for n in found if n.get("Relation Name") == table and n["Node Type"].endswith("Scan")]
    return sum(n["Actual Loops"] * (n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) for n in scans)


def _explained(cursor: Any, how: str, values: list[Literal]) -> list[dict[str, Any]]:
    given = SQL("({})").format(SQL(", ").join(values)) if values else SQL("")
    cursor.execute(SQL("EXPLAIN ({}) EXECUTE walk {}").format(SQL(how), given))
    return list(_nodes(cursor.fetchone()[0][0]["Plan"]))


def _names(statement: str) -> list[str]:
    parts = statement.split("%(")[1:]
    return list(dict.fromkeys(part.split(")s")[0] for part in parts))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
