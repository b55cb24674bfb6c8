"""Process definitions (流程定义): the list, the versions of one, its diagram, uploading a new version."""

import uuid
from collections.abc import Sequence
from typing import Any

from fastapi import Response

from api.errors import status_of
from api.schemas import Key
from engine.bpm import queries
from engine.bpm.models import ProcessVersion
from engine.bpm.queries import VersionRow
from engine.errors import EngineError, NotFound
from engine.org.actor import ADMIN, DESIGNER
from web import topdown
from web.rendering import page
from web.session import Page, Router, Visitor

router = Router()


@router.get("/definitions")
def list_definitions(call: Visitor) -> Response:
    """Show all processes."""
    return definitions_page(call, None)


def definitions_page(call: Page, error: EngineError | None, *, deployed: ProcessVersion | None = None) -> Response:
    """Return the list of processes, with what was found in an upload: a refused one, or one with warnings."""
    findings: Sequence[Any] = ()
    if error is not None:
        findings = error.fields.get("findings", ())
    elif deployed is not None:
        findings = deployed.findings
    return page(
        call,
        "admin/definitions.html",
        200 if error is None else status_of(error),
        rows=queries.processes(call.session, call.actor),
        may_deploy=call.actor.has(ADMIN, DESIGNER),
        error=error,
        deployed=deployed,
        findings=findings,
        title="流程定义",
        section="definitions",
    )


@router.get("/definitions/{key}")
def versions(call: Visitor, key: Key) -> Response:
    """Show the versions of a process, the diagram and the decision tables of the current one."""
    found = queries.definition_versions(call.session, call.actor, key)
    row = next(r for r in queries.processes(call.session, call.actor) if r.key == key)
    return page(
        call,
        "admin/definition.html",
        process=row,
        versions=found,
        picture=_picture(call, found),
        decisions=[
            file for row in found if row.current for file in queries.version_decisions(call.session, call.actor, row.id)
        ],
        may_deploy=call.actor.has(ADMIN, DESIGNER),
        title=row.name,
        section="definitions",
    )


def _picture(call: Page, versions: Sequence[VersionRow]) -> topdown.Picture | None:
    current = next((row.id for row in versions if row.current), None)
    if current is None:
        return None
    text = queries.version_files(call.session, call.actor, current)["process.bpmn"]
    return topdown.picture(text, walked=(), standing=(), notes={})


@router.get("/definitions/{key}/versions/{version_id}/diagram")
def diagram(call: Visitor, key: Key, version_id: uuid.UUID) -> Response:
    """Send the diagram of a version, for the viewer at the desk."""
    if version_id not in [row.id for row in queries.definition_versions(call.session, call.actor, key)]:
        raise NotFound("没有这个流程版本", code="version_not_found")
    text = queries.version_files(call.session, call.actor, version_id)["process.bpmn"]
    return Response(text.encode(), media_type="application/xml")
