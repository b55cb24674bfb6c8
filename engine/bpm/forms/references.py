"""Which people, departments and attachments a form's data refer to."""

from collections.abc import Iterable, Mapping

from engine.bpm.forms.schema import PICKERS, Component, Data, References
from engine.bpm.forms.values import UNRESOLVED


def references(components: Iterable[Component], data: Data) -> References:
    """Return the ids in the data of these components, those of the rows of dynamic lists too, in document order."""
    found = References([], [], [])
    _gather(components, data, found)
    return References(*(list(dict.fromkeys(ids)) for ids in found))


def _gather(components: Iterable[Component], data: Data, found: References) -> None:
    for component in (each for top in components for each in top.walk()):
        value = data.get(component.key) if component.key else None
        if component.type == "dynamiclist":
            for row in value if isinstance(value, list) else []:
                if isinstance(row, Mapping):
                    _gather(component.children, row, found)
            continue
        if component.widget in PICKERS:
            kind = found.people if component.widget in ("person", "people") else found.departments
        elif component.type == "filepicker":
            kind = found.files
        else:
            continue
        values = value if isinstance(value, list) else [value]
        kind += [each for each in values if isinstance(each, str) and each and each[0] != UNRESOLVED]
