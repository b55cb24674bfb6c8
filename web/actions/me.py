"""What one does for oneself: notices read, senior mode."""

import uuid

from fastapi import Response

from engine import notices
from engine.errors import EngineError
from engine.org import own
from web.pages.account import account_page
from web.rendering import CARE
from web.session import Page, Posted, Router

router = Router()


@router.post("/notices/read")
def read_all(call: Posted) -> Response:
    """Mark all notices as read."""
    notices.mark_read(call.session, call.actor)
    return call.go("/notices")


@router.post("/notices/{notice_id}/open")
def open_notice(call: Posted, notice_id: uuid.UUID) -> Response:
    """Mark a notice as read and go where it points."""
    notices.mark_read(call.session, call.actor, [notice_id])
    item, instance = call.text("_item"), call.text("_instance")
    if item:
        return call.go(f"/items/{call.id('_item', '事项')}")
    return call.go(f"/instances/{call.id('_instance', '事项')}" if instance else "/notices")


@router.post("/account/care")
def care(call: Posted) -> Response:
    """Switch the senior mode (关怀模式) on or off: larger type, stronger contrast; kept in this browser."""
    answer = call.go("/account")
    on = call.text("care") == "1"
    secure = call.settings.secure_cookie
    answer.set_cookie(CARE, "1" if on else "", max_age=31_536_000 if on else 0, path="/", secure=secure, samesite="lax")
    return answer


@router.post("/account/settings")
def settings(call: Posted) -> Response:
    """Keep one's own settings (本人设置): how the name is read, whether others see the mobile number."""
    typed = own.Own(call.text("reading")[:200], call.text("mobile_hidden") == "1")

    def again(page: Page, error: EngineError) -> Response:
        return account_page(page, typed, error)

    call.or_else(again)
    own.set_own(call.session, call.actor, typed)
    return call.go("/account?done=settings")
