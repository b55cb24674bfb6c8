"""The registry of the outbox, emptied for tests that name their topics and channels as they like."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.outbox import channels, handlers


@contextmanager
def emptied() -> Iterator[None]:
    """Give the test an empty registry, and put back what was there."""
    registered: tuple[Any, ...] = (handlers.declared, handlers.handlers, channels.channels)
    kept = [each.copy() for each in registered]
    for each in registered:
        each.clear()
    yield
    for each, before in zip(registered, kept, strict=True):
        each.clear()
        each.update(before)
