"""What a person sees of an instance's data (字段权限): forms with the rights and data of the steps they handled."""

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.batch import Statement
from engine.bpm.definitions import Version
from engine.bpm.forms import FieldType, Form, Rights

# the steps that were the viewer's, and those of who copied the instance to them, for a copy shows what its sender saw;
# all that were ever opened, for who sees everything
SHOWN = Statement(
    """
    SELECT r.step, max(CASE WHEN i.assignee_id = :viewer THEN 1 ELSE 0 END) AS own FROM work_round r
    LEFT JOIN work_item i ON i.round_id = r.id AND i.state <> 'queued' AND (i.assignee_id = :viewer OR i.assignee_id IN
      (SELECT c.sender_id FROM copy c WHERE c.instance_id = :id AND c.person_id = :viewer))
    WHERE r.instance_id = :id AND (:all OR i.id IS NOT NULL)
    GROUP BY r.step ORDER BY min(r.opened_at), r.step
    """
)

_FILES = (FieldType.ATTACHMENT, FieldType.ATTACHMENTS)
_EDITOR = {"edit": "edit", "read": "read", "hidden": "hidden"}
_READER = {"edit": "read", "read": "read", "hidden": "hidden"}


@dataclass(frozen=True, slots=True)
class FormView:
    """A form as one person sees it: `data` holds no field that is hidden from them, `rights` says what they may edit.

    Of several views one field is shown by the first alone, though the others still read it. `attachments` are the ids
    that the visible fields name.
    """

    form: str
    step: str
    rights: Rights
    data: Mapping[str, Any]
    attachments: tuple[uuid.UUID, ...]

    @classmethod
    def of_step(cls, version: Version, step: str, data: Mapping[str, Any], *, editable: bool) -> "FormView | None":
        """Return the form of a step for its handler; a step without one shows the initiator's form to read."""
        named = _form_of(version, step)
        if named is None:
            return None
        rights = _rights(version, step, editable=editable and version.definition.tasks[step].form is not None)
        keys = [key for key in version.forms[named].fields() if rights.of(key) != "hidden"]
        return cls._of(version, named, step, rights, data, keys)

    @classmethod
    def of_reader(cls, version: Version, steps: Iterable[str], data: Mapping[str, Any]) -> "tuple[FormView, ...]":
        """Return the forms of the steps that a person handled, to read: what one of these steps shows is shown.

        Who handled none reads the initiator's form.
        """
        shown = _shown(version, steps)
        return cls._merged(version, [(form, step, keys) for form, (step, keys) in shown.items()], data)

    @classmethod
    def of_all(cls, version: Version, steps: Iterable[str], data: Mapping[str, Any]) -> "tuple[FormView, ...]":
        """Return the forms of steps with every field, to read: for who sees everything."""
        forms = {named: step for step in reversed(list(steps)) if (named := _form_of(version, step)) is not None}
        shown = [(form, step, set(version.forms[form].fields())) for form, step in reversed(list(forms.items()))]
        return cls._merged(version, shown, data)

    @classmethod
    def _merged(
        cls, version: Version, shown: Iterable[tuple[str, str, set[str]]], data: Mapping[str, Any]
    ) -> "tuple[FormView, ...]":
        """Return the views of forms with the fields that each may show; one without a field of its own is left out."""
        views, printed = [], set[str]()
        for form, step, keys in shown:
            if keys <= printed:
                continue
            rights = Rights("hidden", dict.fromkeys(sorted(keys - printed), "read"))
            view = cls._of(version, form, step, rights, data, keys)
            views.append(view)
            hidden = version.forms[form].settle(view.data, rights)[0].hidden  # by a condition: another form may show it
            printed |= {key for key in keys if version.forms[form].by_key[key].id not in hidden}
        return tuple(views)

    @classmethod
    def _of(
        cls, version: Version, form: str, step: str, rights: Rights, data: Mapping[str, Any], keys: Collection[str]
    ) -> "FormView":
        visible = {key: data[key] for key in version.forms[form].fields() if key in data and key in keys}
        files = tuple(dict.fromkeys(_files(version.forms[form], visible)))
        return cls(form, step, rights, visible, files)


def shown_fields(version: Version, steps: Iterable[str]) -> frozenset[str]:
    """Return the fields that these steps show; without any step those of the initiator's form: as `of_reader` does."""
    return frozenset().union(*(keys for _, keys in _shown(version, steps).values()))


def _shown(version: Version, steps: Iterable[str]) -> dict[str, tuple[str, set[str]]]:
    """Return the forms of steps, the initiator's first, each with its first step and the fields that are not hidden."""
    start = version.definition.start_step
    handled = [step for step in steps if step in version.definition.tasks]
    handled = handled or ([] if start is None else [start])
    shown: dict[str, tuple[str, set[str]]] = {}
    for step in sorted(handled, key=lambda step: step != start):
        named = _form_of(version, step)
        if named is not None:
            rights = _rights(version, step, editable=False)
            fields = version.forms[named].fields()
            shown.setdefault(named, (step, set()))[1].update(k for k in fields if rights.of(k) != "hidden")
    return shown


def _form_of(version: Version, step: str) -> str | None:
    task, start = version.definition.tasks.get(step), version.definition.start_step
    if task is not None and task.form is not None:
        return task.form
    return None if start is None else version.definition.tasks[start].form


def _rights(version: Version, step: str, *, editable: bool) -> Rights:
    rights = version.definition.tasks[step].rights
    given: Mapping[str, Any] = _EDITOR if editable else _READER
    return Rights(given[rights.default], {key: given[access] for key, access in rights.fields})


def _files(form: Form, data: Mapping[str, Any]) -> Iterator[uuid.UUID]:
    """Yield the ids of attachments in a form's data, those in the rows of its lists too."""
    for key, kind in form.fields().items():
        value = data.get(key)
        if kind in _FILES:
            yield from _ids(value)
        elif kind == FieldType.ROWS and isinstance(value, list):
            inner = [name for name, type_ in form.fields(rows=key).items() if type_ in _FILES]
            for row in value:
                if isinstance(row, Mapping):
                    for name in inner:
                        yield from _ids(row.get(name))


def _ids(value: object) -> Iterator[uuid.UUID]:
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, str):
            try:
                yield uuid.UUID(entry)
            except ValueError:
                continue
