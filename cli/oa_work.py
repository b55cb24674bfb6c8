"""What the commands `piyue oa load` and `reconcile` do of a site's channel themselves, beside whoever else does."""

import os
import time
from collections.abc import Callable
from typing import Any

import typer
from sqlalchemy import func, select

from engine import clock, outbox
from engine.connectors.oa import loading, oversight, reconciling
from engine.connectors.oa.reconciling import Report
from engine.connectors.oa.sites import Connection
from engine.db import Database
from engine.outbox import Outbox, OutboxChannel

_PATIENCE = 120.0  # seconds without anything happening
_NAP, _TOLD_EVERY = 0.2, 5.0  # seconds
_STATES = {"running": "进行中", "paused": "已暂停", "done": "已完成"}


def load(db: Database, connection: Connection) -> str:
    """Do a load to its end, as far as nobody else does; return why it stopped before."""
    code, told = connection.site.code, time.monotonic()

    def ended() -> bool:
        nonlocal told
        loading.top_up(db)
        if time.monotonic() - told > _TOLD_EVERY:
            told = time.monotonic()
            typer.echo(progress(db, code))
        with db.reading() as session:
            found = loading.progress(session, None, code)
        return (
            found is None
            or found.state == loading.PAUSED
            or (found.state == loading.DONE and not _waiting(db, connection))
        )

    return _work(db, connection, ended)


def reconcile(db: Database, connection: Connection, *, repair: bool) -> tuple[Report, str]:
    """Do a reconciliation to its end, and have what it mends pushed; return the report, and why it stopped before."""
    with db.unit_of_work() as session:
        check = reconciling.start(session, None, connection, repair=repair, by=reconciling.COMMAND)

    told = time.monotonic()

    def ended() -> bool:
        nonlocal told
        with db.reading() as session:
            found = reconciling.latest(session, None, connection.site.code)
            if found is None or found.id != check.id or found.state != reconciling.RUNNING:
                return True
            if time.monotonic() - told > _TOLD_EVERY:
                told = time.monotonic()
                share = oversight.compared(session, None, check.id)
                typer.echo(f"{connection.site.name}：已核对 {found.people} 人，约 {share:.0%}", err=True)
        return False

    stopped = _work(db, connection, ended)
    if repair and not stopped:
        mended = clock.now()
        stopped = _work(db, connection, lambda: not _waiting(db, connection, mended))
    with db.reading() as session:
        return reconciling.report(session, None, check.id), stopped


def progress(db: Database, code: str) -> str:
    """Return how far a site's first load is, in a line."""
    with db.reading() as session:
        found = loading.progress(session, None, code)
    if found is None:
        return "还没有做过首次装载"
    if found.needless:
        return "不需要首次装载：连接的时候没有等着的待办"
    eta = f"，预计 {found.eta.astimezone(clock.LOCAL):%m-%d %H:%M} 做完" if found.eta else ""
    failed = f"，{found.failed} 条没有成功" if found.failed else ""
    rate = f"，每分钟 {found.rate:.0f} 条" if found.state == loading.RUNNING else ""
    return f"{_STATES[found.state]}：{found.shown} / {found.total} 条{failed}{rate}{eta}"


def _work(db: Database, connection: Connection, ended: Callable[[], bool]) -> str:
    """Do what waits in a site's channel, beside whoever else does, until it has ended; return why it stopped before."""
    owner, system = f"command:{os.getpid()}", connection.site.system
    lanes = [
        lane for lane in outbox.lanes() if lane == system or (outbox.is_aside(lane) and lane.startswith(f"{system}."))
    ]
    last, before = time.monotonic(), _figures(db, connection)
    while not ended():
        rows = [row for lane in lanes for row in outbox.lease(db, owner, 1, lane)]
        results = [outbox.run(db, row) for row in rows]
        if "done" in results or (now := _figures(db, connection)) != before:
            last, before = time.monotonic(), _figures(db, connection)
        elif now[0]:
            return f"“{connection.site.name}”的通道已暂停：{now[1]}"
        elif time.monotonic() - last > _PATIENCE:
            return f"“{connection.site.name}”两分钟没有进展：{now[1] or '后台任务可能正忙'}"
        if not rows:
            time.sleep(_NAP)
    outbox.write_sent(db)
    return ""


def _figures(db: Database, connection: Connection) -> tuple[Any, ...]:
    """Return whether the channel is paused, why it is not well, and what changes where something happens."""
    system = connection.site.system
    with db.reading() as session:
        channel = session.get(OutboxChannel, system)
        pending = session.scalar(select(func.count()).where(Outbox.system == system, Outbox.state == "pending"))
        latest = reconciling.latest(session, None, connection.site.code)
    paused, reason = (channel.paused_at is not None, channel.reason) if channel else (False, "")
    return paused, reason, pending, latest and (latest.after, latest.state)


def _waiting(db: Database, connection: Connection, until: Any = None) -> int:
    """Return how many rows wait in the site's lane, of those written up to a moment."""
    system = connection.site.system
    waiting = select(func.count()).where(Outbox.system == system, Outbox.lane == system, Outbox.state == "pending")
    with db.reading() as session:
        return session.scalar(waiting if until is None else waiting.where(Outbox.created_at <= until)) or 0
