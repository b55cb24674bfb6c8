"""What goes into the runtime and what comes out of it: events in, changes out, all plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.bpm.decisions import Hit

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Complete:
    """A user task's round is decided with an outcome; `data` are the form's fields.

    `automatic`: by a rule of the step, without anybody having acted.
    """

    task_id: int
    outcome: str
    data: Mapping[str, Any] = field(default_factory=dict)
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Fire:
    """A timer is due."""

    task_id: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """A message or signal arrives for a waiting task, with a payload that joins the data."""

    task_id: int
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobDone:
    """A service or script task's operation has run; `result` is what it returned."""

    task_id: int
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobFailed:
    """An operation refused with a BPMN error code, which a boundary error event may catch."""

    task_id: int
    code: str


@dataclass(frozen=True, slots=True)
class GoBack:
    """Return (退回) from an open user task to a step passed before it.

    `mode` "rewalk": every step in between is walked again; "jump": completing the target leads straight back.
    """

    task_id: int
    step: str
    mode: str = "rewalk"


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Take back (撤回) a user task that was completed, while nobody has completed a later one."""

    task_id: int


@dataclass(frozen=True, slots=True)
class Jump:
    """An admin moves an open task to another step of the same (sub-)process (跳转)."""

    task_id: int
    step: str


Event = Complete | Fire | Deliver | JobDone | JobFailed | GoBack | TakeBack | Jump


@dataclass(frozen=True, slots=True)
class Opened:
    """A user task that waits for its round; `scope` is everything that an expression there may read.

    `due_at` is the earliest moment of the timers on its border, None without any.
    """

    task_id: int
    step: str
    scope: Mapping[str, Any]
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """A user task that is no longer open; `done` tells completed from cancelled."""

    task_id: int
    step: str
    done: bool


@dataclass(frozen=True, slots=True)
class Due:
    """A timer that now runs."""

    task_id: int
    element: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """A task that now waits for a message or signal."""

    task_id: int
    element: str
    kind: str
    name: str
    correlation: str


@dataclass(frozen=True, slots=True)
class Awaited:
    """What an instance waits for beside its people (等待): `kind` is timer, message, signal or job.

    `due_at` is that of a timer. Boundary events are left out: they watch over a step that waits itself.
    """

    element: str
    name: str
    kind: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    """A service or script task whose operation is to run, with its evaluated inputs."""

    task_id: int
    element: str
    operation: str
    retries: int
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a business rule task decided, for the trail: `result` as plain data, and which rules hit in which table."""

    element: str
    decision: str
    result: Any
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Thrown:
    """A message or signal for other instances (and for this one)."""

    kind: str
    name: str
    correlation: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What one event did.

    `gone` are the tasks whose timers, waits and jobs are void now, `unarmed` those of them with timers, `undone` the
    completed user tasks that a return has taken back with everything that came of them, `decided` what the rules said.
    """

    state: bytes
    data: Data
    opened: tuple[Opened, ...]
    closed: tuple[Closed, ...]
    timers: tuple[Due, ...]
    waits: tuple[Wait, ...]
    jobs: tuple[Job, ...]
    gone: tuple[int, ...]
    unarmed: tuple[int, ...]
    undone: tuple[int, ...]
    thrown: tuple[Thrown, ...]
    decided: tuple[Ruling, ...]
    path: tuple[str, ...]
    finished: bool


class RuntimeFault(Exception):
    """The diagram or its data has no way on (an incident): `kind` is that of the incident: `IncidentKind`."""

    def __init__(self, kind: str, element: str, message: str) -> None:
        super().__init__(f"{element}: {message}")
        self.kind, self.element, self.message = kind, element, message


class Unreachable(Exception):
    """The target of a return, a take-back or a jump can't be reached from here; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message
