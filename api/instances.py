"""Instances (流程实例): what they show, and what their people can do with them as a whole."""

import uuid
from typing import Annotated

from fastapi import Depends
from pydantic import Field

from api.boxes import AwaitedOut
from api.deps import Call, IdempotencyKey, Router, allowed
from api.schemas import Answer, Body, Ids, Opinion
from api.shown import DoneOut, InstanceOut, TimelineOut, parts
from engine.bpm import commands, queries

router = Router("流程实例")

Reads = Annotated[Call, Depends(allowed("instances:read"))]
Acts = Annotated[Call, Depends(allowed("instances:act"))]


class DiagramOut(Answer):
    """The diagram with where it stands: ids walked in order, open steps, and who handles them."""

    xml: str = Field(examples=["<definitions …/>"])
    called: dict[str, str] = Field(examples=[{"called/price.bpmn": "<definitions …/>"}])
    walked: list[str] = Field(examples=[["start", "apply", "head_review"]])
    open: list[str] = Field(examples=[["head_review"]])
    handlers: dict[str, list[str]] = Field(examples=[{"head_review": ["欧阳静怡"]}])
    awaited: list[AwaitedOut] = Field(description="除了人，流程还在等什么")


class CommentBody(Body):
    """A comment (评论)."""

    text: Opinion


class UrgeBody(Body):
    """What the reminder says (催办); it has words of its own where this is empty."""

    text: Opinion = ""


class CopyBody(Body):
    """To whom (抄送), and why."""

    to: Ids
    reason: Opinion = ""


class ReasonBody(Body):
    """Why."""

    reason: Opinion


@router.get("/instances/{instance_id}", summary="流程实例：按权限看到的表单、意见、办理过程、附件")
def detail(call: Reads, instance_id: uuid.UUID) -> InstanceOut:
    """Show an instance."""
    return InstanceOut(**parts(call, queries.instance_detail(call.session, call.actor, instance_id)))


@router.get("/instances/{instance_id}/timeline", summary="办理过程")
def timeline(call: Reads, instance_id: uuid.UUID) -> TimelineOut:
    """Show the trail."""
    return TimelineOut.model_validate(queries.timeline(call.session, call.actor, instance_id))


@router.get("/instances/{instance_id}/diagram", summary="流程图和走到哪里")
def diagram(call: Reads, instance_id: uuid.UUID) -> DiagramOut:
    """Show the diagram with its state."""
    return DiagramOut.model_validate(queries.diagram(call.session, call.actor, instance_id))


@router.post("/instances/{instance_id}/comments", summary="评论", status_code=201)
def comment(call: Acts, instance_id: uuid.UUID, body: CommentBody, key: IdempotencyKey = None) -> DoneOut:
    """Add a comment."""
    return DoneOut.model_validate(commands.comment(call.session, call.actor, instance_id, text=body.text, key=key))


@router.post("/instances/{instance_id}/urge", summary="催办，一小时一次")
def urge(call: Acts, instance_id: uuid.UUID, body: UrgeBody, key: IdempotencyKey = None) -> DoneOut:
    """Remind whoever holds it."""
    return DoneOut.model_validate(commands.urge(call.session, call.actor, instance_id, text=body.text, key=key))


@router.post("/instances/{instance_id}/copies", summary="抄送", status_code=201)
def copy(call: Acts, instance_id: uuid.UUID, body: CopyBody, key: IdempotencyKey = None) -> DoneOut:
    """Copy it to people."""
    done = commands.copy(call.session, call.actor, instance_id, to=body.to, reason=body.reason, key=key)
    return DoneOut.model_validate(done)


@router.post("/instances/{instance_id}/withdraw", summary="撤销自己发起的流程")
def withdraw(call: Acts, instance_id: uuid.UUID, body: ReasonBody, key: IdempotencyKey = None) -> DoneOut:
    """End one's own instance."""
    return DoneOut.model_validate(commands.withdraw(call.session, call.actor, instance_id, reason=body.reason, key=key))


@router.post("/instances/{instance_id}/opened", summary="记下抄送第一次打开的时间", status_code=204)
def opened(call: Acts, instance_id: uuid.UUID) -> None:
    """Note that the caller has opened their copy; anybody else's visit changes nothing."""
    commands.mark_opened(call.session, call.actor, instance_id=instance_id)
