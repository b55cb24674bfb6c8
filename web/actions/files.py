"""Attachments (附件): opening what one may see, removing what is not sent yet. Uploads go to the API's address."""

import uuid

from fastapi import Response
from starlette.responses import FileResponse

from api.attachments import opened
from engine import attachments
from web.session import Posted, Router, Visitor

router = Router()


@router.get("/attachments/{attachment_id}")
def open_attachment(call: Visitor, attachment_id: uuid.UUID) -> Response:
    """Send a file: PDF and pictures open in the browser, everything else is saved."""
    attachment, path = opened(call, call.actor, attachment_id)
    headers = attachments.download_headers(attachment)
    del headers["Content-Length"]  # FileResponse knows it, and that of a range
    headers["Content-Security-Policy"] = "default-src 'none'; img-src 'self'; object-src 'self'; frame-ancestors 'none'"
    return FileResponse(path, media_type=headers.pop("Content-Type"), headers=headers)


@router.post("/attachments/{attachment_id}/remove")
def remove(call: Posted, attachment_id: uuid.UUID) -> Response:
    """Remove one's own file that is not part of anything yet."""
    attachments.remove(call.session, call.actor, attachment_id)
    return Response(status_code=204)
