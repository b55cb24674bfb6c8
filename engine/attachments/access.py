"""Binding staged files to an instance, keeping them for a draft, handing them out."""

import logging
import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock
from engine.attachments import names
from engine.attachments.kinds import KINDS
from engine.attachments.table import Attachment, path_of
from engine.errors import NotFound, Unavailable
from engine.settings import Settings
from engine.viewer import Viewer

MayOpen = Callable[[Session, Viewer, Attachment], bool]  # a bound file

log = logging.getLogger(__name__)


def bind(
    session: Session,
    actor: Viewer,
    ids: Sequence[uuid.UUID],
    instance_id: uuid.UUID,
    item_id: uuid.UUID | None,
    field: str,
    *,
    held: Collection[uuid.UUID] = (),
) -> list[Attachment]:
    """Bind the actor's own staged files to a field of an instance; those that it `held` before stay as they are.

    Returns them in the order of `ids`. Raises NotFound for any other id, whether it exists or not: a file of another
    field may be hidden from the actor.
    """
    found = {a.id: a for a in _locked(session, ids)}
    for id_ in ids:
        attachment = found.get(id_)
        if attachment is None or not (
            (attachment.state == "bound" and attachment.instance_id == instance_id and id_ in held)
            or _staged_by(attachment, actor)
        ):
            raise _missing()
    for attachment in found.values():
        if attachment.state == "staged":
            attachment.instance_id, attachment.item_id, attachment.field = instance_id, item_id, field
            attachment.state, attachment.expires_at = "bound", None
    return [found[id_] for id_ in dict.fromkeys(ids)]


def keep(session: Session, actor: Viewer, ids: Sequence[uuid.UUID], until: datetime) -> None:
    """Keep the actor's own staged files longer, because a draft (暂存) names them; other ids are passed over."""
    for attachment in _locked(session, ids):
        if _staged_by(attachment, actor) and (attachment.expires_at or until) < until:
            attachment.expires_at = until


def remove(session: Session, actor: Viewer, id: uuid.UUID) -> None:  # noqa: A002
    """Remove one of the actor's own staged files; the purge deletes it. Raises NotFound for any other."""
    for attachment in _locked(session, [id]):
        if _staged_by(attachment, actor):
            attachment.state, attachment.expires_at = "removed", clock.now()
            return
    raise _missing()


def describe(
    session: Session, viewer: Viewer, ids: Sequence[uuid.UUID], shown: Collection[uuid.UUID]
) -> list[Attachment]:
    """Return those of the attachments that the viewer may read, in the order of `ids`; the others are passed over.

    These are the viewer's own staged ones, and of the bound ones those that are `shown`: which stand in fields that the
    viewer sees. Other `ids` may come from the client, who may have heard of a hidden file. The disk is not asked.
    """
    if not ids:
        return []
    rows = session.scalars(select(Attachment).where(Attachment.id.in_(ids), Attachment.state != "removed"))
    found = {attachment.id: attachment for attachment in rows}
    return [
        attachment
        for id_ in dict.fromkeys(ids)
        if (attachment := found.get(id_)) is not None
        and ((attachment.state == "bound" and id_ in shown) or _staged_by(attachment, viewer))
    ]


def open_for(
    session: Session,
    settings: Settings,
    viewer: Viewer,
    id: uuid.UUID,  # noqa: A002
    may_open: MayOpen,
) -> tuple[Attachment, Path]:
    """Return an attachment that the viewer may read, and where its file lies.

    A staged one is its uploader's alone; of a bound one `may_open` is asked. Raises NotFound otherwise,
    and Unavailable if the file is gone from the disk.
    """
    attachment = session.get(Attachment, id)
    if attachment is None or attachment.state == "removed":
        raise _missing()
    if attachment.instance_id is None:
        allowed = attachment.uploader_id == viewer.person_id
    else:
        allowed = may_open(session, viewer, attachment)
    if not allowed:
        raise _missing()
    path = path_of(settings, id)
    if not path.is_file():
        log.error("attachment without its file: id=%s", id)
        raise Unavailable(f"附件“{attachment.name}”的文件缺失，请联系管理员从备份恢复", code="attachment_file_missing")
    return attachment, path


def download_headers(attachment: Attachment) -> dict[str, str]:
    """Return the headers of a download: only PDF and pictures open in the page, and nothing is taken for a page."""
    kind = KINDS.get(names.extension(attachment.name))
    return {
        "Content-Type": attachment.mime,
        "Content-Length": str(attachment.size),
        "Content-Disposition": names.disposition(attachment.name, inline=kind is not None and kind.inline),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }


def _locked(session: Session, ids: Sequence[uuid.UUID]) -> Sequence[Attachment]:
    chosen = select(Attachment).where(Attachment.id.in_(ids)).order_by(Attachment.id)
    return session.scalars(chosen.with_for_update().execution_options(populate_existing=True)).all()


def _staged_by(attachment: Attachment, actor: Viewer) -> bool:
    return attachment.state == "staged" and attachment.uploader_id == actor.person_id


def _missing() -> NotFound:
    return NotFound("附件不存在、已失效或您无权使用，请重新上传", code="attachment_not_found")
