"""Everything that the stand-in's OAs know, in memory, under one lock."""

import hashlib
from collections import deque
from collections.abc import Iterable
from typing import Any

from sandbox.clocked import Clocked
from sandbox.oa.faults import Faults
from sandbox.oa.lists import Lists
from sandbox.oa.records import NAMES, OAName, Person, Seen
from sandbox.oa.settings import LandraySettings, PlainSettings, SeeyonSettings, WeaverSettings
from sandbox.people import PersonRow


class State(Clocked):
    """The OAs of a hospital with the same people; who isn't in `people` is known to none."""

    def __init__(self, people: Iterable[PersonRow] = ()) -> None:
        super().__init__()
        self.people = {row.number: _person(row) for row in people}
        self.by_id = {person.id: person for person in self.people.values()}
        self.landray = Lists("landray", self, self.people, LandraySettings)
        self.weaver = Lists("weaver", self, self.people, WeaverSettings)
        self.seeyon = Lists("seeyon", self, self.people, SeeyonSettings)
        self.plain = Lists("plain", self, self.people, PlainSettings)
        self.oas: dict[OAName, Lists[Any]] = {
            "landray": self.landray,
            "weaver": self.weaver,
            "seeyon": self.seeyon,
            "plain": self.plain,
        }
        self.faults = Faults(self)
        self._seen: deque[Seen] = deque(maxlen=200_000)

    def reset(self) -> None:
        """Begin anew: the people given at the start, and nothing else."""
        with self.lock:
            self.offset = 0.0
            for oa in self.oas.values():
                oa.clear()
            self.faults.clear()
            self._seen.clear()
            self.touch()

    def restart(self, oa: OAName) -> None:
        """Restart an OA: its rows are kept, its tokens and the requests on their way are not."""
        with self.lock:
            self.oas[oa].tokens.clear()
            self.faults.lose(oa)

    def person(self, account: str) -> Person | None:
        """Return a person by login name or by the OA's own id."""
        return self.people.get(account) or self.by_id.get(account)

    # Requests

    def see(self, seen: Seen) -> None:
        """Remember a request."""
        self._seen.append(seen)

    def requests(self, oa: OAName, operation: str | None = None) -> list[Seen]:
        """Return the requests that came to an OA, the oldest first; those let go wrong too."""
        if oa not in NAMES:
            raise ValueError(f"{oa}: one of {', '.join(NAMES)}")
        with self.lock:
            return [s for s in self._seen if s.oa == oa and operation in (None, s.operation)]

    def forget_requests(self) -> None:
        """Count from zero again."""
        with self.lock:
            self._seen.clear()


def _person(row: PersonRow) -> Person:
    own = hashlib.md5(row.number.encode(), usedforsecurity=False).hexdigest()
    return Person(row.number, row.name, row.mobile, row.department, own, row.label)
