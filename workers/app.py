"""Nudges between processes over Redis, by Celery: a server process tells all workers that something may be due.

A nudge carries nothing and is kept nowhere (a fanout, which Redis doesn't store): what is to be done is in the outbox,
where each worker looks every two seconds anyway. So Redis may be absent, frozen, killed or wiped, and nothing is lost;
ADR 0012. No request ever waits for Redis: a thread of its own publishes, after the commit.
"""

import logging
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu.common import Broadcast
from kombu.entity import Exchange
from kombu.messaging import Consumer

from engine.outbox.handling import place

_NUDGE = "piyue.nudge"
_EXCHANGE = Exchange(_NUDGE, type="fanout", durable=False, delivery_mode=1)
_TIMEOUT = 1.0  # seconds that Redis may take
_GATHERED = 0.02  # seconds between two nudges of a process: the commits meanwhile share one
_FIRST_REST, _LONGEST_REST = 1.0, 30.0  # seconds in which a Redis that failed isn't asked again

log = logging.getLogger(__name__)


def celery_app(redis_url: str) -> Celery:
    """Return the Celery application on a Redis; nothing is connected yet."""
    app = Celery("piyue", broker=redis_url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_publish_retry=False,
        task_publish_retry_policy={"max_retries": 0},
        task_queues=[_queue()],
        task_default_queue=_NUDGE,
        task_create_missing_queues=False,
        broker_pool_limit=1,
        broker_connection_timeout=_TIMEOUT,
        broker_connection_retry=False,
        broker_transport_options={
            "socket_timeout": _TIMEOUT,
            "socket_connect_timeout": _TIMEOUT,
            "socket_keepalive": True,
            "retry_on_timeout": False,
            "max_retries": 0,
        },
        worker_hijack_root_logger=False,
    )
    return app


def _queue() -> Broadcast:
    """Return a queue of this process's own that gets all nudges."""
    return Broadcast(_NUDGE, exchange=_EXCHANGE, routing_key=_NUDGE, durable=False)


class _Thread(ABC):
    """A thread that does something again and again; after an error it rests, longer each time."""

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._failures = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 0.5) -> None:
        """Ask the thread to end; one that waits for Redis ends with the process."""
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except Exception as error:
                rest = min(_FIRST_REST * 2 ** min(self._failures, 10), _LONGEST_REST)
                if self._failures == 0:
                    log.warning("redis is away: %s: error=%s", self._thread.name, place(error))
                self._failures += 1
                self._stopping.wait(rest * (80 + secrets.randbelow(41)) / 100)

    def _well(self) -> None:
        if self._failures:
            log.warning("redis is back: %s", self._thread.name)
            self._failures = 0

    @abstractmethod
    def _work(self) -> None:
        """Do it once."""


class Publisher(_Thread):
    """Tells the workers, from a thread of its own: `nudge` only notes that there is something to tell."""

    def __init__(self, app: Celery) -> None:
        super().__init__("nudge-publisher")
        self._app, self._wanted = app, threading.Event()

    def nudge(self) -> None:
        """Have the workers told soon; what is written while Redis is away they find by themselves."""
        self._wanted.set()

    def stop(self, timeout: float = 0.5) -> None:
        """End; what has not been told the workers find by themselves."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join(timeout)

    def _work(self) -> None:
        self._wanted.wait()
        self._wanted.clear()
        self._app.send_task(_NUDGE, queue=_NUDGE, declare=[_EXCHANGE], ignore_result=True)
        self._well()
        self._stopping.wait(_GATHERED)


class Listener(_Thread):
    """Hears nudges, and calls `nudged` for each; also when it connects, because one may have been missed."""

    def __init__(self, app: Celery, nudged: Callable[[], None]) -> None:
        super().__init__("nudge-listener")
        self._app, self._nudged = app, nudged

    def _work(self) -> None:
        with (
            self._app.connection_for_read() as connection,
            Consumer(connection, [_queue()], on_message=self._heard, no_ack=True),
        ):
            self._drain(connection, 0.05)  # the subscription begins with the first look
            self._well()
            self._nudged()
            while not self._stopping.is_set():
                self._drain(connection, 1.0)

    def _drain(self, connection: Any, seconds: float) -> None:
        try:
            connection.drain_events(timeout=seconds)
        except TimeoutError:
            pass

    def _heard(self, _message: Any) -> None:
        self._nudged()
