"""Who is sent what (发送计划): each new notice gets its delivery before anything is sent.

A delivery that is planned and not yet sent says so in `shown`: UNSENT, or AGAIN where an earlier card of the notice was
taken back. So a crash between the send and its mark repeats the send under the same key, and the limit of messages per
member counts what is about to go out too: WeCom drops in silence what is above it, so nothing may be.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import AMONG, Batch, Statement, listed
from engine.bpm.models import Instance, ItemKind, ItemState
from engine.connectors.wecom.models import WeComDelivery
from engine.connectors.wecom.preferences import BREAKS_THROUGH, CHOICES, MUTABLE, Choice, held, read
from engine.db import Database, new_id
from engine.outbox.table import affected

UNSENT, AGAIN, SENT = "", "again", "sent"  # what `shown` says of a delivery before and after its send
CLICKED = "clicked"  # … and between a click and the card's answer: whatever it said, it is to be brought to the truth
A_MINUTE, AN_HOUR = 25, 900  # messages to one member; WeCom takes 30 and 1000 and drops the excess in silence
RECENT = timedelta(days=3)  # what is older isn't told any more, such as what was open when WeCom was switched on
_AT_ONCE = 1000
_STALE = "发送之前已不需要办理"
# why nothing reaches a person
NO_ACCOUNT = "没有企业微信账号，或已停用"
ABSENT = "企业微信里没有这个成员，或不在应用的可见范围里"
BREATH = timedelta(minutes=1)  # after which what was too much is looked at again

outbox.declare("wecom", "tell", "digest")


_TOLD = (
    "SELECT n.id, n.person_id, n.instance_id, n.item_id, n.kind, n.title, n.text, n.read_at, w.kind AS item_kind, "
    "w.state AS item_state, COALESCE(i.urgency, 0) AS urgency FROM notice n LEFT JOIN work_item w ON w.id = n.item_id "
    "LEFT JOIN instance i ON i.id = n.instance_id WHERE "
)
_TOLD_TYPES: dict[str, Any] = {
    "id": uuid.UUID,
    "person_id": uuid.UUID,
    "instance_id": uuid.UUID,
    "item_id": uuid.UUID,
    "read_at": datetime,
}
_UNTOLD = Statement(
    f"{_TOLD}n.instance_id = :instance AND n.created_at > :since AND NOT EXISTS "
    f"(SELECT 1 FROM wecom_delivery d WHERE d.notice_id = n.id) ORDER BY n.id LIMIT {_AT_ONCE}",
    **_TOLD_TYPES,
)
_THESE = Statement(f"{_TOLD}n.id IN {AMONG}", **_TOLD_TYPES)
# what was not sent because nothing was to be done, where it is to be done again (退签、撤回)
_AWAKEN = Statement(
    "DELETE FROM wecom_delivery WHERE instance_id = :instance AND form = 'none' AND reason = :reason "
    "AND item_id IN (SELECT id FROM work_item WHERE instance_id = :instance AND state = 'open')"
)
_FORGIVE = Statement(
    "UPDATE wecom_delivery SET reason = '' WHERE instance_id = :instance AND form IN ('card', 'text') "
    "AND shown IN ('', 'again')"
)
_ACCOUNTS = Statement(
    "SELECT a.person_id FROM wecom_account a JOIN person p ON p.id = a.person_id "
    f"WHERE a.person_id IN {AMONG} AND a.vanished_at IS NULL AND p.disabled_at IS NULL "
    "ORDER BY a.person_id FOR UPDATE OF a",
    person_id=uuid.UUID,
)
_SENT = Statement(
    "SELECT person_id, count(DISTINCT one) AS hour, count(DISTINCT CASE WHEN sent_at > :minute THEN one END) AS minute "
    "FROM (SELECT person_id, sent_at, CASE WHEN form = 'digest' THEN task_id ELSE CAST(id AS VARCHAR(36)) END AS one "
    f"FROM wecom_delivery WHERE person_id IN {AMONG} AND sent_at > :hour AND form IN ('card', 'text', 'digest')) d "
    "GROUP BY person_id",
    person_id=uuid.UUID,
)
_INSERT = Statement(
    "INSERT INTO wecom_delivery "
    "(id, notice_id, person_id, instance_id, item_id, form, task_id, shown, reason, sent_at) "
    "VALUES (:id, :notice_id, :person_id, :instance_id, :item_id, :form, :task_id, :shown, :reason, :sent_at)"
)


class Told(NamedTuple):
    """A notice with what decides whether and how it is sent; without an item it is about no work item."""

    id: uuid.UUID
    person_id: uuid.UUID
    instance_id: uuid.UUID | None
    item_id: uuid.UUID | None
    kind: str
    title: str
    text: str
    read_at: datetime | None
    item_kind: str | None
    item_state: str | None
    urgency: int

    @property
    def asks(self) -> bool:
        """Whether somebody must decide or fill something: that becomes a card with buttons."""
        return self.item_id is not None and self.item_kind != ItemKind.READ

    def stale(self) -> str:
        """Say why it needn't be told any more, empty where it must."""
        if self.item_id is not None:
            return "" if self.item_state == ItemState.OPEN else _STALE
        return "" if self.read_at is None else "已在批阅里看过"


class Room:
    """How much each of some people may still be sent, with their accounts locked until the transaction ends."""

    def __init__(self, session: Session, people: Collection[uuid.UUID], now: datetime) -> None:
        batch, among = Batch(), {"ids": listed(people)}
        batch.query(_ACCOUNTS, among)
        batch.query(CHOICES, among)
        batch.query(_SENT, among | {"minute": now - BREATH, "hour": now - timedelta(hours=1)})
        accounts, chosen, sent = batch.run(session)
        self.accounts = {row.person_id for row in accounts}
        self._choices = {row.person_id: read(row) for row in chosen}
        self._hour = Counter({row.person_id: row.hour for row in sent})
        self._minute = Counter({row.person_id: row.minute for row in sent})

    def choice(self, person_id: uuid.UUID) -> Choice:
        """Return what a person wants to be told."""
        return self._choices.get(person_id, Choice())

    def left(self, person_id: uuid.UUID) -> int:
        """Return how many messages more the person may be sent now."""
        return max(0, min(A_MINUTE - self._minute[person_id], AN_HOUR - self._hour[person_id]))

    def take(self, person_id: uuid.UUID) -> bool:
        """Count one more message; False where there is no room for it."""
        if not self.left(person_id):
            return False
        self._minute[person_id] += 1
        self._hour[person_id] += 1
        return True


def plan(session: Session, instance_id: uuid.UUID, *, callbacks: bool) -> bool:
    """Give the untold notices of an instance their deliveries; True where there are more than one run takes.

    `callbacks`: whether WeCom can call us; without it no card may have buttons that act.
    """
    now = clock.now()
    batch = Batch()
    batch.change(_AWAKEN, {"instance": instance_id, "reason": _STALE})
    batch.query(_UNTOLD, {"instance": instance_id, "since": now - RECENT})
    _, rows = batch.run(session)
    _write(session, [Told(*row) for row in rows], now, callbacks=callbacks)
    return len(rows) == _AT_ONCE


def replan(session: Session, delivery: uuid.UUID, notice: uuid.UUID, *, callbacks: bool) -> None:
    """Plan a notice once more whose card was taken back, to be sent as it is true now, however old it is."""
    session.execute(delete(WeComDelivery).where(WeComDelivery.id == delivery))
    _write(session, _these(session, [notice]), clock.now(), callbacks=callbacks, instead_of=delivery)


def waiting(session: Session, person_id: uuid.UUID, form: str) -> list[tuple[WeComDelivery, Told]]:
    """Return a person's unsent deliveries of a form, held or digest, with their notices; the rows may be changed."""
    deliveries = session.scalars(
        select(WeComDelivery)
        .where(WeComDelivery.person_id == person_id, WeComDelivery.form == form)
        .where(WeComDelivery.shown.in_((UNSENT, AGAIN)))
        .order_by(WeComDelivery.id)
        .limit(_AT_ONCE)
    ).all()
    told = {found.id: found for found in _these(session, [d.notice_id for d in deliveries])}
    return [(d, told[d.notice_id]) for d in deliveries]


def _these(session: Session, notices: Iterable[uuid.UUID]) -> list[Told]:
    batch = Batch()
    batch.query(_THESE, {"ids": listed(notices)})
    [rows] = batch.run(session)
    return [Told(*row) for row in rows]


def purge(db: Database, before: datetime, limit: int) -> int:
    """Delete up to `limit` deliveries from before a moment, sent or not, and return how many.

    Not those of an instance that is running, or ended later: its cards may be clicked. The notices stay, as the
    person's own list of what they were told; so old ones are never told anew (RECENT).
    """
    over = or_(WeComDelivery.instance_id.is_(None), Instance.ended_at < before)
    old = (
        select(WeComDelivery.id)
        .outerjoin(Instance, Instance.id == WeComDelivery.instance_id)
        .where(WeComDelivery.sent_at < before, over)
        .limit(limit)
    )
    with db.unit_of_work() as session:
        statement = delete(WeComDelivery).where(WeComDelivery.id.in_(old))
        return affected(session.execute(statement.execution_options(synchronize_session=False)))


def forgive(session: Session, instance_id: uuid.UUID) -> None:
    """Let be tried again, by whichever row comes first, what WeCom refused for good of an instance."""
    batch = Batch()
    batch.add(_FORGIVE, {"instance": instance_id})
    batch.run(session)


def look(session: Session, instance_id: uuid.UUID) -> None:
    """Let WeCom alone be compared with an instance, by its shard, which keeps all about it in order."""
    key = str(instance_id)
    outbox.enqueue(session, "wecom", key, "tell", {"instance": key})


def hold(session: Session, person_id: uuid.UUID, why: str, until: datetime) -> None:
    """Let a person's held notices be looked at again; a shard of its own, so that no instance waits for it."""
    outbox.enqueue(session, "wecom", held(person_id, why), "digest", {"person": str(person_id)}, due_at=until)


def form_of(told: Told, *, callbacks: bool) -> str:
    """Return how a notice is sent by itself."""
    return "card" if told.asks and callbacks else "text"


def _write(
    session: Session, found: Sequence[Told], now: datetime, *, callbacks: bool, instead_of: uuid.UUID | None = None
) -> None:
    if not found:
        return
    again = instead_of is not None
    room = Room(session, {t.person_id for t in found}, now)
    waiting: dict[tuple[uuid.UUID, str], datetime] = {}
    rows = []
    for told in found:
        form, reason = _decided(told, room, waiting, now, callbacks=callbacks, again=again)
        rows.append(
            {
                "id": new_id(),
                "notice_id": told.id,
                "person_id": told.person_id,
                "instance_id": told.instance_id,
                "item_id": told.item_id,
                "form": form,
                "task_id": None if instead_of is None else instead_of.hex,  # until it is sent: what its card replaces
                "shown": AGAIN if again else UNSENT,
                "reason": reason,
                "sent_at": now,
            }
        )
    for (person_id, why), until in waiting.items():
        hold(session, person_id, why, until)
    batch = Batch()
    batch.add(_INSERT, rows)
    batch.defer(session)


def _decided(
    told: Told,
    room: Room,
    waiting: dict[tuple[uuid.UUID, str], datetime],
    now: datetime,
    *,
    callbacks: bool,
    again: bool,
) -> tuple[str, str]:
    """Return the form of a delivery and why it isn't sent; what is held is noted in `waiting`."""
    person_id, kind = told.person_id, told.kind
    stale = told.stale()
    if person_id not in room.accounts:
        return "none", NO_ACCOUNT
    if stale and not again:
        return "none", stale
    choice = room.choice(person_id)
    if kind in choice.muted and kind in MUTABLE:
        return "none", "本人关闭了这类消息"
    quiet = choice.quiet_until(now) if told.urgency < BREAKS_THROUGH else None
    if quiet is None and room.take(person_id):
        return form_of(told, callbacks=callbacks), ""
    if stale:  # how it came out isn't worth a sound at night
        return "none", stale
    why, until = ("quiet", quiet) if quiet is not None else ("limit", now + BREATH)
    waiting[person_id, why] = until
    return "held", ""
