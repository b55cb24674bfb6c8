"""A private durable PostgreSQL with the demo hospital in it, and the means to measure on it.

fsync, synchronous commit and full-page images are on, as in production.
"""

import gc
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from bench._data import migrate
from engine.bpm import commands, definitions
from engine.db import Database
from engine.org.actor import Actor
from engine.org.demo import DemoStaff, load_demo
from engine.org.queries import actor_for
from engine.settings import ROOT
from tests import services

Work = Callable[[], object]
Maker = Callable[[int], Work]

AUDIT_KEY = b"audit key of the benches, 32 byt"


class Hospital:
    """The demo hospital in a database of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.db = Database(url, audit_key=AUDIT_KEY)
        with self.db.unit_of_work() as session:
            self.staff: DemoStaff = load_demo(session)

    def connect(self) -> "psycopg.Connection[Any]":
        """Return a plain connection in autocommit: what a bare statement needs."""
        return psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True, prepare_threshold=0)

    def actor(self, who: str | uuid.UUID) -> Actor:
        """Return a member of the cast, or anybody by id, as the service makes one for each request."""
        with self.db.reading() as session:
            return actor_for(session, who if isinstance(who, uuid.UUID) else self.staff.person(who))

    def deploy(self, key: str) -> None:
        """Deploy a shipped process."""
        folder = ROOT / "processes" / key
        found = (p for p in folder.rglob("*") if p.is_file() and p.suffix in (".bpmn", ".json", ".dmn"))
        self.deploy_files({p.relative_to(folder).as_posix(): p.read_bytes() for p in found})

    def deploy_files(self, files: Mapping[str, str | bytes]) -> None:
        """Deploy a process from texts."""
        with self.db.unit_of_work() as session:
            definitions.deploy(session, None, files)

    def start(self, actor: Actor, key: str, data: Mapping[str, Any]) -> uuid.UUID:
        """Start a process and return the instance."""
        with self.db.unit_of_work() as session:
            return commands.start(session, actor, key, data=data).instance_id

    def settle(self) -> None:
        """Bring the planner's statistics up to date and put everything on disk, so that neither falls into a figure."""
        with self.connect() as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")


@contextmanager
def hospital(*processes: str) -> Iterator[Hospital]:
    """Start the server, migrate it by Alembic, load the demo hospital and deploy shipped processes."""
    with services.postgres(durable=True) as url:
        migrate(url)
        opened = Hospital(url)
        for key in processes:
            opened.deploy(key)
        yield opened
        opened.db.dispose()


def milliseconds(work: Work) -> float:
    """Return how long one call takes, in milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def in_turn(warm_up: int, turns: int, first: Maker, second: Maker) -> tuple[list[float], list[float]]:
    """Measure two kinds of work A B B A A B …, so that whatever else the machine does falls on both alike.

    `first` and `second` give the work of a turn, from 0 on; giving it isn't timed. Returns the milliseconds of each,
    without the `warm_up` turns before. No garbage is collected meanwhile.
    """
    gc.collect()
    gc.disable()
    times: tuple[list[float], list[float]] = [], []
    for turn in range(warm_up + turns):
        pair = ((0, first(turn)), (1, second(turn)))
        for which, work in pair if turn % 2 else pair[::-1]:
            took = milliseconds(work)
            if turn >= warm_up:
                times[which].append(took)
    gc.enable()
    return times


class Wal:
    """The bytes of write-ahead log that work writes, without full-page images.

    The first change of a page after a checkpoint logs the whole page. How many such images fall on a statement depends
    on how long ago the last checkpoint was, not on the statement. So make a `Wal` first, which makes a checkpoint, and
    then the rows that will be changed: every page has its image by the time that bytes are counted. Autovacuum, which
    would write log of its own, stands still. Both sides of a ratio run in turn on the same pages.
    """

    def __init__(self, at: Hospital) -> None:
        self._connection = at.connect()

    def __enter__(self) -> "Wal":
        self._autovacuum("off")
        self._connection.execute("CHECKPOINT")
        return self

    def __exit__(self, *_: object) -> None:
        self._autovacuum("on")
        self._connection.close()

    def _autovacuum(self, value: str) -> None:
        self._connection.execute(sql.SQL("ALTER SYSTEM SET autovacuum = {}").format(sql.Literal(value)))
        self._connection.execute("SELECT pg_reload_conf()")

    def of(self, work: Work) -> int:
        """Return the bytes that a call has written."""
        before = self._place()
        work()
        return self._place() - before

    def _place(self) -> int:
        row = self._connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
        assert row is not None
        return int(row[0])


def report(name: str, value: float, unit: str) -> None:
    """Print one figure as `name value unit`."""
    print(f"{name} {value:.2f} {unit}" if unit != "B" else f"{name} {value:.0f} {unit}", flush=True)
