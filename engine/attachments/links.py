"""Links that open one file for one person for a few minutes (限时链接): for programs that bring no cookie along.

A link says who it was made for, until when, and carries an HMAC of both and of the file. Whoever opens it sees what
that person may see at that moment, and nothing else.
"""

import base64
import binascii
import uuid
from datetime import timedelta

from engine import clock
from engine.crypto import mac, same
from engine.errors import Forbidden

LASTS = timedelta(minutes=5)
PURPOSE = "attachment links"
"""What the key is derived for (engine.crypto.Keys)."""
_PERSON, _UNTIL, _MAC = 16, 6, 32  # bytes


def sign(key: bytes, attachment_id: uuid.UUID, person_id: uuid.UUID) -> str:
    """Return the token that opens a file for a person for five minutes."""
    said = person_id.bytes + int((clock.now() + LASTS).timestamp()).to_bytes(_UNTIL)
    return base64.urlsafe_b64encode(said + mac(key, _signed(attachment_id, said))).rstrip(b"=").decode()


def holder(key: bytes, attachment_id: uuid.UUID, token: str) -> uuid.UUID:
    """Return for whom a token opens a file. Raises Forbidden for one that is forged, too old, or another file's."""
    try:
        given = base64.urlsafe_b64decode(f"{token}{'=' * (-len(token) % 4)}".encode("ascii"))
    except (binascii.Error, ValueError):
        given = b""
    said, code = given[:-_MAC], given[-_MAC:]
    if (
        len(said) != _PERSON + _UNTIL
        or not same(code, mac(key, _signed(attachment_id, said)))
        or int.from_bytes(said[_PERSON:]) <= clock.now().timestamp()
    ):
        raise Forbidden("这个文件链接已失效，请回到页面重新打开附件", code="attachment_link")
    return uuid.UUID(bytes=said[:_PERSON])


def _signed(attachment_id: uuid.UUID, said: bytes) -> bytes:
    return b"attachment" + attachment_id.bytes + said
