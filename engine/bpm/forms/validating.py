"""Checking submitted data against a form: only what is editable, visible and known comes out, as plain values."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from mimetypes import guess_type

import regex

from engine import clock
from engine.bpm.forms.loading import MAX_ROWS, walk
from engine.bpm.forms.planning import names
from engine.bpm.forms.references import references
from engine.bpm.forms.schema import PICKERS, Component, Data, Evaluate, File, Lookups, Option, Rights, Step
from engine.bpm.forms.settling import Settled, Settling, invalid, row_context
from engine.bpm.forms.values import MAX_TEXT, Refused, empty, normalise, same_text
from engine.feel import Expression

_PATTERN_SECONDS = 0.1
"""Time for one pattern on one value; after one overrun the others of the same submission aren't tried."""
_EMAIL = regex.compile(r"[^@\s\p{C}]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}[\p{L}\p{N}-]{2,63}")
_PHONE = regex.compile(r"(?:\+?\d(?:[ -]?\d){2,18})(?:(?:转|-|,| ?ext\.? ?)\d{1,6})?")


class Validation:
    """One submission on its way through a form."""

    def __init__(
        self, components: Sequence[Component], rights: Rights, evaluate: Evaluate | None, current: Data,
        lookups: Lookups | None,
    ) -> None:  # fmt: skip
        self.components = components
        self.rights = rights
        self.current = current
        self.settling = Settling(rights, evaluate, current)
        self.errors: dict[str, str] = {}
        self._lookups = lookups
        self._known: tuple[Mapping[str, str], Mapping[str, str], Mapping[str, File]] = ({}, {}, {})
        self._slow = False

    def run(self, submitted: Data, plan: Sequence[Step]) -> dict[str, object]:
        """Return what may be stored; Invalid (form_invalid) with the message of each field."""
        values, sent = self._values(submitted)
        state = self.settling.form(self.components, plan, values)
        if self._lookups is not None:
            people, departments, files = references(self.components, state.context)
            self._known = (
                self._lookups.people(people) if people else {},
                self._lookups.departments(departments) if departments else {},
                self._lookups.files(files) if files else {},
            )
        result: dict[str, object] = {}
        for component in self.components:
            self._collect(component, state, sent, result)
        result.update(state.computed)
        for place, message in self.settling.errors:
            self.errors.setdefault(place, message)
        if self.errors:
            raise invalid(sorted(self.errors.items(), key=self._position))
        return result

    def _position(self, error: tuple[str, str]) -> tuple[int, ...]:
        """Return where in the form an error stands: messages come in the order of the fields."""
        top, _, rest = error[0].partition("[")
        row, _, column = rest.partition("].")
        fields = list(walk(self.components))
        at = next((index for index, each in enumerate(fields) if top in (each.key, each.id)), len(fields))
        inner = list(walk(fields[at].children)) if row else []
        below = next((index for index, each in enumerate(inner) if column in (each.key, each.id)), 0)
        return (at, int(row or 0), below)

    def _values(self, submitted: Data) -> tuple[dict[str, object], set[str]]:
        """Return the normalised values of the fields that this step may edit, and the keys that are new."""
        values: dict[str, object] = {}
        sent: set[str] = set()
        for top in self.components:
            for component in top.walk():
                key = component.key
                if not component.is_input or component.readonly is True or self.rights.of(key) != "edit":
                    continue
                if key in submitted:
                    raw = submitted[key]
                elif key in self.current:
                    continue
                elif component.default is not None:
                    raw = component.default
                else:
                    values[key] = [] if component.many or component.type == "dynamiclist" else None
                    continue
                sent.add(key)
                if component.type == "dynamiclist":
                    values[key] = self._row_values(component, raw)
                else:
                    values[key] = self._normalised(component, raw, key)
        return values, sent

    def _normalised(self, component: Component, raw: object, place: str) -> object:
        try:
            return normalise(component, raw)
        except Refused as refusal:
            self.errors[place] = str(refusal)
            return None

    def _row_values(self, component: Component, raw: object) -> list[dict[str, object]]:
        before = self.current.get(component.key)
        old = before if isinstance(before, list) else []
        if raw is None:
            raw = []
        if not isinstance(raw, list | tuple) or len(raw) > MAX_ROWS or not all(isinstance(row, Mapping) for row in raw):
            self.errors[component.key] = f"“{component.name}”应为至多 {MAX_ROWS} 行的列表"
            return []
        fixed = len(old) or component.repetitions
        if not component.add_remove and len(raw) != fixed:
            self.errors[component.key] = f"“{component.name}”应有 {fixed} 行，不能增删"
        rows = []
        for index, row in enumerate(raw):
            kept = old[index] if index < len(old) and isinstance(old[index], Mapping) else {}
            values: dict[str, object] = {}
            for child in component.children:
                for each in child.walk():
                    if each.is_input and each.readonly is True:
                        values[each.key] = kept.get(each.key)
                    elif each.is_input:
                        given = row.get(each.key, None if each.key in row else each.default)
                        values[each.key] = self._normalised(each, given, f"{component.key}[{index}].{each.key}")
            rows.append(values)
        return rows

    def _collect(self, component: Component, state: Settled, sent: set[str], result: dict[str, object]) -> None:
        if component.id in state.hidden:
            for each in component.walk():
                self._forgive(each.key)
            return
        if component.type == "group":
            for child in component.children:
                self._collect(child, state, sent, result)
        elif component.key in state.editable:
            if component.type == "dynamiclist":
                self._rows(component, state)
            else:
                self._check(component, state.context, state.context, component.key)
            if component.key in sent:
                result[component.key] = state.context.get(component.key)
        elif component.key:
            self._forgive(component.key)
            if component.key in state.rows and any(row.computed for row in state.rows[component.key]):
                result[component.key] = state.context[component.key]
        if component.rule is not None:
            self._rule(component, component.rule, state.context, state.editable, component.key or component.id)

    def _forgive(self, key: str) -> None:
        # A value that is dropped can't be wrong.
        for place in [place for place in self.errors if key and (place == key or place.startswith(f"{key}["))]:
            del self.errors[place]

    def _rows(self, component: Component, state: Settled) -> None:
        for index, row in enumerate(state.rows.get(component.key, [])):
            context = row_context(state.context, row.context, index)
            for child in component.children:
                for each in child.walk():
                    place = f"{component.key}[{index}].{each.key or each.id}"
                    if each.id in row.hidden or (each.is_input and each.key not in row.editable):
                        self.errors.pop(place, None)
                        continue
                    if each.is_input:
                        self._check(each, row.context, context, place)
                    if each.rule is not None:
                        self._rule(each, each.rule, context, row.editable | state.editable, place)

    def _rule(self, component: Component, rule: Expression, context: Data, editable: set[str], place: str) -> None:
        """Apply a rule across fields; null passes only while one of its fields is empty (which `required` judges)."""
        used = names(rule)
        if place in self.errors or (used.isdisjoint(editable) and component.key not in editable):
            return
        value = self.settling.value(rule, context, place)
        if value is True or (value is None and any(empty(context.get(name)) for name in used)):
            return
        self.errors[place] = component.rule_message or f"“{component.name}”不符合填写规则"

    def _check(self, component: Component, data: dict[str, object], context: Data, place: str) -> None:
        if place in self.errors:
            return
        value = data.get(component.key)
        if component.options and not component.options.static and not component.widget and not empty(value):
            value = data[component.key] = self._chosen(component, value, context, place)
        message = self.errors.get(place) or self._fault(component, value, context, place)
        if message:
            self.errors[place] = message

    def _chosen(self, component: Component, value: object, context: Data, place: str) -> object:
        """Return the values of the choices whose texts were sent, as the data's list has them."""
        known = {same_text(each.value): each.value for each in options(component, context, self.settling, place)}
        values = value if isinstance(value, list) else [value]
        wrong = next((one for one in values if same_text(one) not in known), None)
        if wrong is not None:
            self.errors[place] = _no_option(component, wrong)
            return value
        chosen = [known[same_text(one)] for one in values]
        return chosen if isinstance(value, list) else chosen[0]

    def _fault(self, component: Component, value: object, context: Data, place: str) -> str:
        rules, name = component.rules, component.name
        if empty(value):
            return _required(component) if rules.required else ""
        if component.type == "number":
            return self._number_fault(component, value, context, place)
        if component.type == "datetime":
            past = component.disallow_past and component.subtype != "time"
            return f"“{name}”不能早于今天" if past and str(value)[:10] < clock.today().isoformat() else ""
        if component.widget in PICKERS or component.type == "filepicker":
            return self._reference_fault(component, value if isinstance(value, list) else [value])
        if isinstance(value, str) and component.type in ("textfield", "textarea"):
            return self._text_fault(component, value, context, place)
        if component.options and component.options.static:
            return self._option_fault(component, value)
        return ""

    def _bound(self, bound: Decimal | Expression | None, context: Data, place: str) -> Decimal | None:
        if not isinstance(bound, Expression):
            return bound
        value = self.settling.value(bound, context, place)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Decimal(repr(value))
        return value if isinstance(value, Decimal) else None

    def _number_fault(self, component: Component, value: object, context: Data, place: str) -> str:
        rules, name = component.rules, component.name
        if rules.min is None and rules.max is None and component.increment is None:
            return ""
        number = Decimal(repr(value))
        low, high = self._bound(rules.min, context, place), self._bound(rules.max, context, place)
        if low is not None and number < low:
            return f"“{name}”不能小于 {low:f}"
        if high is not None and number > high:
            return f"“{name}”不能大于 {high:f}"
        if component.increment is not None and number % component.increment:
            return f"“{name}”应为 {component.increment:f} 的倍数"
        return ""

    def _text_fault(self, component: Component, value: str, context: Data, place: str) -> str:
        rules, name = component.rules, component.name
        if rules.min_length is not None or rules.max_length is not None:
            low, high = self._bound(rules.min_length, context, place), self._bound(rules.max_length, context, place)
            if low is not None and len(value) < low:
                return f"“{name}”至少 {low:f} 个字"
            if high is not None and len(value) > high:
                return f"“{name}”至多 {high:f} 个字，现有 {len(value)} 个"
        if rules.kind == "email" and not (len(value) <= 254 and _EMAIL.fullmatch(value)):
            return f"“{name}”不是有效的邮箱地址"
        if rules.kind == "phone" and not (len(value) <= 40 and _PHONE.fullmatch(value)):
            return f"“{name}”不是有效的电话号码"
        if rules.pattern is not None and not self._matches(rules.pattern, value):
            return rules.pattern_message or f"“{name}”的格式不对"
        return ""

    def _matches(self, pattern: "regex.Pattern[str]", value: str) -> bool:
        if self._slow or len(value) > MAX_TEXT:
            return False
        try:
            return pattern.search(value, timeout=_PATTERN_SECONDS) is not None
        except TimeoutError:
            self._slow = True
            return False

    @staticmethod
    def _option_fault(component: Component, value: object) -> str:
        known = component.options.by_text if component.options else {}
        for one in value if isinstance(value, list) else [value]:
            if same_text(one) not in known:
                return _no_option(component, one)
        return ""

    def _reference_fault(self, component: Component, ids: list[object]) -> str:
        if self._lookups is None:
            return ""
        wanted = [each for each in ids if isinstance(each, str)]
        name = component.name
        if component.type == "filepicker":
            files = self._known[2]
            if any(each not in files for each in wanted):
                return f"“{name}”中有附件不存在，请重新上传"
            uploaded = [files[each].name for each in wanted]
            wrong = next((file for file in uploaded if not accepted(component.accept, file)), None)
            return f"“{name}”不接受文件“{wrong}”，可用：{'、'.join(component.accept)}" if wrong else ""
        person = component.widget in ("person", "people")
        known = self._known[0 if person else 1]
        what = "人员" if person else "部门"
        return "" if all(each in known for each in wanted) else f"“{name}”中有{what}不存在，请重新选择"


def options(component: Component, context: Data, settling: Settling, place: str) -> tuple[Option, ...]:
    """Return the choices of a field: static ones, or those of the data, scalars or `{label, value}`."""
    source = component.options
    if source is None or source.static:
        return source.static if source else ()
    if source.expression is not None:
        found = settling.value(source.expression, context, place)
    else:
        found = context.get(source.key)
    result = []
    for item in found if isinstance(found, list) else []:
        value = item.get("value") if isinstance(item, Mapping) else item
        label = item.get("label") if isinstance(item, Mapping) else None
        if isinstance(value, Decimal):
            value = int(value) if value == value.to_integral_value() else float(value)
        if isinstance(value, str | int | float):
            result.append(Option(label if isinstance(label, str) else str(value), value))
    return tuple(result)


def accepted(accept: Sequence[str], name: str) -> bool:
    """Return whether a file name fits the types of a file field: extensions, media types or `image/*`."""
    if not accept:
        return True
    lower = name.lower()
    media = guess_type(lower)[0] or ""
    for part in accept:
        if lower.endswith(part) if part.startswith(".") else media == part:
            return True
        if part.endswith("/*") and media.startswith(part[:-1]):
            return True
    return False


def _required(component: Component) -> str:
    if component.type == "checkbox":
        return f"请勾选“{component.name}”"
    if component.type == "filepicker":
        return f"请上传“{component.name}”"
    picks = component.options is not None or component.widget in PICKERS or component.type == "datetime"
    return f"请选择“{component.name}”" if picks and component.type != "datetime" else f"请填写“{component.name}”"


def _no_option(component: Component, value: object) -> str:
    return f"“{component.name}”没有选项“{str(value)[:50]}”，请重新选择"
