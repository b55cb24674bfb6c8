"""WeCom's contacts (企业微信通讯录): to compare, to bring into step, to say which department is which."""

from fastapi import Response

from engine.connectors.wecom.client.errors import unavailable
from engine.connectors.wecom.contacts import admin, syncing
from engine.errors import EngineError, Invalid
from web.pages.contacts import Shown, contacts_page
from web.session import Page, Posted, Router

router = Router()


def _again(page: Page, error: EngineError) -> Response:
    return contacts_page(page, Shown(error=error))


@router.post("/admin/contacts/compare")
def compare(call: Posted) -> Response:
    """Show what differs, and write nothing."""
    call.or_else(_again)
    with unavailable():
        plan = syncing.look(call.db, call.actor)
    return contacts_page(call, Shown(plan))


@router.post("/admin/contacts/sync")
def sync(call: Posted) -> Response:
    """Write the difference that was looked at."""
    call.or_else(_again)
    confirmed = call.text("confirmed")
    with unavailable():
        syncing.sync(
            call.db,
            call.actor,
            by="page",
            confirmed=int(confirmed) if confirmed.isdecimal() and len(confirmed) < 8 else 0,
            expected=call.text("digest"),
        )
    return call.go("/admin/contacts?done=sync")


@router.post("/admin/contacts/departments")
def map_department(call: Posted) -> Response:
    """Say which department of ours one of WeCom's is (部门对应)."""
    call.or_else(_again)
    number = call.text("wecom_id").strip()
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise Invalid("请填企业微信部门的编号（数字）", code="bad_wecom_department")
    admin.map_department(call.session, call.actor, int(number), call.text("code"))
    return call.go("/admin/contacts?done=map")
