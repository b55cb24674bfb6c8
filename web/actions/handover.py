"""Handing over (交接) what people who have left leave behind."""

import uuid

from fastapi import Response

from engine.bpm import commands
from engine.errors import EngineError
from web.actions.items import person
from web.pages.detail import Typed
from web.pages.handover import left_page
from web.session import Page, Posted, Router

router = Router()


@router.post("/admin/handover/{person_id}")
def hand_over(call: Posted, person_id: uuid.UUID) -> Response:
    """Hand the chosen items to one person, and show what became of each."""
    chosen = [text for text in call.fields.getlist("items") if isinstance(text, str)]
    fields = {name: call.text(name) for name in ("to:text", "reason")} | {"items": " ".join(chosen)}

    def again(page: Page, error: EngineError) -> Response:
        return left_page(page, person_id, Typed(dialog="handover", fields=fields, error=error), {})

    call.or_else(again)
    to, items = person(call, "to"), call.ids("items", "要交接的事项")
    call.session.rollback()  # it has only read, and each item has a transaction of its own: SQLite takes one at a time
    done = commands.hand_over(call.db, call.actor, items, to=to, reason=call.text("reason"), key=call.key)
    return left_page(call, person_id, Typed(), {row.item_id: row.refusal for row in done})
