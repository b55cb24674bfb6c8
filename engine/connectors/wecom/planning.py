"""Who is sent what (发送计划): each new notice gets its delivery before anything is sent.

A delivery that is planned and not yet sent says so in `shown`: UNSENT, or AGAIN where an earlier card of the notice was
taken back. So a crash between the send and its mark repeats the send under the same key, and the limit of messages per
member counts what is about to go out too: WeCom drops in silence what is above it, so nothing may be.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, case, cast, delete, func, select
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.bpm.models import Instance, ItemKind, ItemState, WorkItem
from engine.connectors.wecom.models import WeComAccount, WeComDelivery
from engine.connectors.wecom.preferences import BREAKS_THROUGH, MUTABLE, Choice, choices
from engine.db import new_id
from engine.notices import Notice
from engine.org.models import Person

UNSENT, AGAIN, SENT = "", "again", "sent"  # what `shown` says of a delivery before and after its send
CLICKED = "clicked"  # … and between a click and the card's answer: whatever it said, it is to be brought to the truth
A_MINUTE, AN_HOUR = 25, 900  # messages to one member; WeCom takes 30 and 1000 and drops the excess in silence
RECENT = timedelta(days=3)  # what is older isn't told any more, such as what was open when WeCom was switched on
_AT_ONCE = 1000
_STALE = "发送之前已不需要办理"
BREATH = timedelta(minutes=1)  # after which what was too much is looked at again

outbox.declare("wecom", "tell", "digest")


@dataclass(frozen=True, slots=True)
class Told:
    """A notice with what decides whether and how it is sent; `item` is None for one about no work item."""

    notice: Notice
    item: WorkItem | None
    urgency: int

    @property
    def asks(self) -> bool:
        """Whether somebody must decide or fill something: that becomes a card with buttons."""
        return self.item is not None and self.item.kind != ItemKind.READ

    def stale(self) -> str:
        """Say why it needn't be told any more, empty where it must."""
        if self.item is not None:
            return "" if self.item.state == ItemState.OPEN else _STALE
        return "" if self.notice.read_at is None else "已在批阅里看过"


class Room:
    """How much each of some people may still be sent, with their accounts locked until the transaction ends."""

    def __init__(self, session: Session, people: Collection[uuid.UUID], now: datetime) -> None:
        locked = (
            select(WeComAccount)
            .join(Person, Person.id == WeComAccount.person_id)
            .where(WeComAccount.person_id.in_(people), Person.disabled_at.is_(None))
            .order_by(WeComAccount.person_id)
            .with_for_update(of=WeComAccount)
        )
        self.accounts = {row.person_id for row in session.scalars(locked)}
        self.choices = choices(session, people)
        one = case((WeComDelivery.form == "digest", WeComDelivery.task_id), else_=cast(WeComDelivery.id, String))
        last = case((WeComDelivery.sent_at > now - BREATH, one))
        sent = (
            select(WeComDelivery.person_id, func.count(one.distinct()), func.count(last.distinct()))
            .where(WeComDelivery.person_id.in_(people), WeComDelivery.sent_at > now - timedelta(hours=1))
            .where(WeComDelivery.form.in_(("card", "text", "digest")))
            .group_by(WeComDelivery.person_id)
        )
        self._hour: Counter[uuid.UUID] = Counter()
        self._minute: Counter[uuid.UUID] = Counter()
        for person_id, hour, minute in session.execute(sent):
            self._hour[person_id], self._minute[person_id] = hour, minute

    def choice(self, person_id: uuid.UUID) -> Choice:
        """Return what a person wants to be told."""
        return self.choices.get(person_id, Choice())

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
    _awaken(session, instance_id)
    untold = (
        _told(Notice.instance_id == instance_id, Notice.created_at > now - RECENT)
        .where(~select(WeComDelivery.id).where(WeComDelivery.notice_id == Notice.id).exists())
        .limit(_AT_ONCE)
    )
    found = [Told(*row) for row in session.execute(untold)]
    _write(session, found, now, callbacks=callbacks)
    return len(found) == _AT_ONCE


def replan(session: Session, delivery: WeComDelivery, *, callbacks: bool) -> None:
    """Plan a notice once more whose card was taken back, to be sent as it is true now, however old it is."""
    session.execute(delete(WeComDelivery).where(WeComDelivery.id == delivery.id))
    found = [Told(*row) for row in session.execute(_told(Notice.id == delivery.notice_id))]
    _write(session, found, clock.now(), callbacks=callbacks, again=True)


def waiting(session: Session, person_id: uuid.UUID, form: str) -> list[tuple[WeComDelivery, Told]]:
    """Return a person's unsent deliveries of a form, held or digest, with their notices; the rows may be changed."""
    deliveries = session.scalars(
        select(WeComDelivery)
        .where(WeComDelivery.person_id == person_id, WeComDelivery.form == form)
        .where(WeComDelivery.shown.in_((UNSENT, AGAIN)))
        .order_by(WeComDelivery.id)
        .limit(_AT_ONCE)
    ).all()
    rows = session.execute(_told(Notice.id.in_([d.notice_id for d in deliveries])))
    told = {row[0].id: Told(*row) for row in rows}
    return [(d, told[d.notice_id]) for d in deliveries]


def look(session: Session, instance_id: uuid.UUID) -> None:
    """Let WeCom alone be compared with an instance, by its shard, which keeps all about it in order."""
    key = str(instance_id)
    outbox.enqueue(session, "wecom", key, "tell", {"instance": key})


def hold(session: Session, person_id: uuid.UUID, why: str, until: datetime) -> None:
    """Let a person's held notices be looked at again; a shard of its own, so that no instance waits for it."""
    key = f"held:{person_id}:{why}"
    outbox.enqueue(session, "wecom", key, "digest", {"person": str(person_id)}, due_at=until)


def form_of(told: Told, *, callbacks: bool) -> str:
    """Return how a notice is sent by itself."""
    return "card" if told.asks and callbacks else "text"


def _told(*where: Any) -> Any:
    return (
        select(Notice, WorkItem, func.coalesce(Instance.urgency, 0))
        .outerjoin(WorkItem, WorkItem.id == Notice.item_id)
        .outerjoin(Instance, Instance.id == Notice.instance_id)
        .where(*where)
        .order_by(Notice.id)
    )


def _awaken(session: Session, instance_id: uuid.UUID) -> None:
    """Forget what was not sent because nothing was to be done, where it is to be done again (退签、撤回)."""
    stale = (
        select(WeComDelivery.id)
        .join(WorkItem, WorkItem.id == WeComDelivery.item_id)
        .where(WeComDelivery.instance_id == instance_id, WeComDelivery.form == "none")
        .where(WeComDelivery.reason == _STALE, WorkItem.state == ItemState.OPEN)
    )
    if ids := session.scalars(stale).all():
        session.execute(delete(WeComDelivery).where(WeComDelivery.id.in_(ids)))


def _write(session: Session, found: Iterable[Told], now: datetime, *, callbacks: bool, again: bool = False) -> None:
    found = list(found)
    if not found:
        return
    room = Room(session, {t.notice.person_id for t in found}, now)
    waiting: dict[tuple[uuid.UUID, str], datetime] = {}
    for told in found:
        form, reason = _decided(told, room, waiting, now, callbacks=callbacks, again=again)
        session.add(
            WeComDelivery(
                id=new_id(),
                notice_id=told.notice.id,
                person_id=told.notice.person_id,
                instance_id=told.notice.instance_id,
                item_id=told.notice.item_id,
                form=form,
                shown=AGAIN if again else UNSENT,
                reason=reason,
                sent_at=now,
            )
        )
    session.flush()
    for (person_id, why), until in waiting.items():
        hold(session, person_id, why, until)


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
    person_id, kind = told.notice.person_id, told.notice.kind
    stale = told.stale()
    if person_id not in room.accounts:
        return "none", "没有企业微信账号，或已停用"
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
