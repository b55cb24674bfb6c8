"""Attachments (附件): opening what one may see, removing what is not sent yet. Uploads go to the API's address."""

import uuid

from fastapi import Response
from starlette.responses import FileResponse, JSONResponse

from api.attachments import opened
from api.deps import Visit
from engine import attachments
from engine.attachments import links
from engine.crypto import Keys
from engine.errors import Forbidden, NotFound
from engine.org.actor import Actor
from engine.org.identity import actor_for
from web.session import Anybody, Posted, Router, Visitor

router = Router()


@router.get("/attachments/{attachment_id}")
def open_attachment(call: Visitor, attachment_id: uuid.UUID) -> Response:
    """Send a file: PDF and pictures open in the browser, everything else is saved."""
    return _sent(call, call.actor, attachment_id)


@router.get("/attachments/{attachment_id}/link")
def link(call: Visitor, attachment_id: uuid.UUID) -> Response:
    """Make a link that opens the file for the viewer, without a cookie, for five minutes."""
    attachment, _ = opened(call, call.actor, attachment_id)
    token = links.sign(_key(call), attachment_id, call.actor.person_id)
    url = f"/attachments/{attachment_id}/linked?token={token}"
    return JSONResponse({"url": url, "name": attachment.name, "size": attachment.size})


@router.get("/attachments/{attachment_id}/linked")
def open_linked(call: Anybody, attachment_id: uuid.UUID, token: str = "") -> Response:  # nosec B107
    """Send a file to who has a link for it, as the one for whom it was made."""
    person_id = links.holder(_key(call), attachment_id, token)
    try:
        actor = actor_for(call.session, person_id)
    except NotFound:
        raise Forbidden("这个文件链接已失效，请回到页面重新打开附件", code="attachment_link") from None
    return _sent(call, actor, attachment_id)


def _key(call: Visit) -> bytes:
    return Keys.load(call.settings).key(links.PURPOSE)


def _sent(call: Visit, actor: Actor, attachment_id: uuid.UUID) -> Response:
    attachment, path = opened(call, actor, attachment_id)
    headers = attachments.download_headers(attachment)
    del headers["Content-Length"]  # FileResponse knows it, and that of a range
    headers["Content-Security-Policy"] = "default-src 'none'; img-src 'self'; object-src 'self'; frame-ancestors 'none'"
    return FileResponse(path, media_type=headers.pop("Content-Type"), headers=headers)


@router.post("/attachments/{attachment_id}/remove")
def remove(call: Posted, attachment_id: uuid.UUID) -> Response:
    """Remove one's own file that is not part of anything yet."""
    attachments.remove(call.session, call.actor, attachment_id)
    return Response(status_code=204)
