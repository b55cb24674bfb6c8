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

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from engine import clock
from engine.attachments import names
from engine.attachments.archive import Bomb
from engine.attachments.kinds import KINDS, matches
from engine.attachments.table import Attachment, path_of
from engine.db import new_id
from engine.errors import Conflict, Invalid, Unavailable
from engine.settings import Settings
from engine.viewer import Viewer

INCOMING = "incoming"  # folder of files that are still being received
STAGED_FOR = timedelta(hours=24)
MAX_STAGED = 200  # files of one person that no form has taken yet
MAX_STAGED_TIMES = 10  # so many of the largest attachment, all together
_CHUNK = 256 << 10  # bytes

log = logging.getLogger(__name__)


def receive(session: Session, settings: Settings, actor: Viewer, name: str, stream: BinaryIO) -> Attachment:
    """Store a file that the actor sends, staged for 24 h; `name` is the client's, `stream` is read to its end.

    Raises Invalid (attachment_type, attachment_empty, attachment_too_large, attachment_mismatch, attachment_bomb),
    Conflict (attachment_quota) where too many of the actor's files wait for a form, and Unavailable when the disk
    refuses; nothing is kept then. The transaction, not the file, decides whether it exists.
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
        _check_quota(session, actor, size, MAX_STAGED_TIMES * settings.attachment_max_mb)
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


def _check_quota(session: Session, actor: Viewer, size: int, most_mb: int) -> None:
    """Refuse another file of somebody who has sent much and used nothing of it; files removed count until purged.

    What is sent at the same moment may exceed it by that.
    """
    mine = select(func.count(), func.coalesce(func.sum(Attachment.size), 0)).where(
        Attachment.uploader_id == actor.person_id, text("state <> 'bound'")
    )
    count, total = session.execute(mine).one()
    if count >= MAX_STAGED or total + size > most_mb << 20:
        raise Conflict(
            f"您上传后还没有提交的附件有 {count} 个、{int(total) >> 20} MB，最多 {MAX_STAGED} 个、{most_mb} MB。"
            "请先提交表单，或删去草稿里不用的附件；删去的一小时后腾出空间",
            code="attachment_quota",
            count=count,
            limit=MAX_STAGED,
            limit_mb=most_mb,
        )


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
