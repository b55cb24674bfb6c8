"""What I want to be told in WeCom (企业微信消息), and the group chat about an instance."""

import uuid
from typing import Annotated, Literal

from fastapi import Depends
from pydantic import Field

from api.deps import Call, Router, allowed
from api.schemas import Answer, Body
from engine.connectors.wecom import groups, preferences

router = Router("我")

Kind = Literal["read", "copy", "urge", "agreed", "ended"]
Minute = Annotated[int | None, Field(ge=0, lt=1440, examples=[1320])]


class ChoiceOut(Answer):
    """The kinds that are switched off, and the quiet hours in minutes of the day (Asia/Shanghai), both or neither."""

    muted: list[Kind] = Field(examples=[["copy"]])
    quiet_from: Minute
    quiet_to: Minute
    reachable: bool = Field(description="是否有对应的企业微信账号")


class ChoiceBody(Body):
    """The whole choice; what waits for oneself (待办、退回) can't be switched off."""

    muted: Annotated[list[Kind], Field(max_length=10, examples=[["copy"]])] = []
    quiet_from: Minute = None
    quiet_to: Minute = None


@router.get("/me/wecom", summary="我的企业微信消息：收哪些、免打扰时段")
def choice(call: Annotated[Call, Depends(allowed(None))]) -> ChoiceOut:
    """Show the viewer's choice."""
    return _out(call)


@router.put("/me/wecom", summary="设置我的企业微信消息")
def choose(call: Annotated[Call, Depends(allowed(None))], body: ChoiceBody) -> ChoiceOut:
    """Change the viewer's choice."""
    preferences.choose(call.session, call.actor, muted=body.muted, quiet_from=body.quiet_from, quiet_to=body.quiet_to)
    return _out(call)


def _out(call: Call) -> ChoiceOut:
    found = preferences.choice(call.session, call.actor)
    return ChoiceOut(
        muted=sorted(found.muted),
        quiet_from=found.quiet_from,
        quiet_to=found.quiet_to,
        reachable=preferences.reachable(call.session, call.actor),
    )


@router.post("/instances/{instance_id}/chat", summary="在企业微信里建群讨论", status_code=204)
def chat(call: Annotated[Call, Depends(allowed(None))], instance_id: uuid.UUID) -> None:
    """Let a group chat about it be made, once; it appears within seconds."""
    groups.open_chat(call.session, call.actor, instance_id)
