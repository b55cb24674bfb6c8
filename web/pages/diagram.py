"""Where an instance stands on its diagram (流程图): SVG from top to bottom, and data for the viewer at the desk."""

import uuid

from fastapi import Response
from starlette.responses import JSONResponse

from engine.bpm import queries
from web import topdown
from web.rendering import elapsed, page, span
from web.session import Page, Router, Visitor

router = Router()


@router.get("/instances/{instance_id}/diagram")
def diagram(call: Visitor, instance_id: uuid.UUID) -> Response:
    """Show the diagram with the path walked."""
    found = queries.diagram(call.session, call.actor, instance_id)
    notes = _notes(call, instance_id)
    drawn = topdown.picture(found.xml, walked=found.walked, standing=found.open, notes=notes)
    return page(call, "diagram.html", picture=drawn, instance_id=instance_id, title="流程图", section="todo")


@router.get("/instances/{instance_id}/diagram.json")
def data(call: Visitor, instance_id: uuid.UUID) -> Response:
    """Send the diagram's file, what was walked, and who has the open steps."""
    found = queries.diagram(call.session, call.actor, instance_id)
    notes = _notes(call, instance_id)
    return JSONResponse({"xml": found.xml, "walked": found.walked, "open": found.open, "notes": notes})


def _notes(call: Page, instance_id: uuid.UUID) -> dict[str, list[str]]:
    """Return the lines under each open step: who has it, for how long."""
    notes: dict[str, list[str]] = {}
    for step in queries.timeline(call.session, call.actor, instance_id).open:
        names = [person.name for person in step.waiting]
        who = "、".join(names[:1]) + (f" 等 {step.total} 人" if step.total > 1 else "")
        if step.kind == "read":
            who = f"已阅 {step.done}/{step.total}"
        notes[step.step] = [line for line in (who, span(elapsed(step.opened_at))) if line]
    return notes
