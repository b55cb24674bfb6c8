"""The rate of a channel, exact over all workers: GCRA (ITU-T I.371) on one moment in the channel's row.

A tenth of a minute's calls may come at once, the others follow evenly, at such a distance that no 60 s hold more than
`per_minute`.
"""

import time
from datetime import datetime, timedelta

from engine import clock
from engine.db import Database
from engine.outbox.channels import Channel, channels, locked
from engine.outbox.handlers import Transient

PATIENCE = timedelta(seconds=2)
"""How long a place is waited for; well within a lease."""

_NONE = timedelta()


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
    with db.unit_of_work() as session:
        state, now = locked(session, system), clock.now()
        pause = wait(channel, state.taken_to, n, now)
        if pause <= PATIENCE:
            state.taken_to = max(state.taken_to or now, now) + n * _distance(channel)
    if pause > PATIENCE:
        raise Transient("已到每分钟的发送上限", delay=pause, counted=False)
    if pause > _NONE:
        time.sleep(pause.total_seconds())


def wait(channel: Channel, taken_to: datetime | None, n: int, now: datetime) -> timedelta:
    """Return how long after `now` `n` places are free; nothing or less: at once."""
    ahead = max(taken_to or now, now) - now
    return ahead + (n - burst(channel)) * _distance(channel)


def _distance(channel: Channel) -> timedelta:
    # b calls at once and one each T: less than 60 s hold at most b + floor(60 / T)
    return timedelta(minutes=1) / (channel.per_minute - burst(channel) + 1) + timedelta.resolution  # rounded up
