"""Notices (站内通知): what a person is told inside the product."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, ScalarSelect, String, func, select, update
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, Session, mapped_column

from engine import clock
from engine.batch import Batch, Statement
from engine.db import Base, new_id
from engine.errors import Invalid
from engine.viewer import Viewer

PAGE = 20
_TITLE, _TEXT = 200, 400  # characters


class Notice(Base):
    """One message to one person."""

    __tablename__ = "notice"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(_TITLE))
    text: Mapped[str] = mapped_column(String(_TEXT), default="")
    instance_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("instance.id"))
    item_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("work_item.id"))
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_notice_person", "person_id", "id"),
        Index("ix_notice_instance", "instance_id", "item_id"),
        Index(
            "ix_notice_unread",
            "person_id",
            postgresql_where=sql("read_at IS NULL"),
            sqlite_where=sql("read_at IS NULL"),
        ),
    )


@dataclass(frozen=True, slots=True)
class NewNotice:
    """A notice to be written; title and text are cut at 200 and 400 characters."""

    person_id: uuid.UUID
    kind: str
    title: str
    text: str = ""
    instance_id: uuid.UUID | None = None
    item_id: uuid.UUID | None = None


_INSERT = Statement(
    "INSERT INTO notice (id, person_id, kind, title, text, instance_id, item_id, created_at) "
    "VALUES (:id, :person_id, :kind, :title, :text, :instance_id, :item_id, :created_at)"
)
_SETTLE = Statement(
    "UPDATE notice SET read_at = :now WHERE instance_id = :instance AND read_at IS NULL AND (kind = :kind "
    "OR item_id IN (SELECT id FROM work_item WHERE instance_id = :instance AND state <> 'open'))"
)


def add_many(batch: Batch, rows: Sequence[NewNotice]) -> None:
    """Queue the writing of notices, dated now."""
    now = clock.now()
    values: list[dict[str, Any]] = [
        asdict(row)
        | {"id": new_id(), "created_at": now, "title": _cut(row.title, _TITLE), "text": _cut(row.text, _TEXT)}
        for row in rows
    ]
    if values:
        batch.add(_INSERT, values)


def mark_settled(batch: Batch, instance_id: uuid.UUID, kind: str = "") -> None:
    """Queue the marking of notices about an instance as read, whoever's they are: what they asked for is over.

    Those of items that aren't open any more, and those of a kind.
    """
    batch.add(_SETTLE, {"instance": instance_id, "kind": kind, "now": clock.now()})


def unread(session: Session, viewer: Viewer, about: uuid.UUID | None = None) -> int:
    """Return how many of the viewer's notices are unread, of all or of those about an instance."""
    mine = [Notice.person_id == viewer.person_id, Notice.read_at.is_(None)]
    if about is not None:
        mine.append(Notice.instance_id == about)
    return session.scalar(select(func.count()).select_from(Notice).where(*mine)) or 0


def list_notices(session: Session, viewer: Viewer, cursor: str | None = None) -> tuple[list[Notice], str | None]:
    """Return a page of the viewer's notices, newest first, and the cursor of the next page, None on the last one.

    Raises Invalid for a cursor that no page gave.
    """
    mine = select(Notice).where(Notice.person_id == viewer.person_id)
    if cursor is not None:
        try:
            mine = mine.where(Notice.id < uuid.UUID(cursor))
        except ValueError:
            raise Invalid("翻页标记无效，请从第一页重新打开列表", code="bad_cursor") from None
    found = list(session.scalars(mine.order_by(Notice.id.desc()).limit(PAGE + 1)))
    return found[:PAGE], found[PAGE - 1].id.hex if len(found) > PAGE else None


def mark_read(session: Session, viewer: Viewer, ids: Sequence[uuid.UUID] | None = None) -> None:
    """Mark the viewer's notices as read: these, or all where no ids are given; others' ids change nothing."""
    mine = update(Notice).where(Notice.person_id == viewer.person_id, Notice.read_at.is_(None))
    if ids is not None:
        mine = mine.where(Notice.id.in_(ids))
    session.execute(mine.values(read_at=clock.now()))


def mark_seen(session: Session, viewer: Viewer, instance_id: uuid.UUID | ScalarSelect[uuid.UUID]) -> None:
    """Mark the viewer's notices about an instance as read: they have opened it."""
    mine = update(Notice).where(Notice.person_id == viewer.person_id, Notice.read_at.is_(None))
    session.execute(mine.where(Notice.instance_id == instance_id).values(read_at=clock.now()))


def _cut(words: str, longest: int) -> str:
    return words if len(words) <= longest else words[: longest - 1] + "…"
