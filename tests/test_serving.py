"""`piyue demo` and `piyue serve` from outside: they answer, replace a server process that died, and stop in order."""

import http.client
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from engine.crypto import Keys
from engine.db import Database
from engine.org import auth
from engine.org.demo import CAST
from tests.factories import org
from tests.serving import PATIENCE, Service, alive, eventually, piyue, state

SECRET = "a secret of the tests, long enough"


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """Two server processes on PostgreSQL."""
    with piyue(tmp_path, "serve", "--workers", "2", database_url=database_url, secret_key=SECRET) as running:
        yield running


def test_the_demo_stops_in_order_and_starts_again_on_what_it_left(tmp_path: Path) -> None:
    database = tmp_path / "var" / "piyue.db"
    for _ in range(2):
        with piyue(tmp_path, "demo", database_url=f"sqlite:///{database}") as demo:
            status, page = demo.ask("GET", "/login")
            assert (status, CAST["nurse"].name in page.decode()) == (200, True)
            assert demo.stop(signal.SIGINT) == 0
            assert demo.said == ""
    assert database.exists()


@pytest.mark.backend("postgresql")
def test_every_server_process_answers_and_one_that_dies_is_replaced(service: Service) -> None:
    for while_asked in (False, True):
        eventually(lambda: len(service.servers()) == 2)
        dead, other = service.servers()
        assert answers_alone(service, dead)
        assert answers_alone(service, other)
        with stopped([dead]):
            if while_asked:
                time.sleep(1.5)  # the supervisor asks for its health every half second: now it waits for the answer
            os.kill(dead, signal.SIGKILL)
            assert service.ready()
            eventually(lambda: len(set(service.servers()) - {dead, other}) == 1)  # noqa: B023  (called at once)
        assert other in service.servers()
    left = service.servers()
    assert service.stop(signal.SIGTERM) == 0
    assert not any(map(alive, left))
    assert "Traceback" not in service.said


@pytest.mark.backend("postgresql")
def test_a_server_process_that_has_only_just_been_forked_stops_too(service: Service) -> None:
    before = service.servers()
    os.kill(before[0], signal.SIGKILL)
    while not (new := [pid for pid in service.servers() if pid not in before]):
        assert service.process.poll() is None
    with stopped(new):  # so soon that it has no handlers of its own yet
        service.process.send_signal(signal.SIGTERM)
        eventually(lambda: not alive(before[1]))  # by now both were told
    assert service.process.wait(PATIENCE) == 0
    assert not any(map(alive, new))


@pytest.fixture
def logged_in(database_url: str) -> str:
    """The cookie of somebody who is logged in."""
    database = Database(database_url, audit_key=Keys(SECRET.encode()).key("audit"))
    with database.unit_of_work() as session:
        org.person(session, staff_number="1001")
        token = auth.login_as(session, "1001", demo=True).token
    database.dispose()
    return f"piyue={token}"


@pytest.mark.backend("postgresql")
def test_requests_that_are_half_sent_take_nobodys_place(tmp_path: Path, database_url: str, logged_in: str) -> None:
    options = {"queue_limit": "3", "body_seconds": "600", "secret_key": SECRET, "database_url": database_url}
    form = "multipart/form-data; boundary=x"
    with ExitStack() as open_, piyue(tmp_path, "serve", **options) as service:
        for _ in range(10):
            json = {"Content_Type": "application/json", "Content_Length": "1000"}
            open_.enter_context(service.sending("POST", "/api/v1/session", b'{"staff', **json))
            file = {"Content_Type": form, "Content_Length": "1000000", "Cookie": logged_in, "X_CSRF_Token": "x"}
            open_.enter_context(service.sending("POST", "/api/v1/attachments", b"--x\r\n", **file))
            open_.enter_context(service.sending("POST", "/login", b"1\r\nx\r\n", Transfer_Encoding="chunked"))
        # each has its place for the moment in which it is asked who sends it; after that none of them is in the queue
        eventually(lambda: service.ask("GET", "/login")[0] == 200)
        eventually(lambda: service.ask("GET", "/api/v1/me", headers={"Cookie": logged_in})[0] == 200)
        assert service.said == ""


@pytest.mark.backend("postgresql")
def test_a_body_is_refused_before_it_is_sent_and_cut_off_where_it_doesn_t_come(
    tmp_path: Path, database_url: str, logged_in: str
) -> None:
    options = {"body_seconds": "1", "secret_key": SECRET, "database_url": database_url}
    form = {"Content_Type": "multipart/form-data; boundary=x"}
    file = form | {"Content_Length": "1000000"}
    with piyue(tmp_path, "serve", **options) as service:
        for status, path, headers in (
            (401, "/api/v1/attachments", file),  # of nobody
            (401, "/api/v1/attachments", file | {"Cookie": "piyue=stale"}),
            (303, "/start/leave_request", file),  # to the login
            (413, "/api/v1/attachments", file | {"Content_Length": "100000000", "Cookie": logged_in}),
            (413, "/start/leave_request", file | {"Content_Length": "100000000", "Cookie": logged_in}),
            (413, "/api/v1/notices/read", {"Content_Type": "application/json", "Content_Length": "2000000"}),
        ):
            with service.sending("POST", path, b"", **headers) as connection:
                assert answer_on(connection).status == status, path
        for path, sent, headers in (
            ("/api/v1/attachments", b"--x\r\n", file | {"Cookie": logged_in}),
            ("/start/leave_request", b"--x\r\n", file | {"Cookie": logged_in}),
            ("/api/v1/session", b"{", {"Content_Type": "application/json", "Content_Length": "10"}),
            ("/login", b"n", {"Content_Type": "application/x-www-form-urlencoded", "Content_Length": "10"}),
        ):
            with service.sending("POST", path, sent, **headers) as connection:
                answer = answer_on(connection)
                page = not path.startswith("/api/")
                assert (answer.status, answer.headers["Connection"]) == (408, "close"), path
                assert ("text/html" in answer.headers["Content-Type"]) is page
                assert (b"nonce" in answer.headers["Content-Security-Policy"].encode()) if page else True
                assert connection.recv(1) == b""
        assert service.said == ""


def answer_on(connection: socket.socket) -> http.client.HTTPResponse:
    """Read the answer to a request that was begun."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer


def answers_alone(service: Service, server: int) -> bool:
    """Return whether a server process answers while the others stand still."""
    with stopped([pid for pid in service.servers() if pid != server]):
        return service.ready()


@contextmanager
def stopped(servers: list[int]) -> Iterator[None]:
    """Let processes stand still for a while."""
    for pid in servers:
        os.kill(pid, signal.SIGSTOP)
    eventually(lambda: all(state(pid) == "T" for pid in servers))
    yield
    for pid in filter(alive, servers):
        os.kill(pid, signal.SIGCONT)
