"""Who I am, and how much waits for me."""

import uuid
from typing import Annotated

from fastapi import Depends
from pydantic import Field

from api.deps import Call, Router, allowed
from api.schemas import Answer, Body, Text
from engine import notices
from engine.bpm import queries
from engine.org import own

router = Router("我")

Reads = Annotated[Call, Depends(allowed("instances:read"))]


class Me(Answer):
    """Whoever is logged in. `csrf` goes into the header X-CSRF-Token; None for a service token, which needs none."""

    person_id: uuid.UUID
    name: str = Field(examples=["单晓燕"])
    department_id: uuid.UUID
    department_name: str = Field(examples=["儿科"])
    roles: list[str] = Field(examples=[["office_clerk"]])
    departments: list[uuid.UUID] = Field(description="主要和兼职部门，以及它们的上级部门")
    scopes: list[str] | None = Field(description="服务令牌的权限范围；本人登录时为空", examples=[None])
    csrf: str | None = Field(examples=["kD0yUu2sJmW0c8m1v6Yd4QzH3tXn5rLb7pAe9fGi"])


class CountsOut(Answer):
    """How much the boxes hold: exact up to 999, 1000 means more."""

    todo: int = Field(examples=[3])
    read_todo: int = Field(examples=[12])
    copied_unread: int = Field(examples=[1])
    drafts: int = Field(examples=[0])
    notices_unread: int = Field(examples=[4])


@router.get("/me", summary="我是谁：人员、角色、部门、CSRF 令牌")
def me(call: Reads) -> Me:
    """Say who is logged in."""
    actor = call.actor
    return Me(
        person_id=actor.person_id,
        name=actor.name,
        department_id=actor.department_id,
        department_name=actor.department_name,
        roles=sorted(actor.roles),
        departments=sorted(actor.departments),
        scopes=None if actor.scopes is None else sorted(actor.scopes),
        csrf=call.login and call.login.csrf,
    )


@router.get("/counts", summary="各信箱的数量")
def counts(call: Reads) -> CountsOut:
    """Count what waits for the viewer."""
    found = queries.counts(call.session, call.actor)
    return CountsOut(
        todo=found.todo,
        read_todo=found.read_todo,
        copied_unread=found.copied_unread,
        drafts=found.drafts,
        notices_unread=notices.unread(call.session, call.actor),
    )


class OwnOut(Answer):
    """What one sets for oneself; no import and no synchronisation changes it."""

    reading: str = Field(description="姓名读音，空的按常用读音", examples=["shan xiao yan"])
    mobile_hidden: bool = Field(description="别人看不到手机号", examples=[False])


class OwnBody(Body):
    """What one sets for oneself."""

    reading: Text = Field(max_length=80, examples=["shan xiao yan"])
    mobile_hidden: bool = Field(examples=[True])


@router.get("/me/settings", summary="本人设置：姓名读音、是否公开手机号")
def settings(call: Annotated[Call, Depends(allowed(None))]) -> OwnOut:
    """Show one's own settings."""
    return OwnOut.model_validate(own.own(call.session, call.actor))


@router.put("/me/settings", summary="修改本人设置")
def set_settings(call: Annotated[Call, Depends(allowed(None))], body: OwnBody) -> OwnOut:
    """Keep one's own settings."""
    own.set_own(call.session, call.actor, own.Own(body.reading, body.mobile_hidden))
    return OwnOut.model_validate(own.own(call.session, call.actor))
