"""An OA that is a dictionary: what each account's list shows, told in order, for tests of what lies above adapters."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from engine import outbox
from engine.connectors import oa
from engine.connectors.oa import mirroring
from engine.connectors.oa.adapters.protocol import Foreign, Handled, Shown, State, Todo, UnknownPerson
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.sites import Connection, Sites
from engine.db import Database
from tests.factories.outbox import registry

BASE = "https://oa.hospital.example"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of somebody's list."""

    key: str
    account: str
    state: State
    title: str
    node: str
    received_at: datetime


class Shelf:
    """An OA that adds a second line where an open item comes again without doubt, as the worst of them do."""

    states = frozenset(State)
    polls = quick = False

    def __init__(self, *, reads_back: bool = True, keys: bool = True) -> None:
        self.reads_back, self.keys = reads_back, keys
        self.lines: list[Line] = []
        self._known: set[str] = set()  # keys that were put
        self.unknown: set[str] = set()  # accounts of nobody
        self.asked: list[str] = []  # whose lists were read
        self.puts: list[tuple[Todo, State]] = []
        self.errors: list[Exception] = []  # of the next requests, one each
        self.take: Callable[[], None] = lambda: None  # before each request
        self.meanwhile: list[Any] = []  # called once while a list is on its way

    def put(self, todo: Todo, state: State, *, doubtful: bool = False) -> None:
        self._may(todo.account)
        self.puts.append((todo, state))
        first = todo.key not in self._known and state.open  # nothing to look for among thousands
        self._known.add(todo.key)
        mine = [] if first else [each for each in self.lines if (each.key, each.account) == (todo.key, todo.account)]
        if doubtful or not state.open or any(line.state != state for line in mine):
            self.lines = [line for line in self.lines if line not in mine]
        if state != State.DELETED:
            self.lines.append(Line(todo.key, todo.account, state, todo.title, todo.node, todo.opened_at))

    def check(self) -> str:
        return "连接正常"

    def shown(self, account: str) -> list[Shown]:
        self.asked.append(account)
        self._may(account)
        found = [
            Shown(line.key if self.keys else "", account, line.state, line.title, line.node, line.received_at)
            for line in self.lines
            if line.account == account and line.state.open
        ]
        while self.meanwhile:
            self.meanwhile.pop()()
        return found

    def waiting(self, account: str) -> list[Foreign]:
        raise NotImplementedError

    def done_since(self, account: str, since: datetime) -> list[Foreign]:
        raise NotImplementedError

    def handled(self, accounts: Iterable[str], since: datetime) -> list[Handled]:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def open(self, account: str) -> list[str]:
        """Return the steps of what somebody's list shows as open, sorted."""
        return sorted(line.node for line in self.lines if line.account == account and line.state.open)

    def forget(self, **which: Any) -> None:
        """Lose lines."""
        self.lines = [line for line in self.lines if not _is(line, which)]

    def change(self, which: dict[str, Any], **values: Any) -> None:
        """Change lines behind our back."""
        self.lines = [replace(line, **values) if _is(line, which) else line for line in self.lines]

    def _may(self, account: str) -> None:
        self.take()
        if self.errors:
            raise self.errors.pop(0)
        if account in self.unknown:
            raise UnknownPerson(f"没有 {account} 这个人")


def _is(line: Line, which: dict[str, Any]) -> bool:
    return all(getattr(line, name) == value for name, value in which.items())


def site(code: str = "ekp", **settings: Any) -> Site:
    """Return a site of no product."""
    given: dict[str, Any] = {
        "code": code, "folder": Path(), "kind": "shelf", "name": f"{code.upper()} OA", "address": "http://127.0.0.1:9",
        "password": SecretStr(""), "per_minute": 60_000,
    }  # fmt: skip
    return Site(**given | settings)


@contextmanager
def connected(db: Database, *connections: Connection) -> Iterator[Sites]:
    """Connect a database to OAs for the time of a test."""
    with registry():
        oa.declare([connection.site for connection in connections])
        sites = Sites({connection.site.code: connection for connection in connections}, BASE)
        db.provide(sites)
        mirroring.connect(db, sites)
        yield sites


def channel(db: Database, system: str) -> outbox.OutboxChannel | None:
    """Return the state of a channel."""
    with db.reading() as session:
        return session.get(outbox.OutboxChannel, system)
