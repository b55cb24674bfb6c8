"""Process definitions (流程定义): check, deploy, versions and what differs between them, suspend."""

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import Depends, File, Form, Path, UploadFile
from pydantic import Field

from api.deps import Call, Router, allowed
from api.schemas import Answer, Body, Key, Text
from api.uploads import process_files
from engine.bpm import definitions, lint, queries
from engine.bpm.queries import VersionRow
from engine.errors import NotFound

router = Router("流程定义")

Reads = Annotated[Call, Depends(allowed("definitions:read"))]
Checks = Annotated[Call, Depends(allowed("definitions:read", reading=True))]
Writes = Annotated[Call, Depends(allowed("definitions:write"))]
Files = Annotated[
    list[UploadFile],
    File(description="一个 ZIP，或逐个文件：process.bpmn、{forms,called,decisions}/ 下的文件（文件名带相对路径）"),
]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="版本号", examples=[3])]


class ProcessOut(Answer):
    """A process in the designers' list; `running` counts instances of all versions."""

    key: str = Field(examples=["leave_request"])
    name: str = Field(examples=["请假"])
    category: str = Field(examples=["行政"])
    version_number: int | None = Field(examples=[3])
    deployed_at: datetime | None
    suspended_at: datetime | None
    running: int = Field(examples=[17])


class ProcessList(Answer):
    """All processes."""

    processes: list[ProcessOut]


class FindingOut(Answer):
    """One thing that the check found: where, what, and what to do."""

    file: str = Field(examples=["process.bpmn"])
    line: int | None = Field(examples=[27])
    element: str | None = Field(examples=["head_review"])
    name: str | None = Field(examples=["科室负责人审批"])
    severity: str = Field(description="error 或 warning", examples=["error"])
    code: str = Field(examples=["default_missing"])
    message: str = Field(examples=["网关没有默认流出线，条件都不成立时流程会停在这里"])
    cure: str = Field(examples=["把其中一条设为默认流出线"])


class CheckOut(Answer):
    """What the check found; it is deployable when there is no error."""

    deployable: bool
    findings: list[FindingOut]


class DeployedOut(Answer):
    """The version that new instances run on from now on."""

    id: uuid.UUID
    key: str = Field(examples=["leave_request"])
    number: int = Field(examples=[4])
    deployed_at: datetime
    note: str = Field(examples=["加人事科一步"])
    fresh: bool = Field(description="false：文件与当前版本相同，没有部署新版本", examples=[True])
    findings: list[FindingOut] = Field(description="检查给出的提醒，它们不妨碍部署；没有部署新版本时为空")


class VersionOut(Answer):
    """A version; `running` counts the instances that are on it."""

    id: uuid.UUID
    number: int = Field(examples=[3])
    deployed_at: datetime
    deployed_by: str | None = Field(examples=["华宇航"])
    note: str = Field(examples=["加人事科一步"])
    current: bool
    running: int = Field(examples=[17])


class VersionList(Answer):
    """The versions of a process, newest first."""

    versions: list[VersionOut]


class FilesOut(Answer):
    """The files of a version, by path."""

    files: dict[str, str] = Field(examples=[{"process.bpmn": "<definitions …/>", "forms/leave.json": "{…}"}])


class ElementOut(Answer):
    """An element of a diagram and what changed of it."""

    id: str = Field(examples=["hr_review"])
    type: str = Field(examples=["userTask"])
    name: str = Field(examples=["人事科审批"])
    what: list[str] = Field(examples=[["name", "settings"]])


class StandingOut(Answer):
    """Running instances that stand on a step; `removed` when the newer version has no such step."""

    version_id: uuid.UUID
    step: str = Field(examples=["head_review"])
    step_name: str = Field(examples=["科室负责人审批"])
    instances: int = Field(examples=[5])
    removed: bool = Field(examples=[False])


class DiffOut(Answer):
    """What differs between two versions, and which running instances it touches."""

    added: list[ElementOut]
    removed: list[ElementOut]
    changed: list[ElementOut]
    files: list[str] = Field(examples=[["process.bpmn"]])
    running: dict[uuid.UUID, int] = Field(examples=[{"0198c0de-c0de-7000-8000-00000000c0de": 17}])
    standing: list[StandingOut]


class SuspendBody(Body):
    """Whether new instances are refused."""

    suspended: bool


class SuspendedOut(Answer):
    """A process and since when it is suspended."""

    key: str = Field(examples=["leave_request"])
    name: str = Field(examples=["请假"])
    suspended_at: datetime | None


@router.get("/definitions", summary="所有流程")
def processes(call: Reads) -> ProcessList:
    """List all processes with their current versions."""
    found = queries.processes(call.session, call.actor)
    return ProcessList(processes=[ProcessOut.model_validate(row) for row in found])


@router.post("/definitions/check", summary="检查流程文件，不部署")
def check(call: Checks, files: Files) -> CheckOut:
    """Run the linter over the files of a process."""
    queries.processes(call.session, call.actor)  # who may see definitions may check one
    texts = definitions.checked_files(process_files(files))
    found = lint.check(texts, known=definitions.organisation(call.session))
    return CheckOut(
        deployable=all(finding.severity != "error" for finding in found),
        findings=[FindingOut.model_validate(finding) for finding in found],
    )


@router.post("/definitions", summary="部署新版本；有错误时 422 列出每一处（findings）", status_code=201)
def deploy(
    call: Writes,
    files: Files,
    note: Annotated[Text, Form(max_length=400, description="版本说明", examples=["加人事科一步"])] = "",
) -> DeployedOut:
    """Check the files and make them the newest version; running instances stay on theirs."""
    return DeployedOut.model_validate(definitions.deploy(call.session, call.actor, process_files(files), note=note))


@router.get("/definitions/{process_key}/versions", summary="一个流程的所有版本")
def versions(call: Reads, process_key: Key) -> VersionList:
    """List the versions of a process."""
    found = queries.definition_versions(call.session, call.actor, process_key)
    return VersionList(versions=[VersionOut.model_validate(row) for row in found])


@router.get("/definitions/{process_key}/versions/{number}/files", summary="一个版本的文件")
def files(call: Reads, process_key: Key, number: Number) -> FilesOut:
    """Show the files of a version."""
    row = _version(call, process_key, number)
    return FilesOut(files=dict(queries.version_files(call.session, call.actor, row.id)))


@router.get("/definitions/{process_key}/versions/{number}/diff/{newer}", summary="两个版本有哪些不同")
def diff(call: Reads, process_key: Key, number: Number, newer: Number) -> DiffOut:
    """Compare two versions by the ids of their elements."""
    old, new = _version(call, process_key, number), _version(call, process_key, newer)
    return DiffOut.model_validate(queries.version_diff(call.session, call.actor, old.id, new.id))


@router.put("/definitions/{process_key}/suspended", summary="停用或启用")
def suspend(call: Writes, process_key: Key, body: SuspendBody) -> SuspendedOut:
    """Stop or allow new instances; running ones go on."""
    found = definitions.suspend(call.session, call.actor, process_key, suspended=body.suspended)
    return SuspendedOut.model_validate(found)


def _version(call: Call, process_key: str, number: int) -> VersionRow:
    for row in queries.definition_versions(call.session, call.actor, process_key):
        if row.number == number:
            return row
    raise NotFound(f"流程“{process_key}”没有第 {number} 版", code="version_not_found")
