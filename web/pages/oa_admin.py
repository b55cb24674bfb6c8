"""The legacy OAs (旧 OA) for those who look after them: how each is, who has no account there, what was compared."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from api.errors import status_of
from engine.connectors.oa import oversight
from engine.connectors.oa.oversight import Tested
from engine.connectors.oa.sites import Connection, Sites
from engine.errors import NotFound
from engine.org.actor import ADMIN, SYSTEM_ADMIN
from web.pages.admin import tabs
from web.pages.detail import Typed
from web.phrases import OA_KINDS
from web.rendering import page
from web.session import Page, Router, Visitor

router = Router()

OA = "/admin/oa"
_NONE = Sites({}, "")
_TOLD = {
    "pause": "通道已暂停",
    "resume": "已恢复，马上继续投递",
}


@router.get(OA)
def overview(call: Visitor, do: str = "") -> Response:
    """Show how each OA is."""
    return oa_page(call, Typed(dialog=do))


def oa_page(call: Page, typed: Typed, tested: Mapping[str, Tested] | None = None) -> Response:
    """Return the overview, with what was typed in a dialog and refused, and what tests of connections have found.

    Raises Forbidden.
    """
    return page(
        call,
        "admin/oa.html",
        200 if typed.error is None else status_of(typed.error),
        sites=oversight.overview(call.session, call.actor, call.db.part(Sites) or _NONE),
        tested=tested or {},
        typed=typed,
        kinds=OA_KINDS,
        told=_TOLD,
        may_mend=call.actor.has(ADMIN),
        title="旧 OA",
        **frame(call),
    )


def frame(call: Page) -> dict[str, Any]:
    """Return what stands around these pages: the tabs of those who oversee, and who may act."""
    around = tabs(call, "oa") if call.actor.sees_all else {"section": "account"}
    return {**around, "may_act": call.actor.has(SYSTEM_ADMIN)}


def connected(call: Page, code: str) -> Connection:
    """Return a site. Raises NotFound."""
    found = (call.db.part(Sites) or _NONE).get(code)
    if found is None:
        raise NotFound("没有这个旧 OA，可能已被移走", code="oa_not_found")
    return found
