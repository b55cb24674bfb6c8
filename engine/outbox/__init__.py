"""The outbox (发件箱): what must still happen, written in the transaction that decided it.

Rows of one shard, `(system, key)`, are handled in the order of their ids, one at a time; shards don't wait for one
another. A row is leased for 15 s, so that one left by a killed worker is taken again. An effect inside the database
happens exactly once; an effect outside may happen twice, so its handler sends a key that the receiver can recognise,
such as `row.id`. Ids follow the order of commits only where the writers of a shard hold a lock, as commands do on
their instance.

An outside system is declared as a `channel`: it has threads, a rate, a breaker and a pause of its own, so that one that
is down delays nothing else.
"""

from engine.outbox.channels import INSIDE, Channel, ChannelIncident, OutboxChannel, channel, is_aside, lanes, limit
from engine.outbox.handlers import (
    Again,
    Configuration,
    Leased,
    Permanent,
    Transient,
    check,
    declare,
    handler,
    is_declared,
)
from engine.outbox.handling import run
from engine.outbox.leasing import SUPERSEDED, Lost, lease, release, renew, write_sent
from engine.outbox.oversight import (
    MAX_REASON,
    ChannelState,
    Depth,
    dead,
    depth,
    incidents,
    pause,
    people,
    resume,
    states,
    stopped,
)
from engine.outbox.rate import take
from engine.outbox.table import DEAD, INSERT_OUTBOX, Outbox, enqueue, move, put, row
from engine.outbox.upkeep import purge, requeue, require_requeuer

__all__ = [
    "DEAD",
    "INSERT_OUTBOX",
    "INSIDE",
    "MAX_REASON",
    "SUPERSEDED",
    "Again",
    "Channel",
    "ChannelIncident",
    "ChannelState",
    "Configuration",
    "Depth",
    "Leased",
    "Lost",
    "Outbox",
    "OutboxChannel",
    "Permanent",
    "Transient",
    "channel",
    "check",
    "dead",
    "declare",
    "depth",
    "enqueue",
    "handler",
    "incidents",
    "is_aside",
    "is_declared",
    "lanes",
    "lease",
    "limit",
    "move",
    "pause",
    "people",
    "purge",
    "put",
    "release",
    "renew",
    "requeue",
    "require_requeuer",
    "resume",
    "row",
    "run",
    "states",
    "stopped",
    "take",
    "write_sent",
]
