"""Choosing what one wants to be told in WeCom."""

from fastapi import Response

from engine.connectors.wecom import preferences
from engine.connectors.wecom.preferences import MUTABLE, minutes
from web.pages.telling import telling_page
from web.session import Posted, Router

router = Router()


@router.post("/account/wecom")
def choose(call: Posted) -> Response:
    """Keep the choice: a kind that isn't ticked is switched off."""
    wanted = {kind for kind in MUTABLE if call.text(f"want_{kind}")}
    begin, end = call.text("quiet_from"), call.text("quiet_to")
    call.or_else(lambda page, error: telling_page(page, wanted, begin, end, error))
    preferences.choose(
        call.session,
        call.actor,
        muted=MUTABLE.keys() - wanted,
        quiet_from=minutes(begin, "quiet_from"),
        quiet_to=minutes(end, "quiet_to"),
    )
    return call.go("/account/wecom?done=saved")
