"""The service through HTTP: `piyue serve --workers 2` on a durable PostgreSQL with the demo hospital.

Heads of departments agree to requests for leave of their own people, from 1, 8 and 32 connections that are kept alive,
each request with the session of the person who asks: `http.completions_per_s_1`, `_8`, `_32`. The 95th percentile of
the answers at 32 is `http.completion_p95_ms_32`; `http.cpu_ms_per_completion` the processor time of the service's
processes at 32 (what PostgreSQL takes is `http.postgresql_cpu_ms`); `http.todo_p95_ms_32` the first page of the to-do
box at 32; `http.memory_mb` the proportional set size of all processes of the service after that.

`http.readers_at_once`: 20 readers of one instance acknowledge at the same moment; how many of 20 succeeded, and on the
line after it how long the slowest took.

The load comes from this process, over the loopback interface: it takes its share of the processors, so that the
throughput is a lower bound. Linux only, for what it reads from /proc.
"""

import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from threading import Barrier

from bench._hospital import Hospital, hospital, report
from engine.org import auth
from engine.settings import ROOT
from tests.dsl import bpmn, chain, start_task

WORKERS, READERS = 2, 20
SECONDS = 6.0
LEVELS = {1: 300, 8: 700, 32: 1_500}  # connections, and how many requests are ready for them at most
WARM_UP = 150


@dataclass(frozen=True, slots=True)
class Login:
    """A person's session."""

    token: str
    csrf: str


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, and as whom."""

    login: Login
    method: str
    path: str
    body: bytes = b""

    def send(self, connection: http.client.HTTPConnection) -> int:
        """Send it, read the answer to its end, and return the status."""
        headers = {"Cookie": f"piyue={self.login.token}"}
        if self.method != "GET":
            headers |= {"X-CSRF-Token": self.login.csrf, "Content-Type": "application/json"}
            headers["Idempotency-Key"] = self.path
        connection.request(self.method, f"/api/v1{self.path}", self.body or None, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


@dataclass(frozen=True, slots=True)
class Load:
    """What a load did: the milliseconds of each request, in order of size, and how long all took in seconds."""

    times: list[float]
    seconds: float

    @property
    def per_second(self) -> float:
        """Requests in a second."""
        return len(self.times) / self.seconds

    @property
    def p95(self) -> float:
        """The 95th percentile in milliseconds."""
        return self.times[int(len(self.times) * 0.95)]


def load(port: int, connections: int, requests: Sequence[Request], seconds: float = SECONDS) -> Load:
    """Send requests from some connections until there are no more or the time is over; all must succeed."""
    remaining, barrier = iter(requests), Barrier(connections)
    deadline = [0.0]

    def drive(_: int) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if barrier.wait() == 0:
            deadline[0] = time.perf_counter() + seconds
        barrier.wait()
        times = []
        for request in remaining:  # an iterator over a sequence gives each to one thread
            began = time.perf_counter()
            status = request.send(connection)
            times.append((time.perf_counter() - began) * 1000)
            if status != 200:
                raise SystemExit(f"{request.method} {request.path} was answered with {status}")
            if time.perf_counter() > deadline[0]:
                break
        connection.close()
        return times

    with ThreadPoolExecutor(connections) as threads:
        began = time.perf_counter()
        found = [t for times in threads.map(drive, range(connections)) for t in times]
        took = time.perf_counter() - began
    return Load(sorted(found), took)


class Staff:
    """Sessions of the hospital's people and what they have to do."""

    def __init__(self, at: Hospital) -> None:
        self._at = at
        self._logins: dict[uuid.UUID, Login] = {}
        with at.connect() as connection:
            people = connection.execute(
                "SELECT id, staff_number FROM person WHERE disabled_at IS NULL ORDER BY id"
            ).fetchall()
        self._numbers = dict(people)

    def login(self, person: uuid.UUID) -> Login:
        """Return the session of a person, opened when first asked for."""
        if person not in self._logins:
            with self._at.db.unit_of_work() as session:
                opened = auth.login_as(session, self._numbers[person], demo=True)
                self._logins[person] = Login(opened.token, opened.session.csrf)
        return self._logins[person]

    def leaves(self, count: int) -> list[Request]:
        """Let people all over the hospital ask for leave; return the approvals by those who hold the requests."""
        first = datetime.now(UTC).date() + timedelta(days=30)
        data = {
            "leave_type": "事假",
            "start_date": first.isoformat(),
            "end_date": (first + timedelta(days=4)).isoformat(),
            "reason": "家中有事，需回老家处理。",
        }
        people = list(self._numbers)
        asking = cycle(people[:: max(1, len(people) // 400)])
        actors = {person: self._at.actor(person) for person in people[:: max(1, len(people) // 400)]}
        started = [self._at.start(actors[next(asking)], "leave_request", data) for _ in range(count)]
        return self._open_items(started, "complete", {"outcome": "approve", "opinion": "同意"})

    def readings(self) -> list[Request]:
        """Circulate a notice to 20 people; return their acknowledgements."""
        numbers = " ".join(list(self._numbers.values())[:READERS])
        circulate = (
            '<userTask id="circulate" name="circulate"><extensionElements><piyue:task kind="read"/>'
            f'<piyue:assign rule="person" persons="{numbers}"/></extensionElements></userTask>'
        )
        body = f'<startEvent id="s"/><endEvent id="e"/>{start_task()}{circulate}'
        self._at.deploy_files(bpmn(body + chain("s", "apply", "circulate", "e"), key="notice"))
        return self._open_items([self._at.start(self._at.actor("nurse"), "notice", {})], "acknowledge", {})

    def boxes(self, count: int) -> list[Request]:
        """Return looks into the to-do boxes of those who hold something."""
        with self._at.connect() as connection:
            holders = connection.execute("SELECT DISTINCT assignee_id FROM work_item WHERE state = 'open'").fetchall()
        logins = cycle([self.login(row[0]) for row in holders])
        return [Request(next(logins), "GET", "/boxes/todo?limit=20") for _ in range(count)]

    def _open_items(self, instances: list[uuid.UUID], verb: str, body: dict[str, str]) -> list[Request]:
        with self._at.connect() as connection:
            rows = connection.execute(
                "SELECT id, assignee_id FROM work_item WHERE instance_id = ANY(%s) AND state = 'open' ORDER BY id",
                [instances],
            ).fetchall()
        content = json.dumps(body).encode()
        return [Request(self.login(person), "POST", f"/work-items/{item}/{verb}", content) for item, person in rows]


class Service:
    """The processes of the running service."""

    def __init__(self, port: int, parent: int) -> None:
        self.port, self._parent = port, parent

    def cpu(self) -> float:
        """Return the seconds of processor time that they have taken so far."""
        return sum(map(_cpu, self._processes()))

    def memory(self) -> float:
        """Return the proportional set size of all of them in MB (10^6 bytes)."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self._processes())
        lines = (line for text in rollups for line in text.splitlines() if line.startswith("Pss:"))
        return sum(int(line.split()[1]) for line in lines) * 1024 / 1e6

    def _processes(self) -> list[int]:
        return [self._parent, *_below(self._parent)]


def _below(parent: int) -> Iterator[int]:
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        yield int(child)
        yield from _below(int(child))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def service(at: Hospital) -> Iterator[Service]:
    """Run the service as an operator does, with its settings in the environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="piyue-http-") as var:
        settings = {
            "PIYUE_DATABASE_URL": at.url,
            "PIYUE_SECRET_KEY": secrets.token_urlsafe(32),
            "PIYUE_VAR": var,
            "PIYUE_SECURE_COOKIE": "false",
        }
        command = [sys.executable, "-m", "piyue", "serve", "--port", str(port), "--workers", str(WORKERS)]
        with subprocess.Popen(command, cwd=ROOT, env=os.environ | settings) as process:
            try:
                _await(process, port)
                yield Service(port, process.pid)
            finally:
                process.terminate()


def _await(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise SystemExit("the service did not start")


def at_once(port: int, requests: Sequence[Request]) -> tuple[int, float]:
    """Send all at the same moment, each from its own connection; return how many succeeded and the slowest's ms."""
    barrier = Barrier(len(requests))

    def send(request: Request) -> tuple[int, float]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.connect()
        barrier.wait()
        began = time.perf_counter()
        status = request.send(connection)
        connection.close()
        return status, (time.perf_counter() - began) * 1000

    with ThreadPoolExecutor(len(requests)) as threads:
        answers = list(threads.map(send, requests))
    return sum(status == 200 for status, _ in answers), max(took for _, took in answers)


def postgres_cpu(at: Hospital) -> Callable[[], float]:
    """Return what reads the processor time of all of PostgreSQL's processes that live, in seconds."""
    with at.connect() as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        stat = Path(f"/proc/{row[0]}/stat").read_text().rpartition(")")[2].split()
    postmaster = int(stat[1])
    return lambda: sum(map(_cpu, [postmaster, *_below(postmaster)]))


def main() -> None:
    """Measure and print the figures."""
    with hospital("leave_request") as at:
        staff = Staff(at)
        requests = staff.leaves(WARM_UP + sum(LEVELS.values()))
        readings = staff.readings()
        at.settle()
        database = postgres_cpu(at)
        with service(at) as running:
            load(running.port, 8, requests[:WARM_UP], seconds=60)
            place, figures = WARM_UP, {}
            for connections, count in LEVELS.items():
                before = running.cpu(), database()
                done = load(running.port, connections, requests[place : place + count])
                figures[connections] = done, running.cpu() - before[0], database() - before[1]
                place += count
            todo = load(running.port, 32, staff.boxes(2_000))
            succeeded, slowest = at_once(running.port, readings)
            memory = running.memory()
    for connections, (done, _, _) in figures.items():
        report(f"http.completions_per_s_{connections}", done.per_second, "1/s")
    done, cpu, database_cpu = figures[32]
    report("http.completion_p95_ms_32", done.p95, "ms")
    report("http.cpu_ms_per_completion", cpu / len(done.times) * 1000, "ms")
    report("http.postgresql_cpu_ms", database_cpu / len(done.times) * 1000, "ms per completion")
    report("http.todo_per_s_32", todo.per_second, "1/s")
    report("http.todo_p95_ms_32", todo.p95, "ms")
    report("http.memory_mb", memory, "MB")
    report("http.readers_at_once", succeeded, f"of {READERS}")
    report("http.readers_slowest_ms", slowest, "ms")


if __name__ == "__main__":
    main()
