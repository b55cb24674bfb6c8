"""The whole check of a process folder, step by step."""

from collections.abc import Mapping

from engine.bpm.extensions import TaskExtension, parse_task
from engine.bpm.forms import Form
from engine.bpm.forms import check as check_form
from engine.bpm.lint.activities import Written, check_activities, written
from engine.bpm.lint.child import load_findings
from engine.bpm.lint.data import data_types, declared, engine_types
from engine.bpm.lint.diagram import Diagram, Scope
from engine.bpm.lint.document import check_document, oversized
from engine.bpm.lint.events import check_events
from engine.bpm.lint.finding import Finding, Report, Reporter, Severity
from engine.bpm.lint.forms import FOLDER, Forms, check_expressions, check_used, checkable
from engine.bpm.lint.gateways import check_gateways
from engine.bpm.lint.known import Known
from engine.bpm.lint.rules import Rules, read_rules
from engine.bpm.lint.steps import check_process, check_steps
from engine.bpm.lint.structure import check_calls, check_loops, check_structure
from engine.bpm.lint.texts import Texts
from engine.bpm.lint.thrown import check_thrown
from engine.bpm.lint.unread import check_unread
from engine.errors import Invalid
from engine.feel import FeelType
from engine.feel.types import ANY
from engine.xml import parse

MAIN = "process.bpmn"
"""The file that every process folder has."""


def check(files: Mapping[str, str | bytes], *, known: Known | None = None) -> list[Finding]:
    """Return what is wrong with the files of a process, by file and line; nothing is deployed with an error in it.

    `files` maps paths (`process.bpmn`, `forms/x.json`, `called/y.bpmn`, `decisions/z.dmn`) to their content; other
    files are not looked at. `known` names what exists outside of them. Whatever the content is, it becomes findings:
    nothing is raised.
    """
    report = Report()
    if MAIN not in files:
        Reporter(MAIN, report).error(None, "file_missing", f"缺少文件 {MAIN}", f"把流程图命名为 {MAIN}")
    diagrams = _diagrams(files, report)
    forms = _forms(files, report)
    rules = read_rules(files, report)
    reporters = {file: Reporter(file, report) for file in diagrams}
    sound = {file: d for file, d in diagrams.items() if _check_file(d, reporters[file])}
    processes = frozenset(p.element.get("id", "") for d in diagrams.values() for p in d.processes)
    _check_twice(diagrams, reporters)
    check_calls(sound, reporters)
    names = _written(sound, forms, processes)
    tasks = _tasks(sound)
    fields = declared(forms, names.computed)
    checked = checkable(forms, report)
    types = _types(names, checked, tasks)
    for file, diagram in sound.items():
        for process in diagram.running:
            every = frozenset(names.forms | names.activities)
            texts = Texts(reporters[file], every, types, fields, not names.others)
            _check_process(diagram, process, texts, forms, processes, rules, known or Known(), reporters[file])
    if len(sound) == sum(path.endswith(".bpmn") for path in files):
        check_used(forms, [task for _, task in tasks], names, report)
        for name, form in checked.items():
            text = _text(files[f"{FOLDER}{name}.json"])
            check_expressions(name, form, text, types, report, complete=not names.others)
    if not report.has_errors:
        for finding in load_findings(
            {path: _text(content) for path, content in files.items() if path.endswith(".bpmn")}
        ):
            report.add(finding)
    return report.sorted()


def _diagrams(files: Mapping[str, str | bytes], report: Report) -> dict[str, Diagram]:
    found = {}
    for path, content in files.items():
        if path.endswith(".bpmn"):
            try:
                found[path] = Diagram(path, parse(content, path))
            except Invalid as error:
                fields = error.fields
                report.add(
                    Finding(path, fields["line"], None, None, "error", error.code, fields["problem"], fields["cure"])
                )
    return found


def _forms(files: Mapping[str, str | bytes], report: Report) -> Forms:
    found: dict[str, Form | None] = {}
    for path, content in files.items():
        if not (path.startswith(FOLDER) and path.endswith(".json")):
            continue
        name = path.removeprefix(FOLDER).removesuffix(".json")
        found[name] = None
        try:
            text = _text(content)
        except UnicodeDecodeError:
            Reporter(path, report).error(None, "form_invalid", "表单不是 UTF-8 文本", "用编辑器另存为 UTF-8")
            continue
        problems = check_form(text, place=path)
        for problem in problems:
            severity: Severity = "error" if problem.severity == "error" else "warning"
            cure = problem.cure or "在表单设计器里改正后重新导出"
            element, label = problem.element or None, problem.name or None
            report.add(Finding(path, problem.line, element, label, severity, f"form_{severity}", problem.message, cure))
        if not any(problem.severity == "error" for problem in problems):
            found[name] = Form.load(text, place=path)
    return found


def _text(content: str | bytes) -> str:
    return content.decode("utf-8-sig") if isinstance(content, bytes) else content


def _check_file(diagram: Diagram, report: Reporter) -> bool:
    """Check a file as a whole; return whether its processes can be looked into."""
    if oversized(diagram, report) or not check_document(diagram, report):
        return False
    check_unread(diagram, report)
    return True


def _check_twice(diagrams: Mapping[str, Diagram], reporters: Mapping[str, Reporter]) -> None:
    seen: dict[str, str] = {}
    for file, diagram in diagrams.items():
        for process in diagram.processes:
            identifier = process.element.get("id", "")
            if seen.setdefault(identifier, file) != file:
                reporters[file].error(
                    process.element, "id_twice", f"流程 id 与 {seen[identifier]} 里的重复", "换一个没有用过的 id"
                )


def _written(diagrams: Mapping[str, Diagram], forms: Forms, processes: frozenset[str]) -> Written:
    """Collect the names that the data of a folder's processes can have."""
    keys = {key for form in forms.values() if form for key in form.fields()}
    found = Written(keys, others=not forms or None in forms.values())
    for diagram in diagrams.values():
        for process in diagram.running:
            more = written(process, processes)
            found.activities |= more.activities
            found.computed |= more.computed
            found.others |= more.others
    return found


def _tasks(diagrams: Mapping[str, Diagram]) -> list[tuple[str, TaskExtension]]:
    """Return the user tasks of a folder's processes, each with its id."""
    scopes = [scope for diagram in diagrams.values() for process in diagram.running for scope in process.walk()]
    return [(node.id, parse_task(node.element)[0]) for scope in scopes for node in scope.of_kind("userTask")]


def _types(names: Written, forms: Mapping[str, Form], tasks: list[tuple[str, TaskExtension]]) -> dict[str, FeelType]:
    """Return the types of the data, as far as they are known; of the outcomes each gateway knows the possible ones."""
    return {
        **dict.fromkeys(names.forms | names.activities, ANY),
        **data_types(forms, [task for _, task in tasks], names.computed),
        **engine_types({id_: () for id_, _ in tasks}),
    }


def _check_process(
    diagram: Diagram,
    process: Scope,
    texts: Texts,
    forms: Forms,
    processes: frozenset[str],
    rules: Rules,
    known: Known,
    report: Reporter,
) -> None:
    tasks: dict[str, TaskExtension] = {
        node.id: parse_task(node.element)[0] for scope in process.walk() for node in scope.of_kind("userTask")
    }
    check_process(process, known, texts, report)
    for scope in process.walk():
        if report.file == MAIN:
            check_thrown(scope, diagram.ids, report)
        check_activities(scope, processes, rules, known, texts, report)
        check_events(scope, texts, report)
        check_gateways(scope, tasks, texts, report)
        check_structure(scope, report)
    check_loops(process, report)
    check_steps(process, tasks, forms, known, texts, report)
