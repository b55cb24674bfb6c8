"""Drafts (暂存): what a person has typed and not sent. Nobody else ever sees one."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from engine.batch import Batch, Statement
from engine.errors import NotFound
from engine.org.actor import Actor

_DRAFT = "SELECT id, content, updated_at FROM draft WHERE person_id = :viewer AND "
OF_ITEM = Statement(_DRAFT + "item_id = :item", id=uuid.UUID, updated_at=datetime)
_OF_START = Statement(_DRAFT + "id = :id AND process_key IS NOT NULL", id=uuid.UUID, updated_at=datetime)


@dataclass(frozen=True, slots=True)
class DraftView:
    """What the viewer has typed and not sent (暂存): data, opinion, outcome."""

    id: uuid.UUID
    content: Mapping[str, Any]
    updated_at: datetime

    @classmethod
    def of(cls, rows: list[Any]) -> "DraftView | None":
        """Return the draft of the one row there is, None where there is none."""
        return next((cls(row.id, orjson.loads(row.content), row.updated_at) for row in rows), None)


def draft(session: Session, viewer: Actor, draft_id: uuid.UUID) -> DraftView:
    """Return the viewer's draft of a new instance. Raises NotFound for any other, whether it exists or not."""
    batch = Batch()
    batch.query(_OF_START, {"viewer": viewer.person_id, "id": draft_id})
    found = DraftView.of(batch.run(session)[0])
    if found is None:
        raise NotFound("没有这份草稿，可能已经提交或删除", code="draft_not_found")
    return found
