"""What process admins mend: incidents."""

import uuid

from fastapi import Response

from engine.bpm import commands
from web.session import Posted, Router

router = Router()


@router.post("/admin/incidents/{incident_id}/retry")
def retry(call: Posted, incident_id: uuid.UUID) -> Response:
    """Try again what an incident stopped (重试)."""
    commands.retry(call.session, call.actor, incident_id)
    return call.go("/admin/incidents?done=retry")


@router.post("/admin/incidents/{incident_id}/dismiss")
def dismiss(call: Posted, incident_id: uuid.UUID) -> Response:
    """Mark an incident as mended (忽略)."""
    commands.dismiss(call.session, call.actor, incident_id)
    return call.go("/admin/incidents?done=dismiss")
