"""Checks of user tasks: who handles them, with which form, and where they may return to."""

from collections.abc import Iterable, Mapping

from lxml import etree

from engine.bpm.extensions import ROUND_NAMES, Assign, ProcessExtension, TaskExtension, parse_process
from engine.bpm.forms import FieldType
from engine.bpm.lint.data import BOOLEAN, NUMBER
from engine.bpm.lint.diagram import Node, Scope
from engine.bpm.lint.finding import Reporter, clip
from engine.bpm.lint.forms import Forms
from engine.bpm.lint.known import Known
from engine.bpm.lint.texts import Texts
from engine.feel.types import ANY

_DEPARTMENTS = frozenset({FieldType.DEPARTMENT, FieldType.DEPARTMENTS, FieldType.ANY})
_HANDLERS = _DEPARTMENTS | {FieldType.PERSON, FieldType.PEOPLE}
_SEARCHABLE = {"number": frozenset({"number", "string", "Any"}), "date": frozenset({"string", "Any"})}
_ROUND = dict.fromkeys(ROUND_NAMES, NUMBER)
_RETURN_WORDS = frozenset({"initiator", "previous"})


def check_process(process: Scope, known: Known, texts: Texts, report: Reporter) -> None:
    """Check the extension of a process: title, starters, readers, searchable fields."""
    extension, problems = parse_process(process.element)
    report.problems(process.element, ((p.line, p.code, p.message, p.cure) for p in problems))
    for what, text in (("标题", extension.title), ("摘要", extension.summary), ("缓急", extension.urgency)):
        texts.check_value(process.element, text, what)
    _check_starters(process.element, extension, known, report)
    _check_rules(process.element, extension.readers, known, texts, report)
    for field, kind in extension.searchable:
        found = texts.types.get(field, ANY).name
        if found not in _SEARCHABLE.get(kind, {found}):
            report.warning(
                process.element,
                "searchable_type",
                f"可检索字段“{clip(field, 40)}”的值不是{'数字' if kind == 'number' else '日期'}，按它查不到",
                "把 type 改成 text，或换一个字段",
            )
        if texts.complete and field not in texts.names:
            report.error(
                process.element,
                "field_unknown",
                f"可检索字段“{clip(field, 40)}”没有任何表单或操作提供",
                "改成已有字段的名称，或删去",
            )


def check_steps(
    process: Scope, tasks: Mapping[str, TaskExtension], forms: Forms, known: Known, texts: Texts, report: Reporter
) -> None:
    """Check the user tasks of a process and its sub-processes; `tasks` are their extensions by id."""
    nodes = [node for scope in process.walk() for node in scope.of_kind("userTask")]
    starting = [node for node in nodes if tasks[node.id].start]
    for node in nodes:
        extension = tasks[node.id]
        if not extension.assign and not extension.start:
            report.error(
                node.element,
                "assign_missing",
                "步骤没有办理人",
                '写 <piyue:assign rule="…"/>，如 rule="initiator_head" 表示发起人的科室负责人',
            )
        _check_rules(node.element, extension.assign, known, texts, report)
        if extension.round.rule:
            texts.check(node.element, extension.round.rule, "办理方式的表达式", local=_ROUND, result=BOOLEAN)
        _check_codes(node.element, "人员", extension.nobody_persons, known.persons, report)
        _check_form(node, extension, forms, report)
        _check_returns(node, extension, tasks, bool(starting), report)
    for node in starting:
        before = {flow.source.kind for flow in node.incoming}
        if "startEvent" not in before or not node.scope.is_process:
            report.error(
                node.element,
                "start_step_place",
                "发起步骤（start=\"true\"）不紧跟在流程的开始事件后面",
                "把开始事件直接连到它，或去掉 start",
            )  # fmt: skip
    for node in starting[1:]:
        report.error(node.element, "start_step_twice", "有几个发起步骤（start=\"true\"）", "只留一个")  # fmt: skip


def _check_starters(element: etree._Element, extension: ProcessExtension, known: Known, report: Reporter) -> None:
    for kind, what, codes in (("role", "角色", known.roles), ("department", "科室", known.departments)):
        found = [s.removeprefix(f"{kind}:") for s in extension.starters if s.startswith(f"{kind}:")]
        _check_codes(element, what, found, codes, report)
        for code in found:
            rule = Assign(kind, role=code) if kind == "role" else Assign(kind, department=code)
            _check_vacancies(element, rule, known, report, "发起人")


def _check_rules(
    element: etree._Element, rules: Iterable[Assign], known: Known, texts: Texts, report: Reporter
) -> None:
    for rule in rules:
        _check_codes(element, "人员", rule.persons, known.persons, report)
        _check_codes(element, "角色", [rule.role], known.roles, report)
        _check_codes(element, "岗位", [rule.post], known.posts, report)
        departments = rule.department or ""
        if not departments.startswith("="):
            _check_codes(element, "科室", departments.split(), known.departments, report)
        _check_vacancies(element, rule, known, report, "办理人规则")
        for text in (rule.department, rule.value):
            texts.check_value(element, text, "办理人表达式")
        for name in (rule.post, rule.role):
            if name and name.startswith("="):
                report.error(
                    element,
                    "assign_expression",
                    f"角色和岗位不能是表达式“{clip(name, 60)}”",
                    '写角色代码、岗位名称；要按条件选人用 rule="expression"',
                )
        if rule.rule == "expression" and rule.value and not rule.value.startswith("="):
            report.error(element, "assign_expression", "办理人表达式不以“=”开头", f"写成 ={clip(rule.value, 80)}")
        fields = [(rule.field, _DEPARTMENTS if rule.rule == "field_head" else _HANDLERS)] if rule.field else []
        fields += [(rule.of, _DEPARTMENTS)] if rule.of and rule.of != "initiator" else []
        for field, wanted in fields:
            if field in texts.fields and wanted.isdisjoint(texts.fields[field]):
                report.error(
                    element,
                    "assign_field",
                    f"办理人取自字段“{clip(field, 40)}”，它不是{'科室' if wanted is _DEPARTMENTS else '人或科室'}",
                    '换成选人、选科室的字段（表单里 properties 写 "widget": "person"、"department" 等）',
                )
            if texts.complete and field not in texts.names:
                report.error(
                    element,
                    "field_unknown",
                    f"办理人取自字段“{clip(field, 40)}”，但没有任何表单或操作提供它",
                    "改成已有字段的名称，或在表单里加上这个字段",
                )


def _check_vacancies(element: etree._Element, rule: Assign, known: Known, report: Reporter, what: str) -> None:
    for vacancy in known.vacancies(rule):
        report.warning(
            element,
            "organisation_nobody",
            f"{what}找不到人：{clip(vacancy, 120)}",
            "在组织机构里补上，或改成有人的角色、岗位、科室",
        )


def _check_codes(
    element: etree._Element, what: str, codes: Iterable[str | None], known: frozenset[str] | None, report: Reporter
) -> None:
    if known is None:
        return
    for code in codes:
        if code and not code.startswith("=") and code not in known:
            report.error(
                element,
                "organisation_unknown",
                f"没有{what}“{clip(code, 40)}”",
                f"改成已有的{what}，或先在组织架构里建立",
            )


def _check_form(node: Node, extension: TaskExtension, forms: Forms, report: Reporter) -> None:
    name = extension.form
    if name is None:
        for key, _ in extension.rights.fields:
            report.error(
                node.element,
                "field_unknown",
                f"步骤没有表单，却写了字段“{clip(key, 40)}”的权限",
                '在 piyue:task 上写 form="…"，或删去权限',
            )
    elif name not in forms:
        available = "、".join(sorted(forms)[:10])
        report.error(
            node.element,
            "form_missing",
            f"没有表单文件 forms/{clip(name, 40)}.json",
            f"加上这个文件，或改成已有的表单：{available}" if available else "加上这个文件",
        )
    elif (form := forms[name]) is not None:
        keys = form.fields()
        for key, _ in extension.rights.fields:
            if key not in keys:
                report.error(
                    node.element,
                    "field_unknown",
                    f"表单 {clip(name, 40)} 没有字段“{clip(key, 40)}”",
                    f"可用的字段：{clip('、'.join(sorted(keys)), 200)}",
                )
    seen: set[str] = set()
    for key, _ in extension.rights.fields:
        if key in seen:
            report.error(node.element, "field_twice", f"字段“{clip(key, 40)}”的权限写了两次", "只留一个")
        seen.add(key)


def _check_returns(
    node: Node, extension: TaskExtension, tasks: Mapping[str, TaskExtension], has_start: bool, report: Reporter
) -> None:
    for target in extension.returns.targets or ():
        if target == "initiator" and not has_start:
            report.error(
                node.element,
                "return_unknown",
                "流程没有发起步骤，不能退回发起人",
                '在开始事件后面的步骤上写 start="true"，或改变 piyue:return',
            )
        elif target not in _RETURN_WORDS and (target not in tasks or target == node.id):
            report.error(
                node.element,
                "return_unknown",
                f"不能退回到“{clip(target, 40)}”：没有这个步骤",
                "写 initiator、previous、none 或别的用户任务的 id",
            )
