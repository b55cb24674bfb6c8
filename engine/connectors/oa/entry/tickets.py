"""Asking an OA whose a ticket is (票据核对): a GET to the one address of the site's file, on the OA's own host.

It takes no place under the site's rate: that is for what we bring there by ourselves, and nobody should wait to be let
in behind a first load of thousands. Each question follows a click on the OA's own page, a ticket is asked about once.
But anybody can bring what looks like a ticket, and an OA may hang: a few questions at once are all that wait for it, so
that the threads of the pages are there for whoever wants none of it.
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from engine import outbox
from engine.connectors.oa.adapters.http import Http
from engine.connectors.oa.adapters.protocol import Unknown
from engine.connectors.oa.adapters.site import Site, origin
from engine.connectors.oa.entry.proofs import ACCOUNT, Ticket
from engine.errors import Unavailable

AT_ONCE = 4
"""Questions to one OA that each process waits for; more than that within a moment means that it hangs."""
_MOMENT = 0.5  # seconds that another one waits for a place
_SECONDS = 4.0  # somebody looks at a blank page meanwhile
_LATER = (408, 429)

log = logging.getLogger(__name__)


def whose(site: Site, ticket: Ticket) -> str | None:
    """Return whose a ticket is, None where the OA doesn't stand for it.

    Raises Unavailable (code `oa_away`) where the OA doesn't say.
    """
    assert site.sign_on is not None
    verify = site.sign_on.verify.replace("{ticket}", quote(ticket.text, safe=""))
    if verify.startswith("/"):
        verify = site.address.rstrip("/") + verify
    address = urlsplit(verify)
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")
    host = site.model_copy(update={"address": origin(site.address), "timeout": min(site.timeout, _SECONDS)})
    try:
        with _place(site.code), closing(Http(host, lambda: None)) as way:
            answer = way.ask("GET", path)
        if answer.status >= 500 or answer.status in _LATER:
            raise Unknown(f"HTTP {answer.status}")
        account = _at(answer.json(), site.sign_on.account_at) if 200 <= answer.status < 300 else None
    except (outbox.Transient, outbox.Permanent, outbox.Configuration) as error:
        log.warning("oa ticket not verified: site=%s error=%s", site.code, type(error).__name__)
        raise Unavailable(
            f"现在问不到“{site.name}”您是谁，您的待办不受影响。请稍等几秒，回到“{site.name}”的列表里再点一次，"
            "或先用工号和密码登录",
            code="oa_away",
        ) from None
    return account if account is not None and ACCOUNT.fullmatch(account) else None


@contextmanager
def _place(code: str) -> Iterator[None]:
    """Take one of the places of a site. Raises Transient where none gets free in a moment."""
    places = _places(code)
    if not places.acquire(timeout=_MOMENT):
        raise outbox.Transient("others wait already")
    try:
        yield
    finally:
        places.release()


@cache
def _places(_: str) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(AT_ONCE)


def _at(content: Any, path: str) -> str | None:
    """Return the text or number at a dotted path such as `data.user.loginName`, None where there is none."""
    for name in path.split("."):
        if isinstance(content, list) and re.fullmatch(r"\d{1,3}", name) and int(name) < len(content):
            content = content[int(name)]
        else:
            content = content.get(name) if isinstance(content, dict) else None
    if isinstance(content, int) and not isinstance(content, bool):
        return str(content)
    return content if isinstance(content, str) else None
