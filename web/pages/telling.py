"""What one wants to be told in WeCom, and when (我的 → 企业微信消息)."""

from collections.abc import Collection

from fastapi import Response

from api.errors import status_of
from engine.connectors.wecom import preferences
from engine.connectors.wecom.preferences import MUTABLE, time_of_day
from engine.errors import EngineError, Invalid
from web.rendering import page
from web.session import Page, Router, Visitor

router = Router()


@router.get("/account/wecom")
def telling(call: Visitor) -> Response:
    """Show the choice, and change it with a form."""
    chosen = preferences.choice(call.session, call.actor)
    times = time_of_day(chosen.quiet_from), time_of_day(chosen.quiet_to)
    return telling_page(call, MUTABLE.keys() - chosen.muted, *times)


def telling_page(
    call: Page, wanted: Collection[str], quiet_from: str, quiet_to: str, error: EngineError | None = None
) -> Response:
    """Return the page with a choice, and with the refusal of one in its place."""
    places = {e["place"]: e["message"] for e in error.errors} if isinstance(error, Invalid) else {}
    return page(
        call,
        "telling.html",
        200 if error is None else status_of(error),
        kinds=MUTABLE,
        wanted=wanted,
        quiet={"quiet_from": quiet_from, "quiet_to": quiet_to},
        wrong=places,
        refusal="" if error is None else error.message,
        reachable=preferences.reachable(call.session, call.actor),
        title="企业微信消息",
        section="account",
    )
