"""How processes start what lies behind the requests: the worker on its own, and nudges from those that serve.

Celery is imported only where there is a Redis.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine import outbox
from engine.db import Database
from engine.settings import Settings
from workers import ticks
from workers.loop import Worker


def connections(settings: Settings, threads: int) -> int:
    """Return how many connections a worker with so many threads needs: each thread one, and some for the ticks."""
    return max(settings.pool_size, threads + sum(outbox.lanes().values()) + 3)


def work(settings: Settings, db: Database, threads: int) -> None:
    """Handle the outbox and the ticks until SIGINT or SIGTERM; nudges over Redis, where there is one, make it quick."""
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    worker = Worker(db, ticks.standard(settings), threads=threads)
    worker.start()
    listener = None
    if url := settings.redis_url.get_secret_value():
        from workers.app import Listener, celery_app

        listener = Listener(celery_app(url), worker.nudge)
        listener.start()
    stopped.wait()
    worker.stop()
    if listener is not None:
        listener.stop(0.1)


@contextmanager
def nudging(settings: Settings, db: Database) -> Iterator[None]:
    """Let commits of this process nudge the workers of others, where there is a Redis; they never wait for it."""
    url = settings.redis_url.get_secret_value()
    if not url:
        yield
        return
    from workers.app import Publisher, celery_app

    publisher = Publisher(celery_app(url))
    publisher.start()
    db.nudge = publisher.nudge
    yield
    publisher.stop()


@contextmanager
def embedded(settings: Settings, db: Database) -> Iterator[None]:
    """Handle the outbox and the ticks inside of a server process."""
    worker = Worker(db, ticks.standard(settings))
    worker.start()
    yield
    worker.stop()
