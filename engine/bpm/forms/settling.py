"""Settling: which fields of a form are hidden or locked for some data, and what its expressions compute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.bpm.forms.planning import names
from engine.bpm.forms.schema import Component, Data, Evaluate, Rights, Step
from engine.errors import Invalid
from engine.feel import Expression, FeelError, to_plain


@dataclass(slots=True)
class Settled:
    """The state of one data object (the form's, or one row's) after all conditions.

    `context` is what expressions see: the data without the hidden fields, with what was computed. `hidden` holds ids of
    components, `editable` and `computed` keys of fields, `rows` the states of the rows of each dynamic list.
    """

    context: dict[str, object]
    editable: set[str]
    hidden: set[str] = field(default_factory=set)
    computed: dict[str, object] = field(default_factory=dict)
    rows: dict[str, list["Settled"]] = field(default_factory=dict)


class Settling:
    """Settles one form: evaluates by `evaluate` and gathers errors of expressions as (place, message)."""

    def __init__(self, rights: Rights, evaluate: Evaluate | None, current: Data) -> None:
        self.rights = rights
        self.current = current
        self.errors: list[tuple[str, str]] = []
        self._evaluate = evaluate

    def value(self, expression: Expression, context: Data, place: str) -> object:
        """Return the value of an expression; None with an error noted where it exceeds its limits."""
        try:
            if self._evaluate is None:
                return expression.evaluate(context)
            return self._evaluate(expression, context)
        except FeelError as error:
            self.errors.append((place, f"表达式无法计算：{error.message}"))
            return None

    def form(self, components: Sequence[Component], plan: Sequence[Step], values: Data) -> Settled:
        """Settle the form's own data: `values` over the current ones."""
        editable = {
            each.key
            for component in components
            for each in component.walk()
            if each.is_input and each.readonly is not True and self.rights.of(each.key) == "edit"
        }
        context = {**self.current, **values}
        state = Settled(context, editable)
        for kind, component in plan:
            if component.id in state.hidden:
                continue
            if kind == "hide":
                self._hide(component, state, context)
            elif kind == "lock":
                self._lock(component, state, context, self.current)
            elif kind == "rows":
                self._rows(component, state)
            elif self.rights.of(component.key) == "edit" or self._changed(component, state):
                self._compute(component, state, context)
        return state

    def _hide(self, component: Component, state: Settled, context: Data) -> None:
        if component.hide is None or self.value(component.hide, context, component.key or component.id) is not True:
            return
        for each in component.walk():
            state.hidden.add(each.id)
            state.editable.discard(each.key)
            if each.key:
                state.context.pop(each.key, None)

    def _lock(self, component: Component, state: Settled, context: Data, before: Data) -> None:
        if not isinstance(component.readonly, Expression):
            return
        if self.value(component.readonly, context, component.key) is True:
            state.editable.discard(component.key)
            state.context[component.key] = before.get(component.key)

    def _compute(self, component: Component, state: Settled, context: Data, place: str = "") -> None:
        if component.expression is None:
            return
        place = place or component.key
        try:
            value = to_plain(self.value(component.expression, context, place))
        except FeelError as error:
            self.errors.append((place, f"“{component.name}”的结果不能保存：{error.message}"))
            value = None
        state.context[component.key] = state.computed[component.key] = value

    @staticmethod
    def _changed(component: Component, state: Settled) -> bool:
        # What an expression reads may change on this step even where the expression's own field is read only.
        used = names(component.expression) if component.expression else set()
        return not used.isdisjoint(state.editable) or not used.isdisjoint(state.computed)

    def _rows(self, component: Component, state: Settled) -> None:
        """Settle every row; row fields shadow the form's, `parent` is the form's data, `i` the row's number from 1."""
        rows = state.context.get(component.key)
        if not isinstance(rows, list):
            return
        before = self.current.get(component.key)
        edited = component.key in state.editable
        fields = [each for child in component.children for each in child.walk() if each.is_input]
        settled, plain = [], []
        for index, row in enumerate(rows):
            data: dict[str, object] = dict(row) if isinstance(row, Mapping) else {}
            if not component.plan:
                inner = Settled(data, {each.key for each in fields if edited and each.readonly is not True})
            else:
                old = before[index] if isinstance(before, list) and index < len(before) else {}
                inner = self._row(component, state, data, old if isinstance(old, Mapping) else {}, index, edited=edited)
            settled.append(inner)
            plain.append(inner.context)
        state.rows[component.key] = settled
        state.context[component.key] = plain

    def _row(
        self, component: Component, state: Settled, data: dict[str, object], before: Data, index: int, *, edited: bool
    ) -> Settled:
        fields = (each for child in component.children for each in child.walk() if each.is_input)
        inner = Settled(data, {each.key for each in fields if edited and each.readonly is not True})
        for kind, child in component.plan:
            if child.id in inner.hidden:
                continue
            context = row_context(state.context, data, index)
            if kind == "hide":
                self._hide(child, inner, context)
            elif kind == "lock":
                self._lock(child, inner, context, before)
            elif edited or self._changed(child, state):
                self._compute(child, inner, context, f"{component.key}[{index}].{child.key}")
        return inner


def row_context(context: Data, row: Data, index: int) -> dict[str, object]:
    """Return what the expressions of a row see."""
    return {**context, **row, "this": row, "parent": context, "i": index + 1}


def invalid(errors: Sequence[tuple[str, str]]) -> Invalid:
    """Return the refusal of submitted data, with the message of each field."""
    more = f"（共 {len(errors)} 处）" if len(errors) > 1 else ""
    return Invalid(
        f"表单有误：{errors[0][1]}{more}",
        code="form_invalid",
        errors=[{"place": place, "message": message} for place, message in errors],
    )
