"""The demo hospital beside an OA that is a dictionary, and reconciliations of the two."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from engine import clock
from engine.connectors.oa import reconciling
from engine.connectors.oa.models import OAItem
from engine.connectors.oa.reconciling import Report
from engine.connectors.oa.sites import Connection
from engine.org.demo import CAST
from tests.dsl import Bpm, Story, task
from tests.engine.bpm.contracts.kit import line
from tests.factories.oa import Shelf, connected, site
from tests.factories.outbox import NOON

HEAD, SURGEON, ARCHIVIST = (CAST[who].staff_number for who in ("head_nurse", "surgeon", "archivist"))
ALL = line(
    ("a", task("a", "head_nurse", "surgeon", inner='<piyue:round policy="all"/>')), ("b", task("b", "archivist"))
)


class Night:
    """The hospital beside one OA, and reconciliations of it."""

    def __init__(self, bpm: Bpm, shelf: Shelf, **settings: Any) -> None:
        self.bpm, self.db, self.shelf = bpm, bpm.db, shelf
        self.connection = Connection(site(**settings), shelf)
        bpm.deploy_files(ALL)

    def begin(self, *, repair: bool = False, by: str = "command", actor: str | None = None) -> uuid.UUID:
        with self.db.unit_of_work() as session:
            who = self.bpm.actor(actor) if actor else None
            return reconciling.start(session, who, self.connection, repair=repair, by=by).id

    def check(self, *, repair: bool = False, by: str = "command") -> Report:
        clock.freeze(clock.now() + timedelta(minutes=10))  # what was pushed a moment ago isn't looked at
        found = self.begin(repair=repair, by=by)
        self.bpm.work()
        return self.report(found)

    def report(self, check_id: uuid.UUID) -> Report:
        with self.db.reading() as session:
            return reconciling.report(session, None, check_id)

    def found(self, **options: Any) -> list[tuple[str, str, str | None, str]]:
        """Reconcile; return (kind, side, number, result) of the differences."""
        report = self.check(**options)
        assert report.state == "done"
        kinds = [d.kind for d in report.differences]
        assert (report.missing, report.ghost, report.stale) == tuple(map(kinds.count, ("missing", "ghost", "stale")))
        return [(d.kind, d.side, d.number, d.result) for d in report.differences]

    def item(self, story: Story, who: str) -> uuid.UUID:
        return story.item(who, None, "open", "done").id

    def change(self, item: uuid.UUID, **values: Any) -> None:
        """Let our record of an item be another."""
        with self.db.unit_of_work() as session:
            session.execute(update(OAItem).where(OAItem.item_id == item).values(**values))

    def lose(self, item: uuid.UUID) -> None:
        """Let our record of an item be lost, as where a backup was restored."""
        with self.db.unit_of_work() as session:
            session.execute(delete(OAItem).where(OAItem.item_id == item))


@contextmanager
def night(bpm: Bpm, shelf: Shelf | None = None, **settings: Any) -> Iterator[Night]:
    clock.freeze(NOON)
    bpm.only_the_cast()
    found = Night(bpm, shelf or Shelf(), **settings)
    with connected(bpm.db, found.connection):
        found.check()  # nothing was open before: from now on everything must be there
        yield found


@pytest.fixture(name="ekp")
def _ekp(bpm: Bpm) -> Iterator[Night]:
    with night(bpm) as found:
        yield found
