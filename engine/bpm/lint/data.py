"""The types of a process's data, known from its forms: for the type check of every expression over it."""

from collections.abc import Container, Iterable, Mapping
from decimal import Decimal

from engine.bpm.extensions import TaskExtension
from engine.bpm.forms import Component, FieldType, Form
from engine.bpm.forms.schema import Step
from engine.feel import FeelType, infer
from engine.feel.types import ANY, join

Types = dict[str, FeelType]

TEXT = FeelType("string")
NUMBER = FeelType("number")
BOOLEAN = FeelType("boolean")
LIST = FeelType("list")
_TEXTS = FeelType("list", (TEXT,))
# Dates, people, departments and attachments are stored as texts.
_FIELDS: Mapping[FieldType, FeelType] = {
    FieldType.TEXT: TEXT,
    FieldType.NUMBER: NUMBER,
    FieldType.BOOLEAN: BOOLEAN,
    FieldType.DATE: TEXT,
    FieldType.TIME: TEXT,
    FieldType.DATETIME: TEXT,
    FieldType.PERSON: TEXT,
    FieldType.DEPARTMENT: TEXT,
    FieldType.ATTACHMENT: TEXT,
    FieldType.PEOPLE: _TEXTS,
    FieldType.DEPARTMENTS: _TEXTS,
    FieldType.ATTACHMENTS: _TEXTS,
}
_STORED = frozenset({"string", "number", "boolean", "list", "context", "Null", "Any"})
_INITIATOR = ("id", "name", "department_id", "department", "post")


def engine_types(steps: Mapping[str, Iterable[str]]) -> Types:
    """Return the types of the names that the engine itself writes; `steps` are the user tasks with their outcomes."""
    outcomes = tuple(FeelType("string", values=tuple(ids)) for ids in steps.values())
    return {
        "outcome": TEXT,
        "steps": FeelType("context", outcomes, tuple(steps)),
        "initiator": FeelType("context", (TEXT,) * len(_INITIATOR), _INITIATOR),
    }


def data_types(forms: Mapping[str, Form], tasks: Iterable[TaskExtension], written: Iterable[str]) -> Types:
    """Return the types of the names of the data.

    A name's type comes from the forms on which some step lets people fill it in, or that compute it; where there are
    none, from those that show it. `written` are the names that activities and events write too: they may be anything.
    """
    editable: dict[str, set[str]] = {name: set() for name in forms}
    for task in tasks:
        if task.form is not None and task.form in forms:
            rights = dict(task.rights.fields)
            keys = forms[task.form].by_key
            editable[task.form] |= {key for key in keys if rights.get(key, task.rights.default) == "edit"}
    filled: Types = {}
    shown: Types = {}
    for name, form in forms.items():
        for key, component in form.by_key.items():
            if component.is_input:
                fills = key in editable[name] and component.readonly is not True
                _add(filled if fills else shown, key, field_type(component))
    filled |= dict.fromkeys(written, ANY)
    computed: Types = {}
    for form in forms.values():
        _compute(form.plan, {**shown, **filled}, computed)
    for key, found in computed.items():
        _add(filled, key, found)
    return {**shown, **filled}


def declared(forms: Mapping[str, Form | None], written: Container[str]) -> dict[str, frozenset[FieldType]]:
    """Return what the forms declare their fields to be; of those that something else writes nothing is known."""
    found: dict[str, frozenset[FieldType]] = {}
    for form in forms.values():
        for key, kind in form.fields().items() if form else ():
            if key not in written:
                found[key] = found.get(key, frozenset()) | {kind}
    return found


def field_type(component: Component) -> FeelType:
    """Return the type of a field's value as the data hold it; a computed one may be anything."""
    kind = component.field_type()
    if kind is FieldType.ROWS:
        return FeelType("list", (row_type(component),))
    if component.options is None or not component.options.static or component.widget:
        return LIST if kind is FieldType.LIST else _FIELDS.get(kind, ANY)
    choices = _enumeration(component)
    return FeelType("list", (choices,)) if kind is FieldType.LIST else choices


def row_type(component: Component) -> FeelType:
    """Return the type of a row of a dynamic list."""
    fields = {each.key: each for child in component.children for each in child.walk() if each.key}
    own: Types = {key: field_type(each) for key, each in fields.items()}
    computed: Types = {}
    _compute(component.plan, {**own, **row_names(own, {})}, computed)
    own |= computed
    return FeelType("context", tuple(own.values()), tuple(own))


def row_names(row: Types, outer: Types) -> Types:
    """Return what the expressions of a row see beside the form's data: its fields, itself, the data, its number."""
    this = FeelType("context", tuple(row.values()), tuple(row))
    parent = FeelType("context", tuple(outer.values()), tuple(outer)) if outer else ANY
    return {**row, "this": this, "parent": parent, "i": NUMBER}


def _add(types: Types, key: str, found: FeelType) -> None:
    types[key] = join(types[key], found) if key in types else found


def _enumeration(component: Component) -> FeelType:
    assert component.options is not None
    values = [option.value for option in component.options.static]
    if all(isinstance(value, str) for value in values):
        return FeelType("string", values=tuple(values))
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return FeelType("number", values=tuple(Decimal(str(value)) for value in values))
    return FeelType("boolean") if all(isinstance(value, bool) for value in values) else ANY


def _compute(plan: Iterable[Step], types: Types, computed: Types) -> None:
    """Infer the computed fields of one data object, in the order in which they are settled."""
    for kind, component in plan:
        if kind == "compute" and component.expression is not None:
            found = stored(infer(component.expression.text, types, names=()))
            types[component.key] = found
            _add(computed, component.key, found)


def stored(found: FeelType) -> FeelType:
    """Return the type of a value once it is data: dates, durations and ranges become texts."""
    return found if found.name in _STORED else TEXT
