"""Notices (消息)."""

from fastapi import Response

from engine import notices
from web.rendering import fragment, page
from web.session import Router, Visitor

router = Router()


@router.get("/notices")
def list_notices(call: Visitor, cursor: str | None = None) -> Response:
    """Show the viewer's notices, newest first."""
    rows, following = notices.list_notices(call.session, call.actor, cursor)
    if call.htmx and cursor is not None:
        return fragment(call, "part/notices.html", rows=rows, next_cursor=following)
    return page(call, "notices.html", rows=rows, next_cursor=following, title="消息", section="notices")
