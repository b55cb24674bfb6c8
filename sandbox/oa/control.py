"""The commands of the control API, see `sandbox.control`: what a test does with the state, from another process."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from starlette.routing import BaseRoute

from sandbox.control import Commands
from sandbox.oa.records import NAMES, Kind, OAName, Row
from sandbox.oa.state import State

command = Commands()
Json = dict[str, Any]


def routes(state: State) -> Sequence[BaseRoute]:
    """Return the route of all commands."""
    return [command.route(state)]


@command
def reset(state: State) -> None:
    """Forget everything except the people."""
    state.reset()


@command
def advance(state: State, seconds: float) -> Json:
    """Move the clock on."""
    state.advance(seconds)
    return {"now": state.now()}


@command
def restart(state: State, oa: OAName) -> None:
    """Restart an OA: tokens and late requests are forgotten, rows are kept."""
    state.restart(_name(oa))


@command
def rows(state: State, oa: OAName, account: str | None = None) -> list[Json]:
    """Return the rows of an OA, of one person or of all."""
    found = state.oas[_name(oa)].rows()
    return [_shown(row) for row in found if account in (None, row.account)]


@command
def start_own(state: State, oa: OAName, account: str, title: str, **what: Any) -> Json:
    """Let a process of the OA's own wait for a person, see `lists.Lists.start_own`."""
    return _shown(state.oas[_name(oa)].start_own(account, title, **what))


@command
def finish_own(state: State, oa: OAName, key: str, account: str | None = None, finished: bool = False) -> None:
    """Handle an own process."""
    state.oas[_name(oa)].finish_own(key, account, finished=finished)


@command
def handle(state: State, oa: OAName, key: str, account: str, outcome: str = "", opinion: str = "") -> Json:
    """Handle an item of another system in the OA itself."""
    return _shown(state.oas[_name(oa)].handle(key, account, outcome, opinion))


@command
def fault(state: State, oa: OAName, operation: str, kind: Kind, times: int = 1, **what: Any) -> None:
    """Let an operation go wrong the next times, see `faults.Faults.add`."""
    state.faults.add(oa, operation, kind, times, **what)


@command
def clear_faults(state: State) -> None:
    """Let nothing go wrong any more; late requests are lost."""
    state.faults.clear()


@command
def release(state: State, oa: OAName | None = None) -> Json:
    """Let late requests take effect now; return how many."""
    return {"released": state.faults.release(None if oa is None else _name(oa))}


@command
def settings(state: State, oa: OAName, **changes: Any) -> None:
    """Change how an OA is set up, see `settings`; lists become sets."""
    with state.lock:
        found = state.oas[_name(oa)].settings
        known = {field.name for field in dataclasses.fields(found)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"{oa} has no {name}")
            setattr(found, name, set(value) if isinstance(value, list) else value)


@command
def statistics(state: State, oa: OAName) -> Json:
    """Return how many requests of each operation came to an OA."""
    return dict(Counter(seen.operation for seen in state.requests(_name(oa))))


@command
def moments(state: State, oa: OAName, operation: str) -> list[float]:
    """Return when the requests of an operation came to an OA, in the stand-in's time."""
    return [seen.at for seen in state.requests(_name(oa), operation)]


def _name(oa: OAName) -> OAName:
    if oa not in NAMES:
        raise ValueError(f"{oa}: one of {', '.join(NAMES)}")
    return oa


def _shown(row: Row) -> Json:
    told = dataclasses.asdict(row)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()}
