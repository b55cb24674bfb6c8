"""Which member of WeCom somebody is (企业微信账号): seen and changed by system admins."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path
from pydantic import Field

from api.boxes import Cursor, Limit
from api.deps import Call, Router, allowed
from api.schemas import Answer, Body, Text
from engine.connectors.wecom import accounts, planning, unreached

router = Router("企业微信")

Admin = Annotated[Call, Depends(allowed(None))]
Reads = Annotated[Call, Depends(allowed("admin:read"))]
Number = Annotated[Text, Path(max_length=20, description="工号", examples=["10027"])]


class MemberOut(Answer):
    """A person and the member that they are in WeCom."""

    number: str = Field(examples=["10027"])
    name: str = Field(examples=["单晓燕"])
    userid: str = Field(description="企业微信账号；空表示没有对应", examples=["ShanXiaoYan"])
    joined_at: datetime | None = Field(description="首次从企业微信进入（核实）的时间；空表示还没有，或要重新核实")


class MemberBody(Body):
    """The member that the person is."""

    userid: Text = Field(max_length=64, examples=["ShanXiaoYan"])


class UnreachedOut(Answer):
    """Somebody whom messages did not reach."""

    number: str = Field(examples=["10027"])
    name: str = Field(examples=["单晓燕"])
    reason: str = Field(description="最近一次为什么没送到", examples=[planning.ABSENT])
    cure: str = Field(description="怎么处理", examples=[unreached.CURES[planning.ABSENT]])
    since: datetime = Field(description="最近 7 天里第一次没送到的时刻")
    last: datetime = Field(description="最近一次没送到的时刻")
    count: int = Field(description="最近 7 天没送到的条数", examples=[3])


class UnreachedPage(Answer):
    """A page of people, whom it happened to last first."""

    rows: list[UnreachedOut]
    next_cursor: str | None = Field(examples=["dW5yZWFjaGVkIDQ3MTE"])


@router.get("/admin/wecom/unreached", summary="最近 7 天没送到企业微信的人")
def unreached_people(call: Reads, cursor: Cursor = None, limit: Limit = 20) -> UnreachedPage:
    """List whom messages did not reach, and why."""
    return UnreachedPage.model_validate(unreached.people(call.session, call.actor, cursor=cursor, limit=limit))


@router.get("/admin/people/{staff_number}/wecom", summary="一位职工的企业微信账号")
def shown(call: Admin, staff_number: Number) -> MemberOut:
    """Show which member a person is."""
    return MemberOut.model_validate(accounts.shown(call.session, call.actor, staff_number))


@router.put("/admin/people/{staff_number}/wecom", summary="绑定企业微信账号；原来的作废，下次进入重新核实")
def link(call: Admin, staff_number: Number, body: MemberBody) -> MemberOut:
    """Say which member a person is; the same one again has them verified anew."""
    return MemberOut.model_validate(accounts.link(call.session, call.actor, staff_number, body.userid))


@router.delete("/admin/people/{staff_number}/wecom", summary="解除企业微信账号", status_code=204)
def unlink(call: Admin, staff_number: Number) -> None:
    """Take the member away from a person."""
    accounts.unlink(call.session, call.actor, staff_number)
