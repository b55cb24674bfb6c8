"""The type check of a form's conditions, rules, bounds, texts and computations."""

from collections.abc import Iterable, Iterator, Mapping

from engine.bpm.extensions import TaskExtension
from engine.bpm.forms import Component, Form, located
from engine.bpm.lint.activities import Written
from engine.bpm.lint.data import BOOLEAN, LIST, NUMBER, Types, field_type, row_names
from engine.bpm.lint.finding import Finding, Report, Reporter, clip
from engine.bpm.lint.texts import cure_of, severity_of
from engine.feel import Expression, FeelType, check
from engine.feel.types import ANY

Forms = Mapping[str, Form | None]
"""The forms of a folder by name; None for one that is itself wrong."""

FOLDER = "forms/"
MAX_EXPRESSIONS = 60_000
"""Characters of the expressions of all forms of a folder up to which they are type checked."""


def expressions(component: Component) -> Iterator[tuple[str, Expression, FeelType | None]]:
    """Yield every expression of a component with what it is for, and the type that it has to give."""
    rules, options = component.rules, component.options
    found = (
        ("隐藏条件", component.hide, BOOLEAN),
        ("只读条件", component.readonly, BOOLEAN),
        ("校验规则", component.rule, BOOLEAN),
        ("最小值", rules.min, NUMBER),
        ("最大值", rules.max, NUMBER),
        ("最少字数", rules.min_length, NUMBER),
        ("最多字数", rules.max_length, NUMBER),
        ("选项", options.expression if options else None, LIST),
        ("表格的行" if component.type == "table" else "计算", component.expression, None),
        ("表格的列", component.columns_expression, LIST),
        ("标题", component.label, None),
        ("说明", component.description, None),
        ("前缀", component.prefix, None),
        ("后缀", component.suffix, None),
        ("文字", component.text, None),
        ("替代文字", component.alt, None),
    )
    for what, expression, wanted in found:
        if isinstance(expression, Expression):
            yield what, expression, wanted


def checkable(forms: Forms, report: Report) -> dict[str, Form]:
    """Return the forms whose expressions can be checked in the time there is; warn of those beyond it."""
    found: dict[str, Form] = {}
    total = 0
    for name, form in forms.items():
        if form is None:
            continue
        total += sum(len(text) for _, text in form.expressions())
        if total > MAX_EXPRESSIONS:
            Reporter(f"{FOLDER}{name}.json", report).warning(
                None, "expressions_long", "表单里的表达式合起来太长，没有检查类型", "精简表达式"
            )
        else:
            found[name] = form
    return found


def check_expressions(name: str, form: Form, text: str, types: Types, report: Report, *, complete: bool) -> None:
    """Check the expressions of one form over the data of the process; `complete`: the data have no other names."""
    pending: list[tuple[Iterable[Component], Types]] = [(form.components, types)]
    while pending and not report.full:
        components, names = pending.pop()
        for component in (each for top in components for each in top.walk()):
            if component.type == "dynamiclist":
                pending.append((component.children, {**names, **row_names(_row(component, names), names)}))
            for what, expression, wanted in () if report.full else expressions(component):
                shown = f"{what}“{clip(expression.text, 60)}”"
                problems = check(expression.text, names, result=wanted, names=(), complete=complete)
                for code, message, cure in dict.fromkeys((p.code, p.message, cure_of(p)) for p in problems):
                    _add(f"{FOLDER}{name}.json", text, component, code, f"{shown}：{message}", cure, report)


def _row(component: Component, names: Types) -> Types:
    """Return the types of the fields of a dynamic list's rows, computed ones as far as they are known."""
    fields = {each.key: each for child in component.children for each in child.walk() if each.key}
    known = names.get(component.key, LIST)
    row = known.arguments[0] if known.arguments else ANY
    return {key: row.entry(key) or field_type(each) for key, each in fields.items()}


def _add(file: str, text: str, component: Component, code: str, message: str, cure: str, report: Report) -> None:
    severity = severity_of(code)
    at = located(text, file, component.place, severity, message, cure)
    report.add(Finding(file, at.line, at.element, at.name or None, severity, code, message, cure))


def check_used(forms: Forms, tasks: Iterable[TaskExtension], names: Written, report: Report) -> None:
    """Warn of forms that no step shows, and of fields that no step lets anybody fill in and nothing else writes."""
    shown = {task.form for task in tasks}
    editable = {
        key
        for task in tasks
        if task.form and (form := forms.get(task.form))
        for key in form.by_key
        if dict(task.rights.fields).get(key, task.rights.default) == "edit" or not form.by_key[key].is_input  # computed
    }
    for name, form in forms.items():
        reporter = Reporter(f"{FOLDER}{name}.json", report)
        if name not in shown:
            reporter.warning(None, "form_unused", "没有步骤使用这个表单", "在步骤上写上它的名称，或删去这个文件")
        elif form and not names.others:
            inputs = {key for key, component in form.by_key.items() if component.is_input}
            missing = sorted(inputs - editable - names.activities)
            if missing:
                reporter.warning(
                    None,
                    "field_never_set",
                    f"没有步骤可以填写字段 {clip('、'.join(missing), 120)}",
                    '在某个步骤上写 <piyue:field key="…" access="edit"/>，或从表单里删去',
                )
