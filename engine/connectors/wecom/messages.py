"""What is sent and changed in WeCom (消息与卡片): the handler that brings WeCom to what the rows say.

It is told of an instance, never of an action, and does what is missing: messages for new notices, cards brought to
the truth. A card is changed with a response_code; its send gives one, each click another, and one code changes it
once, within 72 h (document 94888). So a code is kept for the outcome:

- An open card whose figures have changed is left alone; a click on it doesn't count and shows the new ones (`clicks`).
- Where a card must change and no code is left, the message is recalled (24 h, document 94867) and sent anew as it is
  true now: the card of an item that is open again, after a take-back (撤回) or an unclaim (退签), is a fresh one, and
  the old one is gone. The card of a decision taken back whose item has a successor is recalled only: that has its own.
- Later than that nothing can be changed; a late click brings its own code, with which it is answered in place.

Equal text messages of an instance are one send to up to 1000 people. Each send repeats under its own key: a card's
task_id, for the others WeCom's duplicate check, which the client asks for (30 min).
"""

import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.batch import Batch, listed
from engine.bpm.models import ItemState
from engine.connectors.wecom import cards, planning
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.client.errors import CodeSpent, Duplicate, NoRecipient, Refused
from engine.connectors.wecom.deliveries import CARDS, CHAT, TEXTS, Delivery, Item, marking
from engine.connectors.wecom.facts import Facts
from engine.connectors.wecom.planning import ABSENT, AGAIN, CLICKED, SENT, UNSENT
from engine.db import Database

CODE_LASTS = timedelta(hours=72)
RECALLABLE = timedelta(hours=24)
TO_AT_ONCE = 1000  # recipients of one send
_CALLS = 20  # of one run: then others have their turn
_FRESH = timedelta(seconds=1)  # the age of a lease at which a call is begun: one may last nearly as long as that

log = logging.getLogger(__name__)

outbox.declare("wecom", "chat")

Call = Callable[[], None]


def _forgive(payload: dict[str, Any], session: Session) -> None:
    planning.forgive(session, uuid.UUID(payload["instance"]))


@outbox.handler("wecom", "tell", in_transaction=False, newest=True, on_requeue=_forgive)
def tell(db: Database, row: outbox.Leased) -> None:
    """Bring WeCom to what is true of an instance.

    What WeCom refuses for good doesn't keep the rest from being sent; it makes the row a dead letter at the end, and is
    tried again when that is brought back.
    """
    wecom, links = parts(db)
    instance_id = uuid.UUID(row.payload["instance"])
    with db.unit_of_work() as session:
        more = planning.plan(session, instance_id, callbacks=wecom.settings.callbacks)
    with db.reading() as session:
        work = _Work(db, wecom, links, session, instance_id, row.created_at)
        calls, fresh = work.calls()
    if work.chat:  # whoever is new joins the group chat
        with db.unit_of_work() as session:
            outbox.enqueue(session, "wecom", f"chat:{instance_id}", "chat", row.payload)
    failed: Refused | None = None
    renewed = clock.now()
    for call in islice(calls, _CALLS):
        if clock.now() - renewed > _FRESH:
            outbox.renew(db, row)
            renewed = clock.now()
        try:
            call()
        except Refused as refusal:
            failed = refusal
    if more or work.again or (len(calls) if failed is None else fresh) > _CALLS:
        raise outbox.Again
    if failed is not None:
        raise failed


def parts(db: Database) -> tuple[WeCom, cards.Links]:
    """Return the client and the addresses. Raises Configuration where this worker has no settings for WeCom."""
    wecom, links = db.part(WeCom), db.part(cards.Links)
    if wecom is None or links is None:
        raise outbox.Configuration("这个后台进程没有企业微信的配置：请设置 PIYUE_WECOM_ 开头的环境变量后重启")
    return wecom, links


class _Work:
    """What is to be done in WeCom for one instance; all is read before the first call, so nothing waits for WeCom."""

    def __init__(
        self, db: Database, wecom: WeCom, links: cards.Links, session: Session, instance_id: uuid.UUID, since: datetime
    ) -> None:
        self._db, self._wecom, self._links = db, wecom, links
        self._session, self._id, self._since = session, instance_id, since
        self._facts = Facts(session, instance_id)
        self._now = clock.now()
        self.chat = self.again = False

    def calls(self) -> tuple[list[Call], int]:
        """Return the calls, and how many of them come first because WeCom hasn't refused them before."""
        batch, of = Batch(), {"id": self._id}
        for query in (TEXTS, CARDS, CHAT):
            batch.query(query, of)
        texts, all_cards, chats = batch.run(self._session)
        self.chat = bool(chats)
        found = [*self._texts(texts), *self._cards(all_cards)]
        calls = [call for _, call in sorted(found, key=lambda pair: pair[0])]
        return calls, sum(not refused for refused, _ in found)

    # -- text messages ------------------------------------------------------------------------------------------------

    def _texts(self, unsent: Iterable[Any]) -> list[tuple[bool, Call]]:
        groups: dict[tuple[str, str, str], list[Any]] = {}
        for row in unsent:
            if not self._tried(row):
                groups.setdefault((row.title, row.text, cards.moment(row.created_at)), []).append(row)
        found: list[tuple[bool, Call]] = []
        for (title, text, _), rows in groups.items():
            about = self._facts.subject.summary
            card = cards.notice(title, text, about, rows[0].created_at, self._links.open(self._id))
            failed_before = any(row.reason for row in rows)
            for start in range(0, len(rows), TO_AT_ONCE):
                to = {row.userid: row.id for row in rows[start : start + TO_AT_ONCE]}
                found.append((failed_before, partial(self._send_text, card, to)))
        return found

    def _send_text(self, card: cards.Json, to: dict[str, uuid.UUID]) -> None:
        try:
            sent = self._wecom.send(list(to), _message(card))
        except NoRecipient:
            self._mark(list(to.values()), form="none", reason=ABSENT)
            return
        except Refused as refusal:
            self._mark(list(to.values()), reason=str(refusal)[:200])
            raise
        absent = [delivery for userid, delivery in to.items() if userid.lower() in sent.invalid]
        there = [delivery for delivery in to.values() if delivery not in absent]
        self._mark(there, shown=SENT, msgid=sent.msgid, reason="", sent_at=clock.now())
        self._mark(absent, form="none", reason=ABSENT)

    # -- cards --------------------------------------------------------------------------------------------------------

    def _cards(self, rows: Iterable[Any]) -> list[tuple[bool, Call]]:
        found: list[tuple[bool, Call]] = []
        for row in rows:
            delivery, item = Delivery(*row[:9]), Item(*row[9:])
            call = None if self._tried(delivery) else self._card(delivery, item)
            if call is not None:
                unsent = delivery.shown in (UNSENT, AGAIN)  # of others the reason is what a click met
                found.append((unsent and bool(delivery.reason), call))
        return found

    def _card(self, delivery: Delivery, item: Item) -> Call | None:
        """Return what brings one card to the truth, None where it is true, or can't be changed any more."""
        want, shown = self._facts.state(item, item.step_name), delivery.shown
        is_open, was_final = item.state == ItemState.OPEN, cards.kind_of(shown) in cards.FINAL
        if shown == UNSENT and not is_open:
            return partial(self._mark, [delivery.id], form="none", reason="发送之前已不需要办理")
        if shown in (UNSENT, AGAIN):
            task_id = delivery.id.hex
            card = self._facts.card(task_id, item, self._links)
            return partial(self._send_card, delivery.id, task_id, delivery.userid, card, want)
        if shown == want or (is_open and shown.startswith("open:")):
            return None
        code = delivery.response_code
        if code is not None and delivery.code_at is not None and self._now - delivery.code_at < CODE_LASTS:
            remark = delivery.reason if is_open else ""
            card = self._facts.card(delivery.id.hex, item, self._links, remark)
            return partial(self._update_card, delivery, card, want)
        recallable = delivery.msgid is not None and self._now - delivery.sent_at < RECALLABLE
        if recallable and was_final and not is_open:
            return partial(self._recall, delivery, want)
        if recallable or is_open:
            return partial(self._replace, delivery)
        return None

    def _send_card(self, delivery: uuid.UUID, task_id: str, userid: str, card: cards.Json, state: str) -> None:
        now = clock.now()
        try:
            sent = self._wecom.send([userid], _message(card))
        except Duplicate:  # sent by a run that died before it could note it; the code is lost with that
            self._mark([delivery], shown=state, task_id=task_id, reason="", sent_at=now)
        except NoRecipient:
            self._mark([delivery], form="none", reason=ABSENT)
        except Refused as refusal:
            self._mark([delivery], reason=str(refusal)[:200])
            raise
        else:
            self._mark(
                [delivery],
                shown=state,
                task_id=task_id,
                reason="",
                sent_at=now,
                msgid=sent.msgid,
                response_code=sent.response_code,
                code_at=now,
            )

    def _update_card(self, delivery: Delivery, card: cards.Json, state: str) -> None:
        code = delivery.response_code or ""
        try:
            self._wecom.update_card(code, [delivery.userid], card)
        except CodeSpent:
            log.warning("wecom card's code is spent: delivery=%s", delivery.id)
            if delivery.shown == CLICKED:  # the click was answered before, and its event has come again
                self._mark([delivery.id], code=code, response_code=None, shown=state)
            else:
                self._mark([delivery.id], code=code, response_code=None)
                self.again = True  # perhaps it can be replaced
        except Refused as refusal:
            self._mark([delivery.id], code=code, response_code=None, reason=str(refusal)[:200])
            raise
        else:
            self._mark([delivery.id], code=code, response_code=None, shown=state)

    def _recall(self, delivery: Delivery, state: str) -> None:
        self._take_away(delivery)
        self._mark([delivery.id], shown=state, msgid=None)

    def _replace(self, delivery: Delivery) -> None:
        self._take_away(delivery)
        with self._db.unit_of_work() as session:
            planning.replan(session, delivery.id, delivery.notice_id, callbacks=self._wecom.settings.callbacks)
        self.again = True

    def _take_away(self, delivery: Delivery) -> None:
        """Recall a message; one that is gone already, or too old, stays as it is."""
        if delivery.msgid is None or self._now - delivery.sent_at >= RECALLABLE:
            return
        try:
            self._wecom.recall(delivery.msgid)
        except Refused as refusal:
            log.warning("wecom message not recalled: delivery=%s error=%s", delivery.id, refusal)

    # -- marks --------------------------------------------------------------------------------------------------------

    def _tried(self, delivery: Any) -> bool:
        """Whether WeCom refused an unsent delivery for good under an earlier row, which is its dead letter."""
        unsent = delivery.shown in (UNSENT, AGAIN)
        return unsent and bool(delivery.reason) and self._since > delivery.sent_at

    def _mark(self, deliveries: Sequence[uuid.UUID], *, code: str | None = None, **values: Any) -> None:
        """Note what was done; with a `code`, only where no click has brought a newer one meanwhile."""
        if not deliveries:
            return
        batch = Batch()
        statement = marking(tuple(values), guarded=code is not None)
        batch.add(statement, {"ids": listed(deliveries), "code": code, **values})
        with self._db.unit_of_work() as session:
            batch.defer(session)


def _message(card: cards.Json) -> cards.Json:
    return {"msgtype": "template_card", "template_card": card}
