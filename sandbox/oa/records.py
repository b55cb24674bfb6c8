"""What the OAs keep records of: people, rows of their lists, requests, faults."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from typing import Literal, get_args
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")

State = Literal["todo", "read", "done", "finished"]  # 待办、待阅、已办、办结; what is in no list isn't a row
OPEN: tuple[State, ...] = ("todo", "read")

OAName = Literal["landray", "weaver", "seeyon", "plain"]
NAMES: tuple[OAName, ...] = get_args(OAName)

Kind = Literal[
    "refuse",  # reset before any effect
    "reset_after",  # the effect, then a reset
    "timeout",  # neither effect nor answer
    "timeout_after",  # the effect, no answer
    "late",  # no answer; the effect comes after further requests, or when it is released
    "restart",  # reset without effect; tokens and requests on their way are forgotten
    "html502",
    "garbage",
    "fault",  # the OA's own way to say that it broke, without effect
    "slow",
    "duplicate",  # the effect twice, one answer
    "not_registered",
    "not_allowed",
    "unknown_person",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Person:
    """A person: the staff number is their login name in each OA, `id` the OA's own; `label`: their part in a story."""

    number: str
    name: str
    mobile: str
    department: str
    id: str
    label: str = ""


@dataclass(slots=True)
class Row:
    """A row of a person's lists. `key` is ours, or of an own process the OA's id; `id` is unique in the OA."""

    id: str
    key: str
    account: str
    state: State
    title: str
    workflow: str = ""
    node: str = ""
    link: str = ""
    mobile_link: str = ""
    urgency: int = 0  # 0 普通 to 3 特急
    sender: str = ""  # name
    sender_account: str = ""
    received_at: datetime = field(default_factory=lambda: datetime.now(ZONE))
    own: bool = False  # of the OA's own processes
    system: str = ""  # of which other system, as that OA identifies it
    model: str = ""  # modelName
    params: tuple[str, str, str] = ("", "", "")  # key, param1, param2
    kind: State = "todo"  # the list in which it was open
    unread: bool = True
    notified: int = 0  # how often its person was told of it
    stamp: int = 0  # receivets of the last write
    outcome: str = ""  # how it was handled in the OA, or what the other system says
    opinion: str = ""
    handled_at: datetime | None = None
    in_oa: bool = False  # handled in the OA itself

    @property
    def open(self) -> bool:
        """Whether it asks its person for something."""
        return self.state in OPEN

    def copied(self) -> "Row":
        """Return a copy."""
        return Row(*_VALUES(self))


_VALUES = attrgetter(*(field.name for field in fields(Row)))


@dataclass(slots=True)
class Fault:
    """What goes wrong at an operation ("*": any) the next `times` times.

    `seconds`: of `slow` before it goes on, of timeouts and `late` until the connection breaks (a client that gives up
    ends it sooner). `late` takes effect after so many further requests of that OA (`after`; 0: only when released).
    """

    operation: str
    kind: Kind
    times: int = 1
    seconds: float = 30.0
    after: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came; `at` in the stand-in's time, `fault` is what was let go wrong with it."""

    oa: OAName
    operation: str
    key: str
    account: str
    at: float
    fault: str = ""
