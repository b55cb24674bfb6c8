"""Attachments named in a form's data become part of the instance (附件)."""

import uuid
from collections.abc import Mapping
from typing import Any

from engine import attachments
from engine.bpm.commands.case import Case
from engine.errors import Invalid


def bind(case: Case, step: str, values: Mapping[str, Any], item_id: uuid.UUID | None) -> None:
    """Bind the attachments of the submitted fields; only the actor's own staged ones, or ones of this instance."""
    form = case.version.form(step)
    if form is None or case.actor is None:
        return
    for key, kind in form.fields().items():
        if kind == "attachment" and values.get(key):
            attachments.bind(case.session, case.actor, _ids(key, values[key]), case.row.id, item_id, key)


def _ids(key: str, value: Any) -> list[uuid.UUID]:
    try:
        return [uuid.UUID(str(v)) for v in (value if isinstance(value, list) else [value])]
    except ValueError as error:
        raise Invalid(
            "附件编号无效，请重新上传", code="attachment_id", errors=[{"place": key, "message": "请重新上传附件"}]
        ) from error
