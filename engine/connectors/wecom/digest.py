"""What was held back (暂缓的消息): after quiet hours, and above the limit per member.

Up to three come as they would have, more become one digest in markdown, so that nobody's phone rings thirty times.
Those that come singly are left to the shard of their instance, which keeps them in order with all else about it.
"""

import uuid

from sqlalchemy import update
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.connectors.wecom import cards, planning
from engine.connectors.wecom.client.errors import NoRecipient
from engine.connectors.wecom.messages import parts
from engine.connectors.wecom.models import WeComAccount, WeComDelivery
from engine.connectors.wecom.planning import ABSENT, NO_ACCOUNT, SENT, Told
from engine.connectors.wecom.preferences import BREAKS_THROUGH
from engine.db import Database

_SINGLY = 3


@outbox.handler("wecom", "digest", in_transaction=False, newest=True)
def digest(db: Database, row: outbox.Leased) -> None:
    """Send a person what was held back, as far as it still matters and they may be sent more now."""
    wecom, links = parts(db)
    person_id = uuid.UUID(row.payload["person"])
    with db.unit_of_work() as session:
        _release(session, person_id, row.key, callbacks=wecom.settings.callbacks)
    with db.unit_of_work() as session:
        account = session.get(WeComAccount, person_id)
        pending = _pending(session, person_id, row.key)
    if not pending or account is None or account.vanished_at is not None:
        return
    rows = [(told.title, told.text, _link(told, links)) for _, told in pending]
    content = {"msgtype": "markdown", "markdown": {"content": cards.digest(rows, links.todo())}}
    ids = [delivery.id for delivery, _ in pending]
    try:
        sent = wecom.send([account.userid], content)
    except NoRecipient:
        values = {"form": "none", "reason": ABSENT}
    else:
        values = {"shown": SENT, "msgid": sent.msgid}
    with db.unit_of_work() as session:
        session.execute(update(WeComDelivery).where(WeComDelivery.id.in_(ids)).values(**values))


def _pending(session: Session, person_id: uuid.UUID, key: str) -> list[tuple[WeComDelivery, Told]]:
    """Return what a digest is to tell; what has been done since it was let go of, perhaps long ago, is left out."""
    found = []
    for delivery, told in planning.waiting(session, person_id, "digest"):
        if not (delivery.task_id or "").startswith(key):
            continue
        if reason := told.stale():
            delivery.form, delivery.reason = "none", reason
        else:
            found.append((delivery, told))
    return found


def _release(session: Session, person_id: uuid.UUID, key: str, *, callbacks: bool) -> None:
    """Let go of a person's held notices: singly, or as one digest whose deliveries name it by their task_id."""
    now = clock.now()
    room = planning.Room(session, [person_id], now)
    quiet = room.choice(person_id).quiet_until(now)
    going, still_quiet = [], None
    for delivery, told in planning.waiting(session, person_id, "held"):
        if reason := told.stale() or ("" if person_id in room.accounts else NO_ACCOUNT):
            delivery.form, delivery.reason = "none", reason
        elif quiet is None or told.urgency >= BREAKS_THROUGH:
            going.append((delivery, told))
        else:
            still_quiet = quiet
    if still_quiet is not None:
        planning.hold(session, person_id, "quiet", still_quiet)
    needed = len(going) if len(going) <= _SINGLY else 1
    if needed > room.left(person_id):
        planning.hold(session, person_id, "limit", now + planning.BREATH)
        return
    name = f"{key}:{now:%Y%m%d%H%M%S%f}"
    for delivery, told in going:
        delivery.sent_at = now
        if len(going) <= _SINGLY:
            delivery.form = planning.form_of(told, callbacks=callbacks)
            if told.instance_id is not None:
                planning.look(session, told.instance_id)
        else:
            delivery.form, delivery.task_id = "digest", name


def _link(told: Told, links: cards.Links) -> str:
    if told.item_id is not None:
        return links.item(told.item_id)
    return links.todo() if told.instance_id is None else links.open(told.instance_id)
