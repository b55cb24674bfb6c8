"""Reports of reconciliations (对账报告), as pages and as JSON; kept for 90 days."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from engine.batch import Batch, Statement
from engine.connectors.oa import mirroring
from engine.connectors.oa.models import OACheck, OAFinding
from engine.connectors.oa.rights import require_reader
from engine.errors import NotFound
from engine.org.models import Person
from engine.viewer import Viewer

KINDS = {"missing": "漏", "ghost": "幽灵", "stale": "陈旧"}
SIDES = {"ours": "我们的记录", "theirs": "OA 的列表"}
RESULTS = {"repaired": "已修复", "capped": "超出上限，没有修", "unable": "无法自动修", "": "只报告"}
"""How a report says its kinds, sides and results."""
_MOST = 100
_BEHIND = Statement(
    "SELECT count(*) AS behind FROM oa_finding f JOIN oa_item m ON m.site = :site AND m.item_id = f.item_id "
    f"WHERE f.check_id = :check AND f.result = 'repaired' AND {mirroring.BEHIND}"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference as it is told: `kind` missing, ghost or stale; `side` ours or theirs.

    `result`: repaired, capped (the site's cap was reached), unable (nobody can tell what to mend), or "" where nothing
    was to be mended.
    """

    kind: str
    side: str
    item_id: uuid.UUID | None
    number: str | None
    person: str | None
    account: str
    title: str
    detail: str
    result: str


@dataclass(frozen=True, slots=True)
class Report:
    """A reconciliation with its differences, by kind, then by person."""

    id: uuid.UUID
    site: str
    state: str  # running, done, failed
    by: str  # nightly, person, command
    repair: bool
    started_at: datetime
    started_by: str | None
    ended_at: datetime | None
    people: int
    unread: int
    items: int
    missing: int
    ghost: int
    stale: int
    repaired: int
    capped: int
    unable: int
    behind: int  # mended, and not yet confirmed by the OA
    reason: str
    differences: Sequence[Difference]

    @property
    def total(self) -> int:
        """How many differences there are."""
        return self.missing + self.ghost + self.stale

    @property
    def left(self) -> int:
        """How many differences nothing was done about."""
        return self.total - sum(each.result == "repaired" for each in self.differences)

    def json(self) -> dict[str, Any]:
        """Return it in plain values; moments as ISO 8601 in UTC. The names don't change."""
        plain = asdict(self) | {"id": str(self.id), "left": self.left}
        plain["started_at"] = self.started_at.isoformat()
        plain["ended_at"] = self.ended_at.isoformat() if self.ended_at else None
        for each in plain["differences"]:
            each["item_id"] = str(each["item_id"]) if each["item_id"] else None
        return plain


def latest(session: Session, viewer: Viewer | None, code: str) -> OACheck | None:
    """Return the newest reconciliation of a site, None where there was none. Raises Forbidden."""
    require_reader(viewer)
    return session.scalar(_newest(code).limit(1))


def checks(session: Session, viewer: Viewer | None, code: str) -> Sequence[OACheck]:
    """Return the newest reconciliations of a site, 100 at most. Raises Forbidden."""
    require_reader(viewer)
    return session.scalars(_newest(code).limit(_MOST)).all()


def report(session: Session, viewer: Viewer | None, check_id: uuid.UUID) -> Report:
    """Return a reconciliation with its differences. Raises Forbidden, NotFound."""
    require_reader(viewer)
    found = session.get(OACheck, check_id, populate_existing=True)
    if found is None:
        raise NotFound("没有这次对账，或它的报告已过 90 天", code="oa_check_not_found")
    columns = (
        OAFinding.kind, OAFinding.side, OAFinding.item_id, Person.staff_number, Person.name, OAFinding.account,
        OAFinding.title, OAFinding.detail, OAFinding.result,
    )  # fmt: skip
    rows = session.execute(
        select(*columns)
        .outerjoin(Person, Person.id == OAFinding.person_id)
        .where(OAFinding.check_id == check_id)
        .order_by(OAFinding.kind, Person.staff_number, OAFinding.id)
    )
    differences = [Difference(*row) for row in rows]
    batch = Batch()
    batch.query(_BEHIND, {"check": check_id, "site": found.site})
    [[mended]] = batch.run(session)
    starter = session.get(Person, found.started_by) if found.started_by else None
    return Report(
        id=found.id, site=found.site, state=found.state, by=found.by, repair=found.repair, started_at=found.started_at,
        started_by=starter.name if starter else None, ended_at=found.ended_at, people=found.people,
        unread=found.unread, items=found.items, missing=found.missing, ghost=found.ghost, stale=found.stale,
        repaired=found.repaired, capped=found.capped, reason=found.reason, differences=differences,
        behind=mended.behind, unable=sum(each.result == "unable" for each in differences),
    )  # fmt: skip


def _newest(code: str) -> Select[OACheck]:
    return select(OACheck).where(OACheck.site == code).order_by(OACheck.started_at.desc(), OACheck.id.desc())
