"""What is put into the outbox to tell named people something about an instance: `handlers.notice_person` reads it."""

import uuid
from collections.abc import Iterable
from typing import Any


def told(instance_id: uuid.UUID, kind: str, people: Iterable[uuid.UUID], text: str) -> dict[str, Any]:
    """Return the payload of a row `notice`/`person`; `kind` is that of the notice (copy, urge)."""
    return {"instance": str(instance_id), "kind": kind, "persons": [str(person) for person in people], "text": text}
