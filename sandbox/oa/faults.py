"""What is let go wrong, in the order in which it was asked for; nothing is left to chance."""

from collections.abc import Callable
from typing import Any

from sandbox.clocked import Clocked
from sandbox.oa.records import KINDS, NAMES, Fault, Kind, OAName


class Faults:
    """The faults to come, and the requests that take effect later."""

    def __init__(self, clock: Clocked) -> None:
        self._clock = clock
        self._coming: dict[str, list[Fault]] = {}
        self._late: dict[str, list[tuple[int, Callable[[], Any]]]] = {}
        self.clear()

    def clear(self) -> None:
        """Let nothing go wrong any more; requests on their way are lost."""
        with self._clock.lock:
            self._coming = {name: [] for name in NAMES}
            self._late = {name: [] for name in NAMES}

    def add(
        self,
        oa: OAName,
        operation: str,
        kind: Kind,
        times: int = 1,
        *,
        seconds: float | None = None,
        after: int = 1,
    ) -> None:
        """Let an operation ("*": any) go wrong the next times, see `records.Fault`. Raises ValueError."""
        if oa not in NAMES or kind not in KINDS:
            raise ValueError(f"{oa}: one of {', '.join(NAMES)}; {kind}: one of {', '.join(KINDS)}")
        lasting = seconds if seconds is not None else 0.5 if kind == "slow" else 30.0
        with self._clock.lock:
            self._coming[oa].append(Fault(operation, kind, times, lasting, after))

    def pending(self, oa: OAName) -> list[Fault]:
        """Return the faults still to come."""
        with self._clock.lock:
            return list(self._coming[oa])

    def take(self, oa: OAName, operation: str) -> Fault | None:
        """Return what is to go wrong with this request, and count it."""
        coming = self._coming[oa]
        for fault in coming:
            if fault.operation in ("*", operation):
                fault.times -= 1
                if fault.times <= 0:
                    coming.remove(fault)
                return fault
        return None

    def postpone(self, oa: OAName, after: int, effect: Callable[[], Any]) -> None:
        """Let a request take effect later."""
        self._late[oa].append((after, effect))

    def passed(self, oa: OAName) -> None:
        """Count one more request, and let what was waiting for it take effect."""
        late = self._late[oa]
        if not late:
            return
        counted = [(after - 1, effect) for after, effect in late]
        self._late[oa] = [(after, effect) for after, effect in counted if after]
        for after, effect in counted:
            if not after:
                effect()

    def late(self, oa: OAName) -> int:
        """Return how many requests are on their way."""
        with self._clock.lock:
            return len(self._late[oa])

    def release(self, oa: OAName | None = None) -> int:
        """Let all late requests take effect now, in their order; return how many."""
        with self._clock.lock:
            effects = list[Callable[[], Any]]()
            for name in NAMES if oa is None else (oa,):
                effects += [effect for _, effect in self._late[name]]
                self._late[name] = []
            for effect in effects:
                effect()
            return len(effects)

    def lose(self, oa: OAName) -> None:
        """Forget the requests on their way."""
        self._late[oa] = []
