"""Attachments named in a form's data become part of the instance (附件)."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from engine import attachments
from engine.bpm import runtime
from engine.bpm.commands.case import Case
from engine.errors import Invalid


def bind(
    case: Case, step: str, values: Mapping[str, Any], item_id: uuid.UUID | None, task_id: int | None = None
) -> None:
    """Bind the attachments of the submitted fields, those in the rows of lists too.

    Only the actor's own staged ones, or those that the very field held before the command, as the task `task_id` sees
    the data: NotFound for others, Invalid for what is no id.
    """
    form = case.version.form(step)
    if form is None or case.actor is None:
        return
    named = {key: ids for key, value in values.items() if (ids := form.references({key: value}).files)}
    before: Mapping[str, Any] = {}
    if named and task_id is not None:  # the data as it stands in the row that the command has locked
        before = runtime.scope(case.definition, case.row.engine_state, orjson.loads(case.row.data), task_id)
    for key, ids in named.items():
        held = frozenset(_readable(form.references({key: before.get(key)}).files))
        attachments.bind(case.session, case.actor, _ids(key, ids), case.row.id, item_id, key, held=held)


def _ids(key: str, texts: Sequence[str]) -> list[uuid.UUID]:
    try:
        return [uuid.UUID(text) for text in texts]
    except ValueError as error:
        raise Invalid(
            "附件编号无效，请重新上传", code="attachment_id", errors=[{"place": key, "message": "请重新上传附件"}]
        ) from error


def _readable(texts: Sequence[str]) -> list[uuid.UUID]:
    found = []
    for text in texts:
        with suppress(ValueError):
            found.append(uuid.UUID(text))
    return found
