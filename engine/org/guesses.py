"""Wrong passwords (密码输错): guessing costs the one who guesses, not the one whose staff number is known.

After OWASP's "Slow Down Online Guessing Attacks with Device Cookies". Guesses are counted for each person and source:

- a browser in which the person has logged in before (已知设备, by a cookie) is a source of its own: nobody else's
  guesses lock it out, and with it nobody guesses on for ever either;
- for every other browser the source is its address (of IPv6 the /64), and beside it all unknown browsers together,
  so that somebody with many addresses doesn't have as many guesses;
- the old password at a change of password is a source of its own: a stolen session is no way round.

A source with too many is locked for LOCKED_FOR, during which guesses aren't even counted; then it starts anew, as it
does LOCKED_FOR after its last one, or with the right password. So who knows a staff number locks out at most the
browsers behind their own address; with dozens of addresses, browsers in which the person has never been. Guesses that
are made at the same moment may exceed a limit by as many as are let in at once (engine.org.passwords).
"""

import hashlib
import ipaddress
import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from engine import clock
from engine.batch import Batch, Statement
from engine.org.models import KnownDevice, WrongPassword

MAX_FAILURES = 5
FROM_ANYWHERE = 50  # by all unknown browsers together
LOCKED_FOR = timedelta(minutes=15)
KNOWN_FOR = timedelta(days=365)  # since a device was last used

CHANGE = ("change",)
"""The source of those who are logged in and change their password."""
ANYWHERE = "anywhere"

_TOKEN = 43  # characters of a device's token
_COUNT = Statement(
    """
    INSERT INTO wrong_password (person_id, source, failures, until) VALUES (:person, :source, 1, :until)
    ON CONFLICT (person_id, source) DO UPDATE SET until = :until,
      failures = CASE WHEN wrong_password.until <= :now THEN 1 ELSE wrong_password.failures + 1 END
    RETURNING failures
    """
)
# two tabs may log in at once
_REMEMBER = Statement(
    "INSERT INTO known_device (token_hash, person_id, seen_at) VALUES (:token_hash, :person_id, :seen_at) "
    "ON CONFLICT (token_hash, person_id) DO UPDATE SET seen_at = excluded.seen_at"
)


def sources(session: Session, person_id: uuid.UUID, address: str, device: str) -> tuple[str, ...]:
    """Return what a guess is counted for; `device` is the token that the browser sent, if any."""
    known = session.get(KnownDevice, (_hash(device), person_id)) if device else None
    if known is not None and known.seen_at > clock.now() - KNOWN_FOR:
        return (f"device {known.token_hash.hex()}",)
    return (f"address {network(address)}", ANYWHERE)


def locked(session: Session, person_id: uuid.UUID, of: Sequence[str]) -> bool:
    """Whether one of the sources has had its guesses for now."""
    counted = select(WrongPassword.source, WrongPassword.failures).where(
        WrongPassword.person_id == person_id, WrongPassword.source.in_(of), WrongPassword.until > clock.now()
    )
    return any(failures >= most(source) for source, failures in session.execute(counted))


def count(session: Session, person_id: uuid.UUID, of: Sequence[str], now: datetime) -> list[str]:
    """Count a wrong password; return the sources that it locks."""
    batch = Batch()
    for source in of:
        batch.query(_COUNT, {"person": person_id, "source": source, "now": now, "until": now + LOCKED_FOR})
    found = batch.run(session)
    return [source for source, rows in zip(of, found, strict=True) if rows[0].failures == most(source)]


def most(source: str) -> int:
    """Return how many wrong passwords lock a source."""
    return FROM_ANYWHERE if source == ANYWHERE else MAX_FAILURES


def forgive(session: Session, person_id: uuid.UUID, source: str | None = None) -> int:
    """Forget what was counted for a source, or for all of a person's; return how many wrong passwords it was."""
    mine = delete(WrongPassword).where(WrongPassword.person_id == person_id)
    if source is not None:
        mine = mine.where(WrongPassword.source == source)
    return sum(session.scalars(mine.returning(WrongPassword.failures)))


def remember(session: Session, person_id: uuid.UUID, device: str) -> str:
    """Make the browser a known one of the person, and return the token for its cookie: a new one, unless it has one.

    A browser keeps one token for all the people who use it.
    """
    token = device if len(device) == _TOKEN else secrets.token_urlsafe(32)
    batch = Batch()
    batch.add(_REMEMBER, {"token_hash": _hash(token), "person_id": person_id, "seen_at": clock.now()})
    batch.run(session)
    return token


def purge(session: Session) -> None:
    """Delete what no longer counts."""
    now = clock.now()
    session.execute(delete(WrongPassword).where(WrongPassword.until <= now))
    session.execute(delete(KnownDevice).where(KnownDevice.seen_at <= now - KNOWN_FOR))


def network(address: str) -> str:
    """Return the part of an address that one household or ward shares; whatever isn't one is taken as it is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.ip_network((int(found), 64), strict=False))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
