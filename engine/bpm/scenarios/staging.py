"""What a story needs and no person sends: attachments."""

import hashlib
import uuid
from datetime import timedelta

from sqlalchemy.orm import Session

from engine import clock
from engine.attachments import Attachment
from engine.attachments.kinds import KINDS
from engine.db import new_id
from engine.org.actor import Actor


def attach(session: Session, actor: Actor, name: str) -> uuid.UUID:
    """Stage an attachment that exists by name only: processes never read what is in a file."""
    kind = KINDS.get(name[name.rfind(".") :].lower())
    row = Attachment(
        id=new_id(),
        uploader_id=actor.person_id,
        name=name,
        size=1,
        mime="application/octet-stream" if kind is None else kind.mime,
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        created_at=clock.now(),
        expires_at=clock.now() + timedelta(days=1),
    )
    session.add(row)
    session.flush()
    return row.id
