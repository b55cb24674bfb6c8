"""The boxes of a person (信箱): 待办、待阅、已办、我发起的、抄送、草稿."""

import enum
import uuid
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from api.deps import Call, Router, allowed
from api.schemas import Answer, Key, Moment, Text
from engine.bpm import queries
from engine.bpm.models import InstanceState
from engine.bpm.queries import Filters
from engine.connectors.oa.inbound import queries as oa
from engine.connectors.oa.inbound.polling import polled
from engine.connectors.oa.sites import connected
from engine.errors import NotFound

router = Router("信箱")

Cursor = Annotated[
    str | None,
    Query(max_length=200, description="上一页给出的 next_cursor；不填是第一页", examples=["dG9kbyAwMTk4YzA="]),
]
Limit = Annotated[int, Query(ge=1, le=100, description="每页条数", examples=[20])]


class BoxName(enum.StrEnum):
    """The boxes by their addresses."""

    TODO = "todo"
    READ_TODO = "read-todo"
    DONE = "done"
    STARTED = "started"
    COPIED = "copied"
    DRAFTS = "drafts"


class HandlingOut(Answer):
    """A step where an instance now stands; of its handlers the first names, and how many there are."""

    step_name: str = Field(examples=["科室负责人审批"])
    kind: str = Field(examples=["decide"])
    handlers: list[str] = Field(examples=[["欧阳静怡"]])
    total: int = Field(examples=[1])


class AwaitedOut(Answer):
    """What an instance waits for beside its people: a timer with its moment, a message, a signal, or a job."""

    element: str = Field(examples=["leave_begins"])
    name: str = Field(examples=["休假开始"])
    kind: str = Field(description="timer 时间，message 消息，signal 信号，job 系统步骤", examples=["timer"])
    due_at: datetime | None


class BoxRowOut(Answer):
    """A row of a box; what a box doesn't have is null. `id` is that of the item, instance, copy or draft."""

    id: uuid.UUID
    item_id: uuid.UUID | None
    instance_id: uuid.UUID | None
    process_key: str = Field(examples=["leave_request"])
    process_name: str = Field(examples=["请假"])
    step_name: str | None = Field(examples=["科室负责人审批"])
    title: str | None = Field(examples=["单晓燕的请假申请"])
    summary: str | None = Field(examples=["病假 3 天"])
    applicant: str | None = Field(examples=["单晓燕"])
    department: str | None = Field(examples=["儿科"])
    urgency: int | None = Field(description="0 普通，1 平急，2 加急，3 特急", examples=[0])
    kind: str | None = Field(description="decide 审批，fill 填写，read 传阅", examples=["decide"])
    outcome: str | None = Field(examples=["approve"])
    state: str | None = Field(description="流程实例的状态", examples=["running"])
    opened_at: datetime | None
    arrived_at: datetime
    read_at: datetime | None
    unread: bool
    due_at: datetime | None = Field(description="办理期限：这一步最早的定时；待办和待阅才有")
    overdue: bool = Field(description="已逾期", examples=[False])
    sender: str | None = Field(examples=["欧阳静怡"])
    reason: str | None = Field(examples=["请知悉"])
    now: list[HandlingOut]
    awaited: list[AwaitedOut] = Field(description="没有人在办理时，流程在等什么（只在 started）")


class BoxPage(Answer):
    """A page of a box, newest first; `next_cursor` is null on the last one."""

    rows: list[BoxRowOut]
    next_cursor: str | None = Field(examples=["dG9kbyAwMTk4YzA="])


def filters(
    process: Annotated[Key | None, Query(description="流程标识")] = None,
    text: Annotated[Text | None, Query(max_length=50, description="标题里的文字", examples=["请假"])] = None,
    urgency: Annotated[int | None, Query(ge=0, le=3, description="缓急", examples=[2])] = None,
    since: Annotated[Moment | None, Query(description="从这一刻起（含），要写时区")] = None,
    until: Annotated[Moment | None, Query(description="到这一刻止（不含），要写时区")] = None,
    state: Annotated[InstanceState | None, Query(description="流程实例的状态")] = None,
) -> Filters:
    """Read the filters that lists of instances share."""
    return Filters(process, text, urgency, since, until, state)


class OAView(enum.StrEnum):
    """The two lists of the box OA 待办."""

    WAITING = "waiting"
    HANDLED = "handled"


class OAEntryOut(Answer):
    """Something that waits for the viewer in an OA's own process, or that they have handled there.

    `link` is its page there, empty where it has none.
    """

    id: uuid.UUID
    oa: str = Field(description="OA 的名称", examples=["集团 OA"])
    state: str = Field(description="todo 待办，read 待阅，done 已办，finished 办结", examples=["todo"])
    title: str = Field(examples=["关于秋季体检的通知"])
    workflow: str = Field(examples=["发文"])
    node: str = Field(examples=["阅办"])
    sender: str = Field(examples=["王敏"])
    link: str = Field(examples=["https://oa.hospital.example/view?id=1"])
    mobile_link: str = Field(examples=[""])
    received_at: datetime
    handled_at: datetime | None = Field(description="本人办理的时间；待办没有，有的 OA 不说")


class OAEntryPage(Answer):
    """A page of the box OA 待办, the newest first; `next_cursor` is null on the last one."""

    rows: list[OAEntryOut]
    next_cursor: str | None = Field(examples=["b2EgMDAxOThjMA=="])


@router.get("/boxes/oa", summary="OA 自己的待办和已办")
def oa_entries(
    call: Annotated[Call, Depends(allowed("instances:read"))],
    view: Annotated[OAView, Query(description="waiting 待办；handled 近 90 天的已办")] = OAView.WAITING,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> OAEntryPage:
    """List what waits for the viewer in the OAs' own processes, or what they have handled there.

    As the OAs' lists showed it when they were last asked. What was handled stands by `handled_at`, or where the OA
    doesn't tell that by `received_at`.
    """
    sites = connected(call.db)
    if not polled(sites):
        raise NotFound("这里没有接收旧 OA 的待办", code="box_not_found")
    names = {each.site.code: each.site.name for each in sites}
    read = oa.handled if view is OAView.HANDLED else oa.entries
    found = read(call.session, call.actor, cursor, limit=limit)
    rows = [OAEntryOut.model_validate({**asdict(row), "oa": names.get(row.site, row.site)}) for row in found.rows]
    return OAEntryPage(rows=rows, next_cursor=found.next_cursor)


@router.get("/boxes/{box}", summary="信箱的一页")
def page(
    call: Annotated[Call, Depends(allowed("instances:read"))],
    box: BoxName,
    narrowed: Annotated[Filters, Depends(filters)],
    overdue: Annotated[bool, Query(description="只看已逾期的待办或待阅")] = False,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> BoxPage:
    """List one of the viewer's boxes, newest first."""
    name = box.replace("-", "_")
    chosen = replace(narrowed, overdue=overdue)
    found = queries.page(call.session, call.actor, name, filters=chosen, cursor=cursor, limit=limit)
    return BoxPage.model_validate(found)
