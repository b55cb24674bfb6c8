"""What every OA must be able to do for us: put one person's item into one state, and what it may be able to besides.

An adapter (适配器) is made from its site's settings, is used by several threads at once, and keeps nothing but
connections. It calls `take` before each request: that waits for a place under the site's rate. Its errors:
`Unknown` (no answer came, or one that says nothing: the OA may have done it), `outbox.Transient` (it certainly has
not, and may next time), `UnknownPerson` and `outbox.Permanent` (it refuses this item), `outbox.Configuration` (it
refuses us: every item will fare the same).
"""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from engine.outbox import Permanent, Transient

Take = Callable[[], None]
"""Waits for a place under the site's rate."""


class State(enum.StrEnum):
    """What the OA shows of one of our items to its assignee."""

    TODO = "todo"  # 待办
    READ = "read"  # 待阅
    DONE = "done"  # 已办
    FINISHED = "finished"  # 办结
    DELETED = "deleted"  # not in any list

    @property
    def open(self) -> bool:
        """Whether it asks its assignee for something."""
        return self in (State.TODO, State.READ)


class Unknown(Transient):
    """No answer that tells whether the OA has done it (结果未知): a timeout, a reset, a page of a proxy."""


class UnknownPerson(Permanent):
    """The OA has nobody by this account (OA 中没有此人)."""


@dataclass(frozen=True, slots=True)
class Todo:
    """One of our items as the OA is to show it. All but `quiet` and `stamp` is frozen at the first push."""

    key: str  # 32 hexadecimal digits: the same item always has the same
    account: str  # of whom it waits for, as the site's people map gives it
    person: str  # their name
    title: str  # no control characters; clip it to what the OA takes
    workflow: str  # the process's name (流程类型)
    node: str  # the step's name (节点)
    sender: str  # name of whose action opened the item (上一办理人)
    sender_account: str  # theirs, "" where there is none
    urgency: int  # 0 普通, 1 平急, 2 加急, 3 特急
    started_at: datetime  # of the instance
    opened_at: datetime  # of the item
    link: str  # at the desk
    mobile_link: str
    kind: str  # decide, fill, read
    outcome: str = ""  # where it is done: id of the outcome, or "return" (退回)
    positive: bool = True  # whether that is the step's first outcome
    stamp: int = 0  # ms since 1970, greater with each push of the key: orders writes (receivets)
    quiet: bool = False  # a repair or the first load: the OA should not notify again


@dataclass(frozen=True, slots=True)
class Shown:
    """One of OUR items as the OA's own list of a person shows it, read back.

    `key` is empty where the OA's list doesn't tell it; then title, node and moment are all that identify it.
    """

    key: str
    account: str
    state: State
    title: str
    node: str = ""
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """An item of the OA's OWN processes that waits for a person there, or was handled there."""

    request_id: str  # the OA's id of it
    state: State
    title: str
    workflow: str
    node: str
    sender: str
    received_at: datetime | None  # None where the OA doesn't tell it readably
    link: str  # http(s) address of its page in the OA
    mobile_link: str = ""
    handled_at: datetime | None = None  # when they handled it; None where it waits, and where the OA doesn't tell


@dataclass(frozen=True, slots=True)
class Handled:
    """One of OUR items that somebody has handled in the OA itself (快速审批、一键已阅)."""

    key: str
    account: str
    outcome: str  # id of an outcome of the step; "" where the OA only knows that it is done or read
    opinion: str
    at: datetime


class Adapter(Protocol):
    """How one OA is spoken to."""

    states: frozenset[State]
    """What this OA tells apart: FINISHED falls back to DONE, READ to TODO."""
    reads_back: bool
    """Whether `shown` can tell what the OA's lists show of ours."""
    polls: bool
    """Whether `waiting` can tell the OA's own items."""
    quick: bool
    """Whether `handled` can tell what was decided there."""

    def put(self, todo: Todo, state: State, *, doubtful: bool = False) -> None:
        """Bring the OA to show the item in this state, whatever it showed before; putting it twice changes nothing.

        `doubtful`: the OA may have the item, because it has shown it before or an earlier attempt has no known end; so
        where it would make a second item out of a repeat it is asked first. Otherwise it certainly has never had it.
        """

    def check(self) -> str:
        """Ask the OA whether it lets us in, without changing anything; return a sentence in Chinese for the admin.

        Raises as `put` does.
        """

    def shown(self, account: str) -> list[Shown]:
        """Return our items that the OA's lists of a person show as open (待办、待阅); only where `reads_back`."""

    def waiting(self, account: str) -> list[Foreign]:
        """Return the OA's own open items of a person, none of ours; only where `polls`."""

    def done_since(self, account: str, since: datetime) -> list[Foreign]:
        """Return the OA's own items that a person has handled there since a moment; only where `polls`."""

    def handled(self, accounts: Iterable[str], since: datetime) -> list[Handled]:
        """Return our items that people have handled in the OA itself since a moment; only where `quick`."""

    def close(self) -> None:
        """Close the connections."""


def fold(states: frozenset[State], state: State) -> State:
    """Return the state that an OA shows which tells only `states` apart."""
    if state in states:
        return state
    return {State.FINISHED: State.DONE, State.READ: State.TODO}.get(state, state)
