"""What the stand-ins' pages have in common: who may ask, waiting for news, how people and moments are shown."""

import asyncio
import ipaddress
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import wraps
from inspect import isawaitable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
UI = Mount("/ui", StaticFiles(directory=HERE / "ui"))
"""Styles and scripts of every stand-in with people."""
Handler = Callable[[Request], Response | Awaitable[Response]]
HEADERS = {
    # pictures in messages come from wherever the app says
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src http: https: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all a form of the page itself would name no origin
    "Cache-Control": "no-store",
}
CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")
TONES = 8  # colours of avatars in switcher.css
_PATIENCE = 0.8  # seconds that a request for news waits; short, so that the server can stop
_PAUSE = 0.04  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Face:
    """A person as they are shown: `label` is what they are in the story, or where they work."""

    userid: str
    name: str
    label: str
    position: str
    departments: list[str]

    @property
    def letters(self) -> str:
        """The last two characters of the name, for the avatar."""
        return self.name[-2:]

    @property
    def tone(self) -> int:
        """The avatar's colour, the same at every run."""
        return zlib.crc32(self.userid.encode()) % TONES


def moment(then: float, now: float) -> str:
    """Return a time (seconds since 1970) as a list says it: 09:12, 昨天 09:12, 11月20日 09:12."""
    at, today = datetime.fromtimestamp(then, CHINA), datetime.fromtimestamp(now, CHINA).date()
    clock = f"{at:%H:%M}"
    if at.date() == today:
        return clock
    if at.date() == today - timedelta(days=1):
        return f"昨天 {clock}"
    day = f"{at.month}月{at.day}日 {clock}"
    return day if at.year == today.year else f"{at.year}年{day}"


async def newer(version: Callable[[], int], known: str) -> bool:
    """Wait a moment for another version than the one that a page knows; return whether there is one."""
    until = time.monotonic() + _PATIENCE
    while str(version()) == known:
        if time.monotonic() > until:
            return False
        await asyncio.sleep(_PAUSE)
    return True


def is_loopback(request: Request) -> bool:
    """Return whether a request comes from this machine and was meant for it (a rebound name was not)."""
    return _local(request.client.host if request.client else "") and _local(request.url.hostname or "")


def own(handler: Handler) -> Handler:
    """Refuse what another website's page sends: a person's click is made on the stand-in's own page only."""

    @wraps(handler)
    async def guarded(request: Request) -> Response:
        origin = request.headers.get("origin")
        same = origin is None or urlsplit(origin).netloc == request.headers.get("host")
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or not same:
            return PlainTextResponse("只接受沙箱的页面自己发出的请求", 403)
        answer = handler(request)
        return await answer if isawaitable(answer) else answer

    return guarded


def _local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
