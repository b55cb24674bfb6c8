"""The service is killed around commits, the database breaks down: what was acknowledged is stored, nothing by half."""

import multiprocessing
import os
import random
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from engine.bpm import commands
from engine.bpm.models import ActionLog, ItemState, WorkItem
from engine.crypto import Keys
from engine.db import Database
from engine.errors import EngineError
from engine.org import auth
from engine.org.demo import CAST
from tests import services
from tests.conftest import AUDIT_KEY, migrate
from tests.dsl import Bpm, bpmn, chain, flow, start_task, task
from tests.faults import invariants, victim
from tests.faults.crowd import act, held, start
from tests.serving import eventually, piyue

INSTANCES = 4
BREAKDOWNS = 2
SECRET = "a secret of the tests, long enough"
HOLDERS = ("head_nurse", "pediatrics_head")

pytestmark = [pytest.mark.faults]

# agreeing leads round and round, so that there is always something to complete; each round gives a notice
ROUND = bpmn(
    '<startEvent id="s"/><endEvent id="e"/><exclusiveGateway id="again"/>'
    '<exclusiveGateway id="agreed" default="agreed_e"/>'
    + start_task()
    + task("review", "head_nurse")
    + task("confirm", "pediatrics_head")
    + chain("s", "apply", "again", "review", "confirm", "agreed", "e")
    + flow("agreed", "again", 'outcome = "approve"'),
    key="round",
)


@pytest.mark.backend("postgresql")
@pytest.mark.parametrize("kills", [50, pytest.param(1_000, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])])
def test_what_a_killed_service_acknowledged_is_stored(bpm: Bpm, kills: int) -> None:
    bpm.deploy_files(ROUND)
    instances = start(bpm.db, bpm.actor("nurse"), "round", INSTANCES)
    actors = {bpm.person(who): bpm.actor(who) for who in HOLDERS}
    url = bpm.db.url.render_as_string(hide_password=False)
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(["tests.faults.victim"])
    chance = random.Random(kills)
    acknowledged: list[uuid.UUID] = []
    for _ in range(kills):
        mine, theirs = fork.Pipe(duplex=False)
        process = fork.Process(
            target=victim.complete_for_ever, args=(url, AUDIT_KEY, instances, actors, theirs), daemon=True
        )
        process.start()
        theirs.close()
        acknowledged.append(mine.recv())  # it is at work; now at any moment
        time.sleep(chance.uniform(0, 0.03))
        process.kill()
        process.join()
        acknowledged += _rest(mine)
    _let_go(bpm.db)
    assert len(acknowledged) > kills
    _require_stored(bpm.db, acknowledged)
    assert _decided(bpm.db) - len(acknowledged) <= kills  # at most the last one of each was stored and not told
    assert invariants.require(bpm.db) == INSTANCES


def _rest(told: Any) -> Iterator[uuid.UUID]:
    try:
        while True:
            yield told.recv()
    except EOFError:
        told.close()


def _let_go(db: Database) -> None:
    """Wait until the server has noticed that its clients are gone."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
    deadline = time.monotonic() + 10
    with db.reading() as session:
        connection = session.connection()
        while connection.exec_driver_sql(others).scalar_one() > 1 and time.monotonic() < deadline:
            time.sleep(0.05)


def _require_stored(db: Database, acknowledged: list[uuid.UUID]) -> None:
    assert len(set(acknowledged)) == len(acknowledged)
    with db.reading() as session:
        done = set(session.scalars(select(WorkItem.id).where(WorkItem.state == ItemState.DONE)))
        trail = dict(session.execute(select(ActionLog.item_id, func.count()).group_by(ActionLog.item_id)).all())
    assert [i for i in acknowledged if i not in done] == []
    assert [i for i in acknowledged if trail.get(i) != 1] == []


def _decided(db: Database) -> int:
    with db.reading() as session:
        counted = session.scalar(select(func.count()).select_from(ActionLog).where(ActionLog.verb == "complete"))
        return counted or 0


@pytest.mark.backend("postgresql")
@pytest.mark.parametrize("kills", [20, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])])
def test_what_killed_server_processes_acknowledged_is_stored_once(
    hospital_db: Database, tmp_path: Path, kills: int
) -> None:
    url = hospital_db.url.render_as_string(hide_password=False)
    db = Database(url, audit_key=Keys(SECRET.encode()).key("audit"))
    with db.unit_of_work() as session:
        session.execute(delete(ActionLog))  # the hospital's import, signed with the key of the other tests
    bpm = Bpm(db)
    bpm.deploy_files(ROUND)
    instances = start(db, bpm.actor("nurse"), "round", INSTANCES)
    with db.unit_of_work() as session:
        logins = {bpm.person(who): auth.login_as(session, CAST[who].staff_number, demo=True) for who in HOLDERS}
    with piyue(tmp_path, "serve", "--workers", "2", database_url=url, secret_key=SECRET) as service:
        clients = [victim.Client(service, db, instance, logins) for instance in instances]
        with ThreadPoolExecutor(INSTANCES) as threads:
            stop, chance = Event(), random.Random(kills)
            work = [threads.submit(client.complete_until, stop) for client in clients]
            try:
                for _ in range(kills):
                    _await_more(clients)
                    time.sleep(chance.uniform(0, 0.1))
                    eventually(lambda: bool(service.servers()))  # sooner or later both are dead at once
                    os.kill(chance.choice(service.servers()), signal.SIGKILL)
            finally:
                stop.set()
        for one in work:
            one.result()
        for client in clients:
            for item, answer in client.acknowledged.items():
                again = client.send(item)
                assert again == answer | {"replayed": True}
        assert service.stop(signal.SIGTERM) == 0
        assert "Traceback" not in service.said
    acknowledged = [item for client in clients for item in client.acknowledged]
    assert sum(client.unanswered for client in clients) > 0, "nobody was interrupted"
    _require_stored(db, acknowledged)
    assert _decided(db) == len(acknowledged)  # everybody asked until there was an answer
    assert invariants.require(db) == INSTANCES
    db.dispose()


def _await_more(clients: list[victim.Client]) -> None:
    """Wait until one more request was answered."""
    before = sum(len(client.acknowledged) for client in clients)
    eventually(lambda: sum(len(client.acknowledged) for client in clients) > before)


def test_what_was_acknowledged_survives_breakdowns_of_the_database() -> None:
    """The server of the database breaks down under four busy threads, and recovers from its log.

    A server process that dies by SIGKILL makes PostgreSQL end all others at once, throw its shared memory away and
    recover as after `pg_ctl restart -m immediate`; the postmaster stays, so that it still ends with these tests.
    """
    with services.postgres(durable=True) as url:
        migrate(make_url(url))
        db = Database(url, audit_key=AUDIT_KEY)
        bpm = Bpm(db)
        bpm.deploy_files(ROUND)
        instances = start(db, bpm.actor("nurse"), "round", INSTANCES)
        actors = {bpm.person(who): bpm.actor(who) for who in HOLDERS}
        stop = Event()

        def complete(instance: uuid.UUID) -> list[uuid.UUID]:
            acknowledged = []
            while not stop.is_set():
                try:
                    for item in held(db, [instance]):
                        act(db, commands.complete, actors[item.assignee], item.id, "approve", key=str(item.id))
                        acknowledged.append(item.id)
                except (EngineError, OperationalError, psycopg.OperationalError):
                    time.sleep(0.02)  # the connection is lost, or the server doesn't let anybody in
            return acknowledged

        with ThreadPoolExecutor(INSTANCES) as threads:
            work = [threads.submit(complete, instance) for instance in instances]
            for _ in range(BREAKDOWNS):
                time.sleep(1)
                _break_down(url)
            before = _decided(db)
            time.sleep(1)
            stop.set()
            acknowledged = [i for w in work for i in w.result()]
        _require_stored(db, acknowledged)
        assert _decided(db) > before, "nobody works again"
        assert _decided(db) - len(acknowledged) <= BREAKDOWNS * INSTANCES
        assert invariants.require(db) == INSTANCES
        db.dispose()


def _break_down(url: str) -> None:
    plain = url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            psycopg.connect(plain).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the database did not come back")
