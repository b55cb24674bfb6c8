"""Where an instance stands on its diagram (流程图): SVG from top to bottom, and data for the viewer at the desk."""

import uuid

from fastapi import Response
from starlette.responses import JSONResponse

from engine.bpm import queries
from engine.bpm.queries import Diagram
from web import topdown
from web.pages.detail import names
from web.rendering import AWAITED, due, page, waited
from web.session import Router, Visitor

router = Router()


@router.get("/instances/{instance_id}/diagram")
def diagram(call: Visitor, instance_id: uuid.UUID) -> Response:
    """Show the diagram with the path walked."""
    found = queries.diagram(call.session, call.actor, instance_id)
    notes = _notes(found)
    drawn = topdown.picture(found.xml, walked=found.walked, standing=list(notes), notes=notes)
    return page(call, "diagram.html", picture=drawn, instance_id=instance_id, title="流程图", section="todo")


@router.get("/instances/{instance_id}/diagram.json")
def data(call: Visitor, instance_id: uuid.UUID) -> Response:
    """Send the diagram's file, what was walked, and where the instance waits, for whom or what."""
    found = queries.diagram(call.session, call.actor, instance_id)
    notes = _notes(found)
    return JSONResponse({"xml": found.xml, "walked": found.walked, "open": list(notes), "notes": notes})


def _notes(found: Diagram) -> dict[str, list[str]]:
    """Return the lines under each element where the instance waits: who has it and for how long, or what it waits for.

    What is inside a called process is told at the activities that call it.
    """
    notes: dict[str, list[str]] = {}
    callers = topdown.callers(found.xml)
    for step in found.steps:
        called, _, inside = step.step.rpartition(":")
        lines = [step.step_name] if called and inside else []
        lines += [line for line in (names(step), waited(step.opened_at)) if line]
        for element in callers.get(called, [step.step]):
            notes.setdefault(element, []).extend(lines)
    for what in found.awaited:
        called, _, inside = what.element.rpartition(":")
        line = due(what.due_at) if what.due_at else AWAITED[what.kind]
        for element in callers.get(called, [what.element]):
            notes.setdefault(element, []).append(f"{what.name} {line}" if called and inside else line)
    return notes
