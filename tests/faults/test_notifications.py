"""No notification is lost: Redis killed, wiped and frozen, workers killed, the other side away for hours."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis
from sqlalchemy import func, select

from engine import clock, outbox
from engine.db import Database
from engine.org import auth
from engine.org.demo import CAST
from engine.outbox import ChannelIncident, Outbox
from engine.settings import ROOT
from tests import services
from tests.dsl import Bpm
from tests.factories.outbox import emptied
from tests.faults import carrier
from tests.services import Redis
from tests.serving import PATIENCE, eventually, piyue
from workers.app import Publisher, celery_app

pytestmark = pytest.mark.faults

SECRET = "a secret of the tests, long enough"


class Sink:
    """The other side: a server that counts what it gets by key, or answers 503."""

    def __init__(self) -> None:
        self.got: Counter[int] = Counter()
        self.down = False
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                key = int(self.rfile.read(int(self.headers["Content-Length"])))
                if not sink.down:
                    sink.got[key] += 1
                self.send_response(503 if sink.down else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    @contextmanager
    def running(self) -> Iterator["Sink"]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        yield self
        self._server.shutdown()
        thread.join()
        self._server.server_close()


class Crew:
    """Worker processes: one that ends is replaced (`carrier.crew`)."""

    def __init__(self, folder: Path, count: int, **settings: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIYUE_")}
        self._pids: list[int] = []
        self.ended: list[int] = []
        self.codes: list[int] = []
        with (folder / "workers").open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.carrier", str(count)],
                cwd=ROOT,
                env=environment | {"PIYUE_VAR": str(folder), "PIYUE_SECRET_KEY": SECRET} | settings,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                preexec_fn=lambda: services._die_with_parent(signal.SIGKILL),
            )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        heard = {"began": self._pids, "ended": self.ended, "stopped": self.codes}
        assert self._process.stdout is not None
        with self._process.stdout as told:
            for line in told:
                what, number = line.split()
                heard[what].append(int(number))

    def kill(self) -> None:
        """Kill the youngest worker as a crash does."""
        os.kill(self._pids[-1], signal.SIGKILL)

    def stop(self) -> list[int]:
        """Stop all in order; return their exit codes."""
        self._process.terminate()
        self._process.wait(PATIENCE)
        self._listener.join()
        return self.codes


@pytest.fixture
def broker() -> Iterator[Redis]:
    """A Redis of this test's own."""
    try:
        with services.redis_server() as running:
            yield running
    except services.Missing as reason:
        pytest.skip(str(reason))


@pytest.fixture
def sink() -> Iterator[Sink]:
    """The other side."""
    with emptied(), Sink().running() as running:
        carrier.declare()
        yield running


def write(db: Database, numbers: range) -> None:
    for number in numbers:
        with db.unit_of_work() as session:
            outbox.enqueue(session, "carrier", f"k{number % 97}", "send", {"n": number})


def pending(db: Database) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).where(Outbox.state == "pending")) or 0


@pytest.mark.backend("postgresql")
@pytest.mark.parametrize(
    ("count", "away", "lease"),
    [(40, 0.5, "3"), pytest.param(2000, 10.0, "15", marks=[pytest.mark.slow, pytest.mark.timeout(1200)])],
)
def test_all_is_sent_though_redis_and_workers_die(
    committed_db: Database, database_url: str, broker: Redis, sink: Sink, tmp_path: Path, count: int, away: float,
    lease: str,
) -> None:  # fmt: skip
    crew = Crew(
        tmp_path, 2, PIYUE_DATABASE_URL=database_url, PIYUE_REDIS_URL=broker.url, CARRIER_SINK=str(sink.port),
        CARRIER_LEASE=lease, CARRIER_DIES="yes",
    )  # fmt: skip
    publisher = Publisher(celery_app(broker.url))
    publisher.start()
    committed_db.nudge = publisher.nudge
    third = count // 3
    try:
        write(committed_db, range(third))
        eventually(lambda: len(sink.got) > third // 10)
        broker.end(signal.SIGKILL)
        began = time.monotonic()
        write(committed_db, range(third, 2 * third))
        crew.kill()
        time.sleep(max(0.0, began + away - time.monotonic()))
        broker.start()
        write(committed_db, range(2 * third, count))
        client = redis.Redis.from_url(broker.url)
        client.flushall()
        client.close()
        while left := pending(committed_db):
            eventually(lambda: pending(committed_db) < left)
    finally:
        codes = crew.stop()
        publisher.stop()
    with committed_db.reading() as session:
        rows = {row.id: row for row in session.scalars(select(Outbox))}
    assert len(rows) == count
    assert {row.state for row in rows.values()} == {"done"}
    assert sink.got.keys() == rows.keys()  # nothing is lost, and nothing came under a key that nobody knows
    twice = [key for key, times in sink.got.items() if times > 1]
    assert all(rows[key].attempts >= 2 for key in twice)
    assert {key for key in rows if key % carrier.DYING == 0} <= {key for key in rows if rows[key].attempts >= 2}
    assert crew.ended.count(9) >= 1
    assert -signal.SIGKILL in crew.ended
    assert set(codes) <= {0, -signal.SIGTERM}  # the latter where it had hardly started


@pytest.mark.backend("postgresql")
def test_no_request_waits_for_a_frozen_redis(bpm: Bpm, database_url: str, broker: Redis, tmp_path: Path) -> None:
    bpm.deploy("leave_request")
    with bpm.db.unit_of_work() as session:
        login = auth.login_as(session, CAST["nurse"].staff_number, demo=True)
    headers = {
        "Cookie": f"piyue={login.token}",
        "X-CSRF-Token": login.session.csrf,
        "Content-Type": "application/json",
    }
    form = {"leave_type": "事假", "start_date": "2026-03-03", "end_date": "2026-03-05", "reason": "家中有事"}
    path = "/api/v1/processes/leave_request/instances"
    url = bpm.db.url.render_as_string(hide_password=False)
    with piyue(tmp_path, "serve", database_url=url, redis_url=broker.url, mode="demo") as service:

        def start(number: int) -> float:
            began = time.monotonic()
            key = {"Idempotency-Key": f"start {number}"}
            status, text = service.ask("POST", path, json.dumps({"data": form}).encode(), headers | key)
            assert status == 201, text.decode()
            return time.monotonic() - began

        start(0)
        broker.send(signal.SIGSTOP)
        try:
            taken = [start(number) for number in range(1, 40)]
            eventually(lambda: "redis is away" in service.said)
            taken += [start(number) for number in range(40, 60)]
            assert service.stop(signal.SIGTERM) == -signal.SIGTERM  # uvicorn ends in order, and then by it
        finally:
            broker.send(signal.SIGCONT)
    assert max(taken) < 1.0
    assert pending(bpm.db) >= 60


def test_six_hours_without_the_other_side(committed_db: Database, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARRIER_SINK", str(sink.port))
    outbox.handler("carrier", "send", in_transaction=False)(carrier.send)
    clock.freeze(datetime(2026, 3, 2, 4, 0, tzinfo=UTC))
    end = clock.now() + timedelta(hours=6)
    written = 0

    def work() -> None:
        while rows := outbox.lease(committed_db, "w", 8):
            for row in rows:
                outbox.run(committed_db, row)

    try:
        sink.down = True
        while clock.now() < end:
            write(committed_db, range(written, written + 2))
            written += 2
            work()
            clock.freeze(clock.now() + timedelta(minutes=4))
        assert pending(committed_db) == written
        sink.down = False
        clock.freeze(clock.now() + timedelta(minutes=5))  # the longest that a probe is away
        work()
    finally:
        clock.freeze(None)
    assert pending(committed_db) == 0
    with committed_db.reading() as session:
        rows = list(session.scalars(select(Outbox)))
        (incident,) = session.scalars(select(ChannelIncident))
    assert {row.state for row in rows} == {"done"}
    assert sink.got == Counter(row.id for row in rows)
    assert (incident.kind, incident.reason, incident.resolved_by) == ("down", "接收方回答 503", None)
    assert incident.resolved_at is not None
