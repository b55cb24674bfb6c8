"""Refusals: five families, mapped once to HTTP statuses by the API and to pages by the web.

Each leaf carries a stable `code` for programs, a Chinese `message` that names the place and the cure for the
person, and typed `fields` for both (RFC 9457 extension members).
"""

from collections.abc import Callable
from typing import Any


class EngineError(Exception):
    """A refusal that a person is told about; never a defect."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.fields = fields
        self.afterwards: Callable[[Any], None] | None = None  # written in a transaction of its own after the rollback


class NotFound(EngineError):
    """The thing does not exist, or not for this viewer (404)."""

    code = "not_found"


class Forbidden(EngineError):
    """The viewer sees the thing but may not do this (403)."""

    code = "forbidden"


class Conflict(EngineError):
    """The thing is no longer in the state that the request assumed (409)."""

    code = "conflict"


class Invalid(EngineError):
    """The input is malformed or breaks a rule (422); `errors` lists places: [{place, message}]."""

    code = "invalid"

    def __init__(
        self, message: str, *, code: str | None = None, errors: list[dict[str, Any]] | None = None, **fields: Any
    ) -> None:
        super().__init__(message, code=code, **fields)
        self.errors = errors or []


class Unauthenticated(EngineError):
    """Nobody is logged in, or the credentials are wrong (401)."""

    code = "unauthenticated"


class Unavailable(EngineError):
    """Too busy or a part is down; the same request may be sent again (503)."""

    code = "unavailable"
