"""What each stand-in's state is made of: one lock, a clock that can be moved on, and changes that pages wait for."""

import threading
import time


class Clocked:
    """A state under one lock; `version` grows with every change that a page could show."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 0
        self.offset = 0.0  # seconds that the clock is ahead of the real one

    # The clock

    def now(self) -> float:
        """Return the stand-in's time, in seconds since 1970."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the clock on; codes and tokens grow old."""
        with self.lock:
            self.offset += seconds
            self.touch()

    # Changes that pages wait for

    def touch(self) -> None:
        """Say that something which a page could show has changed."""
        with self.changed:
            self.version += 1
            self.changed.notify_all()

    def wait(self, version: int, seconds: float) -> int:
        """Wait until there is a newer version than this, or so many seconds; return the version then."""
        with self.changed:
            self.changed.wait_for(lambda: self.version != version, seconds)
            return self.version
