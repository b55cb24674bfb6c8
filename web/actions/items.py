"""What one does with a work item (办理): the outcomes, return, claim, reassign, circulate, take back, draft."""

import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Literal

from fastapi import Response

from engine import attachments, clock
from engine.bpm import commands, definitions, queries
from engine.bpm.forms import Form
from engine.bpm.queries import FormView, ItemDetail
from engine.errors import EngineError, Invalid, NotFound
from web.actions.staying import go_on, stay
from web.forms import render
from web.lookups import Names
from web.pages.detail import Typed, instance_page, item_page
from web.rendering import fragment
from web.session import Post, Posted, Router

router = Router()

KEPT_FOR = timedelta(days=30)  # uploads that a draft names
# what takes nothing more than the item: 签收、退签、撤回
_ACTS: Mapping[str, Callable[..., object]] = {
    "claim": commands.claim,
    "unclaim": commands.unclaim,
    "take-back": commands.take_back,
}


@router.post("/items/{item_id}/complete")
def complete(call: Posted, item_id: uuid.UUID) -> Response:
    """Decide or fill an item with the outcome whose button was pressed; a read item is acknowledged."""
    opinion = call.text("_opinion")
    data = submitted_data(call, item_id)
    call.or_else(lambda page, error: item_page(page, item_id, Typed(data=data, opinion=opinion, error=error)))
    version = call.text("_version")
    commands.complete(
        call.session,
        call.actor,
        item_id,
        call.text("_outcome"),
        opinion=opinion,
        data=data,
        version=int(version) if version.isdecimal() and len(version) < 10 else None,
        key=call.key,
    )
    return _handled(call, item_id, "complete")


@router.post("/items/{item_id}/read")
def read(call: Posted, item_id: uuid.UUID) -> Response:
    """Acknowledge a read item (已阅), with words or without."""
    opinion = call.text("_opinion")
    call.or_else(lambda page, error: item_page(page, item_id, Typed(opinion=opinion, error=error)))
    commands.acknowledge(call.session, call.actor, item_id, opinion=opinion, key=call.key)
    return _handled(call, item_id, "read")


@router.post("/items/{item_id}/return")
def send_back(call: Posted, item_id: uuid.UUID) -> Response:
    """Return to an earlier step (退回), with a reason."""
    _stay(call, item_id, "return")
    commands.send_back(
        call.session,
        call.actor,
        item_id,
        to=call.text("to", "previous"),
        mode=call.text("mode") or None,
        opinion=call.text("reason"),
        key=call.key,
    )
    return _handled(call, item_id, "return")


@router.post("/items/{item_id}/reassign")
def reassign(call: Posted, item_id: uuid.UUID) -> Response:
    """Hand an item to somebody else for good (转办)."""
    _stay(call, item_id, "reassign")
    to = person(call, "to")
    commands.reassign(call.session, call.actor, item_id, to=to, reason=call.text("reason"), key=call.key)
    if call.text("_instance"):  # an admin, from the page of the instance
        return go_on(call, f"/instances/{call.id('_instance', '事项')}", "reassign")
    return _handled(call, item_id, "reassign")


@router.post("/items/{item_id}/circulate")
def circulate(call: Posted, item_id: uuid.UUID) -> Response:
    """Let further people read (续传)."""
    _stay(call, item_id, "circulate")
    to = people(call, "to")
    commands.circulate(call.session, call.actor, item_id, to=to, reason=call.text("reason"), key=call.key)
    return _handled(call, item_id, "circulate")


@router.post("/items/{item_id}/draft")
def draft(call: Posted, item_id: uuid.UUID) -> Response:
    """Keep what was typed (暂存): by the button, or by itself a moment after typing."""
    data = submitted_data(call, item_id)
    content = {"data": data, "opinion": call.text("_opinion")[:2000]}
    commands.save_draft(call.session, call.actor, item_id=item_id, content=content)
    keep_uploads(call, data)
    if call.htmx:
        return fragment(call, "part/saved.html", at=clock.now())
    return _handled(call, item_id, "draft")


@router.post("/items/{item_id}/form")
def form(call: Posted, item_id: uuid.UUID) -> Response:
    """Show the form anew with what was typed: other fields depend on it, or a row was added or removed."""
    data = submitted_data(call, item_id)
    if not call.htmx:
        return item_page(call, item_id, Typed(data=data, opinion=call.text("_opinion")))
    detail = queries.work_item_detail(call.session, call.actor, item_id)
    if not detail.forms:
        raise NotFound("这一步没有表单", code="no_form")
    version = definitions.version(call.session, detail.head.version_id)
    view = detail.forms[0]
    return form_again(call, version.forms[view.form], view, data, f"/items/{item_id}/form")


@router.post("/items/{item_id}/{verb}")
def act(call: Posted, item_id: uuid.UUID, verb: Literal["claim", "unclaim", "take-back"]) -> Response:
    """Do what takes nothing more than the item."""
    stay(call, item_page, item_id)
    _ACTS[verb](call.session, call.actor, item_id, key=call.key)
    return _handled(call, item_id, verb)


def form_again(call: Post, named: Form, view: FormView, data: Mapping[str, Any], url: str) -> Response:
    """Return a form alone, with what was typed."""
    html = render(
        call.request.app.state.templates,
        named,
        data={**view.data, **data},
        rights=view.rights,
        lookups=Names(call.session, call.actor, view.attachments),
        depends_url=url,
        nonce=call.request.state.nonce,
    )
    return fragment(call, "part/html.html", html=html)


def submitted_data(call: Post, item_id: uuid.UUID) -> dict[str, Any]:
    """Return the form data that was sent with an item, in the editable fields; files are received on the way."""
    detail: ItemDetail = queries.work_item_detail(call.session, call.actor, item_id)
    if not detail.forms or "complete" not in detail.actions.may:
        return {}
    view = detail.forms[0]
    version = definitions.version(call.session, detail.head.version_id)
    return data_of(call, version.forms[view.form], view)


def data_of(call: Post, form: Form, view: FormView) -> dict[str, Any]:
    """Return the data of a submitted form in the fields that the step lets one edit."""
    pairs: list[tuple[str, object]] = [
        (name, value) for name, value in call.fields.multi_items() if isinstance(value, str)
    ]
    for name, upload in call.uploads():
        sent = commands.sent_before(call.session, call.actor, call.key, upload.file)
        if sent is None:
            upload.file.seek(0)
            received = attachments.receive(call.session, call.settings, call.actor, upload.filename or "", upload.file)
            sent = received.id
        pairs.append((name, str(sent)))
    data = form.from_html(_Pairs(pairs), Names(call.session, call.actor).resolve)
    return {name: value for name, value in data.items() if view.rights.of(name) == "edit"}


class _Pairs:
    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        self._pairs = pairs

    def multi_items(self) -> list[tuple[str, object]]:
        return self._pairs


def keep_uploads(call: Post, data: Mapping[str, Any]) -> None:
    """Keep the files that a draft names as long as drafts are kept."""
    texts = (text for value in data.values() for text in (value if isinstance(value, list) else [value]))
    ids = []
    for text in texts:
        try:
            ids.append(uuid.UUID(text))
        except (ValueError, AttributeError, TypeError):
            continue
    attachments.keep(call.session, call.actor, ids, clock.now() + KEPT_FOR)


def person(call: Post, name: str) -> uuid.UUID:
    """Return the person chosen in a picker, or typed without script. Raises Invalid."""
    return people(call, name)[0]


def people(call: Post, name: str) -> list[uuid.UUID]:
    """Return the people chosen in a picker, or typed as names or staff numbers without script. Raises Invalid."""
    chosen = [v for v in call.fields.getlist(name) if isinstance(v, str) and v]
    typed = [part.strip() for part in call.text(f"{name}:text").replace("，", "、").replace(",", "、").split("、")]
    resolve = Names(call.session, call.actor).resolve
    found = [resolve("person", text) for text in typed if text]
    if None in found or not (chosen or found):
        raise unknown_people(name, [text for text, id_ in zip(filter(None, typed), found, strict=True) if id_ is None])
    return [uuid.UUID(id_) for id_ in (*chosen, *filter(None, found)) if _is_id(id_)]


def unknown_people(name: str, texts: list[str]) -> EngineError:
    """Return the refusal of names that nobody, or more than one, goes by."""
    message = f"找不到“{texts[0][:20]}”，或有同名的人，请改填工号" if texts else "请选择人员"
    return Invalid(message, code="person_unknown", errors=[{"place": name, "message": message}])


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _stay(call: Post, item_id: uuid.UUID, dialog: str) -> None:
    """On a refusal show the page from which the dialog came: the item's, or for an admin the instance's."""
    if call.text("_instance"):
        stay(call, instance_page, call.id("_instance", "事项"), f"{dialog}-{item_id}")
    else:
        stay(call, item_page, item_id, dialog)


def _handled(call: Post, item_id: uuid.UUID, verb: str) -> Response:
    """Show the item again with what has become of it, and what comes next."""
    return go_on(call, f"/items/{item_id}", verb)
