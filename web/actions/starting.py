"""Starting an instance (发起), and the drafts of what is not started yet."""

import uuid

from fastapi import Response

from api.schemas import Key
from engine import clock
from engine.bpm import commands, definitions, queries
from engine.errors import NotFound
from web.actions.items import data_of, form_again, keep_uploads
from web.pages.detail import Typed
from web.pages.start import start_form
from web.rendering import fragment
from web.session import Post, Posted, Router

router = Router()


@router.post("/start/{key}")
def start(call: Posted, key: Key) -> Response:
    """Start an instance with what was filled in."""
    data, draft = _data(call, key), _draft(call)
    call.or_else(lambda page, error: start_form(page, key, Typed(data=data, error=error), draft))
    started = commands.start(call.session, call.actor, key, data=data, draft_id=draft, key=call.key)
    return call.go(f"/instances/{started.instance_id}?done=start")


@router.post("/start/{key}/draft")
def draft(call: Posted, key: Key) -> Response:
    """Keep what was filled in (暂存): by the button, or by itself a moment after typing."""
    data = _data(call, key)
    content = {"data": data}
    commands.save_draft(call.session, call.actor, process_key=key, content=content, draft_id=_draft(call), key=call.key)
    keep_uploads(call, data)
    if call.htmx:
        return fragment(call, "part/saved.html", at=clock.now())
    return call.go("/box/drafts?done=draft")


@router.post("/start/{key}/form")
def form(call: Posted, key: Key) -> Response:
    """Show the form anew with what was typed."""
    data = _data(call, key)
    if not call.htmx:
        return start_form(call, key, Typed(data=data), _draft(call))
    found = queries.start_page(call.session, call.actor, key)
    if found.form is None:
        raise NotFound("发起这个流程不用填表", code="no_form")
    named = definitions.version(call.session, found.version_id).forms[found.form.form]
    return form_again(call, named, found.form, data, f"/start/{key}/form")


@router.post("/drafts/{draft_id}/drop")
def drop(call: Posted, draft_id: uuid.UUID) -> Response:
    """Throw a draft away."""
    commands.drop_draft(call.session, call.actor, draft_id)
    return call.go("/box/drafts?done=drop")


def _data(call: Post, key: str) -> dict[str, object]:
    found = queries.start_page(call.session, call.actor, key)
    if found.form is None:
        return {}
    return data_of(call, definitions.version(call.session, found.version_id).forms[found.form.form], found.form)


def _draft(call: Post) -> uuid.UUID | None:
    text = call.text("_draft")
    return call.id("_draft", "草稿") if text else None
