"""What one does with an instance as a whole: comment, copy, urge, withdraw; as an admin terminate and jump."""

import uuid
from urllib.parse import urlencode

from fastapi import Response

from engine.bpm import commands
from engine.errors import EngineError, Invalid
from web.actions.items import people
from web.pages.detail import Typed, instance_page, item_page
from web.session import Page, Post, Posted, Router, local_path

router = Router()


@router.post("/instances/{instance_id}/comment")
def comment(call: Posted, instance_id: uuid.UUID) -> Response:
    """Add a comment (评论)."""
    _stay(call, instance_id, "comment")
    commands.comment(call.session, call.actor, instance_id, text=call.text("reason"), key=call.key)
    return _shown(call, instance_id, "comment")


@router.post("/instances/{instance_id}/copy")
def copy(call: Posted, instance_id: uuid.UUID) -> Response:
    """Send a copy to people (抄送)."""
    _stay(call, instance_id, "copy")
    to = people(call, "to")
    commands.copy(call.session, call.actor, instance_id, to=to, reason=call.text("reason"), key=call.key)
    return _shown(call, instance_id, "copy")


@router.post("/instances/{instance_id}/urge")
def urge(call: Posted, instance_id: uuid.UUID) -> Response:
    """Remind whoever holds it (催办)."""
    _stay(call, instance_id, "urge")
    commands.urge(call.session, call.actor, instance_id, text=call.text("reason"), key=call.key)
    return _shown(call, instance_id, "urge")


@router.post("/instances/{instance_id}/withdraw")
def withdraw(call: Posted, instance_id: uuid.UUID) -> Response:
    """End one's own instance (撤销)."""
    _stay(call, instance_id, "withdraw")
    commands.withdraw(call.session, call.actor, instance_id, reason=call.text("reason"), key=call.key)
    return _shown(call, instance_id, "withdraw")


@router.post("/instances/{instance_id}/terminate")
def terminate(call: Posted, instance_id: uuid.UUID) -> Response:
    """End an instance as an admin (终止)."""
    _stay(call, instance_id, "terminate")
    commands.terminate(call.session, call.actor, instance_id, reason=call.text("reason"), key=call.key)
    return _shown(call, instance_id, "terminate")


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


def _stay(call: Post, instance_id: uuid.UUID, dialog: str) -> None:
    """On a refusal show the page from which the dialog came."""
    fields = {name: value for name, value in call.fields.items() if isinstance(value, str)}
    item_id = call.id("_item", "事项") if call.text("_item") else None

    def again(page: Page, error: EngineError) -> Response:
        typed = Typed(dialog=dialog, fields=fields, error=error)
        return instance_page(page, instance_id, typed) if item_id is None else item_page(page, item_id, typed)

    call.or_else(again)


def _shown(call: Post, instance_id: uuid.UUID, verb: str) -> Response:
    back = local_path(call.text("_from"), "", below="/box/")
    query = urlencode({"done": verb} | ({"from": back} if back else {}))
    page = f"/items/{call.id('_item', '事项')}" if call.text("_item") else f"/instances/{instance_id}"
    return call.go(f"{page}?{query}")
