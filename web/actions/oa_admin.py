"""The legacy OAs (旧 OA): testing a connection, first loads, reconciliations, who is who there."""

from fastapi import Response

from engine.connectors.oa import oversight
from engine.errors import EngineError
from web.pages.detail import Typed
from web.pages.oa_admin import OA, connected, oa_page
from web.session import Page, Posted, Router

router = Router()


def _again(page: Page, error: EngineError) -> Response:
    return oa_page(page, Typed(error=error))


@router.post(OA + "/{code}/test")
def test(call: Posted, code: str) -> Response:
    """Ask the OA whether it lets us in (连接测试)."""
    call.or_else(_again)
    found = oversight.test(call.db, call.actor, connected(call, code))
    return oa_page(call, Typed(), {code: found})
