"""The first load: what was open before the OA was connected gets there, at its rate, whatever interrupts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from engine import clock, outbox
from engine.batch import Batch
from engine.bpm.models import ActionLog, ItemState, WorkItem
from engine.connectors.oa import loading
from engine.connectors.oa.models import OAItem, OALoad
from engine.connectors.oa.sites import Connection
from engine.db import new_id
from engine.errors import Conflict, Forbidden
from engine.org.demo import CAST
from engine.outbox import Outbox, OutboxChannel
from engine.settings import ROOT
from tests.dsl import Bpm, task
from tests.engine.bpm.contracts.kit import line
from tests.factories.oa import Shelf, connected, site
from tests.factories.outbox import NOON
from tests.factories.statements import sent

pytestmark = pytest.mark.backend("sqlite", "postgresql")

HEAD = CAST["head_nurse"].staff_number
LINE = line(("a", task("a", "head_nurse")), ("b", task("b", "archivist")))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
BACKLOG = 20  # rows, of a site with 600 calls a minute


class House:
    """An installation that has worked for a while, and is to be mirrored from now on."""

    def __init__(self, bpm: Bpm, *codes: str, per_minute: int = 600) -> None:
        self.bpm, self.db = bpm, bpm.db
        self.shelves = {code: Shelf() for code in codes}
        self.connections = [Connection(site(code, per_minute=per_minute), self.shelves[code]) for code in codes]
        bpm.deploy_files(LINE)
        self.story = bpm.start("p", "nurse")

    def fill(self, count: int) -> None:
        """Let so many more items be open."""
        with self.db.unit_of_work() as session:
            mine = select(WorkItem).where(WorkItem.instance_id == self.story.id, WorkItem.state == ItemState.OPEN)
            first = session.scalars(mine).first()
            shape = {c.key: getattr(first, c.key) for c in WorkItem.__table__.columns}
            session.execute(insert(WorkItem), [shape | {"id": new_id()} for _ in range(count)])

    def act(self, what: str, code: str = "ekp", by: str | None = None, **options: Any) -> None:
        connection = next(c for c in self.connections if c.site.code == code)
        with self.db.unit_of_work() as session:
            getattr(loading, what)(session, self.bpm.actor(by) if by else None, connection, **options)

    def progress(self, code: str = "ekp") -> loading.Progress:
        with self.db.reading() as session:
            found = loading.progress(session, None, code)
        assert found is not None
        return found

    def waiting(self, code: str = "ekp") -> int:
        with self.db.reading() as session:
            rows = select(func.count()).where(Outbox.system == f"oa.{code}", Outbox.state == "pending")
            return session.scalar(rows) or 0

    def run(self, most: int = 10_000) -> int:
        """Let the leader's tick and the workers take turns until the loads are done; return the longest backlog."""
        longest = 0
        for _ in range(most):
            while loading.top_up(self.db):
                pass
            backlog = max(self.waiting(code) for code in self.shelves)
            longest = max(longest, backlog)
            if not backlog:
                break
            clock.freeze(clock.now() + timedelta(seconds=2))
            self.bpm.work()
        return longest

    def shown(self, code: str = "ekp") -> int:
        return len(self.shelves[code].open(HEAD))


@contextmanager
def house(bpm: Bpm, *codes: str, **options: Any) -> Iterator[House]:
    clock.freeze(NOON)
    found = House(bpm, *codes, **options)
    with connected(bpm.db, *found.connections):
        yield found


@pytest.fixture
def ekp(bpm: Bpm) -> Iterator[House]:
    with house(bpm, "ekp") as found:
        yield found


def load(found: House, count: int) -> int:
    found.fill(count - 1)
    found.act("start")
    longest = found.run(count)
    assert found.shown() == count
    assert len({line.key for line in found.shelves["ekp"].lines}) == count
    progress = found.progress()
    assert (progress.state, progress.total, progress.queued, progress.shown) == ("done", count, count, count)
    return longest


def test_everything_that_is_open_gets_there_once_and_quietly(ekp: House) -> None:
    assert load(ekp, 500) == BACKLOG
    assert all(todo.quiet for todo, _ in ekp.shelves["ekp"].puts)
    assert ekp.progress().ended_at is not None


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.backend("postgresql")
def test_fifty_thousand_open_items_get_there(bpm: Bpm) -> None:
    with house(bpm, "ekp", per_minute=60_000) as found:
        assert load(found, 50_000) <= 2000


def test_what_opens_meanwhile_waits_for_little(ekp: House) -> None:
    ekp.fill(300)
    ekp.act("start")
    loading.top_up(ekp.db)
    ekp.bpm.work()
    loading.top_up(ekp.db)
    story = ekp.bpm.start("p", "nurse")  # works until nothing waits
    fresh = story.item("head_nurse").id.hex
    order = [todo.key for todo, _ in ekp.shelves["ekp"].puts]
    assert order.index(fresh) <= 2 * BACKLOG
    assert [todo.quiet for todo, _ in ekp.shelves["ekp"].puts if todo.key == fresh] == [False]
    ekp.run()
    assert ekp.shown() == 302


def test_what_closes_before_its_turn_is_never_sent(ekp: House) -> None:
    ekp.act("start")
    loading.top_up(ekp.db)
    ekp.story.approve("head_nurse")
    assert [todo.node for todo, _ in ekp.shelves["ekp"].puts] == ["b"]


def test_a_load_rests_and_goes_on_where_it_was(ekp: House) -> None:
    ekp.fill(99)
    ekp.act("start", by="system_admin")
    loading.top_up(ekp.db)
    ekp.act("pause", by="system_admin")
    assert ekp.run() == BACKLOG
    assert (ekp.shown(), ekp.progress().state, ekp.progress().eta) == (BACKLOG, "paused", None)
    ekp.act("resume")
    ekp.run()
    assert (ekp.shown(), ekp.progress().state) == (100, "done")
    with ekp.db.reading() as session:
        trail = session.execute(select(ActionLog.actor_id, ActionLog.detail).where(ActionLog.verb == "oa_load"))
        told = [(by is None, detail) for by, detail in trail]
    assert [by_command for by_command, _ in told] == [False, False, True]
    assert '"did":"start"' in told[0][1]
    assert '"total":100' in told[0][1]


def test_progress_tells_rate_and_when_it_will_be_done(ekp: House) -> None:
    ekp.fill(599)
    ekp.act("start", by="system_admin")
    for _ in range(6):
        loading.top_up(ekp.db)
        clock.freeze(clock.now() + timedelta(seconds=10))
        ekp.bpm.work()
    found = ekp.progress()
    assert (found.total, found.queued, found.shown, found.failed) == (600, 120, 120, 0)
    assert 100 <= found.rate <= 140
    assert found.eta is not None
    assert timedelta(minutes=3) < found.eta - clock.now() < timedelta(minutes=5)
    assert found.started_by == ekp.bpm.actor("system_admin").name


def test_what_the_oa_refuses_is_counted_and_holds_nothing_up(ekp: House) -> None:
    ekp.fill(50)
    ekp.shelves["ekp"].errors = [outbox.Permanent("流程类型不允许接收")] * 3
    ekp.act("start")
    ekp.run()
    found = ekp.progress()
    assert (found.state, found.shown, found.failed) == ("done", 48, 3)


def test_a_channel_that_is_stopped_gets_no_more(ekp: House) -> None:
    ekp.fill(99)
    ekp.act("start")
    with ekp.db.unit_of_work() as session:
        outbox.pause(session, ekp.bpm.actor("process_admin"), "oa.ekp", "维护")
    assert not loading.top_up(ekp.db)
    assert ekp.waiting() == 0


def test_the_rate_of_the_site_is_kept(bpm: Bpm) -> None:
    """The adapter takes a place before each request; what the load adds, the channel's own measure shows."""
    with house(bpm, "ekp", per_minute=600) as found:
        found.shelves["ekp"].take = lambda: outbox.take(found.db, "oa.ekp")
        found.fill(299)
        found.act("start")
        began = clock.now()
        found.run()
        assert found.shown() == 300
        with found.db.reading() as session:
            taken_to = session.get_one(OutboxChannel, "oa.ekp").taken_to
        assert taken_to is not None
        assert clock.now() - began >= timedelta(seconds=24)  # 60 at once, then ten a second


def test_several_sites_are_loaded_at_once(bpm: Bpm) -> None:
    with house(bpm, "ekp", "ecology") as found:
        found.fill(60)
        found.act("start", "ekp")
        found.act("start", "ecology")
        loading.top_up(found.db)
        assert {found.waiting("ekp"), found.waiting("ecology")} == {BACKLOG}
        found.run()
        assert (found.shown("ekp"), found.shown("ecology")) == (61, 61)


def test_once_more_only_when_it_is_asked_for(ekp: House) -> None:
    with pytest.raises(Conflict, match="还没有开始"):
        ekp.act("pause")
    ekp.act("start")
    with pytest.raises(Conflict, match="正在进行"):
        ekp.act("start")
    ekp.act("pause")
    with pytest.raises(Conflict, match="已暂停"):
        ekp.act("start", again=True)
    ekp.act("resume")
    ekp.run()
    with pytest.raises(Conflict, match="已经完成"):
        ekp.act("start")
    ekp.fill(10)
    ekp.act("start", again=True)
    ekp.run()
    assert (ekp.shown(), ekp.progress().total) == (11, 10)


def test_with_nothing_to_load_it_is_done_at_once(ekp: House) -> None:
    ekp.story.approve("head_nurse").approve("archivist")
    ekp.act("start")
    assert (ekp.progress().state, ekp.progress().total) == ("done", 0)


def test_only_system_admins_load(ekp: House) -> None:
    for what in ("start", "pause", "resume"):
        with pytest.raises(Forbidden):
            ekp.act(what, by="process_admin")
    with ekp.db.reading() as session:
        assert loading.progress(session, ekp.bpm.actor("auditor"), "ekp") is None
        with pytest.raises(Forbidden):
            loading.progress(session, ekp.bpm.actor("nurse"), "ekp")


def test_a_page_costs_few_statements_however_long_it_is(bpm: Bpm, monkeypatch: pytest.MonkeyPatch) -> None:
    with house(bpm, "ekp", per_minute=30_000) as found:
        found.fill(2000)
        found.act("start")
        batches = list[int]()
        send = Batch.send

        def counting(batch: Batch, *args: Any, **options: Any) -> list[Any]:
            batches.append(len(batch._work))
            return send(batch, *args, **options)

        monkeypatch.setattr(Batch, "send", counting)
        with sent(found.db.engine) as statements:
            loading.top_up(found.db)
        assert found.waiting() == 1000
        assert sum(batches) + len(statements) <= 10  # of which three begin and end transactions on SQLite


@pytest.mark.faults
@pytest.mark.backend("postgresql")
def test_killed_between_and_within_pages_it_goes_on(bpm: Bpm) -> None:
    with house(bpm, "ekp") as found:
        found.fill(199)
        found.act("start")
        url = found.db.url.render_as_string(hide_password=False)
        for at in (1, 3, 4, 2, 6):
            child = subprocess.run([sys.executable, "-c", _CHILD, url, str(at)], cwd=ROOT, env=ENVIRONMENT, check=False)
            assert child.returncode == -signal.SIGKILL
            with found.db.reading() as session:
                load_ = session.scalars(select(OALoad)).one()
                assert session.scalar(select(func.count()).select_from(OAItem)) == load_.queued
            found.bpm.work()
        found.run()
        assert found.shown() == 200


_CHILD = """
import os, signal, sys
import engine.registry
from engine import clock
from engine.batch import Batch
from engine.connectors.oa import loading
from engine.connectors.oa.sites import Connection
from engine.db import Database
from tests.factories.oa import Shelf, connected, site
from tests.factories.outbox import NOON

send, sent = Batch.send, 0

def killing(self, *args, **options):
    global sent
    sent += 1
    if sent == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return send(self, *args, **options)

Batch.send = killing
clock.freeze(NOON)
db = Database(sys.argv[1])
with connected(db, Connection(site(per_minute=600), Shelf())):
    for _ in range(9):
        loading.top_up(db)
"""
