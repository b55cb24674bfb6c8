"""What auditors read of what was done to no instance (操作记录): logins, roles, tokens, imports, deployments."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import Field

from api.boxes import Cursor, Limit
from api.deps import Call, Router, allowed
from api.schemas import Answer, Moment, Text
from engine.bpm import queries
from engine.bpm.queries import VERBS

router = Router("操作记录")

Reads = Annotated[Call, Depends(allowed("audit:read"))]


class ActivityOut(Answer):
    """One activity: without an actor it was done at the command line, or by nobody known (login_locked)."""

    id: int = Field(examples=[512])
    at: datetime
    verb: str = Field(description="、".join(VERBS), examples=["role_grant"])
    actor_id: uuid.UUID | None
    actor: str | None = Field(examples=["纪云帆"])
    department: str | None = Field(examples=["信息科"])
    about_id: uuid.UUID | None = Field(description="操作的对象：人员或服务令牌")
    detail: dict[str, Any] = Field(
        examples=[{"role": "seal_keeper", "role_name": "印章管理员", "number": "10009", "name": "盖秀英"}]
    )


class ActivityPage(Answer):
    """A page of activities, newest first."""

    rows: list[ActivityOut]
    next_cursor: str | None = Field(examples=["YWN0aXZpdGllcyAxNzcyNDE1MDAwMDAwMDAwIDUxMg"])


@router.get("/admin/activities", summary="操作记录：登录、角色、令牌、导入、部署")
def activities(
    call: Reads,
    verb: Annotated[Text | None, Query(max_length=20, description="只看这种操作", examples=["role_grant"])] = None,
    person_id: Annotated[uuid.UUID | None, Query(description="只看这个人做的，或对这个人做的")] = None,
    since: Annotated[Moment | None, Query(description="从这个时间起")] = None,
    until: Annotated[Moment | None, Query(description="到这个时间之前")] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> ActivityPage:
    """List activities."""
    found = queries.activities(
        call.session,
        call.actor,
        verb=verb,
        people=None if person_id is None else [person_id],
        since=since,
        until=until,
        cursor=cursor,
        limit=limit,
    )
    return ActivityPage.model_validate(found)
