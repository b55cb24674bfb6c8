"""States (进入凭据): what goes to WeCom and comes back proves itself, so nothing is stored for who only sets out.

A state is random digits, when it ends, and an HMAC of both with the browser's token and the page that was asked for.
The page waits in the browser's own cookie (`Way`), beside when it set out: that tells a loop. Whoever changes the
cookie spoils their own state and nothing else. WeCom takes [A-Za-z0-9], at most 128 bytes (document 91022).
"""

import base64
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from pydantic import TypeAdapter

from engine.crypto import mac, same

PURPOSE = "entry"
"""What the installation's key is derived for."""
LASTS = timedelta(minutes=10)
STATE = re.compile(r"[0-9a-f]{106}")
MINUTE = timedelta(minutes=1)
LONGEST = 1000  # characters of a page's address
_HEAD = 42  # characters: 16 random bytes, seconds
_MARK = 16
_ROOM, _FRAME = 2_400, 40  # characters of all ways in a cookie, which holds 4096; of one way without its page


class Way(NamedTuple):
    """A way out to WeCom: the start of its state, when it began in seconds, the page; come back, the moment alone."""

    mark: str
    began: int
    target: str


_WAYS = TypeAdapter(list[Way])


def made(key: bytes, browser: str, target: str, now: datetime) -> tuple[str, Way]:
    """Return a new state for a browser's token, and the way that its cookie is to keep."""
    target = _address(target)
    head = f"{secrets.token_hex(16)}{int((now + LASTS).timestamp()):010x}"
    return f"{head}{_proof(key, head, browser, target)}", Way(head[:_MARK], int(now.timestamp()), target)


def proven(key: bytes, state: str, browser: str, way: Way, now: datetime) -> datetime | None:
    """Return when a state ends, None unless we made it for this browser and this way and it is good still."""
    head = state[:_HEAD]
    if not same(_proof(key, head, browser, way.target).encode(), state[_HEAD:].encode()):
        return None
    ends = datetime.fromtimestamp(int(head[32:], 16), UTC)
    return ends if ends > now else None


def of(state: str, ways: Sequence[Way]) -> Way | None:
    """Return the way of a state; None where it isn't one of these, or has come back."""
    return next((way for way in ways if STATE.fullmatch(state) and way.mark == state[:_MARK]), None)


def read(cookie: str) -> list[Way]:
    """Return the ways in a cookie, newest first; none of one that isn't ours."""
    try:
        return _WAYS.validate_json(base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4)))
    except ValueError:
        return []


def written(ways: Sequence[Way], now: datetime) -> str:
    """Return the cookie for these ways, newest first: those that may come back and those of the last minute.

    Where there isn't room for all the pages, the oldest can't come back.
    """
    kept, room = list[Way](), _ROOM
    for way in ways:
        room -= _FRAME + len(way.target)
        if room < 0:
            way = Way("", way.began, "")
        if way.began > (now - (LASTS if way.mark else MINUTE)).timestamp():
            kept.append(way)
    return base64.urlsafe_b64encode(_WAYS.dump_json(kept)).decode().rstrip("=")


def lately(ways: Sequence[Way], now: datetime) -> int:
    """Return how many of these ways began within the last minute."""
    return sum(way.began > (now - MINUTE).timestamp() for way in ways)


def _proof(key: bytes, head: str, browser: str, target: str) -> str:
    return mac(
        key,
        head.encode()
        + sha256(browser.encode(errors="replace")).digest()
        + sha256(target.encode(errors="replace")).digest(),
    ).hex()


def _address(target: str) -> str:
    """Return a page's address as a header carries it; without its query, or home, where it is too long to be kept."""
    address = quote(target, safe=":/%#?=@[]!$&'()*+,;")
    if len(address) > LONGEST:
        address = address.partition("?")[0]
    return address if len(address) <= LONGEST else "/"
