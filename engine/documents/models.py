"""The ledger of document numbers (文号台账): every number given, with its fate."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from engine.db import Base, new_id


class NumberSeries(Base):
    """The last number of an agency word (机关代字) in a year; its row is the lock under which numbers are given."""

    __tablename__ = "number_series"

    word: Mapped[str] = mapped_column(String(40), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int] = mapped_column(default=0)


class DocumentNumber(Base):
    """One number of the ledger: given to an instance, or void with a reason (作废)."""

    __tablename__ = "document_number"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    word: Mapped[str] = mapped_column(String(40))
    year: Mapped[int]
    number: Mapped[int]
    text: Mapped[str] = mapped_column(String(80))
    instance_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("instance.id"), index=True)
    request: Mapped[str] = mapped_column(String(80), unique=True)  # the same request again gives the same number
    given_at: Mapped[datetime]
    voided_at: Mapped[datetime | None]
    voided_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    void_reason: Mapped[str] = mapped_column(String(200), default="")

    __table_args__ = (UniqueConstraint("word", "year", "number"),)
