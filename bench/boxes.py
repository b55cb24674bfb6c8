"""Boxes of a hospital with 100,000 running instances and 1,000,000 open work items, on the durable private PostgreSQL.

The statements are those that `engine.bpm.queries` sends, caught as it sends them; what is measured in the database is
EXPLAIN ANALYZE's planning plus execution time, of each with the same parameters. `page` covers the first and later
pages of 20 of all boxes, for the person with the most items and for others; `growth` is the median first page of the
to-dos of the person with 10,000 over that of the people with ten.

    boxes.load_s            seconds to load everything                                    < 300
    boxes.page_p95_ms       a page, in the database                                       <= 5
    boxes.count_p95_ms      the counts of all boxes, in the database                      <= 2
    boxes.growth            10,000 items against ten                                      <= 2
    boxes.page_p95_end_ms   a page, through SQLAlchemy and the network, as rows of Python
    boxes.count_p95_end_ms  the counts, the same way

BOXES_INSTANCES makes it smaller, for a try.
"""

import os
import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg
from sqlalchemy import event
from sqlalchemy.orm import Session

from bench._data import Load, People, migrate
from engine.bpm.queries import Box, BoxRow, Page, boxes
from engine.db import Database
from engine.org.actor import Actor
from tests import services

INSTANCES = int(os.environ.get("BOXES_INSTANCES", "100000"))
PEOPLE = 30  # other people who are asked for, beside the busiest and the quiet ones
TURNS = 15
PAGES = 3  # of each box, one after the other
Result = TypeVar("Result")


class Caught:
    """The statements that a call sends, with their parameters."""

    def __init__(self, session: Session) -> None:
        self.statements: list[tuple[str, Any]] = []
        event.listen(session.get_bind(), "before_cursor_execute", self._catch)

    def _catch(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            self.statements.append((statement, parameters))

    def take(self) -> list[tuple[str, Any]]:
        """Return what was sent since the last time."""
        taken, self.statements = self.statements, []
        return taken

    def sent(self) -> list[tuple[str, Any]]:
        """Return what a call sent; it must have sent something."""
        if not (taken := self.take()):
            raise SystemExit("no statement was caught")
        return taken


class Bench:
    """Calls a query, times it, and has the database time what it sent."""

    def __init__(self, session: Session) -> None:
        self.caught, self.session = Caught(session), session
        self.end: list[float] = []
        self.inside: list[float] = []

    def measure(self, call: Callable[[], Result]) -> Result:
        """Return what a call returns; keep the milliseconds of its statements in the database, and its own."""
        self.caught.take()
        begun = time.perf_counter()
        result = call()
        self.end.append((time.perf_counter() - begun) * 1000)
        cursor: Any = self.session.connection().connection.cursor()
        total = 0.0
        for statement, parameters in self.caught.sent():
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            plan = cursor.fetchone()[0][0]
            total += plan["Planning Time"] + plan["Execution Time"]
        self.inside.append(total)
        return result


def actor(person_id: uuid.UUID) -> Actor:
    """Return somebody without roles."""
    return Actor(person_id, "", uuid.uuid4())


def p95(values: list[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


def page(bench: Bench, person_id: uuid.UUID, box: Box, cursor: str | None = None) -> Page[BoxRow]:
    """Measure one page."""
    return bench.measure(lambda: boxes.page(bench.session, actor(person_id), box, cursor=cursor))


def pages(bench: Bench, people: People) -> None:
    """Turn the pages of every box of many people, in random order."""
    chosen = [people.busy, *people.quiet[:5], *random.Random(1).sample(people.others, PEOPLE)]
    visits = [(box, person) for box in Box for person in chosen]
    random.Random(2).shuffle(visits)
    for box, person in visits:
        cursor: str | None = None
        for _ in range(PAGES):
            cursor = page(bench, person, box, cursor).next_cursor
            if cursor is None:
                break


def growth(bench: Bench, people: People) -> float:
    """Return the ratio of the busiest person's first page to that of the quiet people, in turn."""
    for turn in range(TURNS):
        page(bench, people.busy, Box.TODO)
        page(bench, people.quiet[turn % len(people.quiet)], Box.TODO)
    return statistics.median(bench.inside[::2]) / statistics.median(bench.inside[1::2])


def main() -> None:
    """Load, measure, print."""
    with services.postgres() as url:
        migrate(url)
        begun = time.perf_counter()
        plain = url.replace("postgresql+psycopg", "postgresql")
        with psycopg.connect(plain) as connection:
            load = Load(connection, INSTANCES)
            load.write()
        print(f"boxes.load_s {time.perf_counter() - begun:.0f} s", flush=True)
        people = load.people
        db = Database(url)
        with db.reading() as session:
            bench = Bench(session)
            pages(bench, people)
            print(f"boxes.page_p95_ms {p95(bench.inside):.2f} ms")
            print(f"boxes.page_median_ms {statistics.median(bench.inside):.2f} ms")
            print(f"boxes.page_p95_end_ms {p95(bench.end):.2f} ms")
            counting = Bench(session)
            for person in [people.busy] * TURNS + people.quiet + people.others[:PEOPLE]:
                counting.measure(lambda person=person: boxes.counts(session, actor(person)))  # type: ignore[misc]
            print(f"boxes.count_p95_ms {p95(counting.inside):.2f} ms")
            print(f"boxes.count_p95_end_ms {p95(counting.end):.2f} ms")
            print(f"boxes.growth {growth(Bench(session), people):.2f} ratio")
        db.dispose()


if __name__ == "__main__":
    main()
