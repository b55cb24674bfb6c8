"""What one does with an instance as a whole: comment, copy, urge, withdraw; as an admin terminate and jump."""

import uuid
from collections.abc import Callable, Mapping
from typing import Literal

from fastapi import Response

from engine.bpm import commands
from engine.connectors.wecom import groups
from engine.errors import Invalid
from web.actions.items import people
from web.actions.staying import go_on, stay
from web.pages.detail import instance_page, item_page
from web.session import Post, Posted, Router

router = Router()

# what takes words alone, and what they are to it: 评论、催办、撤销、终止
_SAID: Mapping[str, tuple[Callable[..., object], str]] = {
    "comment": (commands.comment, "text"),
    "urge": (commands.urge, "text"),
    "withdraw": (commands.withdraw, "reason"),
    "terminate": (commands.terminate, "reason"),
}


@router.post("/instances/{instance_id}/copy")
def copy(call: Posted, instance_id: uuid.UUID) -> Response:
    """Send a copy to people (抄送)."""
    _stay(call, instance_id, "copy")
    to = people(call, "to")
    commands.copy(call.session, call.actor, instance_id, to=to, reason=call.text("reason"), key=call.key)
    return _shown(call, instance_id, "copy")


@router.post("/instances/{instance_id}/chat")
def chat(call: Posted, instance_id: uuid.UUID) -> Response:
    """Open a group chat about it in WeCom (建群讨论)."""
    _stay(call, instance_id, "")
    groups.open_chat(call.session, call.actor, instance_id)
    return _shown(call, instance_id, "chat")


@router.post("/instances/{instance_id}/jump")
def jump(call: Posted, instance_id: uuid.UUID) -> Response:
    """Move an open step to another one as an admin (跳转)."""
    _stay(call, instance_id, "jump")
    task = call.text("task")
    if not task.isdecimal() or len(task) > 12:
        raise Invalid("请选择要移动的步骤", code="choose", errors=[{"place": "task", "message": "请选择要移动的步骤"}])
    commands.jump(
        call.session,
        call.actor,
        instance_id,
        task_id=int(task),
        to=call.text("to"),
        reason=call.text("reason"),
        key=call.key,
    )
    return _shown(call, instance_id, "jump")


@router.post("/instances/{instance_id}/{verb}")
def say(call: Posted, instance_id: uuid.UUID, verb: Literal["comment", "urge", "withdraw", "terminate"]) -> Response:
    """Do what takes words alone."""
    _stay(call, instance_id, verb)
    command, words = _SAID[verb]
    command(call.session, call.actor, instance_id, key=call.key, **{words: call.text("reason")})
    return _shown(call, instance_id, verb)


def _stay(call: Post, instance_id: uuid.UUID, dialog: str) -> None:
    """On a refusal show the page from which the dialog came: the instance's, or that of an item."""
    if call.text("_item"):
        stay(call, item_page, call.id("_item", "事项"), dialog)
    else:
        stay(call, instance_page, instance_id, dialog)


def _shown(call: Post, instance_id: uuid.UUID, verb: str) -> Response:
    path = f"/items/{call.id('_item', '事项')}" if call.text("_item") else f"/instances/{instance_id}"
    return go_on(call, path, verb)
