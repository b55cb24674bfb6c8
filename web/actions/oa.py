"""What is sent from the pages around an OA's list."""

import uuid

from fastapi import Response

from engine.connectors.oa.entry import passing
from engine.connectors.oa.sites import connected
from web.pages.oa import key_of, let_in, refused_page
from web.session import Posted, Router

router = Router()


@router.post("/oa/{code}/{item_id}")
def change_over(call: Posted, code: str, item_id: uuid.UUID) -> Response:
    """Log in as whom an OA's link was for, in place of who is logged in; they have said so on our page."""
    now = call.actor, call.csrf
    call.request.state.refused = lambda error: refused_page(call.request, error, code, item_id, now)
    connection = connected(call.db).named(code)
    given = {name: call.text(name)[:200] for name in ("person", "account", "offer")}
    passed = passing.accept(call.session, connection, key_of(call), call.csrf, item_id, given)
    return let_in(call, call.session, connection, passed, item_id)
