"""The outbox as process admins see and mend it (投递): channels (通道), what waits, what was given up (投递失败)."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, Path, Query
from pydantic import Field

from api.boxes import Cursor, Limit
from api.deps import Call, Router, allowed
from api.schemas import Answer, Body, Text
from engine import outbox
from engine.bpm import commands, queries
from engine.outbox import MAX_REASON

router = Router("流程监控")

Reads = Annotated[Call, Depends(allowed("admin:read"))]
Mends = Annotated[Call, Depends(allowed("admin:write"))]

_SYSTEM = (
    "由谁办：job 系统步骤，event 消息和信号，settle 传阅收尾，notice 站内通知，callback 企业微信里的点击，"
    "wecom 企业微信，joining 验证码"
)
_EXAMPLE_REASON = "AssertionError (bpm/handlers.py:33)"


class DepthOut(Answer):
    """What waits for one system."""

    system: str = Field(description=_SYSTEM, examples=["notice"])
    pending: int = Field(description="还没有投递的", examples=[3])
    oldest: datetime = Field(description="其中最早一条写下的时刻")
    failing: int = Field(description="其中失败过、等着再试的", examples=[1])


class ReasonOut(Answer):
    """Dead letters that failed alike."""

    system: str = Field(description=_SYSTEM, examples=["notice"])
    topic: str = Field(examples=["items"])
    reason: str = Field(examples=[_EXAMPLE_REASON])
    count: int = Field(examples=[12])
    first: datetime = Field(description="最早一条写下的时刻")
    last: datetime = Field(description="最近一条写下的时刻")


class ChannelOut(Answer):
    """How a channel (通道) to an outside system is."""

    system: str = Field(examples=["wecom"])
    state: Literal["open", "paused", "down"] = Field(description="open 正常，paused 已暂停，down 中断")
    reason: str = Field(description="为什么暂停或中断", examples=["应用密钥不正确"])
    paused_at: datetime | None
    down_until: datetime | None = Field(description="中断时：什么时候再试一条")
    pending: int = Field(description="还没有投递的", examples=[3])
    oldest: datetime | None = Field(description="其中最早一条写下的时刻")
    sent: int = Field(description="一共投递了多少", examples=[4711])
    failed: int = Field(description="一共失败过多少次", examples=[12])


class ChannelIncidentOut(Answer):
    """A time in which a channel delivered nothing."""

    id: int = Field(examples=[7])
    system: str = Field(examples=["wecom"])
    kind: Literal["paused", "down"] = Field(description="paused 已暂停，down 通道中断")
    reason: str = Field(examples=["对方没有回答"])
    raised_at: datetime
    raised_by: str | None = Field(description="谁暂停的；空是自动", examples=["某某"])
    resolved_at: datetime | None
    resolved_by: str | None = Field(description="谁恢复的；空是自动", examples=["某某"])


class PauseBody(Body):
    """Why a channel is paused."""

    reason: Text = Field(min_length=1, max_length=MAX_REASON, examples=["企业微信今晚维护"])


class OutboxOut(Answer):
    """How the channels are, what waits, and what was given up; what an incident stands for is not in it."""

    channels: list[ChannelOut]
    channel_incidents: list[ChannelIncidentOut] = Field(description="最近的通道异常，未恢复的在前，最多 20 条")
    waiting: list[DepthOut]
    given_up: list[ReasonOut]


class LetterOut(Answer):
    """A dead letter (投递失败)."""

    id: int = Field(examples=[4711])
    system: str = Field(description=_SYSTEM, examples=["notice"])
    topic: str = Field(examples=["items"])
    reason: str = Field(examples=[_EXAMPLE_REASON])
    attempts: int = Field(examples=[8])
    created_at: datetime
    given_up_at: datetime
    instance_id: uuid.UUID | None
    title: str | None = Field(examples=["单晓燕的请假申请"])


class LetterPage(Answer):
    """A page of dead letters, newest first."""

    rows: list[LetterOut]
    next_cursor: str | None = Field(examples=["bGV0dGVycyA0NzEx"])


class AlikeBody(Body):
    """Which dead letters: those of a system and topic that failed for one reason."""

    system: Text = Field(max_length=20, examples=["notice"])
    topic: Text = Field(max_length=40, examples=["items"])
    reason: Text = Field(max_length=400, examples=[_EXAMPLE_REASON])


class Requeued(Answer):
    """How many are delivered again."""

    count: int = Field(examples=[12])


ChannelName = Annotated[str, Path(max_length=20, examples=["wecom"])]
System = Annotated[Text | None, Query(max_length=20, description=_SYSTEM)]
Topic = Annotated[Text | None, Query(max_length=40, description="做什么，如 items、thrown")]
ReasonText = Annotated[Text | None, Query(max_length=400, description="失败原因，逐字相同")]


@router.get("/admin/outbox", summary="投递：积压和失败的概况")
def overview(call: Reads) -> OutboxOut:
    """Show how the channels are, what waits and what was given up."""
    return OutboxOut(
        channels=[ChannelOut.model_validate(row) for row in queries.channels(call.session, call.actor)],
        channel_incidents=[
            ChannelIncidentOut.model_validate(row) for row in queries.channel_incidents(call.session, call.actor)
        ],
        waiting=[DepthOut.model_validate(row) for row in queries.backlog(call.session, call.actor)],
        given_up=[ReasonOut.model_validate(row) for row in queries.reasons(call.session, call.actor)],
    )


@router.post("/admin/channels/{system}/pause", summary="暂停一个通道", status_code=204)
def pause(call: Mends, system: ChannelName, body: PauseBody) -> None:
    """Let a channel deliver nothing until it is resumed."""
    outbox.pause(call.session, call.actor, system, body.reason)


@router.post("/admin/channels/{system}/resume", summary="恢复一个通道；中断的立即再试一条", status_code=204)
def resume(call: Mends, system: ChannelName) -> None:
    """Let a channel go on, or try at once."""
    outbox.resume(call.session, call.actor, system)


@router.get("/admin/dead-letters", summary="投递失败，逐条")
def letters(
    call: Reads,
    system: System = None,
    topic: Topic = None,
    reason: ReasonText = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> LetterPage:
    """List dead letters."""
    found = queries.letters(
        call.session, call.actor, system=system, topic=topic, reason=reason, cursor=cursor, limit=limit
    )
    return LetterPage.model_validate(found)


@router.post("/admin/dead-letters/requeue", summary="同一原因的投递失败全部重新投递，一次最多 200 条")
def requeue_all(call: Mends, body: AlikeBody) -> Requeued:
    """Deliver again what failed alike."""
    count = commands.requeue_all(call.session, call.actor, system=body.system, topic=body.topic, reason=body.reason)
    return Requeued(count=count)


@router.post("/admin/dead-letters/{letter_id}/requeue", summary="重新投递一条")
def requeue(call: Mends, letter_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Requeued:
    """Deliver a dead letter again."""
    commands.requeue(call.session, call.actor, letter_id)
    return Requeued(count=1)
