"""Who asks, as the shared modules see it: they lie below the organisation and know no more than this."""

import uuid
from typing import Protocol


class Viewer(Protocol):
    """A person and their roles; `engine.org.actor.Actor` is one."""

    @property
    def person_id(self) -> uuid.UUID:
        """The person's id."""

    def has(self, *roles: str) -> bool:
        """Whether the person holds one of the roles."""


class Doer(Viewer, Protocol):
    """A viewer of whom the trail says what they did, and by which means."""

    @property
    def token_id(self) -> uuid.UUID | None:
        """The service token by which another system acts; None for a person in a browser."""
