"""What the piyue extension can say: the words of a diagram as plain values."""

from dataclasses import dataclass, field
from typing import Literal

RESERVED = frozenset({"outcome", "steps", "initiator"})
"""Names of the data that the engine writes; nothing else may, nor those that begin with `_`."""

ROUND_NAMES = frozenset({"agreed", "others", "waiting", "total"})
"""What a round's expression may read beside the data: how many agreed, chose otherwise, haven't acted, are asked."""

Access = Literal["edit", "read", "hidden"]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at which extension element: a Chinese sentence and its cure."""

    line: int
    code: str
    message: str
    cure: str


@dataclass(frozen=True, slots=True)
class Assign:
    """One assignment rule (办理人规则); several of a step are united in order."""

    rule: str
    persons: tuple[str, ...] = ()
    role: str | None = None
    of: str | None = None
    post: str | None = None
    department: str | None = None
    level: int = 1
    field: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class RoundPolicy:
    """How a round decides (办理方式): any 或签, all 会签, in_turn 依次, share 比例, at_least 人数, none 不等待.

    expression 表达式: `rule` is FEEL over the data and `ROUND_NAMES`.
    """

    policy: str = "any"
    value: int = 0  # percent for share, people for at_least
    veto: bool = False
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A named outcome (办理结果) with its button."""

    id: str
    name: str
    opinion: str = "optional"  # none, optional, required
    style: str = "default"  # primary, default, warn
    form: str = "required"  # whether the form must be valid for it, or is ignored


@dataclass(frozen=True, slots=True)
class ReturnRule:
    """Where a step may return to (退回): `targets` None = any step passed that is serially reachable, () = nowhere."""

    targets: tuple[str, ...] | None = None
    mode: str = "choose"  # rewalk, jump, choose


@dataclass(frozen=True, slots=True)
class FieldRights:
    """Rights per form field on a step: edit, read or hidden."""

    default: Access = "read"
    fields: tuple[tuple[str, Access], ...] = ()


@dataclass(frozen=True, slots=True)
class TaskExtension:
    """Everything piyue knows of a user task."""

    kind: str = "decide"
    form: str | None = None
    start: bool = False
    assign: tuple[Assign, ...] = ()
    round: RoundPolicy = RoundPolicy()
    outcomes: tuple[Outcome, ...] = ()
    returns: ReturnRule = ReturnRule()
    nobody: str = "admin"
    nobody_persons: tuple[str, ...] = ()
    same: str = "handle"
    merge: str = "never"
    rights: FieldRights = FieldRights()
    opinion_box: str | None = None

    def outcome(self, outcome_id: str) -> Outcome | None:
        """Find an outcome by its id."""
        return next((o for o in self.outcomes if o.id == outcome_id), None)


@dataclass(frozen=True, slots=True)
class Operation:
    """A registered operation that a service or script task runs as a job."""

    name: str
    retries: int = 3
    inputs: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RuleUse:
    """The decision (决策) that a business rule task names: of `decisions/<file>.dmn`, its value goes to `result`.

    `inputs` are its inputs by name (FEEL or literal); without any they are read from the data under their own names.
    """

    file: str
    decision: str
    result: str
    inputs: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        """The decision's file in the process folder."""
        return f"decisions/{self.file}.dmn"


@dataclass(frozen=True, slots=True)
class EventExtension:
    """A message or signal event: its correlation, the (name, FEEL or literal) that a throwing one carries.

    `expected` are the names that a catching one declares beside those that the folder's own processes throw.
    """

    correlation: str = ""
    outputs: tuple[tuple[str, str], ...] = ()
    expected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataMapping:
    """Inputs and outputs of a call activity: (name, FEEL or literal); both empty: the data is shared."""

    inputs: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessExtension:
    """Everything piyue knows of a process."""

    title: str = ""
    summary: str = ""
    category: str = ""
    urgency: str = ""
    starters: tuple[str, ...] = ("everyone",)
    searchable: tuple[tuple[str, str], ...] = ()
    readers: tuple[Assign, ...] = field(default=())


DECIDE_OUTCOMES = (
    Outcome("approve", "同意", "optional", "primary"),
    Outcome("reject", "不同意", "required", "default", "ignored"),
)
FILL_OUTCOMES = (Outcome("submit", "提交", "optional", "primary"),)
READ_OUTCOMES = (Outcome("acknowledge", "已阅", "optional", "primary", "ignored"),)


def is_reserved(name: str) -> bool:
    """Whether only the engine writes this name of the data."""
    return name in RESERVED or name.startswith("_")
