"""What a form is made of: components with their rules, and the rights of a step on its fields.

The JSON is form-js' (schemaVersion 19); conditions are FEEL and compiled once, when the form is loaded.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

import regex

from engine.feel import Expression

Access = Literal["edit", "read", "hidden"]
Data = Mapping[str, object]
Evaluate = Callable[[Expression, Data], object]
Text = str | Expression
"""Text shown to people: literal, or FEEL when it begins with `=` in the schema."""


class FieldType(StrEnum):
    """Type of a field's value, for checks of expressions and declarations against the form."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    LIST = "list"
    PERSON = "person"
    PEOPLE = "people"
    DEPARTMENT = "department"
    DEPARTMENTS = "departments"
    ATTACHMENT = "attachment"
    ATTACHMENTS = "attachments"
    ROWS = "rows"
    ANY = "any"


PICKERS: Mapping[str, FieldType] = {
    "person": FieldType.PERSON,
    "people": FieldType.PEOPLE,
    "department": FieldType.DEPARTMENT,
    "departments": FieldType.DEPARTMENTS,
}
MANY = frozenset({"people", "departments"})


@dataclass(frozen=True, slots=True)
class Rights:
    """Rights of a step on a form's fields (字段权限): the default, and exceptions by key.

    The rights on a dynamic list hold for all of its rows and columns.
    """

    default: Access = "edit"
    fields: Mapping[str, Access] = field(default_factory=dict)

    def of(self, key: str) -> Access:
        """Return the access to one field."""
        return self.fields.get(key, self.default)

    @property
    def edit_something(self) -> bool:
        """Whether any field may be edited; where none may, a submission has nothing to say."""
        return self.default == "edit" or "edit" in self.fields.values()


class File(NamedTuple):
    """What a form shows of an attachment (附件): name and size in bytes."""

    name: str
    size: int


class References(NamedTuple):
    """Ids of the people, departments and attachments that a form's data refer to, each once."""

    people: list[str]
    departments: list[str]
    files: list[str]


class Lookups(Protocol):
    """Names for the ids in a form's data; ids that don't exist, or not for this viewer, are left out."""

    def people(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return display names of people by id."""

    def departments(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return names of departments by id."""

    def files(self, ids: Sequence[str]) -> Mapping[str, File]:
        """Return attachments by id."""


Scalar = str | int | float | bool


class Option(NamedTuple):
    """One choice of a select, radio, checklist or taglist."""

    label: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class Options:
    """Where a field's choices come from: static, a list in the data (`key`), or a FEEL list."""

    static: tuple[Option, ...] = ()
    key: str = ""
    expression: Expression | None = None
    by_text: Mapping[str, Scalar] = field(default_factory=dict)
    """Values of the static choices by the text with which they travel in HTML."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The `validate` object of a field. Lengths are characters."""

    required: bool = False
    min: Decimal | Expression | None = None
    max: Decimal | Expression | None = None
    min_length: Decimal | Expression | None = None
    max_length: Decimal | Expression | None = None
    pattern: "regex.Pattern[str] | None" = None
    pattern_message: str = ""
    kind: str = ""  # email | phone

    def expressions(self) -> Iterator[Expression]:
        """Yield the bounds that are FEEL."""
        for bound in (self.min, self.max, self.min_length, self.max_length):
            if isinstance(bound, Expression):
                yield bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One component of a form; which attributes mean something depends on `type`.

    `key` is empty for components without data; `place` is the path in the file (`components[2].components[0]`).
    """

    type: str
    id: str
    place: str
    key: str = ""
    label: Text = ""
    description: Text = ""
    hide: Expression | None = None
    readonly: bool | Expression = False
    rules: Rules = Rules()
    default: object = None
    children: tuple["Component", ...] = ()
    plan: tuple["Step", ...] = ()  # of the rows of a dynamic list
    # custom properties
    widget: str = ""
    rule: Expression | None = None
    rule_message: str = ""
    # by type
    subtype: str = ""  # datetime: date | time | datetime
    disallow_past: bool = False
    digits: int | None = None
    increment: Decimal | None = None
    prefix: Text = ""
    suffix: Text = ""
    options: Options | None = None
    multiple: bool = False
    accept: tuple[str, ...] = ()
    expression: Expression | None = None  # of an expression field, or the rows of a table
    text: Text = ""  # markdown of a text, source of an image
    alt: Text = ""
    height: int = 0  # spacer, in pixels
    columns: tuple[tuple[str, str], ...] = ()  # table: key and label
    columns_expression: Expression | None = None
    page: int = 0  # table: rows shown, 0 for all
    add_remove: bool = True
    repetitions: int = 1
    outline: bool = False

    @property
    def name(self) -> str:
        """What messages call the component."""
        return self.label if isinstance(self.label, str) and self.label else self.key or self.id

    @property
    def many(self) -> bool:
        """Whether the value is a list of scalars."""
        if self.widget in PICKERS:
            return self.widget in MANY
        return self.type in ("checklist", "taglist") or (self.type == "filepicker" and self.multiple)

    @property
    def is_input(self) -> bool:
        """Whether people fill it in (expression fields have a key but are computed)."""
        return bool(self.key) and self.type != "expression"

    def field_type(self) -> FieldType:
        """Return the type of the field's value."""
        if self.widget in PICKERS:
            return PICKERS[self.widget]
        if self.type == "datetime":
            return FieldType(self.subtype)
        if self.type == "filepicker":
            return FieldType.ATTACHMENTS if self.multiple else FieldType.ATTACHMENT
        if self.type in ("select", "radio"):
            kinds = {type(option.value) for option in self.options.static} if self.options else set()
            if kinds == {str}:
                return FieldType.TEXT
            return FieldType.NUMBER if kinds and kinds <= {int, float} else FieldType.ANY
        return _TYPES[self.type]

    def walk(self) -> Iterator["Component"]:
        """Yield the component and those of its groups that share its data; rows of dynamic lists are left out."""
        yield self
        if self.type == "group":
            for child in self.children:
                yield from child.walk()

    def expressions(self) -> Iterator[Expression]:
        """Yield every expression of the component itself."""
        dynamic = (
            self.hide, self.rule, self.expression, self.columns_expression,
            self.label, self.description, self.prefix, self.suffix, self.readonly, self.text, self.alt,
            self.options.expression if self.options else None,
        )  # fmt: skip
        yield from (value for value in dynamic if isinstance(value, Expression))
        yield from self.rules.expressions()


class Step(NamedTuple):
    """One step of settling a form's conditions, in the order of their dependencies.

    `hide` evaluates a condition, `lock` a read-only condition, `rows` settles a dynamic list, `compute` an expression.
    """

    kind: Literal["hide", "lock", "rows", "compute"]
    component: Component


_TYPES: Mapping[str, FieldType] = {
    "textfield": FieldType.TEXT,
    "textarea": FieldType.TEXT,
    "number": FieldType.NUMBER,
    "checkbox": FieldType.BOOLEAN,
    "checklist": FieldType.LIST,
    "taglist": FieldType.LIST,
    "dynamiclist": FieldType.ROWS,
    "expression": FieldType.ANY,
}
