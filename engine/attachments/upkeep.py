"""Deleting what nobody bound: expired rows with their files, and files that no row knows."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from engine import clock
from engine.attachments.table import Attachment, path_of
from engine.db import Database
from engine.settings import Settings

_YOUNG = timedelta(hours=24)  # a file may be older than its row's commit, never by as much
_AT_ONCE = 500


def purge(db: Database, settings: Settings, limit: int = 1000) -> int:
    """Delete up to `limit` staged or removed attachments that have expired; return how many."""
    expired = (
        select(Attachment)
        .where(text("state <> 'bound'"), Attachment.expires_at <= clock.now())
        .order_by(Attachment.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    with db.unit_of_work() as session:
        gone = session.scalars(expired).all()
        for attachment in gone:
            session.delete(attachment)
    for attachment in gone:  # after the commit: a file without its row is found below, a row without its file isn't
        path_of(settings, attachment.id).unlink(missing_ok=True)
    return len(gone)


def purge_files(db: Database, settings: Settings) -> int:
    """Delete files older than 24 h that no row knows, left by a crash or a rollback; return how many."""
    oldest = (clock.now() - _YOUNG).timestamp()
    files = (path for path in _files(settings.attachments) if path.stat().st_mtime < oldest)
    count = 0
    while batch := list(islice(files, _AT_ONCE)):
        with db.reading() as session:
            known = _known(session, batch)
        for path in batch:
            if path.name not in known or path.parent.name == "incoming":
                path.unlink(missing_ok=True)
                count += 1
    return count


def _files(folder: Path) -> Iterator[Path]:
    """Only what this package has named itself: other things in the folder are not ours to delete."""
    for path in folder.rglob("*"):
        try:
            uuid.UUID(path.name)
        except ValueError:
            continue
        if path.is_file():
            yield path


def _known(session: Session, files: list[Path]) -> set[str]:
    ids = [uuid.UUID(path.name) for path in files]
    return {str(id_) for id_ in session.scalars(select(Attachment.id).where(Attachment.id.in_(ids)))}
