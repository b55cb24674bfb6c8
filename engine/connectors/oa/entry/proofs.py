"""What somebody brings along who comes from an OA's list (单点登录凭据): a signature of the OA's, or a ticket.

Both name one account, are good for minutes, and once (`passing`). A signature covers the item too, so that a link can't
be led to another one. MD5 is there because OAs of that age have nothing better: the secret stands behind what is
signed, so nothing can be appended to it, and what stands before it is held to letters and digits, so that no two texts
are made to collide. HMAC-SHA256 is the default, and what to ask the OA's vendor for.
"""

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from engine.connectors.oa.adapters.site import SignOn
from engine.crypto import mac, same

SIGNED = ("account", "at", "nonce", "sign")
TICKET = "ticket"
ACCOUNT = re.compile(r"[^\s\x00-\x1f\x7f\ud800-\udfff]{1,80}")
_AT = re.compile(r"[1-9][0-9]{12}")
_NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}")
_TICKET = re.compile(r"[!-~]{8,512}")
_DIGITS = {"hmac-sha256": 64, "md5": 32}


@dataclass(frozen=True, slots=True)
class Signature:
    """A signed form that is complete: whether the OA has signed it says `signed_by`."""

    account: str
    at: datetime
    text: bytes  # what is signed
    sign: bytes

    @property
    def hash(self) -> bytes:
        """What is kept so that it is good once."""
        return hashlib.sha256(self.text).digest()

    def signed_by(self, sign_on: SignOn) -> bool:
        """Whether the OA has signed it, in a time that doesn't depend on where a forgery differs."""
        secret = sign_on.secret.get_secret_value().encode()
        if sign_on.algorithm == "md5":
            # MD5 is what such an OA has; see above why it holds here
            expected = hashlib.md5(self.text + secret).digest()  # nosec B324
        else:
            expected = mac(secret, self.text)
        return same(expected, self.sign)

    def fresh(self, now: datetime, lasts: timedelta) -> bool:
        """Whether it was signed just now, by clocks that may differ by as much."""
        return abs(now - self.at) <= lasts


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket: whose it is the OA alone can tell."""

    text: str

    @property
    def hash(self) -> bytes:
        """What is kept so that it is good once."""
        return hashlib.sha256(self.text.encode()).digest()


def brought(sign_on: SignOn, query: Mapping[str, list[str]]) -> bool:
    """Whether an address carries anything that is meant to let somebody in."""
    return any(name in query for name in (SIGNED if sign_on.kind == "signed" else (TICKET,)))


def read(sign_on: SignOn, query: Mapping[str, list[str]], item_id: uuid.UUID) -> Signature | Ticket | None:
    """Return what an address carries; None unless it is complete, each part once and as it is written by the book."""
    values = {name: given[0] if len(given := query.get(name, [])) == 1 else "" for name in (*SIGNED, TICKET)}
    if sign_on.kind == "ticket":
        return Ticket(values[TICKET]) if _TICKET.fullmatch(values[TICKET]) else None
    account, at, nonce, sign = (values[name] for name in SIGNED)
    if not (
        ACCOUNT.fullmatch(account)
        and _AT.fullmatch(at)
        and _NONCE.fullmatch(nonce)
        and re.fullmatch(rf"[0-9A-Fa-f]{{{_DIGITS[sign_on.algorithm]}}}", sign)
    ):
        return None
    moment = datetime.fromtimestamp(int(at) / 1000, UTC)
    return Signature(account, moment, signed_text(account, at, nonce, item_id), bytes.fromhex(sign))


def signed_text(account: str, at: str, nonce: str, item_id: uuid.UUID) -> bytes:
    """Return what is signed: account, moment in ms, nonce and the item's 32 hexadecimal digits, a line each, UTF-8."""
    return f"{account}\n{at}\n{nonce}\n{item_id.hex}".encode()
