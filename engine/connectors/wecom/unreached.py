"""Whom messages don't reach (没送到企业微信的人): who is no member, is outside of the application's scope, or unknown.

WeCom refuses them for good (81013, document 90313), so nothing waits and nothing is a dead letter: only here admins see
it. Whoever has been reached since is not listed any more.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from engine import clock
from engine.bpm.queries.paging import Keyset, Page
from engine.bpm.queries.search import require_overseer
from engine.connectors.wecom.models import WeComDelivery
from engine.connectors.wecom.planning import ABSENT, AGAIN, NO_ACCOUNT, UNSENT
from engine.org.actor import Actor
from engine.org.models import Person

PERIOD = timedelta(days=7)
CURES = {
    ABSENT: "请在企业微信管理后台确认成员还在，并把他加入应用的“可见范围”；以后的消息就会送到",
    NO_ACCOUNT: "请系统管理员同步企业微信通讯录，或为他绑定企业微信账号；以后的消息就会送到",
}
"""What helps, by the reason."""


@dataclass(frozen=True, slots=True)
class Unreached:
    """A person whom `count` messages of the last 7 days did not reach; `reason` is the last one's."""

    number: str
    name: str
    reason: str
    since: datetime
    last: datetime
    count: int

    @property
    def cure(self) -> str:
        """What helps."""
        return CURES[self.reason]


def people(session: Session, viewer: Actor, *, cursor: str | None = None, limit: int = 20) -> Page[Unreached]:
    """Return who isn't reached, whom it happened to last first. One statement.

    Raises Forbidden unless the viewer oversees processes, and Invalid for a bad cursor.
    """
    require_overseer(viewer)
    lost, other = WeComDelivery, aliased(WeComDelivery)
    last = func.max(lost.sent_at).label("last")
    found = (
        select(lost.person_id, func.min(lost.sent_at).label("since"), last, func.count().label("times"))
        .where(lost.form == "none", lost.reason.in_(CURES), lost.sent_at > clock.now() - PERIOD)
        .group_by(lost.person_id)
        .subquery()
    )
    of_person = other.person_id == found.c.person_id
    reason = (
        select(other.reason)
        .where(of_person, other.sent_at == found.c.last, other.form == "none", other.reason.in_(CURES))
        .order_by(other.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    reached = select(other.id).where(
        of_person,
        other.sent_at > found.c.last,
        other.form.in_(("card", "text", "digest")),
        other.shown.not_in((UNSENT, AGAIN)),
    )
    statement = (
        select(found, reason.label("reason"), Person.staff_number, Person.name)
        .join(Person, Person.id == found.c.person_id)
        .where(Person.disabled_at.is_(None), ~reached.exists())
    )
    order = Keyset("unreached", ((found.c.last, datetime), (found.c.person_id, uuid.UUID)))
    rows = session.execute(order.narrowed(statement, cursor, limit)).all()
    shown = [Unreached(row.staff_number, row.name, row.reason, row.since, row.last, row.times) for row in rows]
    return order.page(shown, [(row.last, row.person_id) for row in rows], limit)
