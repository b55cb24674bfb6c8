"""In-app notices (站内通知)."""

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from pydantic import Field

from api.boxes import Cursor
from api.deps import Call, Router, allowed
from api.schemas import Answer, Body, Ids
from engine import notices

router = Router("通知")


class NoticeOut(Answer):
    """One notice."""

    id: uuid.UUID
    kind: str = Field(examples=["todo"])
    title: str = Field(examples=["单晓燕的请假申请"])
    text: str = Field(examples=["请办理：科室负责人审批"])
    instance_id: uuid.UUID | None
    item_id: uuid.UUID | None
    created_at: datetime
    read_at: datetime | None


class NoticePage(Answer):
    """A page of notices, newest first."""

    notices: list[NoticeOut]
    next_cursor: str | None = Field(examples=["0198c0dec0de7000800000000000c0de"])


class ReadBody(Body):
    """Which notices have been read; null means all."""

    ids: Ids | None = None


@router.get("/notices", summary="我的通知")
def list_notices(call: Annotated[Call, Depends(allowed("notices:read"))], cursor: Cursor = None) -> NoticePage:
    """List the viewer's notices."""
    found, following = notices.list_notices(call.session, call.actor, cursor)
    return NoticePage(notices=[NoticeOut.model_validate(row) for row in found], next_cursor=following)


@router.post("/notices/read", summary="标为已读", status_code=204)
def mark_read(call: Annotated[Call, Depends(allowed("notices:write"))], body: ReadBody) -> None:
    """Mark notices as read; others' change nothing."""
    notices.mark_read(call.session, call.actor, body.ids)
