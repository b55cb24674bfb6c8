"""Attachments named in a form's data become part of the instance (附件)."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import attachments
from engine.attachments import Attachment
from engine.bpm import runtime
from engine.bpm.commands.case import Case, idem
from engine.bpm.models import ActionLog
from engine.errors import Invalid
from engine.org.actor import Actor

_CHUNK = 256 << 10  # bytes


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


def sent_before(session: Session, actor: Actor, key: str | None, content: BinaryIO) -> uuid.UUID | None:
    """Return the attachment that the request under this key has brought along already, None for a new file.

    A form with files that is sent twice is the same request, though browsers send the files themselves both times.
    """
    stored = idem(actor, key)
    if stored is None:
        return None
    content.seek(0)
    read = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        read.update(chunk)
    mine = (
        select(Attachment.id)
        .join(ActionLog, ActionLog.instance_id == Attachment.instance_id)
        .where(
            ActionLog.idem_key == stored,
            Attachment.uploader_id == actor.person_id,
            Attachment.sha256 == read.hexdigest(),
        )
        .order_by(Attachment.id)
        .limit(1)
    )
    return session.scalar(mine)


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
