"""Starting processes (发起), and the drafts of what is not started yet."""

import uuid
from typing import Annotated

from fastapi import Depends
from pydantic import Field

from api.deps import Call, IdempotencyKey, Router, allowed
from api.schemas import Answer, Body, FormData, Key
from api.shown import FormOut, form_out
from api.work_items import DraftBody, DraftKept, DraftOut
from engine.bpm import commands, definitions, queries

router = Router("发起流程")

Starts = Annotated[Call, Depends(allowed("instances:start"))]


class StartableOut(Answer):
    """A process that one may start."""

    key: str = Field(examples=["leave_request"])
    name: str = Field(examples=["请假"])
    category: str = Field(examples=["行政"])
    documentation: str = Field(examples=["三天以内由科室负责人审批"])


class CategoryOut(Answer):
    """Processes of one category."""

    category: str = Field(examples=["行政"])
    processes: list[StartableOut]


class StartableList(Answer):
    """What one may start, by category."""

    categories: list[CategoryOut]


class StartPageOut(Answer):
    """The empty form of a process's first step; null where it has none."""

    process: StartableOut
    version_id: uuid.UUID
    form: FormOut | None


class StartBody(Body):
    """The form's data; `draft_id` is a draft that is used up by it."""

    data: FormData = Field(default_factory=dict)
    urgency: int | None = Field(
        None, ge=0, le=3, description="0 普通，1 平急，2 加急，3 特急；不填由流程决定", examples=[0]
    )
    draft_id: uuid.UUID | None = None


class StartedOut(Answer):
    """The new instance."""

    instance_id: uuid.UUID
    title: str = Field(examples=["单晓燕的请假申请"])


class ProcessDraftBody(DraftBody):
    """What was typed so far; `draft_id` is the draft to replace or to make; without it a new one is made."""

    draft_id: uuid.UUID | None = None


@router.get("/processes", summary="我可以发起的流程")
def startable(call: Starts) -> StartableList:
    """List what the caller may start."""
    found = queries.startable(call.session, call.actor)
    return StartableList(
        categories=[
            CategoryOut(category=name, processes=[StartableOut.model_validate(p) for p in group])
            for name, group in found
        ]
    )


@router.get("/processes/{process_key}/form", summary="发起的表单和默认值")
def start_page(call: Starts, process_key: Key) -> StartPageOut:
    """Show the form to fill in."""
    page = queries.start_page(call.session, call.actor, process_key)
    version = definitions.version(call.session, page.version_id)
    return StartPageOut(
        process=StartableOut.model_validate(page.process),
        version_id=page.version_id,
        form=None if page.form is None else form_out(page.form, version),
    )


@router.post("/processes/{process_key}/instances", summary="发起", status_code=201)
def start(call: Starts, process_key: Key, body: StartBody, key: IdempotencyKey = None) -> StartedOut:
    """Start a process; the first step is completed with the data."""
    started = commands.start(
        call.session,
        call.actor,
        process_key,
        data=body.data,
        urgency=body.urgency,
        draft_id=body.draft_id,
        key=key,
    )
    return StartedOut.model_validate(started)


@router.put("/processes/{process_key}/draft", summary="暂存还没有发起的表单")
def save_draft(call: Starts, process_key: Key, body: ProcessDraftBody) -> DraftKept:
    """Keep what was typed for a new instance."""
    content = body.model_dump(exclude={"draft_id"})
    kept = commands.save_draft(
        call.session, call.actor, process_key=process_key, draft_id=body.draft_id, content=content
    )
    return DraftKept(id=kept)


@router.get("/drafts/{draft_id}", summary="还没有发起的草稿的内容")
def draft(call: Starts, draft_id: uuid.UUID) -> DraftOut:
    """Show a draft of a new instance to whom it belongs."""
    return DraftOut.model_validate(queries.draft(call.session, call.actor, draft_id))


@router.delete("/drafts/{draft_id}", summary="删除草稿", status_code=204)
def drop_draft(call: Starts, draft_id: uuid.UUID) -> None:
    """Throw a draft away."""
    commands.drop_draft(call.session, call.actor, draft_id)
