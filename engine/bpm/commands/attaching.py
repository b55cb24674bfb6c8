"""Attachments named in a form's data become part of the instance (附件)."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from engine import attachments
from engine.bpm.commands.case import Case
from engine.errors import Invalid


def bind(case: Case, step: str, values: Mapping[str, Any], item_id: uuid.UUID | None) -> None:
    """Bind the attachments of the submitted fields, those in the rows of lists too.

    Only the actor's own staged ones, or ones of this instance: NotFound for others, Invalid for what is no id.
    """
    form = case.version.form(step)
    if form is None or case.actor is None:
        return
    for key, value in values.items():
        if ids := form.references({key: value}).files:
            attachments.bind(case.session, case.actor, _ids(key, ids), case.row.id, item_id, key)


def _ids(key: str, texts: Sequence[str]) -> list[uuid.UUID]:
    try:
        return [uuid.UUID(text) for text in texts]
    except ValueError as error:
        raise Invalid(
            "附件编号无效，请重新上传", code="attachment_id", errors=[{"place": key, "message": "请重新上传附件"}]
        ) from error
