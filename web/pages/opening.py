"""Where a link from outside leads that is the same for everybody: `/open/…` in WeCom's messages."""

import uuid

from fastapi import Response
from starlette.responses import RedirectResponse

from engine.bpm import queries
from web.session import Router, Visitor

router = Router()


@router.get("/open/{instance_id}")
def open_(call: Visitor, instance_id: uuid.UUID) -> Response:
    """Go to what the viewer has to do with an instance: their open item, else the instance, if they may see it."""
    item_id = queries.own_open_item(call.session, call.actor, instance_id)
    return RedirectResponse(f"/instances/{instance_id}" if item_id is None else f"/items/{item_id}", 303)
