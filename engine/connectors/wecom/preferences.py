"""What a person wants to be told in WeCom, and when (消息偏好、免打扰).

What waits for oneself to act (待办、退回) can't be switched off, only be put off until the quiet hours are over; and
what is urgent (加急、特急) breaks through them.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import AMONG, Batch, Statement
from engine.clock import LOCAL
from engine.connectors.wecom.models import WeComAccount, WeComPreference
from engine.errors import Invalid
from engine.org.actor import Actor
from engine.viewer import Viewer

MUTABLE = {"read": "待阅", "copy": "抄送", "urge": "催办", "agreed": "我发起的有人同意", "ended": "办结、撤销和终止"}
"""The kinds of notices that may be switched off, with their names."""
BREAKS_THROUGH = 2
"""From this urgency on (加急) quiet hours don't hold."""
_DAY = 24 * 60

# as `planning.Room` does it: what it holds back by the old choice is there, and moved, before this one stands
_LOCK = Statement("SELECT person_id FROM wecom_account WHERE person_id = :person_id FOR UPDATE")
# two windows of one person may choose at once
_KEEP = Statement(
    "INSERT INTO wecom_preference (person_id, muted, quiet_from, quiet_to) "
    "VALUES (:person_id, :muted, :quiet_from, :quiet_to) ON CONFLICT (person_id) DO UPDATE "
    "SET muted = excluded.muted, quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A person's choice; quiet hours are minutes of the hospital's day, both or neither, and may span midnight."""

    muted: frozenset[str] = frozenset()
    quiet_from: int | None = None
    quiet_to: int | None = None

    def quiet_until(self, now: datetime) -> datetime | None:
        """Return when the quiet hours end that hold at a moment, None outside of them."""
        if self.quiet_from is None or self.quiet_to is None:
            return None
        local = now.astimezone(LOCAL)
        minute = local.hour * 60 + local.minute
        if (minute - self.quiet_from) % _DAY >= (self.quiet_to - self.quiet_from) % _DAY:
            return None
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + timedelta(days=minute >= self.quiet_to, minutes=self.quiet_to)


CHOICES = Statement(
    f"SELECT person_id, muted, quiet_from, quiet_to FROM wecom_preference WHERE person_id IN {AMONG}",
    person_id=uuid.UUID,
)
"""The choices of those among some people who have made one; `read` makes a choice of a row."""


def read(row: Any) -> Choice:
    """Return the choice that a row keeps."""
    return Choice(frozenset(row.muted.split()), row.quiet_from, row.quiet_to)


def choice(session: Session, viewer: Viewer) -> Choice:
    """Return the viewer's own choice; whoever has made none is told everything at any time."""
    row = session.get(WeComPreference, viewer.person_id)
    return Choice() if row is None else read(row)


def choose(
    session: Session, actor: Actor, *, muted: Collection[str], quiet_from: int | None, quiet_to: int | None
) -> Choice:
    """Keep the actor's own choice; what is held back now comes when the new quiet hours are over, or at once.

    Raises Invalid for a kind that can't be switched off, or half a span.
    """
    if unknown := sorted(set(muted) - MUTABLE.keys()):
        raise _invalid("muted", f"这类消息不能关闭：{unknown[0][:20]}。待办和退回总会发送，可以设免打扰时段")
    for place, minute in (("quiet_from", quiet_from), ("quiet_to", quiet_to)):
        if minute is not None and not 0 <= minute < _DAY:
            raise _invalid(place, "请填写一天之内的时间，例如 22:00")
    if (quiet_from is None) != (quiet_to is None):
        place = "quiet_from" if quiet_from is None else "quiet_to"
        raise _invalid(place, "免打扰要有开始和结束时间；不需要就都留空")
    if quiet_from is not None and quiet_from == quiet_to:
        raise _invalid("quiet_to", "免打扰的开始和结束时间相同，请改一个；不需要就都留空")
    batch, now = Batch(), clock.now()
    batch.query(_LOCK, {"person_id": actor.person_id})
    chosen = {"muted": " ".join(sorted(muted)), "quiet_from": quiet_from, "quiet_to": quiet_to}
    batch.add(_KEEP, {"person_id": actor.person_id, **chosen})
    found = Choice(frozenset(muted), quiet_from, quiet_to)
    outbox.move(session, batch, "wecom", held(actor.person_id, "quiet"), found.quiet_until(now) or now)
    batch.run(session)
    session.expire_all()  # what the caller holds of the row is old
    return found


def held(person_id: uuid.UUID, why: str) -> str:
    """Return the shard of what is held back for a person, because of quiet hours (`quiet`) or the `limit`."""
    return f"held:{person_id}:{why}"


def reachable(session: Session, viewer: Viewer) -> bool:
    """Whether the viewer has an account in WeCom, so that they are told anything there."""
    account = session.get(WeComAccount, viewer.person_id)
    return account is not None and account.vanished_at is None


def minutes(text: str, place: str) -> int | None:
    """Return a time of day such as `22:00` in minutes, None for no text. Raises Invalid."""
    if not text:
        return None
    hour, _, minute = text.partition(":")
    if not (hour.isdecimal() and minute.isdecimal() and len(minute) == 2 and int(hour) < 24 and int(minute) < 60):
        raise _invalid(place, "请填写一天之内的时间，例如 22:00")
    return int(hour) * 60 + int(minute)


def time_of_day(minute: int | None) -> str:
    """Return minutes as a time of day, an empty text for None."""
    return "" if minute is None else f"{minute // 60:02}:{minute % 60:02}"


def _invalid(place: str, message: str) -> Invalid:
    return Invalid(message, code="wecom_preference", errors=[{"place": place, "message": message}])
