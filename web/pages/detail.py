"""A work item (办理), or an instance for those who follow it (跟踪): what it says, how it came here, what to do."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Response
from markupsafe import Markup

from api.errors import status_of
from engine import notices
from engine.bpm import commands, definitions, queries
from engine.bpm.queries import InstanceDetail, ItemDetail
from engine.bpm.queries.trail import Step, Timeline, readers
from engine.connectors.oa.sites import connected
from engine.connectors.wecom import groups
from engine.connectors.wecom.client import WeCom
from engine.errors import EngineError, Invalid
from web.forms import render
from web.lookups import Names
from web.pages.boxes import BOXES, PERIODS, Listing, listing_of
from web.phrases import phrases
from web.rendering import awaited, fragment, page
from web.session import Page, Router, Visitor, local_path

router = Router()

_FILES = 6  # attachments at the top of the page, one tap away; all are in the form


@dataclass(slots=True)
class Typed:
    """What somebody has typed and not yet got through: shown again beside the refusal."""

    data: Mapping[str, Any] = field(default_factory=dict)
    opinion: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)  # of a dialog
    dialog: str = ""  # the dialog that stays open
    error: EngineError | None = None

    @property
    def errors(self) -> Sequence[Mapping[str, Any]]:
        """The refusal's places."""
        return self.error.errors if isinstance(self.error, Invalid) else []

    @property
    def form_errors(self) -> Sequence[Mapping[str, Any]]:
        """Those of the form itself."""
        return [] if self.dialog else [e for e in self.errors if e.get("place") not in ("opinion", "outcome")]

    def error_at(self, place: str) -> str:
        """Return the message for one place."""
        return next((str(e["message"]) for e in self.errors if e.get("place") == place), "")


@router.get("/items/{item_id}")
def item(call: Visitor, item_id: uuid.UUID, do: str = "") -> Response:
    """Show a work item, and note that its assignee has opened it."""
    return item_page(call, item_id, Typed(dialog=do))


def item_page(call: Page, item_id: uuid.UUID, typed: Typed) -> Response:
    """Return the page of a work item. Raises NotFound."""
    detail = queries.work_item_detail(call.session, call.actor, item_id)
    mine = detail.item.assignee_id == call.actor.person_id
    seen = notices.unread(call.session, call.actor, detail.head.id)
    if mine and (detail.item.read_at is None or seen):
        call.later(lambda writing: commands.mark_opened(writing, call.actor, item_id=item_id))
    box = "read_todo" if detail.item.kind == "read" else "todo"
    back = _back(call, box)
    beside = listing_of(call, back)
    values = _shared(call, detail, typed, f"/items/{item_id}", back, beside, seen if mine else 0)
    open_form = "complete" in detail.actions.may
    return page(
        call,
        "item.html",
        200 if typed.error is None else status_of(typed.error),
        item=detail.item,
        mine=mine,
        late=detail.late,
        opinion=typed.opinion or _drafted(detail, "opinion"),
        draft=detail.draft,
        phrases=phrases(detail.item.kind) if open_form else (),
        following=following(beside, item_id),
        versioned=any(view.rights.default == "edit" or "edit" in view.rights.fields.values() for view in detail.forms),
        selected=str(item_id),
        **values,
    )


@router.get("/instances/{instance_id}")
def instance(call: Visitor, instance_id: uuid.UUID, do: str = "") -> Response:
    """Show an instance, and note that whoever has a copy has opened it."""
    call.later(lambda writing: commands.mark_opened(writing, call.actor, instance_id=instance_id))
    return instance_page(call, instance_id, Typed(dialog=do))


def instance_page(call: Page, instance_id: uuid.UUID, typed: Typed) -> Response:
    """Return the page of an instance. Raises NotFound."""
    detail = queries.instance_detail(call.session, call.actor, instance_id)
    back = _back(call, "started")
    beside = listing_of(call, back)
    seen = notices.unread(call.session, call.actor, instance_id)
    return page(
        call,
        "instance.html",
        200 if typed.error is None else status_of(typed.error),
        selected=str(instance_id),
        **_shared(call, detail, typed, f"/instances/{instance_id}", back, beside, seen),
    )


@router.get("/instances/{instance_id}/rounds/{round_id}/readers")
def read_by(call: Visitor, instance_id: uuid.UUID, round_id: uuid.UUID, cursor: str | None = None) -> Response:
    """Show who has read in a read step (已阅名单), the last one first."""
    found = readers(call.session, call.actor, instance_id, round_id, cursor=cursor)
    here = f"/instances/{instance_id}/rounds/{round_id}/readers"
    values: dict[str, Any] = {"rows": found.rows, "next_cursor": found.next_cursor, "here": here}
    if call.htmx:
        return fragment(call, "part/readers.html", label=cursor is None, **values)
    return page(
        call, "readers.html", label=False, back=f"/instances/{instance_id}", title="已阅名单", section="todo", **values
    )


def _shared(
    call: Page, detail: InstanceDetail, typed: Typed, here: str, back: str, beside: Listing | None, seen: int
) -> dict[str, Any]:
    return {
        "detail": detail,
        "head": detail.head,
        "may": detail.actions.may,
        "forms": forms(call, detail, typed, here),
        "files": Names(call.session, call.actor, detail.attachments).attachments(detail.attachments[:_FILES]),
        "typed": typed,
        "here": here,
        "back": back,
        "listing": beside,
        "boxes": BOXES,
        "periods": PERIODS,
        "title": detail.head.title,
        "section": "admin" if back.startswith("/admin/") else "todo",
        "jumps": _jumps(call, detail),
        "oas": {each.site.system: each.site.name for each in connected(call.db)},
        "now": standing(detail.timeline),
        "seen": seen,
        "chats": call.db.part(WeCom) is not None and groups.may_open(call.session, call.actor, detail.head.id),
    }


def standing(trail: Timeline) -> str:
    """Return where an instance now stands, in words: open steps with whom they wait for, and what else it waits for."""
    steps = [f"{step.step_name}（{who}）" if (who := names(step)) else step.step_name for step in trail.open]
    return "、".join([*steps, *map(awaited, trail.awaited)])


def names(step: Step) -> str:
    """Return whom an open step waits for: two names, and how many there are of more; of readers how many have read."""
    if step.kind == "read":
        return f"已阅 {step.done}/{step.total}"
    first, count = "、".join(person.name for person in step.waiting[:2]), step.total - step.done
    return f"{first} 等 {count} 人" if count > 2 else first


def forms(call: Page, detail: InstanceDetail, typed: Typed, here: str) -> list[Markup]:
    """Return the forms that the viewer sees of an instance, as HTML."""
    version = definitions.version(call.session, detail.head.version_id)
    drafted = _drafted(detail, "data") or {}
    names = Names(call.session, call.actor, detail.attachments)
    return [
        render(
            call.request.app.state.templates,
            version.forms[view.form],
            data={**view.data, **drafted, **typed.data},
            rights=view.rights,
            errors=typed.form_errors,
            lookups=names,
            depends_url=f"{here}/form" if isinstance(detail, ItemDetail) else "",
            nonce=call.request.state.nonce,
        )
        for view in detail.forms
    ]


def _drafted(detail: InstanceDetail, name: str) -> Any:
    draft = detail.draft if isinstance(detail, ItemDetail) and "draft" in detail.actions.may else None
    return "" if draft is None else draft.content.get(name) or ""


def _jumps(call: Page, detail: InstanceDetail) -> list[tuple[str, str]]:
    """Return the steps that an admin may jump to."""
    if "jump" not in detail.actions.may:
        return []
    definition = definitions.version(call.session, detail.head.version_id).definition
    return [(step, definition.names.get(step, step)) for step in definition.tasks]


def _back(call: Page, box: str) -> str:
    given: str = getattr(call.request.state, "back", "") or call.request.query_params.get("from", "")
    return local_path(given, local_path(given, f"/box/{box}", below="/box/"), below="/admin/")


def following(beside: Listing | None, item_id: uuid.UUID) -> str:
    """Return the address of the next row of the list, empty after the last: it is offered after acting."""
    if beside is None:
        return ""
    ids = [row.item_id for row in beside.rows]
    at = ids.index(item_id) + 1 if item_id in ids else 0
    rest = [row for row in (*beside.rows[at:], *beside.rows[:at]) if row.item_id not in (None, item_id)]
    return beside.link(rest[0]) if rest else ""
