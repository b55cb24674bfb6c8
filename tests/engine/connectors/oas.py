"""What the contract of the adapters is tried on: a stand-in's OA, the adapter that speaks to it, an item to put."""

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from engine.connectors.oa.adapters.protocol import Adapter, State, Todo, fold
from engine.connectors.oa.adapters.site import Site
from sandbox.oa.lists import Lists
from sandbox.oa.records import OAName, Row
from sandbox.oa.server import Running

OPENED, STARTED = datetime(2026, 3, 2, 1, 30, tzinfo=UTC), datetime(2026, 3, 1, 23, 0, tzinfo=UTC)
TITLE = "王小明的年假申请"
STAMPS = itertools.count(1_770_000_000_000)
NAMES: dict[str, OAName] = {
    "landray.rest": "landray",
    "landray.soap": "landray",
    "seeyon": "seeyon",
    "template": "plain",
    "weaver.rest": "weaver",
    "weaver.soap": "weaver",
}
WRITES = {  # the operations that bring an item into its open list, into another, and out of all
    "landray": ("sendTodo", "setTodoDone", "deleteTodo"),
    "seeyon": ("receive", "updatePendingState", "updatePendingState"),
    "plain": ("put", "put", "put"),
    "weaver": ("receiveRequestInfoByJson", "receiveRequestInfoByJson", "deleteUserRequestInfoByJson"),
}


@dataclass(frozen=True)
class Person:
    """Somebody of the hospital, as the stand-in wants to know them."""

    number: str
    name: str
    mobile: str = "13800000000"
    department: str = "10"
    label: str = "内科"


PEOPLE = [Person("2001", "李医生"), Person("2002", "王护士"), Person("2003", "赵主任")]


@dataclass
class Desk:
    """One OA, the adapter that speaks to it, and how often that took a place under the rate."""

    kind: str
    running: Running
    site: Site
    adapter: Adapter
    taken: list[int] = field(default_factory=list)

    @property
    def oa(self) -> OAName:
        return NAMES[self.kind]

    @property
    def lists(self) -> Lists[Any]:
        return self.running.state.oas[self.oa]

    def put(self, todo: Todo, state: State, *, doubtful: bool = False) -> None:
        """Put an item as pushing does: each time with a later stamp."""
        self.adapter.put(replace(todo, stamp=next(STAMPS)), state, doubtful=doubtful)

    def rows(self, todo: Todo) -> list[Row]:
        return [row for row in self.lists.rows() if row.key == todo.key]

    def states(self, todo: Todo) -> list[str]:
        """What people's lists show of an item; that it was done before is no matter while it waits."""
        rows = self.rows(todo)
        return [row.state for row in rows if row.open] or sorted({row.state for row in rows})

    def shows(self, state: State) -> list[str]:
        """What they should show once it is in a state."""
        folded = fold(self.adapter.states, state)
        return [] if folded is State.DELETED else [folded.value]

    def fault(self, kind: Any, state: State, **more: Any) -> None:
        """Let the next attempt to bring an item into a state go wrong."""
        opens, closes, deletes = WRITES[self.oa]
        operation = opens if state.open else deletes if state is State.DELETED else closes
        self.running.state.faults.add(self.oa, operation, kind, **{"seconds": 0.1} | more)

    @property
    def private(self) -> list[str]:
        """What no error and no log may tell."""
        return [self.site.password.get_secret_value() or "no password", TITLE]


def todo(number: int = 1, **changed: Any) -> Todo:
    given: dict[str, Any] = {
        "key": f"{number:032x}",
        "account": "2001",
        "person": "李医生",
        "title": TITLE,
        "workflow": "请假",
        "node": "科室审批",
        "sender": "王护士",
        "sender_account": "2002",
        "urgency": 0,
        "started_at": STARTED,
        "opened_at": OPENED,
        "link": f"https://piyue.example/oa/oa/{number:032x}",
        "mobile_link": f"https://piyue.example/oa/oa/{number:032x}?m=1",
        "kind": "decide",
    }
    return Todo(**given | changed)


def pulling(kind: str) -> dict[str, Any]:
    """What the file of a site says besides, so that its lists are read."""
    return {"pull": {"appid": "PIYUE-SANDBOX", "system": "批阅"}} if kind.startswith("weaver") else {}
