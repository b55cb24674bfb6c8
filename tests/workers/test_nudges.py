"""Nudges over Redis: all workers hear them, and nobody waits where Redis is absent, frozen, killed or wiped."""

import base64
import json
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import redis

from tests import services
from tests.services import Redis
from workers import app
from workers.app import Listener, Publisher, celery_app

PATIENCE = 60.0  # seconds until a test gives up


@pytest.fixture
def server() -> Iterator[Redis]:
    """A Redis of this test's own."""
    try:
        with services.redis_server() as running:
            yield running
    except services.Missing as reason:
        pytest.skip(str(reason))


class Ear:
    """Counts what one listener hears."""

    def __init__(self, url: str) -> None:
        self.heard = 0
        self.listener = Listener(celery_app(url), self._hear)
        self.listener.start()

    def _hear(self) -> None:
        self.heard += 1


@pytest.fixture
def listen() -> Iterator[Callable[[str], Ear]]:
    """Start listeners, which end with the test."""
    ears: list[Ear] = []

    def listen(url: str) -> Ear:
        ears.append(Ear(url))
        return ears[-1]

    yield listen
    for ear in ears:
        ear.listener.stop(PATIENCE)
        assert not ear.listener._thread.is_alive()


@pytest.fixture
def publish() -> Iterator[Callable[[str], Publisher]]:
    """Start publishers, which end with the test."""
    publishers: list[Publisher] = []

    def publish(url: str) -> Publisher:
        publishers.append(Publisher(celery_app(url)))
        publishers[-1].start()
        return publishers[-1]

    yield publish
    for publisher in publishers:
        publisher.stop(PATIENCE)
        assert not publisher._thread.is_alive()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def told(publisher: Publisher, *ears: Ear) -> None:
    """Nudge until every ear has heard another nudge."""
    before = [ear.heard for ear in ears]

    def heard() -> bool:
        publisher.nudge()
        time.sleep(0.05)
        return all(ear.heard > count for ear, count in zip(ears, before, strict=True))

    until(heard)


@pytest.fixture(autouse=True)
def _short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_FIRST_REST", 0.05)
    monkeypatch.setattr(app, "_LONGEST_REST", 0.2)


Listen: TypeAlias = Callable[[str], Ear]
Publish: TypeAlias = Callable[[str], Publisher]


def test_every_worker_hears_and_many_commits_share_a_nudge(server: Redis, listen: Listen, publish: Publish) -> None:
    ears = [listen(server.url), listen(server.url)]
    until(lambda: all(ear.heard == 1 for ear in ears))  # each looks when it has connected
    publisher = publish(server.url)
    publisher.nudge()
    until(lambda: all(ear.heard == 2 for ear in ears))
    for _ in range(1000):
        publisher.nudge()
    until(lambda: all(ear.heard >= 3 for ear in ears))
    assert all(ear.heard < 100 for ear in ears)


def test_nudges_are_kept_nowhere_while_no_worker_listens(server: Redis, publish: Publish) -> None:
    publisher = publish(server.url)
    for _ in range(5):
        publisher.nudge()
        time.sleep(0.05)
    publisher.stop(PATIENCE)
    client = redis.Redis.from_url(server.url)
    assert client.info("commandstats")["cmdstat_publish"]["calls"] >= 1
    assert client.keys("*") == []
    client.close()


def test_redis_may_be_killed_and_wiped_under_both(server: Redis, listen: Listen, publish: Publish) -> None:
    ear, publisher = listen(server.url), publish(server.url)
    told(publisher, ear)
    server.end(signal.SIGKILL)
    for _ in range(20):
        publisher.nudge()
        time.sleep(0.02)
    server.start()
    told(publisher, ear)
    client = redis.Redis.from_url(server.url)
    client.flushall()
    client.close()
    told(publisher, ear)


class Evil:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self._path,)


def test_what_somebody_else_publishes_runs_nothing_and_stops_nothing(
    server: Redis, listen: Listen, publish: Publish, tmp_path: Path
) -> None:
    ear, publisher = listen(server.url), publish(server.url)
    told(publisher, ear)
    client = redis.Redis.from_url(server.url)
    spy = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    spy.psubscribe("*")
    spy.get_message(timeout=1)
    told(publisher, ear)
    channel = spy.get_message(timeout=1)["channel"]
    spy.close()
    trap = tmp_path / "trap"
    message = {
        "body": base64.b64encode(pickle.dumps(Evil(trap))).decode(),
        "content-type": "application/x-python-serialize",
        "content-encoding": "binary",
        "headers": {"task": "os.system", "id": "x"},
        "properties": {"body_encoding": "base64", "delivery_info": {}, "delivery_tag": "x"},
    }
    for content in (json.dumps(message), "no JSON", b"\x80\x04", "[]", "{}", '{"properties": 7}'):
        client.publish(channel, content)
        told(publisher, ear)
    client.close()
    assert not trap.exists()


def test_redis_may_come_later(server: Redis, listen: Listen, publish: Publish) -> None:
    server.end()
    ear, publisher = listen(server.url), publish(server.url)
    publisher.nudge()
    until(lambda: ear.listener._failures > 0 and publisher._failures > 0)
    server.start()
    told(publisher, ear)


def test_a_frozen_redis_holds_up_neither_the_commits_nor_the_end(
    server: Redis, listen: Listen, publish: Publish
) -> None:
    ear, publisher = listen(server.url), publish(server.url)
    told(publisher, ear)
    server.send(signal.SIGSTOP)

    def commit() -> None:
        for _ in range(10_000):
            publisher.nudge()

    commits = threading.Thread(target=commit)
    commits.start()
    until(lambda: not commits.is_alive())
    until(lambda: publisher._failures > 0)
    late = publish(server.url)
    late.nudge()
    until(lambda: late._failures > 0)
    late.stop(PATIENCE)
    server.send(signal.SIGCONT)
    told(publisher, ear)


def test_what_is_logged_names_no_password(server: Redis, publish: Publish, caplog: pytest.LogCaptureFixture) -> None:
    server.end()
    publisher = publish(server.url)
    while publisher._failures < 2:
        publisher.nudge()
        time.sleep(0.01)
    assert caplog.text.count("redis is away") == 1
    password = server.url.partition(":@")[0].rpartition(":")[2].partition("@")[0]
    assert password
    assert password not in caplog.text
    server.start()
