"""Somebody has clicked on a card (点击卡片): the click is bound to the delivery and its person, and runs the command.

WeCom's event names the card (TaskId), the clicker and the button; only the first two say whose item it is about, the
button never does. A click is answered by the card itself: its ResponseCode becomes the delivery's, and `messages.tell`
brings the card to the truth with it, the outcome or the reason of a refusal. WeCom documents 90240, 94888.
"""

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from engine import clock
from engine.bpm import commands
from engine.bpm.models import ItemState, WorkItem, WorkRound
from engine.connectors.wecom import cards, inbox, planning
from engine.connectors.wecom.facts import Facts
from engine.connectors.wecom.models import WeComAccount, WeComDelivery
from engine.connectors.wecom.planning import AGAIN, CLICKED
from engine.db import Database
from engine.errors import Conflict, EngineError, Unavailable
from engine.org.actor import Actor
from engine.org.queries import actor_for

log = logging.getLogger(__name__)


@inbox.on("template_card_event")
def clicked(db: Database, body: Mapping[str, Any]) -> str:
    """Do what a button says, as the page would, and let the card answer; returns what became of it, in a word.

    Raises Unavailable where the instance is busy: the click is handled once more. A click that comes again is replayed
    by its key, "wecom:" and the ResponseCode.
    """
    code, task_id = _text(body, "ResponseCode"), _text(body, "TaskId")
    with db.reading() as session:
        found = _delivery(session, _text(body, "FromUserName"), task_id)
        actor = None if found is None else _actor(session, found.person_id)
    if found is None or found.item_id is None or not code:
        log.warning("wecom click refused: nothing was sent to this member under task=%r", task_id[:40])
        return "refused: not the recipient"
    if found.id.hex != task_id.lower():
        log.info("wecom click refused: delivery=%s is in place of the card", found.id)
        return "refused: replaced"
    if actor is None:
        log.warning("wecom click refused: person=%s is disabled", found.person_id)
        return "refused: disabled"
    try:
        with db.unit_of_work() as session:
            if _decide(session, actor, found, _text(body, "EventKey"), code):
                _answer(session, found, code, "")
    except Unavailable:
        raise
    except EngineError as refusal:
        log.info("wecom click refused: delivery=%s code=%s", found.id, refusal.code)
        with db.unit_of_work() as session:
            _answer(session, found, code, refusal.message)
        return f"refused: {refusal.code}"
    return "done"


def _delivery(session: Session, userid: str, task_id: str) -> WeComDelivery | None:
    """Return the delivery of a card to the member who clicked, None where it wasn't sent to them.

    A card's task_id is its delivery's id: it may be clicked before its send was noted, or though it never was. Where
    another card is about to be sent in its place, that one's delivery: it will answer, on what is true now.
    """
    try:
        id_ = uuid.UUID(hex=task_id)
    except ValueError:
        return None
    return session.scalar(
        select(WeComDelivery)
        .join(WeComAccount, WeComAccount.person_id == WeComDelivery.person_id)
        .where(WeComAccount.userid_key == userid.lower())
        .where(or_(WeComDelivery.id == id_, and_(WeComDelivery.task_id == id_.hex, WeComDelivery.shown == AGAIN)))
        .where(WeComDelivery.form.in_(("card", "none")))
    )


def _actor(session: Session, person_id: uuid.UUID) -> Actor | None:
    try:
        return actor_for(session, person_id)
    except EngineError:
        return None


def _decide(session: Session, actor: Actor, delivery: WeComDelivery, key: str, code: str) -> bool:
    """Run the command; False where this very click has done so before, and was answered with it."""
    if not key.startswith(cards.OUTCOME) or delivery.item_id is None:
        raise Conflict("这张卡片上的按钮已失效", code="wecom_button")
    outcome = key.removeprefix(cards.OUTCOME)
    _require_figures(session, delivery)
    done = commands.complete(session, actor, delivery.item_id, outcome, key=f"wecom:{code}")
    return not done.replayed


def _require_figures(session: Session, delivery: WeComDelivery) -> None:
    """Refuse a decision on figures that have changed since the card was shown (409), and one before it shows them."""
    item = session.get_one(WorkItem, delivery.item_id)
    if delivery.shown == CLICKED and item.state == ItemState.OPEN:
        raise Conflict("卡片还没有更新，请稍等，看过新的内容再办", code="wecom_figures")
    if not delivery.shown.startswith("open:"):
        return
    step = session.get_one(WorkRound, item.round_id).step_name
    state = Facts(session, item.instance_id).state(item, step)
    if state.startswith("open:") and state != delivery.shown:
        raise Conflict("内容刚刚有更新，请看过新的内容再办", code="wecom_figures")


def _answer(session: Session, delivery: WeComDelivery, code: str, reason: str) -> None:
    """Let the card be brought to the truth with the click's code; `reason` is shown while the item is open."""
    row = session.get_one(WeComDelivery, delivery.id)
    row.response_code, row.code_at = code, clock.now()
    row.form, row.shown, row.reason = "card", CLICKED, reason[:200]
    session.flush()
    if row.instance_id is not None:
        planning.look(session, row.instance_id)


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""
