"""An OA that is a shelf in this process, for tests of what stands around adapters: it shows what it was told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.connectors import oa
from engine.connectors.oa.adapters import KINDS
from engine.connectors.oa.adapters.protocol import Shown, State, Todo, UnknownPerson
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.sites import Connection, Sites
from engine.outbox import channels, handlers
from engine.settings import Settings
from tests.dsl import Bpm

KIND = "shelf"


class Shelf:
    """What people find there, by item; `strangers` are accounts that it doesn't know, `broken` is how it fails."""

    states = frozenset(State)
    reads_back = True
    polls = True
    quick = False

    def __init__(self, site: Site, take: Callable[[], None]) -> None:
        self.site, self._take = site, take
        self.shelf: dict[str, tuple[Todo, State]] = {}
        self.strangers: set[str] = set()
        self.broken: Exception | None = None
        self.asked: Callable[[], object] = lambda: None  # called by a test of the connection

    def put(self, todo: Todo, state: State, *, doubtful: bool = False) -> None:
        self._answer()
        if todo.account in self.strangers:
            raise UnknownPerson(f"“{self.site.name}”里没有账号 {todo.account}，请在“账号对照”里改正")
        if state is State.DELETED:
            self.shelf.pop(todo.key, None)
        else:
            self.shelf[todo.key] = todo, state

    def check(self) -> str:
        self.asked()
        self._answer()
        return f"“{self.site.name}”接受了本系统的登录"

    def shown(self, account: str) -> list[Shown]:
        self._answer()
        found = [(todo, state) for todo, state in self.shelf.values() if todo.account == account and state.open]
        return [Shown(todo.key, account, state, todo.title, todo.node, todo.opened_at) for todo, state in found]

    def waiting(self, account: str) -> list[Any]:
        return []

    def done_since(self, account: str, since: object) -> list[Any]:
        return []

    def handled(self, accounts: object, since: object) -> list[Any]:
        return []

    def close(self) -> None:
        pass

    def _answer(self) -> None:
        self._take()
        if self.broken is not None:
            raise self.broken


@contextmanager
def shelves(bpm: Bpm, *sites: dict[str, Any]) -> Iterator[Sites]:
    """Connect the hospital to such OAs, by default to one, 集团 OA (`ekp`)."""
    registries: tuple[Any, ...] = (handlers.declared, handlers.handlers, channels.channels)
    kept = [each.copy() for each in registries]
    kinds: Any = KINDS
    kinds[KIND] = (Site, Shelf)
    basis = {"code": "ekp", "name": "集团 OA", "address": "https://oa.example", "per_minute": 60_000, "kind": KIND}
    found = [Site.model_validate({"folder": Path(), **basis, **each}) for each in sites or ({},)]
    yield oa.install(bpm.db, Settings(base_url="https://piyue.example"), found)
    del kinds[KIND]
    for each, before in zip(registries, kept, strict=True):
        each.clear()
        each.update(before)


def shelf(bpm: Bpm, code: str = "ekp") -> Any:
    """Return such an OA."""
    return connection(bpm, code).adapter


def connection(bpm: Bpm, code: str = "ekp") -> Connection:
    """Return a site as handlers find it."""
    sites = bpm.db.part(Sites)
    found = None if sites is None else sites.get(code)
    assert found is not None
    return found
