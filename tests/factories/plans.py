"""How PostgreSQL would walk large tables for a statement whose parameters it doesn't know."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session


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
    raw.execute(f"EXPLAIN (FORMAT JSON) EXECUTE walk ({', '.join(['NULL'] * len(parameters))})")
    plan = raw.fetchone()[0]
    raw.execute("DEALLOCATE walk")
    return list(_nodes(plan[0]["Plan"]))


def walks(found: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Return the indexes that a plan scans, and in which direction."""
    return [(n.get("Index Name"), n.get("Scan Direction")) for n in found if n["Node Type"].startswith("Index")]


def _names(statement: str) -> list[str]:
    parts = statement.split("%(")[1:]
    return list(dict.fromkeys(part.split(")s")[0] for part in parts))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
