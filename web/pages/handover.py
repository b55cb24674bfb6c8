"""What people who have left leave behind (待交接): who, what, and what became of a handover."""

import uuid
from collections.abc import Mapping

from fastapi import Response

from api.errors import status_of
from engine.bpm import queries
from engine.errors import NotFound
from engine.org.actor import ADMIN
from web.pages.admin import tabs
from web.pages.detail import Typed
from web.rendering import page
from web.session import Page, Router, Visitor

router = Router()


@router.get("/admin/handover")
def leavers(call: Visitor) -> Response:
    """Show who has left something behind."""
    found = queries.leavers(call.session, call.actor)
    return page(call, "admin/handover.html", rows=found, **tabs(call, "handover"), title="待交接")


@router.get("/admin/handover/{person_id}")
def left(call: Visitor, person_id: uuid.UUID) -> Response:
    """Show what one person has left behind."""
    return left_page(call, person_id, Typed(), {})


def left_page(call: Page, person_id: uuid.UUID, typed: Typed, results: Mapping[uuid.UUID, str]) -> Response:
    """Return the page of one person; `results` are refusals by item, empty for what was handed over.

    Raises Forbidden, NotFound where nothing is left and nothing was just handed over.
    """
    leaver = next((row for row in queries.leavers(call.session, call.actor) if row.person_id == person_id), None)
    if leaver is None and not results:
        raise NotFound("这个人没有要交接的事项，可能已经交接完", code="nothing_left")
    return page(
        call,
        "admin/left.html",
        200 if typed.error is None else status_of(typed.error),
        leaver=leaver,
        person_id=person_id,
        items=queries.left_items(call.session, call.actor, person_id),
        results=results,
        handed=sum(not refusal for refusal in results.values()),
        typed=typed,
        chosen=typed.fields.get("items", "").split(),
        may_mend=call.actor.has(ADMIN),
        kinds={"decide": "待办", "fill": "待办", "read": "待阅"},
        waiting={"standby": "他人已签收", "queued": "未轮到"},
        **tabs(call, "handover"),
        title="待交接",
    )
