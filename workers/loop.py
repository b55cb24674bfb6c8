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
_OUTSIDE_AT_ONCE = 4  # of a channel, whose threads wait for the other side: better one after the other begins
_ASIDE_REST = 0.1  # seconds after each row of what may lag

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tick:
    """Something to be done every so many seconds; `run` returns whether more is waiting right now."""

    name: str
    every: float
    run: Callable[[Database], bool]
    leader_only: bool = False


class _Lane:
    """What wakes the threads of a lane: one nudge one thread, and without nudges one each SWEEP."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._changed = threading.Condition()
        self._nudged = self._stopped = False
        self._looked = time.monotonic()

    def nudge(self) -> None:
        """Have one thread look: the one that waits, or else the next that has ended its rows."""
        with self._changed:
            self._nudged = True
            self._changed.notify()

    def stop(self) -> None:
        """Wake all threads for good."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def looking(self) -> None:
        """Note that a thread looks from now on: it sees what has been nudged for."""
        with self._changed:
            self._nudged, self._looked = False, time.monotonic()

    def wait(self) -> None:
        """Wait until it is the caller's turn to look."""
        with self._changed:
            while not (self._nudged or self._stopped):
                left = self._looked + SWEEP - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._nudged, self._looked = False, time.monotonic()


class Worker:
    """Handles the outbox of a database and its ticks between `start` and `stop`.

    `threads` do what is inside; those of the channels are declared with them.
    """

    def __init__(self, db: Database, ticks: Sequence[Tick], *, threads: int = 2) -> None:
        self._db = db
        self._ticks = ticks
        self._stopping = threading.Event()
        self._mine = threading.local()  # the lane of the thread that asks
        counts = {outbox.INSIDE: threads} | outbox.lanes()
        self._lanes = {_Lane(name): count for name, count in counts.items()}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads; from now on a commit in this process wakes them."""
        self._db.nudge = self.nudge
        self._threads = [
            threading.Thread(target=self._handle, args=(number, lane), name=f"outbox-{number}", daemon=True)
            for number, lane in enumerate(lane for lane, count in self._lanes.items() for _ in range(count))
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
        for lane in self._lanes:
            lane.stop()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._write_sent()
        return not any(thread.is_alive() for thread in self._threads)

    def nudge(self) -> None:
        """Wake a thread of each lane: something may have been written.

        Not of the lane that says so, which looks when it has ended its rows, and not of what may lag.
        """
        mine = getattr(self._mine, "lane", None)
        for lane in self._lanes:
            if lane is not mine and not outbox.is_aside(lane.name):
                lane.nudge()

    def _handle(self, number: int, lane: _Lane) -> None:
        owner = f"{secrets.token_hex(4)}:{os.getpid()}:{number}:{socket.gethostname()}"[:80]
        self._mine.lane = lane
        while not self._stopping.is_set():
            lane.looking()  # before looking: a nudge in between is not lost
            try:
                found = self._work(owner, lane)
            except Exception as error:  # the database is away, or this is a defect: the rows return after their lease
                log.error("worker failed: error=%s", place(error))
                found = False
            if not found:
                lane.wait()

    def _work(self, owner: str, lane: _Lane) -> bool:
        limit = _OUTSIDE_AT_ONCE if lane.name else _AT_ONCE
        rows = outbox.lease(self._db, owner, limit, lane.name)
        if len(rows) == limit:
            lane.nudge()  # there may be more, for the others
        for position, row in enumerate(rows):
            if self._stopping.is_set() or row.lease_until - clock.now() < LEASE / 2:
                outbox.release(self._db, rows[position:])
                break
            done = outbox.run(self._db, row)
            if lane.name and done == "later":  # its channel may be paused or down by now: ask again
                outbox.release(self._db, rows[position + 1 :])
                break
            if outbox.is_aside(lane.name):
                self._stopping.wait(_ASIDE_REST)
        return bool(rows)

    def _write_sent(self) -> None:
        try:
            outbox.write_sent(self._db)
        except Exception as error:
            log.error("sent rows not counted: error=%s", place(error))

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
