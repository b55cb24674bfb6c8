"""`piyue demo` and `piyue serve` from outside: they answer, replace a server process that died, and stop in order."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.org.demo import CAST
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
