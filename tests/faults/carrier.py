"""`piyue` with one more channel, `carrier`: it sends each row to an HTTP server of the test, and may die right after.

Run as `python -m tests.faults.carrier 2` it is a crew of so many workers: one that ends is replaced, as a service
manager does, at once, because all are forked from a process that has imported everything. It tells `began <pid>` and
`ended <exit code>`, and `stopped <exit code>` of those that SIGTERM ends. CARRIER_SINK is the server's port,
CARRIER_LEASE the seconds of a lease.
"""

import http.client
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import wait

from engine import outbox
from engine.db import Database
from engine.outbox import leasing
from tests import services

DYING = 33  # of so many rows one ends the process between sending and marking: 3 %


def declare() -> None:
    """Declare the channel without anything that works it: for who writes."""
    outbox.channel("carrier", per_minute=100_000)
    outbox.declare("carrier", "send")


def send(db: Database, row: outbox.Leased) -> None:
    """Send a row, under its id as the key. Raises Transient where the server is away or busy."""
    outbox.take(db, row.system)
    outbox_key = str(row.id)
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["CARRIER_SINK"]), timeout=5)
    try:
        connection.request("POST", "/", outbox_key.encode())
        status = connection.getresponse().status
    except OSError as error:
        raise outbox.Transient("接收方没有回答") from error
    finally:
        connection.close()
    if status != 200:
        raise outbox.Transient(f"接收方回答 {status}")
    if row.attempts == 1 and row.id % DYING == 0 and "CARRIER_DIES" in os.environ:
        os._exit(9)


def _tell(what: str, number: int | None) -> None:
    sys.stdout.write(f"{what} {number}\n")
    sys.stdout.flush()


def crew(count: int, main: Callable[[], None]) -> None:
    """Run workers until SIGTERM."""
    stopped, stop = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(stop, b"."))

    def work() -> None:
        services._die_with_parent(signal.SIGKILL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.argv = ["piyue", "worker", "--threads", "1"]
        main()

    def started() -> multiprocessing.process.BaseProcess:
        worker = multiprocessing.get_context("fork").Process(target=work)
        worker.start()
        _tell("began", worker.pid)
        return worker

    workers = {worker.sentinel: worker for worker in (started() for _ in range(count))}
    while stopped not in (ready := wait([stopped, *workers])):
        for sentinel in [sentinel for sentinel in workers if sentinel in ready]:
            worker = workers.pop(sentinel)
            worker.join()
            _tell("ended", worker.exitcode)
            new = started()
            workers[new.sentinel] = new
    for worker in workers.values():
        worker.terminate()
    for worker in workers.values():
        worker.join()
        _tell("stopped", worker.exitcode)


if __name__ == "__main__":
    leasing.LEASE = timedelta(seconds=float(os.environ["CARRIER_LEASE"]))
    import piyue

    declare()
    outbox.handler("carrier", "send", in_transaction=False)(send)
    import workers.app  # noqa: F401  each worker would else import Celery for itself

    crew(int(sys.argv[1]), piyue.main)
