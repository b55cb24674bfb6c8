"""Receiving a file: streamed to disk, measured, recognised, then put in its place by one rename."""

import hashlib
import logging
import mmap
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from sqlalchemy.orm import Session

from engine import clock
from engine.attachments import names
from engine.attachments.archive import Bomb
from engine.attachments.kinds import KINDS, matches
from engine.attachments.table import Attachment, path_of
from engine.db import new_id
from engine.errors import Invalid, Unavailable
from engine.settings import Settings
from engine.viewer import Viewer

INCOMING = "incoming"  # folder of files that are still being received
STAGED_FOR = timedelta(hours=24)
_CHUNK = 256 << 10  # bytes

log = logging.getLogger(__name__)


def receive(session: Session, settings: Settings, actor: Viewer, name: str, stream: BinaryIO) -> Attachment:
    """Store a file that the actor sends, staged for 24 h; `name` is the client's, `stream` is read to its end.

    Raises Invalid (attachment_type, attachment_empty, attachment_too_large, attachment_mismatch, attachment_bomb) and
    Unavailable when the disk refuses; nothing is kept then. The transaction, not the file, decides whether it exists.
    """
    name = names.clean(name)
    kind = KINDS.get(names.extension(name))
    if kind is None:
        raise Invalid(
            f"附件“{name}”的类型不支持，可以上传：{'、'.join(KINDS)}", code="attachment_type", allowed=list(KINDS)
        )
    id_ = new_id()
    with _incoming(settings, id_) as draft:
        size, digest = _write(draft, stream, name, settings.attachment_max_mb)
        with draft.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                genuine = matches(kind, content)
            except Bomb:
                raise Invalid(f"附件“{name}”解压后过大，请拆分后重新压缩", code="attachment_bomb") from None
        if not genuine:
            raise Invalid(
                f"附件“{name}”的内容与扩展名不符（可能改过扩展名、加了密码或已损坏），请用原程序另存后再上传",
                code="attachment_mismatch",
            )
        _settle(draft, path_of(settings, id_))
    now = clock.now()
    attachment = Attachment(
        id=id_,
        uploader_id=actor.person_id,
        name=name,
        size=size,
        mime=kind.mime,
        sha256=digest,
        created_at=now,
        expires_at=now + STAGED_FOR,
    )
    session.add(attachment)
    session.flush()
    return attachment


@contextmanager
def _incoming(settings: Settings, id_: uuid.UUID) -> Iterator[Path]:
    """A file in the same file system as its later place; gone afterwards, unless it has moved there."""
    draft = settings.attachments / INCOMING / str(id_)
    try:
        draft.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield draft
    except OSError as error:
        log.error("attachment not stored: id=%s errno=%s", id_, error.errno)
        raise Unavailable("附件暂时无法保存（服务器磁盘故障或已满），请稍后重试", code="storage") from error
    finally:
        if draft.exists():
            draft.unlink()


def _write(draft: Path, stream: BinaryIO, name: str, limit_mb: int) -> tuple[int, str]:
    """Return size in bytes and SHA-256 in hex; stops at the limit, however much is still to come."""
    size, digest = 0, hashlib.sha256()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > limit_mb << 20:
                raise Invalid(
                    f"附件“{name}”超过 {limit_mb} MB，请压缩或拆分后上传",
                    code="attachment_too_large",
                    limit_mb=limit_mb,
                )
            digest.update(chunk)
            file.write(chunk)
        if not size:
            raise Invalid(f"附件“{name}”是空文件，请检查后重新选择", code="attachment_empty")
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


def _settle(draft: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft.rename(target)
    for folder in (target.parent, target.parent.parent, target.parent.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # a rename lasts only with its folder
        finally:
            os.close(descriptor)
