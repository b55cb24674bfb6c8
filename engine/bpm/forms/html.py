"""From the pairs of an HTML form to data like those of the API: names become keys and rows, absences become values."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import regex

from engine.bpm.forms.schema import PICKERS, Component
from engine.bpm.forms.values import ID, MAX_ITEMS, UNRESOLVED, Refused, normalise

Resolve = Callable[[Literal["person", "department"], str], str | None]
"""Finds the id for what a person typed: a staff number, a name, a department's name; None when not exactly one fits."""

TYPED = ":text"
"""Ends the name of the input in which people are typed; the name without it holds the ids already chosen."""
ADD, REMOVE = "_add", "_remove"
"""Names of the buttons that add a row (value: key) and remove one (value: `key[2]`)."""

_ROW = regex.compile(r"([^\[\]]{1,64})\[(\d{1,4})\](?:\.(.{1,70}))?")
_SEPARATORS = regex.compile(r"[,，、;；\n]+")

Fields = dict[str, list[str]]


def from_html(
    components: Iterable[Component], pairs: Iterable[tuple[str, object]], resolve: Resolve
) -> dict[str, object]:
    """Return the data of a submitted HTML form: `pairs` of names and values in document order.

    What isn't text (an upload that the page hasn't yet replaced by its attachment's id) is left out.
    """
    fields: Fields = {}
    rows: dict[str, dict[int, Fields]] = {}
    for name, value in pairs:
        if not isinstance(value, str):
            continue
        match = _ROW.fullmatch(name) if "[" in name else None
        if match:
            row = rows.setdefault(match[1], {}).setdefault(int(match[2]), {})
            if match[3]:
                row.setdefault(match[3], []).append(value)
        else:
            fields.setdefault(name, []).append(value)
    data: dict[str, object] = {}
    for component in (each for top in components for each in top.walk()):
        if component.type == "dynamiclist":
            data[component.key] = _rows(component, fields, rows.get(component.key, {}), resolve)
        else:
            _read(component, fields, data, resolve)
    return data


def _rows(component: Component, fields: Fields, rows: dict[int, Fields], resolve: Resolve) -> list[dict[str, object]]:
    removed = {name for name in fields.get(REMOVE, ()) if name.startswith(f"{component.key}[")}
    found = []
    for index in sorted(rows):
        if f"{component.key}[{index}]" in removed:
            continue
        row: dict[str, object] = {}
        for child in component.children:
            for each in child.walk():
                _read(each, rows[index], row, resolve)
        found.append(row)
    if component.key in fields.get(ADD, ()):
        found.append({each.key: each.default for child in component.children for each in child.walk() if each.is_input})
    return found


def _read(component: Component, fields: Fields, data: dict[str, object], resolve: Resolve) -> None:
    _take(component, fields, data, resolve)
    if component.key in data and component.is_input:
        # Conditions compare numbers with numbers; what can't be one stays as it was typed, to be shown again.
        try:
            data[component.key] = normalise(component, data[component.key])
        except Refused:
            pass


def _take(component: Component, fields: Fields, data: dict[str, object], resolve: Resolve) -> None:
    key = component.key
    if not component.is_input:
        return
    given = [value for value in fields.get(key, ()) if value]
    # A browser that posts without multipart sends some text for a file.
    ids = [value for value in given if ID.fullmatch(value)]
    if component.widget in PICKERS:
        typed = fields.get(f"{key}{TYPED}", [])
        if key in fields or typed or component.many:
            data[key] = _picked(component, given, typed, resolve)
    elif component.many:
        data[key] = ids if component.type == "filepicker" else given
    elif component.type == "checkbox":
        data[key] = bool(given)
    elif component.type == "filepicker":
        # One file: the new one comes behind the one kept.
        data[key] = ids[-1] if ids else None
    elif key in fields:
        data[key] = given[-1] if given else None
    elif component.type == "radio":
        data[key] = None


def _picked(component: Component, given: Sequence[str], typed: Sequence[str], resolve: Resolve) -> object:
    kind: Literal["person", "department"] = "person" if component.widget in ("person", "people") else "department"
    split = _SEPARATORS.split if component.many else (lambda text: [text])
    parts = [part for text in typed for part in split(text[:MAX_ITEMS])]
    wanted = filter(None, (part.strip() for part in parts))
    found = [*given, *(resolve(kind, text) or f"{UNRESOLVED}{text}" for text in wanted)]
    if component.many:
        return found
    return found[-1] if found else None
