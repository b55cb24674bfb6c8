"""What process admins mend: incidents, channels and dead letters of the outbox."""

import uuid
from collections.abc import Callable

from fastapi import Response

from engine import outbox
from engine.bpm import commands
from engine.errors import NotFound
from web.pages.admin import outbox_page
from web.pages.detail import Typed
from web.pages.oa_admin import OA, oa_page
from web.session import Page, Post, Posted, Router

router = Router()


@router.post("/admin/incidents/{incident_id}/retry")
def retry(call: Posted, incident_id: uuid.UUID) -> Response:
    """Try again what an incident stopped (重试)."""
    commands.retry(call.session, call.actor, incident_id)
    return call.go("/admin/incidents?done=retry")


@router.post("/admin/incidents/{incident_id}/dismiss")
def dismiss(call: Posted, incident_id: uuid.UUID) -> Response:
    """Mark an incident as mended (忽略)."""
    commands.dismiss(call.session, call.actor, incident_id)
    return call.go("/admin/incidents?done=dismiss")


@router.post("/admin/channels/{system}/pause")
def pause(call: Posted, system: str) -> Response:
    """Let a channel deliver nothing for a while (暂停)."""
    reason, (path, shown) = call.text("reason"), _page(call)
    call.or_else(
        lambda page, error: shown(page, Typed(dialog=f"pause-{system}", fields={"reason": reason}, error=error))
    )
    outbox.pause(call.session, call.actor, system, reason)
    return call.go(f"{path}?done=pause")


@router.post("/admin/channels/{system}/resume")
def resume(call: Posted, system: str) -> Response:
    """Let a channel go on, or try at once (恢复)."""
    outbox.resume(call.session, call.actor, system)
    return call.go(f"{_page(call)[0]}?done=resume")


def _page(call: Post) -> tuple[str, Callable[[Page, Typed], Response]]:
    """Return the page on which a channel stood, and what shows it."""
    return (OA, oa_page) if call.text("_from") == OA else ("/admin/outbox", outbox_page)


@router.post("/admin/outbox/requeue")
def requeue_all(call: Posted) -> Response:
    """Deliver again what failed for one reason (全部重新投递)."""
    # browsers send the ends of lines as two characters
    what = {name: call.text(name).replace("\r\n", "\n") for name in ("system", "topic", "reason")}
    count = commands.requeue_all(call.session, call.actor, **what)
    return call.go(f"/admin/outbox?done=requeue&count={count}")


@router.post("/admin/outbox/{letter_id}/requeue")
def requeue(call: Posted, letter_id: int) -> Response:
    """Deliver one dead letter again (重新投递)."""
    if not 0 < letter_id < 2**63:
        raise NotFound("没有这条投递记录", code="outbox_not_found")
    commands.requeue(call.session, call.actor, letter_id)
    return call.go("/admin/outbox?done=requeue&count=1")
