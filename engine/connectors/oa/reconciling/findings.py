"""What a reconciliation compares, and what it finds: rows of ours, lines of theirs, differences."""

import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.connectors.oa.adapters.protocol import Shown

MISSING, GHOST, STALE = "missing", "ghost", "stale"
OURS, THEIRS = "ours", "theirs"
OPEN = ("todo", "read")

Cure = Literal["put", "adopt", "move", "remove", "none"]
"""How a difference is mended: our items are put again, first taken into our record, or first taken out of the list of
another account; a line of theirs that is no item of ours is taken out."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, and its cure."""

    kind: str  # missing, ghost, stale
    side: str  # ours, theirs
    title: str
    detail: str
    cure: Cure
    item_id: uuid.UUID | None = None
    person_id: uuid.UUID | None = None
    account: str = ""
    items: tuple[uuid.UUID, ...] = field(default=())  # put again
    instance_id: uuid.UUID | None = None  # of what is taken into our record
    shown: Shown | None = None  # what is taken out


def settled(row: Any) -> bool:
    """Whether our record of an item is at rest: nothing is on its way, and it agrees with the rows of the process."""
    return at_rest(row) and not row.sending and row.current == row.wanted == row.shown


def at_rest(row: Any) -> bool:
    """Whether nobody is about to do something for an item anyway."""
    return not row.pending and not row.looked_at


def state_of(row: Any) -> tuple[Any, ...]:
    """Return what changes with each diff and each push of an item: the same twice, it was at rest between."""
    return (row.seq, row.stamp, row.sending, row.shown, row.wanted, row.current)
