"""The table of attachments, and where their files lie."""

import uuid
from datetime import datetime
from pathlib import Path

from sqlalchemy import BigInteger, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from engine.db import Base, new_id
from engine.settings import Settings


class Attachment(Base):
    """A file (附件): staged by its uploader, then bound to an instance, where whoever sees the instance may read it."""

    __tablename__ = "attachment"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    # Deferred: attachments are bound before the statement that writes the new instance.
    instance_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("instance.id", deferrable=True, initially="DEFERRED")
    )
    item_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("work_item.id", deferrable=True, initially="DEFERRED"))
    field: Mapped[str] = mapped_column(String(60), default="")
    uploader_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    name: Mapped[str] = mapped_column(String(200))
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    mime: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(8), default="staged")  # staged, bound, removed
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]  # when it is deleted; None once it is bound

    __table_args__ = (
        Index("ix_attachment_instance", "instance_id", "id"),
        Index(
            "ix_attachment_expires",
            "expires_at",
            postgresql_where=text("state <> 'bound'"),
            sqlite_where=text("state <> 'bound'"),
        ),
        Index(
            "ix_attachment_unbound",
            "uploader_id",
            postgresql_where=text("state <> 'bound'"),
            sqlite_where=text("state <> 'bound'"),
        ),
    )


def path_of(settings: Settings, id: uuid.UUID) -> Path:  # noqa: A002
    """Return where the file lies: its id under two folders of its last, random digits; nothing that a client sent."""
    return settings.attachments / id.hex[-2:] / id.hex[-4:-2] / str(id)
