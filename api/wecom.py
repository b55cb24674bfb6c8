"""WeCom calls us (回调): no person, no session; whoever has the token signs, and whoever hasn't is refused.

It isn't part of the API that others program against, so the OpenAPI document doesn't have it.
"""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.limits import STRANGERS_LIMIT
from engine.connectors.wecom import callbacks
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.client.crypto import Forged
from engine.connectors.wecom.client.errors import unavailable
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Database

router = APIRouter(include_in_schema=False)

log = logging.getLogger(__name__)

_REFUSED, _UNKNOWN = 403, 404


async def _body(request: Request) -> bytes:
    return await request.body()


@router.get("/wecom/callback")
def check(request: Request) -> Response:
    """Answer WeCom's check of our address, when an administrator saves it: the bare text that it has encrypted."""
    settings = _settings(request)
    if settings is None:
        return Response(status_code=_UNKNOWN)
    try:
        with unavailable():
            text = callbacks.echo(settings, _call(request), request.query_params.get("echostr", ""))
    except Forged as reason:
        return _refused(reason)
    return Response(text, media_type="text/plain")


@router.post("/wecom/callback")
def receive(request: Request, body: Annotated[bytes, Depends(_body)]) -> Response:
    """Keep an event for the worker and answer at once, with nothing; one that is known already likewise."""
    settings = _settings(request)
    if settings is None:
        return Response(status_code=_UNKNOWN)
    try:
        if len(body) > STRANGERS_LIMIT:
            raise Forged("size")
        with unavailable():
            callbacks.receive(request.app.state.db, settings, _call(request), body)
    except Forged as reason:
        return _refused(reason)
    return Response(status_code=200)


def _settings(request: Request) -> WeComSettings | None:
    db: Database = request.app.state.db
    wecom = db.part(WeCom)
    return wecom.settings if wecom is not None and wecom.settings.callbacks else None


def _call(request: Request) -> callbacks.Call:
    query = request.query_params
    return callbacks.Call(query.get("msg_signature", ""), query.get("timestamp", ""), query.get("nonce", ""))


def _refused(reason: Forged) -> Response:
    log.warning("wecom callback refused: reason=%s", reason)
    return Response(status_code=_REFUSED)
