"""What a request under an idempotency key said (请求编号): the key again with other words is another request.

Who answers such a request as the first time would let somebody believe that their second opinion counted. So the
trail's row keeps a short digest of what was asked, beside the key, and the same key must come with the same digest
(draft-ietf-httpapi-idempotency-key-header, 2.4 "fingerprint").
"""

import functools
import json
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
from sqlalchemy.orm import Session

from engine.org.actor import Actor

_NOTED = "request"  # in the session's info, and in the detail of the trail's row

P = ParamSpec("P")
R = TypeVar("R")


def keyed(command: Callable[Concatenate[Session, Actor, P], R]) -> Callable[Concatenate[Session, Actor, P], R]:
    """Let a command that takes a `key` remember what it was asked to do."""

    @functools.wraps(command)
    def run(session: Session, actor: Actor, /, *args: P.args, **options: P.kwargs) -> R:
        asked = {name: value for name, value in options.items() if name != "key"}
        session.info[_NOTED] = None if options.get("key") is None else _digest([args, asked])
        return command(session, actor, *args, **options)

    return run


def noted(session: Session) -> dict[str, str]:
    """Return what the trail's row of the request under way keeps of it."""
    return {_NOTED: session.info[_NOTED]}


def same_words(session: Session, row: Any) -> bool:
    """Whether the request under way asks for what the trail's row was written for."""
    return bool(orjson.loads(row.detail).get(_NOTED) == session.info[_NOTED])


def _digest(asked: object) -> str:
    text = json.dumps(asked, sort_keys=True, default=_plain)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
