"""`piyue` with one more channel, `carrier`: it sends each row to an HTTP server of the test, and may die right after.

Run as `python -m tests.faults.carrier worker`; CARRIER_SINK is the server's port, CARRIER_LEASE the seconds of a lease.
"""

import http.client
import os
from datetime import timedelta

from engine import outbox
from engine.db import Database
from engine.outbox import leasing

DYING = 33  # of so many rows one ends the process between sending and marking: 3 %


def declare() -> None:
    """Declare the channel without anything that works it: for who writes."""
    outbox.channel("carrier", per_minute=100_000)
    outbox.declare("carrier", "send")


def send(_db: Database, row: outbox.Leased) -> None:
    """Send a row, under its id as the key. Raises Transient where the server is away or busy."""
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


if __name__ == "__main__":
    leasing.LEASE = timedelta(seconds=float(os.environ["CARRIER_LEASE"]))
    import piyue

    declare()
    outbox.handler("carrier", "send", in_transaction=False)(send)
    piyue.main()
