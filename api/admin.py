"""What process admins see and mend (流程监控): instances, incidents, terminate, jump."""

import uuid
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from api.boxes import AwaitedOut, Cursor, HandlingOut, Limit, filters
from api.deps import Call, IdempotencyKey, Router, allowed
from api.instances import ReasonBody
from api.schemas import Answer, Body, Key, Opinion, Text
from api.shown import DoneOut
from engine.bpm import commands, definitions, queries
from engine.bpm.queries import FieldFilter, Filters
from engine.clock import LOCAL
from engine.errors import Invalid

router = Router("流程监控")

Reads = Annotated[Call, Depends(allowed("admin:read"))]
Mends = Annotated[Call, Depends(allowed("admin:write"))]


class InstanceRowOut(Answer):
    """An instance in the admins' list."""

    id: uuid.UUID
    process_key: str = Field(examples=["leave_request"])
    process_name: str = Field(examples=["请假"])
    title: str = Field(examples=["单晓燕的请假申请"])
    summary: str = Field(examples=["病假 3 天"])
    applicant: str = Field(examples=["单晓燕"])
    department: str = Field(examples=["儿科"])
    urgency: int = Field(examples=[0])
    state: str = Field(examples=["running"])
    started_at: datetime
    ended_at: datetime | None
    incident: bool = Field(description="有没有处理的异常", examples=[False])
    now: list[HandlingOut]
    awaited: list[AwaitedOut] = Field(description="没有人在办理时，流程在等什么")


class InstancePage(Answer):
    """A page of instances, newest first."""

    rows: list[InstanceRowOut]
    next_cursor: str | None = Field(examples=["aW5zdGFuY2VzIDAxOTg="])


class IncidentOut(Answer):
    """Something to mend (异常)."""

    id: uuid.UUID
    instance_id: uuid.UUID
    process_key: str = Field(examples=["document_outgoing"])
    process_name: str = Field(examples=["发文"])
    title: str = Field(examples=["关于印发考勤办法的通知"])
    step: str | None = Field(examples=["give_number"])
    kind: str = Field(examples=["job"])
    message: str = Field(examples=["系统步骤没有执行成功：机关代字不可用"])
    retryable: bool = Field(examples=[True])
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None = Field(examples=["燕子青"])
    item_id: uuid.UUID | None = Field(description="找不到办理人时转给管理员的待办，可以换人")


class IncidentPage(Answer):
    """A page of incidents, newest first."""

    rows: list[IncidentOut]
    next_cursor: str | None = Field(examples=["aW5jaWRlbnRzIDAxOTg="])


class JumpBody(Body):
    """From which open step (its `task_id`) to which other one, and why."""

    task_id: int = Field(ge=0, le=2**31 - 1, examples=[7])
    to: Text = Field(max_length=200, examples=["hr_review"])
    reason: Opinion


@router.get("/admin/instances", summary="按状态、流程、时间、文字和字段查找流程实例")
def instances(
    call: Reads,
    narrowed: Annotated[Filters, Depends(filters)],
    field: Annotated[
        list[Text],
        Query(
            max_length=5,
            description="按流程声明的可搜索字段：`字段:eq|ge|le|begins:值`，要同时给出 process",
            examples=["days:ge:3"],
        ),
    ] = [],  # noqa: B006  (FastAPI copies it)
    stuck: Annotated[bool, Query(description="只看有异常的")] = False,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> InstancePage:
    """Search all instances."""
    found = queries.instances(
        call.session,
        call.actor,
        filters=narrowed,
        fields=list(_fields(call, narrowed.process, field)),
        stuck=stuck,
        cursor=cursor,
        limit=limit,
    )
    return InstancePage.model_validate(found)


@router.get("/admin/incidents", summary="异常")
def incidents(
    call: Reads,
    resolved: Annotated[bool, Query(description="看已处理的")] = False,
    process: Annotated[Key | None, Query(description="流程标识")] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> IncidentPage:
    """List incidents."""
    found = queries.incidents(call.session, call.actor, resolved=resolved, process=process, cursor=cursor, limit=limit)
    return IncidentPage.model_validate(found)


@router.post("/admin/incidents/{incident_id}/retry", summary="重试")
def retry(call: Mends, incident_id: uuid.UUID) -> DoneOut:
    """Try again what an incident stopped."""
    return DoneOut.model_validate(commands.retry(call.session, call.actor, incident_id))


@router.post("/admin/incidents/{incident_id}/dismiss", summary="不再重试，标为已处理")
def dismiss(call: Mends, incident_id: uuid.UUID) -> DoneOut:
    """Mark an incident as mended."""
    return DoneOut.model_validate(commands.dismiss(call.session, call.actor, incident_id))


@router.post("/admin/instances/{instance_id}/terminate", summary="终止")
def terminate(call: Mends, instance_id: uuid.UUID, body: ReasonBody, key: IdempotencyKey = None) -> DoneOut:
    """End an instance, with a reason."""
    done = commands.terminate(call.session, call.actor, instance_id, reason=body.reason, key=key)
    return DoneOut.model_validate(done)


@router.post("/admin/instances/{instance_id}/jump", summary="跳转到另一步")
def jump(call: Mends, instance_id: uuid.UUID, body: JumpBody, key: IdempotencyKey = None) -> DoneOut:
    """Move an open step to another one of the same process."""
    done = commands.jump(
        call.session, call.actor, instance_id, task_id=body.task_id, to=body.to, reason=body.reason, key=key
    )
    return DoneOut.model_validate(done)


def _fields(call: Call, process: str | None, texts: list[str]) -> Iterator[FieldFilter]:
    if not texts:
        return
    if process is None:
        raise Invalid("按字段搜索时请先选择流程（process）", code="bad_process")
    kinds = dict(definitions.current(call.session, process).definition.process.searchable)
    for text in texts:
        name, _, rest = text.partition(":")
        operator, _, value = rest.partition(":")
        if name not in kinds:
            known = "、".join(kinds) or "没有"
            raise Invalid(f"流程“{process}”没有可搜索的字段“{name[:40]}”，可选：{known}", code="bad_field")
        yield FieldFilter(name, operator, _value(name, kinds[name], value))


def _value(name: str, kind: str, text: str) -> str | Decimal | datetime:
    try:
        if kind == "number":
            return Decimal(text)
        if kind == "date":
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=LOCAL)
    except (InvalidOperation, ValueError) as error:
        expected = "数字" if kind == "number" else "日期，如 2026-03-02"
        raise Invalid(f"字段“{name}”应为{expected}", code="bad_value") from error
    return text
