"""Starting (发起): the processes that one may start, and the form of the first step."""

import uuid

from fastapi import Response

from api.errors import status_of
from api.schemas import Key
from engine.bpm import definitions, queries
from engine.db import new_id
from web.forms import render
from web.lookups import Names
from web.pages.detail import Typed
from web.rendering import page
from web.session import Page, Router, Visitor

router = Router()


@router.get("/start")
def processes(call: Visitor) -> Response:
    """Show the processes that the viewer may start, by category."""
    groups = queries.startable(call.session, call.actor)
    return page(call, "start.html", groups=groups, title="发起", section="start")


@router.get("/start/{key}")
def first_step(call: Visitor, key: Key, draft: uuid.UUID | None = None) -> Response:
    """Show the form of a process's first step, empty or with a draft."""
    content = {} if draft is None else queries.draft(call.session, call.actor, draft).content
    return start_form(call, key, Typed(data=content.get("data") or {}), draft, saved=draft is not None)


def start_form(call: Page, key: str, typed: Typed, draft: uuid.UUID | None, *, saved: bool = False) -> Response:
    """Return the page on which an instance is started; it names the draft that it will be kept as until it is sent."""
    found = queries.start_page(call.session, call.actor, key)
    html = None
    if found.form is not None:
        html = render(
            call.request.app.state.templates,
            definitions.version(call.session, found.version_id).forms[found.form.form],
            data={**found.form.data, **typed.data},
            rights=found.form.rights,
            errors=typed.errors,
            lookups=Names(call.session, call.actor),
            depends_url=f"/start/{key}/form",
            nonce=call.request.state.nonce,
        )
    return page(
        call,
        "start_form.html",
        200 if typed.error is None else status_of(typed.error),
        process=found.process,
        form=html,
        typed=typed,
        draft=draft or new_id(),
        saved=saved,
        title=found.process.name,
        section="start",
    )
