"""What a process knows of its channels and has not written yet: so a row that is sent needs no lock on its channel."""

import threading
from collections import Counter


class Tally:
    """Rows sent since the last lease of each channel, and which channels failed here since they last answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: Counter[str] = Counter()
        self._failing: set[str] = set()

    def sent(self, system: str, count: int = 1) -> None:
        """Note rows that the other side took."""
        with self._lock:
            self._sent[system] += count

    def collect(self, system: str) -> int:
        """Return how many rows were sent and not yet collected, for who writes them."""
        with self._lock:
            return self._sent.pop(system, 0)

    def has_sent(self, system: str) -> bool:
        """Return whether rows were sent that are not yet collected."""
        return self._sent[system] > 0

    def failing(self, system: str, *, since: bool) -> None:
        """Note a failure, or an answer after one."""
        (self._failing.add if since else self._failing.discard)(system)

    def has_failed(self, system: str) -> bool:
        """Return whether a channel failed here and hasn't answered since."""
        return system in self._failing
