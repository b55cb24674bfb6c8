"""How each of the OAs lets its people in at the page behind an item (单点登录): a signed address, or a ticket."""

import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sandbox.oa.constants import SIGN_ON_SECRET

_LASTS = 60.0  # seconds of a ticket
_ALGORITHMS = {"landray": "hmac-sha256", "plain": "md5"}  # of those that sign; the others give tickets


def sign_on(oa: str) -> dict[str, Any]:
    """Return the table `sign_on` of a site's file for an OA of the stand-in, its secret in clear."""
    if oa in _ALGORITHMS:
        return {"kind": "signed", "algorithm": _ALGORITHMS[oa], "secret": SIGN_ON_SECRET}
    return {"kind": "ticket", "verify": "/sso/ticket?ticket={ticket}", "account_at": "user.loginName"}


class Tickets:
    """The tickets that were given and not yet asked about; each tells once whose it is."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[str, str, float]] = {}

    def give(self, oa: str, account: str, now: float) -> str:
        """Return a new ticket of an account."""
        self._given = {ticket: given for ticket, given in self._given.items() if given[2] > now}
        ticket = secrets.token_urlsafe(24)
        self._given[ticket] = (oa, account, now + _LASTS)
        return ticket

    def take(self, oa: str, ticket: str, now: float) -> str | None:
        """Return whose a ticket is and forget it; None where there is none such in this OA any more."""
        found = self._given.get(ticket)
        if found is None or found[0] != oa or found[2] < now:
            return None
        del self._given[ticket]
        return found[1]


def jump(tickets: Tickets, oa: str, link: str, account: str, item: str, now: float) -> str:
    """Return the address behind an item's link with what lets the account in; `now` in seconds since 1970."""
    if oa not in _ALGORITHMS:
        return _with(link, {"ticket": tickets.give(oa, account, now)})
    at, nonce = str(int(now * 1000)), secrets.token_hex(16)
    return _with(link, {"account": account, "at": at, "nonce": nonce, "sign": _signed(oa, account, at, nonce, item)})


def _signed(oa: str, *parts: str) -> str:
    text = "\n".join(parts)
    if _ALGORITHMS[oa] == "md5":
        return hashlib.md5(f"{text}{SIGN_ON_SECRET}".encode(), usedforsecurity=False).hexdigest()
    return hmac.new(SIGN_ON_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def _with(link: str, more: dict[str, str]) -> str:
    parts = urlsplit(link)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *more.items()])
    return urlunsplit(parts._replace(query=query))
