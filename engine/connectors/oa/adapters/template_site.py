"""What the file of a `template` site says (`[template]`): requests as templates, answers read by FEEL.

Templates (`rendering`) are `url`, `headers` and `body`; formulas (FEEL, engine.feel) are all that reads an answer. A
formula sees `answer` (the JSON), `status` and `text`; of a list's row `row` besides. examples/template.toml shows all.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from engine.connectors.oa.adapters import interface
from engine.connectors.oa.adapters.protocol import State
from engine.connectors.oa.adapters.rendering import Mistake
from engine.connectors.oa.adapters.site import Site
from engine.mistakes import TOLD

Formula = Annotated[str, Field(max_length=2000)]
Words = tuple[Annotated[str, Field(min_length=1, max_length=80)], ...]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Operation(_Table):
    """One request, and when its answer means success."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    url: str  # begins with / and stands behind the site's address
    headers: dict[str, str] = {}
    content_type: str = "application/json; charset=utf-8"
    body: str = ""
    success: Formula = ""  # "": that of the interface


class Put(Operation):
    """Brings an item into one of these states."""

    states: Annotated[tuple[State, ...], Field(min_length=1)]
    already: Words = ()  # words of a refusal that says: it is in that state


class Login(Operation):
    """Gives the `token` that the others' templates use."""

    token: Formula
    lasts: Annotated[int, Field(ge=180, le=30 * 86400)] = 3600  # seconds
    expired: Formula = "status = 401"  # whether an answer asks for a new one


class Listing(Operation):
    """Gives rows, page by page (`page`: 1, 2 …) as long as `more` is true."""

    rows: Formula
    more: Formula = "false"

    @classmethod
    def fields(cls) -> list[str]:
        """Return the names of the formulas that read a row."""
        return [name for name in cls.model_fields if name not in Listing.model_fields]


class Shown(Listing):
    """Our items that wait for a person (`account`) there."""

    key: Formula
    state: Formula = '"todo"'
    title: Formula
    node: Formula = '""'
    received_at: Formula = "null"


class Own(Listing):
    """The OA's own items that wait for a person (`account`)."""

    request_id: Formula
    state: Formula = '"todo"'
    title: Formula
    workflow: Formula = '""'
    node: Formula = '""'
    sender: Formula = '""'
    received_at: Formula
    link: Formula
    mobile_link: Formula = '""'


class Done(Own):
    """The OA's own items that a person (`account`) has handled since a moment (`since`)."""

    handled_at: Formula = "null"


class Handled(Listing):
    """Our items that were handled in the OA since a moment (`since`), of everybody or of one person (`account`)."""

    key: Formula
    account: Formula
    outcome: Formula = '""'
    opinion: Formula = '""'
    at: Formula


class Errors(_Table):
    """What the OA's words mean, by what they contain; other refusals are of this item alone."""

    configuration: Words = ()
    unknown_person: Words = ()
    permanent: Words = ()
    transient: Words = ()


class Interface(_Table):
    """A whole HTTP interface."""

    answers: Literal["json", "text"] = "json"
    success: Formula = "status = 200"
    message: Formula = ""  # the OA's words; "": where interfaces use to have them
    headers: dict[str, str] = {}  # of every request
    secret: SecretStr = SecretStr("")  # for signatures
    repeatable: bool = True  # whether putting an item once more changes nothing; else `shown` is asked first
    errors: Errors = Errors()
    login: Login | None = None
    check: Operation
    put: Annotated[tuple[Put, ...], Field(min_length=1)]
    shown: Shown | None = None
    waiting: Own | None = None
    done_since: Done | None = None
    handled: Handled | None = None


class TemplateSite(Site):
    """A site of any HTTP interface."""

    kind: Literal["template"]
    template: Interface

    @model_validator(mode="after")
    def _compiles(self) -> "TemplateSite":
        """Refuse templates and formulas that can't work, by trying them on an awkward item."""
        try:
            interface.Compiled(self)
        except Mistake as mistake:
            raise PydanticCustomError(TOLD, "{why}", {"why": str(mistake)}) from None
        return self
