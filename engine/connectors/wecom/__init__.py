"""WeCom (企业微信): cards and messages, entry without a password, people in step.

`client` is the only module that talks to WeCom. What is sent is decided from the rows as they are when it is sent.
"""

from engine import outbox
from engine.connectors.tokens import Tokens
from engine.connectors.wecom.cards import Links
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Database

SYSTEM = "wecom"
_THREADS = 4  # of each worker: 50 cards a second leave each 80 ms


def declare(settings: WeComSettings) -> None:
    """Declare WeCom as a channel of the outbox, where it is switched on; once is enough for a process."""
    if settings.enabled and SYSTEM not in outbox.lanes():
        outbox.channel(SYSTEM, per_minute=settings.per_minute, threads=_THREADS)


def install(db: Database, settings: WeComSettings, base_url: str, *, tokens: Tokens | None = None) -> WeCom | None:
    """Connect a database's service or worker to WeCom, where it is switched on; returns the client.

    Called once when a process starts, before its threads do: handlers find the client with `db.part(WeCom)`, and from
    then on every change of an instance is told. `base_url` is how people reach our pages, `tokens` where access tokens
    are kept (default: in this process).
    """
    if not settings.enabled:
        return None
    declare(settings)
    wecom = WeCom(settings, tokens=tokens, take=lambda: outbox.take(db, SYSTEM))
    db.provide(wecom)
    db.provide(Links(base_url.rstrip("/")))
    db.mirrors = tuple(dict.fromkeys((*db.mirrors, SYSTEM)))
    return wecom
