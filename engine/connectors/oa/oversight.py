"""What admins and monitoring see of the OAs (旧 OA 监控): what each shows, what is behind, what is to mend."""

import logging
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.audit import record
from engine.batch import Batch, Statement
from engine.connectors.oa import loading
from engine.connectors.oa.adapters.protocol import Unknown
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.checking import checked
from engine.connectors.oa.loading import Progress
from engine.connectors.oa.mirroring import BEHIND
from engine.connectors.oa.models import UNMAPPED, OACheck
from engine.connectors.oa.rights import require_admin, require_reader
from engine.connectors.oa.sites import Connection, Sites
from engine.db import Database
from engine.errors import Conflict
from engine.org.models import Person
from engine.outbox import ChannelState
from engine.viewer import Doer, Viewer

PATIENCE = 20.0
"""Seconds that a test of a connection is waited for: a login and a few questions, each within the site's own limit."""

log = logging.getLogger(__name__)

_SHOWN = Statement(
    "SELECT m.shown AS state, count(*) AS items FROM oa_item m WHERE m.site = :site AND m.shown IN ('todo', 'read') "
    "GROUP BY m.shown"
)
# what has a problem waits for a person; of what is only looked at again nobody knows since when it differs
_BEHIND = Statement(
    "SELECT count(*) AS items, min(CASE WHEN m.wanted <> m.shown THEN m.changed_at END) AS since FROM oa_item m "
    f"WHERE m.site = :site AND {BEHIND} AND m.problem = ''",
    since=datetime,
)
_UNMAPPED = Statement(
    "SELECT count(DISTINCT m.person_id) AS people, count(*) AS items FROM oa_item m "
    "WHERE m.site = :site AND m.problem <> '' AND m.problem = :unmapped"
)
_PUSHED = Statement(
    "SELECT max(m.shown_at) AS at FROM oa_item m WHERE m.site = :site AND m.shown_at IS NOT NULL", at=datetime
)
_POLLED = Statement(
    "SELECT count(polled_at) AS people, max(polled_at) AS at, "
    "sum(CASE WHEN error <> '' THEN 1 ELSE 0 END) AS failing, max(error) AS error FROM oa_poll WHERE site = :site",
    at=datetime,
)
_WAITING = Statement(
    "SELECT count(*) AS items FROM oa_entry WHERE site = :site AND gone_at IS NULL AND state IN ('todo', 'read')"
)
# an estimate: those who have left are counted too
_COMPARED = Statement(
    "SELECT count(*) AS everybody, sum(CASE WHEN p.id <= c.after THEN 1 ELSE 0 END) AS behind "
    "FROM oa_check c CROSS JOIN person p WHERE c.id = :check"
)
_LEFT = Statement(
    "SELECT c.state, c.missing + c.ghost + c.stale - (SELECT count(*) FROM oa_finding f WHERE f.check_id = c.id "
    "AND f.result = 'repaired') AS differences FROM oa_check c WHERE c.site = :site AND c.state <> 'running' "
    "ORDER BY c.started_at DESC, c.id DESC LIMIT 1"
)
_TROUBLED = Statement(
    "SELECT system FROM channel_incident WHERE system = :system AND resolved_at IS NULL UNION ALL "
    "SELECT system FROM outbox WHERE state = 'dead' AND system = :system LIMIT 1"
)

_AWAY = "请确认 OA 在运行、地址没有变、本机到它的网络和防火墙放行；通了以后积压的会自动补发"
_REFUSED = "请按提示在 OA 后台或 site.toml 里改正；改了 site.toml 要重启服务，然后在这里再测试一次"


@dataclass(frozen=True, slots=True)
class Polling:
    """How the OA's own lists are asked for: of how many people so far, when last, and for how many in
    vain (`error`: why).

    `waiting`: the OA's own items that wait for people, as far as is known.
    """

    people: int
    at: datetime | None
    failing: int
    error: str
    waiting: int


@dataclass(frozen=True, slots=True)
class SiteState:
    """How one OA is.

    `todo`, `read`: our items that it shows as 待办 and 待阅. `behind`: what it is still to be told, without what waits
    for a person; `behind_since`: when the oldest of them changed. `pushed_at`: the last confirmed push. `dead`: rows
    given up, among them those of `unmapped` people with `unmapped_items`. `load`, `check`: the first load and the last
    reconciliation that has ended, None before there was one; `checking`: one at work; `left`:
    differences that the last one found and didn't repair. `polling`: None where its own items aren't taken in.
    """

    site: Site
    channel: ChannelState
    todo: int
    read: int
    behind: int
    behind_since: datetime | None
    pushed_at: datetime | None
    dead: int
    unmapped: int
    unmapped_items: int
    load: Progress | None
    check: OACheck | None
    checking: OACheck | None
    left: int
    polling: Polling | None

    @property
    def code(self) -> str:
        """The site's code."""
        return self.site.code

    @property
    def failed(self) -> bool:
        """Whether the last reconciliation wasn't carried through."""
        return self.check is not None and self.check.state == "failed"

    @property
    def troubled(self) -> bool:
        """Whether something is to be mended."""
        return self.channel.state != "open" or self.dead > 0 or self.failed or self.left > 0


@dataclass(frozen=True, slots=True)
class Tested:
    """What a test of a connection found: a sentence of the OA or about it, and what helps where it isn't well."""

    well: bool
    text: str
    cure: str = ""


def overview(session: Session, viewer: Viewer | None, sites: Sites) -> list[SiteState]:
    """Return how each OA is, in the order of their codes; `viewer` None is the command line or monitoring.

    Raises Forbidden.
    """
    require_reader(viewer)
    channels = {state.system: state for state in outbox.states(session)}
    dead = outbox.dead(session)
    return [
        _state(session, connection, channels[connection.site.system], dead.get(connection.site.system, 0))
        for connection in sites
    ]


def troubled(session: Session, viewer: Viewer | None, sites: Sites) -> bool:
    """Return whether something is to be mended in some OA. Raises Forbidden."""
    require_reader(viewer)
    asked = Batch()
    for connection in sites:
        asked.query(_TROUBLED, {"system": connection.site.system})
        asked.query(_LEFT, {"site": connection.site.code})
    answers = asked.run(session) if sites else []
    return any(answers[::2]) or any(row.differences or row.state == "failed" for rows in answers[1::2] for row in rows)


def compared(session: Session, viewer: Viewer | None, check_id: uuid.UUID) -> float:
    """Return which part of the people a reconciliation at work has compared, about: 0 to 1. Raises Forbidden."""
    require_reader(viewer)
    asked = Batch()
    asked.query(_COMPARED, {"check": check_id})
    [rows] = asked.run(session)
    return (rows[0].behind or 0) / rows[0].everybody if rows and rows[0].everybody else 0.0


def starters(session: Session, viewer: Viewer | None, checks: Iterable[OACheck]) -> dict[uuid.UUID, str]:
    """Return the names of who asked for reconciliations. Raises Forbidden."""
    require_reader(viewer)
    asked = {check.started_by for check in checks} - {None}
    return dict(session.execute(select(Person.id, Person.name).where(Person.id.in_(asked))).all())


def test(db: Database, actor: Doer | None, connection: Connection) -> Tested:
    """Ask an OA whether it lets us in (连接测试), outside of any transaction and for no longer than PATIENCE.

    What was found is noted on the trail. Raises Forbidden, and Conflict while another test of it is at work.
    """
    require_admin(actor)
    site = connection.site
    lock = db.own(_Tests).of(site.code)
    if not lock.acquire(blocking=False):
        raise Conflict("这个 OA 正在测试，请稍等", code="oa_testing")
    answers: SimpleQueue[Tested] = SimpleQueue()

    def ask() -> None:
        try:
            found = _asked(db, connection)
        finally:
            lock.release()  # before the answer is there: who has it may test again
        answers.put(found)

    threading.Thread(target=ask, name=f"oa-test-{site.code}", daemon=True).start()
    try:
        found = answers.get(timeout=PATIENCE)
    except Empty:
        found = Tested(False, f"{PATIENCE:.0f} 秒内没有结果", _AWAY)
    detail = {"site": site.code, "site_name": site.name, "well": found.well, "text": found.text}
    with db.unit_of_work() as session:
        record(session, actor, "oa_test", detail, at=clock.now())
    return found


class _Tests:
    """Which sites are being tested in this process."""

    def __init__(self) -> None:
        self._lock, self._locks = threading.Lock(), dict[str, threading.Lock]()

    def of(self, code: str) -> threading.Lock:
        """Return the lock of a site."""
        with self._lock:
            return self._locks.setdefault(code, threading.Lock())


def _asked(db: Database, connection: Connection) -> Tested:
    try:
        return Tested(True, checked(db, connection))
    except (Unknown, outbox.Transient) as error:
        return Tested(False, str(error), _AWAY)
    except (outbox.Configuration, outbox.Permanent) as error:
        return Tested(False, str(error), _REFUSED)
    except Exception:
        log.exception("the test of the OA %s", connection.site.code)
        return Tested(False, "测试时出错，OA 的回答不是预期的样子", "请查看服务的日志")


def _state(session: Session, connection: Connection, channel: ChannelState, dead: int) -> SiteState:
    site, asked = connection.site, Batch()
    given: dict[str, Any] = {"site": site.code}
    for statement in (_SHOWN, _BEHIND, _PUSHED, _POLLED, _WAITING, _LEFT):
        asked.query(statement, given)
    asked.query(_UNMAPPED, given | {"unmapped": UNMAPPED})
    shown, [behind], [pushed], [polled], [waiting], checked, [unmapped] = asked.run(session)
    items = {row.state: row.items for row in shown}
    polling = Polling(polled.people, polled.at, polled.failing or 0, polled.error or "", waiting.items)
    return SiteState(
        site,
        channel,
        items.get("todo", 0),
        items.get("read", 0),
        behind.items,
        behind.since,
        pushed.at,
        dead,
        unmapped.people,
        unmapped.items,
        loading.progress(session, None, site.code) if site.mirror else None,
        _last_check(session, site.code),
        _last_check(session, site.code, at_work=True),
        checked[0].differences if checked else 0,
        polling if site.poll and connection.adapter.polls else None,
    )


def _last_check(session: Session, code: str, *, at_work: bool = False) -> OACheck | None:
    wanted = OACheck.site == code, (OACheck.state == "running") == at_work
    newest = select(OACheck).where(*wanted).order_by(OACheck.started_at.desc(), OACheck.id.desc())
    return session.scalar(newest.limit(1))
