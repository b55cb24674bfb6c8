"""The worker's threads: some lease rows of the outbox and run their handlers, one runs what is due by the clock.

What is inside has threads, and each channel has its own, so that an outside system that is slow delays nothing else.
The same loop runs inside the service (`settings.embedded_worker`) and alone (`piyue worker`).
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine import clock, outbox
from engine.db import Database
from engine.outbox.handling import place
from engine.outbox.leasing import LEASE
from workers.leader import Leader

SWEEP = 2.0  # seconds after which a thread looks without being nudged
_AT_ONCE = 8  # rows leased together: few, so that the last is begun well within the lease

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tick:
    """Something to be done every so many seconds; `run` returns whether more is waiting right now."""

    name: str
    every: float
    run: Callable[[Database], bool]
    leader_only: bool = False


class Worker:
    """Handles the outbox of a database and its ticks between `start` and `stop`.

    `threads` do what is inside; those of the channels are declared with them.
    """

    def __init__(self, db: Database, ticks: Sequence[Tick], *, threads: int = 2) -> None:
        self._db = db
        self._ticks = ticks
        self._stopping = threading.Event()
        lanes = {outbox.INSIDE: threads} | outbox.lanes()
        self._lanes = [(lane, threading.Event()) for lane, count in lanes.items() for _ in range(count)]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads; from now on a commit in this process wakes them."""
        self._db.nudge = self.nudge
        self._threads = [
            threading.Thread(target=self._handle, args=(number, *lane), name=f"outbox-{number}", daemon=True)
            for number, lane in enumerate(self._lanes)
        ]
        self._threads.append(threading.Thread(target=self._tick, name="ticks", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 2.0) -> bool:
        """Stop within `timeout` seconds, after the rows at work; return whether all threads have ended.

        A handler that takes longer ends with the process, and its row returns when the lease does.
        """
        self._db.nudge = lambda: None
        self._stopping.set()
        self.nudge()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def nudge(self) -> None:
        """Wake the threads: something may have been written."""
        for _, wake in self._lanes:
            wake.set()

    def _handle(self, number: int, lane: str, wake: threading.Event) -> None:
        owner = f"{secrets.token_hex(4)}:{os.getpid()}:{number}:{socket.gethostname()}"[:80]
        while True:
            wake.clear()  # before looking: a nudge in between is not lost
            if self._stopping.is_set():
                return
            try:
                found = self._work(owner, lane)
            except Exception as error:  # the database is away, or this is a defect: the rows return after their lease
                log.error("worker failed: error=%s", place(error))
                found = False
            if not found:
                wake.wait(SWEEP)

    def _work(self, owner: str, lane: str) -> bool:
        rows = outbox.lease(self._db, owner, _AT_ONCE, lane)
        for position, row in enumerate(rows):
            if self._stopping.is_set() or row.lease_until - clock.now() < LEASE / 2:
                outbox.release(self._db, rows[position:])
                break
            done = outbox.run(self._db, row)
            if lane and done == "later":  # its channel may be paused or down by now: ask again
                outbox.release(self._db, rows[position + 1 :])
                break
        return bool(rows)

    def _tick(self) -> None:
        leader = Leader(self._db)
        due = dict.fromkeys(self._ticks, time.monotonic())
        while not self._stopping.is_set():
            for tick in self._ticks:
                if due[tick] <= time.monotonic() and not self._stopping.is_set():
                    more = self._run_tick(tick, leader)
                    due[tick] = time.monotonic() + (0 if more else tick.every)
            if due:
                self._stopping.wait(max(0.0, min(due.values()) - time.monotonic()))
            else:
                self._stopping.wait()
        leader.resign()

    def _run_tick(self, tick: Tick, leader: Leader) -> bool:
        try:
            return (leader.leads() if tick.leader_only else True) and tick.run(self._db)
        except Exception as error:
            log.error("tick failed: name=%s error=%s", tick.name, place(error))
            return False
