"""Work items (待办事项): what they show, and everything that can be done with them."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Depends
from pydantic import Field

from api.deps import Call, IdempotencyKey, Router, allowed
from api.schemas import Answer, Body, FormData, Ids, Opinion, Text
from api.shown import DoneOut, InstanceOut, parts
from engine.bpm import commands, queries

router = Router("待办事项")

Reads = Annotated[Call, Depends(allowed("instances:read"))]
Acts = Annotated[Call, Depends(allowed("work-items:act"))]


class PolicyOut(Answer):
    """How the round decides (办理方式)."""

    policy: str = Field(
        description="any 或签，all 会签，in_turn 依次，share 比例，at_least 人数，expression 算式，none 不等待",
        examples=["any"],
    )
    value: int = Field(description="share 的百分比，at_least 的人数", examples=[0])
    veto: bool = Field(description="一票否决", examples=[False])


class ItemOut(Answer):
    """The work item: whose it is, and why theirs (为什么是我)."""

    id: uuid.UUID
    assignee_id: uuid.UUID
    assignee: str = Field(examples=["欧阳静怡"])
    state: str = Field(description="open、standby、queued、done、closed、reassigned、cancelled", examples=["open"])
    kind: str = Field(examples=["decide"])
    why: str = Field(examples=["您是儿科的负责人"])
    origin: str = Field(description="assigned 分派，reassigned 转办，circulated 续传", examples=["assigned"])
    claimed: bool = Field(examples=[False])
    outcome: str | None = Field(examples=["approve"])
    opinion: str = Field(examples=[""])
    opened_at: datetime
    read_at: datetime | None
    due_at: datetime | None = Field(description="办理期限：这一步打开时最早的定时")
    overdue: bool = Field(description="还没有办理，已逾期", examples=[False])
    closed_at: datetime | None
    round_id: uuid.UUID
    task_id: int = Field(examples=[7])
    step: str = Field(examples=["head_review"])
    step_name: str = Field(examples=["科室负责人审批"])
    policy: PolicyOut


class DraftOut(Answer):
    """What the viewer has typed and not sent (暂存)."""

    id: uuid.UUID
    content: dict[str, Any] = Field(examples=[{"data": {"reason": "发热"}, "opinion": "", "outcome": None}])
    updated_at: datetime


class WorkItemOut(InstanceOut):
    """A work item with its instance. `late` says why its assignee can't handle it (any more)."""

    item: ItemOut
    draft: DraftOut | None
    late: str | None = Field(examples=["已由任丽华于 03-02 10:15 同意，无需再办理"])


class CompleteBody(Body):
    """The outcome (办理结果), with opinion and form."""

    outcome: Text = Field(max_length=40, examples=["approve"])
    opinion: Opinion = ""
    data: FormData = Field(default_factory=dict)
    version: int | None = Field(
        None, ge=0, le=2**31 - 1, description="看到的 head.revision；填了就防止覆盖别人刚做的修改", examples=[2]
    )


class OpinionBody(Body):
    """An opinion, which may be empty."""

    opinion: Opinion = ""


class ReturnBody(Body):
    """Where to return to (退回), why, and how it goes on from there."""

    to: Text = Field(
        "previous", max_length=200, description="initiator 发起人，previous 上一步，或步骤标识", examples=["previous"]
    )
    mode: Literal["rewalk", "jump"] | None = Field(
        None, description="rewalk 重走流程，jump 办完直接回到这里；不填按步骤的规定，步骤没有规定的重走"
    )
    opinion: Opinion


class ReassignBody(Body):
    """To whom (转办), and why."""

    to: uuid.UUID
    reason: Opinion


class CirculateBody(Body):
    """Further readers (续传)."""

    to: Ids
    reason: Opinion = ""


class DraftBody(Body):
    """What was typed so far."""

    data: FormData = Field(default_factory=dict)
    opinion: Opinion = ""
    outcome: Text | None = Field(None, max_length=40, examples=["approve"])


class DraftKept(Answer):
    """The id of the draft."""

    id: uuid.UUID


class ReadOut(Answer):
    """`first` is false where it had been acknowledged before."""

    first: bool = Field(examples=[True])


@router.get("/work-items/{item_id}", summary="待办事项：表单、权限、可选结果、为什么是我、办理过程、附件")
def detail(call: Reads, item_id: uuid.UUID) -> WorkItemOut:
    """Show a work item with its instance."""
    found = queries.work_item_detail(call.session, call.actor, item_id)
    return WorkItemOut(
        item=ItemOut.model_validate(found.item),
        draft=None if found.draft is None else DraftOut.model_validate(found.draft),
        late=found.late,
        **parts(call, found),
    )


@router.post("/work-items/{item_id}/complete", summary="办理：同意、不同意，或这一步的任何结果")
def complete(call: Acts, item_id: uuid.UUID, body: CompleteBody, key: IdempotencyKey = None) -> DoneOut:
    """Complete a work item with an outcome."""
    done = commands.complete(
        call.session,
        call.actor,
        item_id,
        body.outcome,
        opinion=body.opinion,
        data=body.data,
        version=body.version,
        key=key,
    )
    return DoneOut.model_validate(done)


@router.post("/work-items/{item_id}/acknowledge", summary="已阅")
def acknowledge(call: Acts, item_id: uuid.UUID, body: OpinionBody, key: IdempotencyKey = None) -> ReadOut:
    """Acknowledge a read item; doing it twice is no mistake."""
    return ReadOut(first=commands.acknowledge(call.session, call.actor, item_id, opinion=body.opinion, key=key))


@router.post("/work-items/{item_id}/return", summary="退回")
def send_back(call: Acts, item_id: uuid.UUID, body: ReturnBody, key: IdempotencyKey = None) -> DoneOut:
    """Return to an earlier step."""
    done = commands.send_back(
        call.session, call.actor, item_id, to=body.to, mode=body.mode, opinion=body.opinion, key=key
    )
    return DoneOut.model_validate(done)


@router.post("/work-items/{item_id}/take-back", summary="撤回自己的办理")
def take_back(call: Acts, item_id: uuid.UUID, key: IdempotencyKey = None) -> DoneOut:
    """Take back one's own decision while nobody has acted on it."""
    return DoneOut.model_validate(commands.take_back(call.session, call.actor, item_id, key=key))


@router.post("/work-items/{item_id}/claim", summary="签收")
def claim(call: Acts, item_id: uuid.UUID, key: IdempotencyKey = None) -> DoneOut:
    """Take a step that several could handle."""
    return DoneOut.model_validate(commands.claim(call.session, call.actor, item_id, key=key))


@router.post("/work-items/{item_id}/unclaim", summary="退签")
def unclaim(call: Acts, item_id: uuid.UUID, key: IdempotencyKey = None) -> DoneOut:
    """Give a claimed step back."""
    return DoneOut.model_validate(commands.unclaim(call.session, call.actor, item_id, key=key))


@router.post("/work-items/{item_id}/reassign", summary="转办；流程管理员也可以换人")
def reassign(call: Acts, item_id: uuid.UUID, body: ReassignBody, key: IdempotencyKey = None) -> DoneOut:
    """Hand an item to another person for good."""
    done = commands.reassign(call.session, call.actor, item_id, to=body.to, reason=body.reason, key=key)
    return DoneOut.model_validate(done)


@router.post("/work-items/{item_id}/circulate", summary="续传给更多人阅读")
def circulate(call: Acts, item_id: uuid.UUID, body: CirculateBody, key: IdempotencyKey = None) -> DoneOut:
    """Let further people read."""
    done = commands.circulate(call.session, call.actor, item_id, to=body.to, reason=body.reason, key=key)
    return DoneOut.model_validate(done)


@router.post("/work-items/{item_id}/opened", summary="记下第一次打开的时间", status_code=204)
def opened(call: Acts, item_id: uuid.UUID) -> None:
    """Note that the assignee has opened the item; anybody else's visit changes nothing."""
    commands.mark_opened(call.session, call.actor, item_id=item_id)


@router.put("/work-items/{item_id}/draft", summary="暂存")
def save_draft(call: Acts, item_id: uuid.UUID, body: DraftBody) -> DraftKept:
    """Keep what was typed for one's own open item."""
    return DraftKept(id=commands.save_draft(call.session, call.actor, item_id=item_id, content=body.model_dump()))
