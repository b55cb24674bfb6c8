"""Messages (消息) that other systems send to instances that wait for them."""

from typing import Annotated

from fastapi import Depends, Path
from pydantic import Field

from api.deps import Call, RequiredKey, Router, allowed
from api.schemas import Answer, Body, FormData, Text
from engine.bpm import commands

router = Router("消息")

Name = Annotated[
    Text, Path(min_length=1, max_length=72, description="消息名称，即流程图里 message 的 name", examples=["货已到"])
]


class MessageBody(Body):
    """Which waiting instance is meant, and what joins its data."""

    correlation: Text = Field("", max_length=200, description="关联值，与等待的一步相同", examples=["CG-2026-0012"])
    payload: FormData = {}


class AcceptedOut(Answer):
    """The message is kept and will be delivered."""

    name: str = Field(examples=["货已到"])


@router.post("/messages/{name}", summary="给在等的流程发一个消息", status_code=202)
def send(
    call: Annotated[Call, Depends(allowed("messages:send"))],
    name: Name,
    body: MessageBody,
    key: RequiredKey,
) -> AcceptedOut:
    """Send a message to the instance that waits for it longest; where none waits now it is lost.

    The caller is a process admin, or another system whose token has the scope. The same key again does nothing.
    """
    commands.send_message(
        call.session, name, correlation=body.correlation, payload=body.payload, key=key, actor=call.actor
    )
    return AcceptedOut(name=name)
