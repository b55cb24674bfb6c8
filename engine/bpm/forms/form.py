"""The form (表单): loaded once per version of a process, shared between threads."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from engine.bpm.forms.html import Resolve, from_html
from engine.bpm.forms.loading import MAX_COMPONENTS, SCHEMA_VERSION, Loader, walk
from engine.bpm.forms.planning import dependants, plan
from engine.bpm.forms.reader import Finding, Reader, Report, parse_json
from engine.bpm.forms.references import references
from engine.bpm.forms.schema import Component, Data, Evaluate, FieldType, Lookups, References, Rights
from engine.bpm.forms.settling import Settled, Settling, invalid
from engine.bpm.forms.validating import Validation
from engine.errors import Invalid

_EDITOR = frozenset({"exporter", "executionPlatform", "executionPlatformVersion", "schemaId", "versionTag"})


class MultiItems(Protocol):
    """What a web framework parses an HTML form to: names may repeat."""

    def multi_items(self) -> Iterable[tuple[str, object]]:
        """Return all pairs of names and values."""


class Form:
    """A form-js form (schemaVersion 19): its components, and the order in which its conditions are settled."""

    def __init__(self, identity: str, components: tuple[Component, ...], findings: tuple[Finding, ...]) -> None:
        self.id = identity
        self.components = components
        self.plan = plan(components)
        self.by_key: Mapping[str, Component] = {each.key: each for each in walk(components) if each.key}
        self.depended: frozenset[str] = self._depended()
        self._findings = findings

    @classmethod
    def load(cls, text: str, *, place: str) -> "Form":
        """Return the form of a JSON text; `place` is its file name, for messages.

        Invalid (form_schema) with one error per fault: its place in the file, the message and the cure.
        """
        identity, components, report = _read(text)
        if report.failed:
            errors = [
                {"place": where, "message": message, "cure": cure}
                for where, severity, message, cure in report.found
                if severity == "error"
            ]
            first = errors[0]
            cure = f"；{first['cure']}" if first["cure"] else ""
            more = f"（共 {len(errors)} 处）" if len(errors) > 1 else ""
            message = f"表单 {place}：{first['place']}：{first['message']}{cure}{more}"
            raise Invalid(message, code="form_schema", errors=errors, file=place)
        return cls(identity, components, tuple(_findings(report, text, place)))

    def lint(self) -> list[Finding]:
        """Return what works but surely isn't meant."""
        return list(self._findings)

    def fields(self, rows: str | None = None) -> dict[str, FieldType]:
        """Return the types of the form's fields by key, or of the fields of the rows of a dynamic list."""
        components = self.components if rows is None else self.by_key[rows].children
        return {each.key: each.field_type() for each in walk(components) if each.key}

    def expressions(self) -> list[tuple[str, str]]:
        """Return (place, FEEL text) of every expression of the form, also of the rows of dynamic lists."""
        return [(each.place, found.text) for each in everything(self.components) for found in each.expressions()]

    def validate(
        self,
        submitted: Data,
        *,
        current: Data,
        rights: Rights,
        evaluate: Callable[[str, Data], object] | None = None,
        lookups: Lookups | None = None,
    ) -> dict[str, object]:
        """Return what may be stored of the submitted data: plain values of editable, visible, known fields.

        A field that wasn't sent keeps its `current` value, or takes its default. Computed fields are added. `evaluate`
        replaces the evaluation of the form's own FEEL; `lookups` lets ids of people, departments and attachments be
        checked. Invalid (form_invalid) with `errors` [{place: key or `key[2].column`, message}].
        """
        if not isinstance(submitted, Mapping):
            raise invalid([("", "表单数据应为对象")])
        return Validation(self.components, rights, _evaluator(evaluate), current, lookups).run(submitted, self.plan)

    def settle(
        self, data: Data, rights: Rights, evaluate: Callable[[str, Data], object] | None = None
    ) -> tuple[Settled, Settling]:
        """Return the state of the form for some data, and the evaluator that holds the errors of its expressions."""
        settling = Settling(rights, _evaluator(evaluate), data)
        return settling.form(self.components, self.plan, {}), settling

    def from_html(self, items: MultiItems, resolve: Resolve) -> dict[str, object]:
        """Return the data of a submitted HTML form, to be given to `validate`.

        Rows are named `items[0].amount`; the buttons `_add` and `_remove` change the rows. What people typed for a
        person or department is resolved by `resolve`; what nobody is found for stays as text and fails to validate.
        """
        return from_html(self.components, items.multi_items(), resolve)

    def references(self, data: Data) -> References:
        """Return the ids that stand in the fields of the data: people, departments, and attachments to be bound."""
        return references(self.components, data)

    def defaults(self) -> dict[str, object]:
        """Return the data that an empty form begins with: defaults, and the first rows of dynamic lists."""
        data: dict[str, object] = {}
        for each in self.by_key.values():
            if each.default is not None:
                data[each.key] = each.default
            elif each.type == "dynamiclist":
                row = {field.key: field.default for field in walk(each.children) if field.is_input}
                data[each.key] = [dict(row) for _ in range(each.repetitions)]
        return data

    def _depended(self) -> frozenset[str]:
        """Return the keys of fields on whose values the look of others depends (own rules wait for the submission)."""
        names: set[str] = set()
        for name, ids in dependants(everything(self.components)).items():
            own = self.by_key.get(name)
            if ids - {own.id if own else ""}:
                names.add(name)
        return frozenset(names)


def check(text: str, *, place: str) -> list[Finding]:
    """Return all findings on a form's text, errors among them; never raises (for the linter of a process folder)."""
    _, _, report = _read(text)
    return list(_findings(report, text, place))


def everything(components: Iterable[Component]) -> Iterable[Component]:
    """Yield all components, those in the rows of dynamic lists too."""
    for each in walk(components):
        yield each
        if each.type == "dynamiclist":
            yield from everything(each.children)


def _evaluator(evaluate: Callable[[str, Data], object] | None) -> Evaluate | None:
    return None if evaluate is None else lambda expression, context: evaluate(expression.text, context)


def _read(text: str) -> tuple[str, tuple[Component, ...], Report]:
    report = Report()
    try:
        source = parse_json(text)
    except Invalid as error:
        report.error("", error.message)
        return "", (), report
    if not isinstance(source, dict):
        report.error("", "表单应为 JSON 对象")
        return "", (), report
    reader = Reader(source, "", report)
    version = reader.take("schemaVersion")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        reader.error("schemaVersion", f"表单版本应为 {SCHEMA_VERSION}", "用 form-js 1.23 的编辑器重新保存")
    if reader.text("type", "default") != "default":
        reader.error("type", "表单的 type 应为 default")
    identity = reader.text("id")
    if not identity:
        reader.error("id", "表单缺少 id")
    if "components" not in source:
        reader.error("components", "表单缺少组件列表")
    loader = Loader(report)
    items = reader.items("components", MAX_COMPONENTS)
    components = tuple(loader.components(items, "components", set(), 0, row=False))
    loader.plan(components, "components")
    reader.finish(_EDITOR)
    return identity, components, report


def _findings(report: Report, text: str, file: str) -> Iterable[Finding]:
    for place, severity, message, cure in report.found:
        yield located(text, file, place, severity, message, cure)


def located(text: str, file: str, place: str, severity: str, message: str, cure: str) -> Finding:
    """Return a finding at a place such as `components[2].components[0]` of a form's text."""
    component = _at(text, place)
    element, label = (next((name for name in names if isinstance(name, str)), "") for names in component)
    line = text.count("\n", 0, _offset(text, element)) + 1 if element else 1
    return Finding(file, line, element or place, label, severity, message, cure)


def _at(text: str, place: str) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """Return what may identify the component that a place lies in, and what may name it."""
    try:
        node: Any = json.loads(text)
    except (ValueError, RecursionError):
        return (), ()
    found: Any = {}
    for index in re.findall(r"components\[(\d+)\]", place):
        node = node["components"][int(index)]
        found = node if isinstance(node, dict) else {}
    return (found.get("id"), found.get("key"), found.get("path")), (found.get("label"),)


def _offset(text: str, element: str) -> int:
    match = re.search(rf'"(?:id|key|path)"\s*:\s*{re.escape(json.dumps(element, ensure_ascii=False))}', text)
    return match.start() if match else 0
