"""The rate of a channel, exact over all workers: GCRA (ITU-T I.371) on one moment in the channel's row.

A tenth of a minute's calls may come at once, the others follow evenly, at such a distance that no 60 s hold more than
`per_minute`. Where that is much, a process takes some places ahead while there are enough, so that not each call asks
the database. It may use them for a second; so 61 s are made to hold no more than `per_minute`.
"""

import threading
import time
from datetime import datetime, timedelta

from engine import clock
from engine.batch import Batch, Statement
from engine.db import Database
from engine.outbox.channels import Channel, channels, locked
from engine.outbox.handlers import Transient

PATIENCE = timedelta(seconds=2)
"""How long a place is waited for; well within a lease."""

_NONE, _MINUTE = timedelta(), timedelta(minutes=1)
_MOST_AHEAD, _PER_PLACE_AHEAD = 8, 600  # calls a minute; what a process that ends has taken in vain is 1 % of a burst
_KEPT = timedelta(seconds=1)  # how long places that were taken ahead may be used

_LOCK = Statement("SELECT taken_to FROM outbox_channel WHERE system = :system FOR UPDATE", taken_to=datetime)
_TAKE = Statement("UPDATE outbox_channel SET taken_to = :taken_to WHERE system = :system")


class _Asked(threading.local):
    """Whether this thread has asked the other side since its row began."""

    now = False


_asked = _Asked()


def begin() -> None:
    """Note that a row begins, which has asked nothing yet."""
    _asked.now = False


def asked() -> bool:
    """Return whether the row that this thread runs has asked the other side: then its end says something of that."""
    return _asked.now


class Places:
    """The places of each channel that a process has taken ahead."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._kept: dict[str, tuple[int, datetime]] = {}

    def keep(self, system: str, count: int, until: datetime) -> None:
        """Keep places; the caller holds the lock."""
        self._kept[system] = count, until

    def use(self, system: str, count: int) -> bool:
        """Return whether so many are there, and use them; the caller holds the lock."""
        kept, until = self._kept.get(system, (0, None))
        if until is None or kept < count or until <= clock.now():
            return False
        self._kept[system] = kept - count, until
        return True


def burst(channel: Channel) -> int:
    """Return how many calls may come at once."""
    return max(1, channel.per_minute // 10)


def take(db: Database, system: str, n: int = 1) -> None:
    """Wait for `n` places under the channel's rate, at most 2 s; called before each call of the other side.

    Raises Transient, with no attempt counted, where they are further away, and ValueError for more places than may be
    had at once.
    """
    channel = channels[system]
    if not 1 <= n <= burst(channel):
        raise ValueError(f"{n} places at once, at most {burst(channel)}")
    _asked.now = True
    places = db.own(Places)
    with places.lock:  # the other threads may use what this one takes ahead
        if places.use(system, n):
            return
        pause, ahead = _taken(db, channel, n)
        if ahead:
            places.keep(system, ahead, clock.now() + _KEPT)
    if pause > PATIENCE:
        _asked.now = False
        raise Transient("已到每分钟的发送上限", delay=pause, counted=False)
    if pause > _NONE:
        time.sleep(pause.total_seconds())


def _taken(db: Database, channel: Channel, n: int) -> tuple[timedelta, int]:
    """Take `n` places and, where none need be waited for, some ahead; return how long to wait, and how many ahead."""
    with db.unit_of_work() as session:
        asked = Batch()
        asked.query(_LOCK, {"system": channel.system})
        (rows,) = asked.run(session)
        taken_to = rows[0].taken_to if rows else locked(session, channel.system).taken_to
        now = clock.now()
        pause, count = wait(channel, taken_to, n, now), max(n, _at_once(channel))
        if wait(channel, taken_to, count, now) > _NONE:
            count = n
        if pause <= PATIENCE:
            taken = Batch()
            until = max(taken_to or now, now) + count * _distance(channel)
            taken.add(_TAKE, {"system": channel.system, "taken_to": until})
            taken.defer(session)
    return pause, count - n


def wait(channel: Channel, taken_to: datetime | None, n: int, now: datetime) -> timedelta:
    """Return how long after `now` `n` places are free; nothing or less: at once."""
    ahead = max(taken_to or now, now) - now
    return ahead + (n - burst(channel)) * _distance(channel)


def full(channel: Channel, now: datetime) -> datetime:
    """Return up to which moment the rate may be used so that a place still is no further away than PATIENCE."""
    return now + PATIENCE + (burst(channel) - 1) * _distance(channel)


def _at_once(channel: Channel) -> int:
    return max(1, min(_MOST_AHEAD, channel.per_minute // _PER_PLACE_AHEAD))


def _distance(channel: Channel) -> timedelta:
    # b calls at once and one each T: less than 60 s hold at most b + floor(60 / T)
    window = _MINUTE + (_KEPT if _at_once(channel) > 1 else _NONE)
    return window / (channel.per_minute - burst(channel) + 1) + timedelta.resolution  # rounded up
