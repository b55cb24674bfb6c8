"""What a request under an idempotency key said (请求编号): the key again with other words is another request.

Who answers such a request as the first time would let somebody believe that their second opinion counted. So the
trail's row keeps a short digest of what was asked, beside the key, and the same key must come with the same digest
(draft-ietf-httpapi-idempotency-key-header, 2.4 "fingerprint").
"""

import functools
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
from sqlalchemy.orm import Session

from engine.org.actor import Actor

_NOTED = "request"  # in the session's info, and in the detail of the trail's row
_BESIDE = ("key", "version")  # what the client had seen may be newer when it asks again

P = ParamSpec("P")
R = TypeVar("R")


def keyed(command: Callable[Concatenate[Session, Actor, P], R]) -> Callable[Concatenate[Session, Actor, P], R]:
    """Let a command that takes a `key` remember what it was asked to do."""

    @functools.wraps(command)
    def run(session: Session, actor: Actor, /, *args: P.args, **options: P.kwargs) -> R:
        if options.get("key") is not None:
            session.info[_NOTED] = _digest([args, {k: v for k, v in options.items() if k not in _BESIDE}])
        return command(session, actor, *args, **options)

    return run


def noted(session: Session) -> dict[str, str]:
    """Return what the trail's row of the request under way keeps of it."""
    return {_NOTED: session.info[_NOTED]}


def same_words(session: Session, row: Any) -> bool:
    """Whether the request under way asks for what the trail's row was written for."""
    said = orjson.loads(row.detail).get(_NOTED)  # none: written by a release that kept no digest
    return said is None or bool(said == session.info[_NOTED])


def _digest(asked: object) -> str:
    try:
        text = orjson.dumps(asked, default=_plain, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # numbers and characters that no column takes; the command says so
        text = repr(asked).encode(errors="replace")
    return blake2b(text, digest_size=8).hexdigest()


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
