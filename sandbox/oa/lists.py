"""The lists of one OA: its rows by id, key and person, its own processes, and what people do there.

Everything is done under the state's lock, which whoever calls holds or is taken here.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Generic, TypeVar

from sandbox.clocked import Clocked
from sandbox.oa.records import ZONE, OAName, Person, Row, State

Settings = TypeVar("Settings")


class Lists(Generic[Settings]):
    """What people's lists in one OA show; `settings` is how its administrator has set it up."""

    def __init__(
        self, name: OAName, clock: Clocked, people: dict[str, Person], defaults: Callable[[], Settings]
    ) -> None:
        self.name, self.people = name, people
        self._clock, self._defaults = clock, defaults
        self.clear()

    def clear(self) -> None:
        """Forget all rows, and set it up as it was at the start."""
        self.settings = self._defaults()
        self.tokens: dict[str, float] = {}  # until when each lasts
        self.registered: dict[str, str] = {}  # secrets by appid, of programs that have registered
        self.gone: dict[tuple[str, str], int] = {}  # stamps of what was deleted, by key and account
        self._numbers = itertools.count(1)
        self._rows: dict[str, Row] = {}
        self._by_key: dict[str, dict[str, Row]] = defaultdict(dict)
        self._by_account: dict[str, dict[str, Row]] = defaultdict(dict)

    # Reading, for tests and pages: copies, which don't change any more

    def rows(self) -> list[Row]:
        """Return all rows of all people, the oldest first; those of the OA's own processes too (`own`)."""
        with self._clock.lock:
            return [row.copied() for row in self._rows.values()]

    def mirrored(self) -> list[Row]:
        """Return the rows that another system has put here, of all people."""
        return [row for row in self.rows() if not row.own]

    def of(self, account: str) -> list[Row]:
        """Return all rows of a person, in whatever list."""
        with self._clock.lock:
            return [row.copied() for row in self._by_account.get(account, {}).values()]

    def open(self, account: str) -> list[Row]:
        """Return what waits for a person (待办、待阅)."""
        return [row for row in self.of(account) if row.open]

    # The OA's own processes, and what people do in the OA

    def start_own(
        self,
        account: str,
        title: str,
        *,
        workflow: str = "收文",
        node: str = "处理",
        sender: str = "",
        sender_account: str = "",
        urgency: int = 0,
        state: State = "todo",
        key: str = "",
    ) -> Row:
        """Let a process of the OA's own wait for a person. Raises LookupError where the OA doesn't know them."""
        with self._clock.lock:
            person = self.people[account]
            number = self.number()
            row = Row(
                number,
                key or number,
                person.number,
                state,
                title,
                workflow=workflow,
                node=node,
                link=f"/{self.name}/view?id={number}",
                mobile_link=f"/{self.name}/mobile?id={number}",
                urgency=urgency,
                sender=sender,
                sender_account=sender_account,
                received_at=self.time(),
                own=True,
                kind=state,
                notified=1,
            )
            self.add(row)
            return row.copied()

    def finish_own(self, key: str, account: str | None = None, *, finished: bool = False) -> None:
        """Handle an own process in the OA, by one person or all whom it waits for. Raises LookupError."""
        with self._clock.lock:
            found = [r for r in self.having(key) if r.own and r.open and account in (None, r.account)]
            if not found:
                raise LookupError(f"{self.name}: {key} doesn't wait for {account or 'anybody'}")
            for row in found:
                self.close(row, "finished" if finished else "done", in_oa=True)

    def handle(self, key: str, account: str, outcome: str = "", opinion: str = "") -> Row:
        """Handle an item of another system in the OA itself (快速审批、一键已阅). Raises LookupError."""
        with self._clock.lock:
            row = next((r for r in self.having(key) if r.account == account and r.open and not r.own), None)
            if row is None:
                raise LookupError(f"{self.name}: {key} doesn't wait for {account}")
            row.outcome, row.opinion = outcome, opinion
            self.close(row, "done", in_oa=True)
            return row.copied()

    def look(self, row_id: str) -> Row:
        """Open a row: it is no longer new. Raises LookupError."""
        with self._clock.lock:
            row = self._rows[row_id]
            row.unread = False
            self._clock.touch()
            return row.copied()

    # For the OAs' interfaces

    def time(self) -> datetime:
        """Return the stand-in's time in the hospital's zone."""
        return datetime.fromtimestamp(self._clock.now(), ZONE)

    def now(self) -> float:
        """Return the stand-in's time, in seconds since 1970."""
        return self._clock.now()

    def number(self) -> str:
        """Return a number for a new row."""
        return f"{next(self._numbers):08d}"

    def row(self, row_id: str) -> Row | None:
        """Return a row itself."""
        return self._rows.get(row_id)

    def having(self, key: str) -> list[Row]:
        """Return the rows themselves that have a key."""
        return list(self._by_key[key].values()) if key in self._by_key else []

    def waiting(self, account: str) -> Iterable[Row]:
        """Return the rows themselves of a person."""
        return self._by_account[account].values() if account in self._by_account else ()

    def all(self) -> Iterable[Row]:
        """Return all rows themselves."""
        return self._rows.values()

    def add(self, row: Row) -> None:
        """Put a new row into a person's list."""
        self._rows[row.id] = self._by_key[row.key][row.id] = self._by_account[row.account][row.id] = row
        self._clock.touch()

    def remove(self, row: Row) -> None:
        """Take a row out of all lists."""
        del self._rows[row.id], self._by_account[row.account][row.id]
        same = self._by_key[row.key]
        del same[row.id]
        if not same:
            del self._by_key[row.key]
        self._clock.touch()

    def close(self, row: Row, state: State, *, in_oa: bool = False) -> None:
        """Move a row to a list of what is done; where it was handled first stays as it is."""
        if row.open or row.handled_at is None:
            row.in_oa, row.handled_at = in_oa, self.time()
        row.state, row.unread = state, False
        self._clock.touch()

    def reopen(self, row: Row, state: State, *, tell: bool) -> None:
        """Let a row wait for its person, again or still; `tell`: the OA notifies them, and it is marked as new."""
        row.state = row.kind = state
        row.in_oa, row.handled_at = False, None
        row.unread = tell or row.unread
        row.notified += tell
        self._clock.touch()

    def changed(self) -> None:
        """Say that a row has changed."""
        self._clock.touch()
