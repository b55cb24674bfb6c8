"""What people who have left leave behind (待交接), and whom it is handed to."""

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from pydantic import Field

from api.deps import Call, IdempotencyKey, Router, allowed
from api.schemas import Answer, Body, Ids, Opinion
from engine.bpm import commands, queries

router = Router("流程监控")

Reads = Annotated[Call, Depends(allowed("admin:read"))]
Mends = Annotated[Call, Depends(allowed("admin:write"))]


class LeaverOut(Answer):
    """A disabled person whom open items wait for."""

    person_id: uuid.UUID
    staff_number: str = Field(examples=["10027"])
    name: str = Field(examples=["单晓燕"])
    department: str = Field(examples=["儿科"])
    since: datetime = Field(description="何时停用")
    count: int = Field(description="待办、待阅、候选和排队的件数", examples=[4])
    oldest: datetime = Field(description="最早一件的到达时间")


class LeaversOut(Answer):
    """Who has left something behind, the last disabled first; at most 200."""

    people: list[LeaverOut]


class LeftItemOut(Answer):
    """An item that a disabled person has left behind."""

    id: uuid.UUID
    instance_id: uuid.UUID
    title: str = Field(examples=["单晓燕的请假申请"])
    process_name: str = Field(examples=["请假"])
    step_name: str = Field(examples=["科室负责人审批"])
    kind: str = Field(description="decide 审批，fill 填写，read 传阅", examples=["decide"])
    state: str = Field(description="open、standby 他人已签收、queued 未轮到", examples=["open"])
    urgency: int = Field(examples=[0])
    opened_at: datetime


class LeftOut(Answer):
    """What one person has left behind, the most urgent first; at most 200."""

    items: list[LeftItemOut]


class HandOverBody(Body):
    """To whom, and why; without `items` everything that is left, at most 200 at once."""

    to: uuid.UUID
    reason: Opinion
    items: Ids | None = None


class HandedOut(Answer):
    """What became of one item; `refusal` is empty where it was handed over."""

    item_id: uuid.UUID
    refusal: str = Field(examples=[""])


class HandOverOut(Answer):
    """What became of each item."""

    results: list[HandedOut]


@router.get("/admin/handover", summary="待交接：停用人员还没办的事项")
def leavers(call: Reads) -> LeaversOut:
    """List who has left something behind."""
    found = queries.leavers(call.session, call.actor)
    return LeaversOut(people=[LeaverOut.model_validate(row) for row in found])


@router.get("/admin/handover/{person_id}", summary="一位停用人员还没办的事项")
def left(call: Reads, person_id: uuid.UUID) -> LeftOut:
    """List what somebody has left behind."""
    found = queries.left_items(call.session, call.actor, person_id)
    return LeftOut(items=[LeftItemOut.model_validate(row) for row in found])


@router.post("/admin/handover/{person_id}", summary="交接给一个人，逐件返回结果")
def hand_over(call: Mends, person_id: uuid.UUID, body: HandOverBody, key: IdempotencyKey = None) -> HandOverOut:
    """Hand over what somebody has left behind: all, or some."""
    with call.db.reading() as session:
        mine = [row.id for row in queries.left_items(session, call.actor, person_id)]
    items = mine if body.items is None else body.items
    done = commands.hand_over(call.db, call.actor, items, to=body.to, reason=body.reason, key=key)
    return HandOverOut(results=[HandedOut.model_validate(row) for row in done])
