"""Checks of business rule tasks: that the decision they name exists, and gets what it asks for."""

from collections.abc import Iterable, Mapping, Set

from engine.bpm import decisions
from engine.bpm.decisions import MAX_LENGTH, Decisions, Text
from engine.bpm.decisions.model import Model
from engine.bpm.extensions import PARSERS, RESERVED, RuleUse
from engine.bpm.lint.data import stored
from engine.bpm.lint.diagram import Node
from engine.bpm.lint.finding import Finding, Report, Reporter, clip
from engine.bpm.lint.tables import check_table
from engine.bpm.lint.texts import Texts, severity_of, walk
from engine.errors import Invalid
from engine.feel import FeelError, FeelType, Problem, check, infer
from engine.feel import nodes as n
from engine.feel.errors import at
from engine.feel.operations import is_known, spelled
from engine.feel.parser import parse, parse_unary
from engine.feel.problems import shown
from engine.feel.types import ANY, join

Rules = Mapping[str, Decisions | None]
"""The decision files of a folder by path; None for one that is itself wrong."""
MAX_FILES = 20
"""Decision files of a folder; each may import the others."""
MAX_BYTES = 2 * 1024 * 1024
_CURE = "在决策表设计器里改正，重新导出"
_CONVERTED = ("number", "string", "date", "time", "date and time")
"""Types whose name is the function that makes a value of them; a duration's is `duration`."""


def read_rules(files: Mapping[str, str | bytes], report: Report) -> Rules:
    """Read the decision files of a folder; what is wrong with them is reported."""
    paths = [path for path in files if path.startswith("decisions/") and path.endswith(".dmn")]
    found: dict[str, Decisions | None] = dict.fromkeys(paths)
    if len(paths) > MAX_FILES or sum(len(files[path]) for path in paths) > MAX_BYTES:
        message = f"决策文件太多或太大：最多 {MAX_FILES} 个，合计 {MAX_BYTES >> 20} MB"
        _add_error(paths[0], "decisions_large", message, "删去不用的决策文件，或把流程拆开", report)
        return found
    models: dict[str, Model] = {}
    length = 0
    for path in paths:
        if length > MAX_LENGTH:
            message = f"前面的决策文件连同它们导入的已超过 {MAX_LENGTH} 字，没有检查这个文件"
            _add_error(path, "decisions_large", message, "精简表达式，或少让文件互相导入", report)
            continue
        try:
            found[path] = read = decisions.read(files, path, known=models)
        except Invalid as error:
            said = error.fields
            line, message, cure = said.get("line"), said.get("problem", error.message), said.get("cure", _CURE)
            report.add(Finding(path, line, None, None, "error", error.code, message, cure))
        else:
            length += read.length
            for p in read.problems:
                message, element = clip(p.message, 400) or "", clip(p.element)
                cure = clip(p.cure, 200) or _CURE
                report.add(Finding(p.path, p.line, None, element, "error", "decision_invalid", message, cure))
            for table in read.tables:
                check_table(path, table, report)
            _check_texts(path, read, report)
    return found


def _add_error(path: str, code: str, message: str, cure: str, report: Report) -> None:
    report.add(Finding(path, None, None, None, "error", code, message, cure))


def _check_texts(path: str, read: Decisions, report: Report) -> None:
    """Check the types of the file's own expressions; what isn't FEEL at all is among its problems already."""
    for text in read.texts:
        if text.path != path or report.full:
            continue
        names = text.sight.keys() | text.spelled
        try:
            wanted = _wanted(text, names)
            found = check(text.text, text.sight, unary=text.unary, result=wanted, names=names, complete=text.complete)
        except FeelError:
            continue
        for problem in found:
            if problem.code == "unknown_type":  # the model's own types are known to its reader
                continue
            said, cure = _explained(text, names, problem, read)
            message = f"{text.where}{'：' if text.where else ''}“{clip(text.text, 60)}”第 {problem.column} 个字：{said}"
            severity = severity_of(problem.code)
            name = clip(text.owner)
            report.add(Finding(path, text.line, name, name, severity, problem.code, message, cure))


def _wanted(text: Text, names: Set[str]) -> FeelType | None:
    """Return the type that a cell has to give; none where it gives a list: one of one becomes its element."""
    if text.result is None or text.result.name in ("list", "date and time"):
        return None
    return None if infer(text.text, text.sight, names=names).name == "list" else text.result


def _explained(text: Text, names: Set[str], problem: Problem, read: Decisions) -> tuple[str, str]:
    """Return what is wrong and the cure; of a name also that it lacks its requirement, or is a text without quotes."""
    if problem.code != "unknown_name":
        return problem.message, problem.cure
    tree = parse(text.text, names) if text.unary is None else parse_unary(text.text, names)
    place = {"line": problem.line, "column": problem.column}
    unknown = (one.name for one in walk(tree) if isinstance(one, n.Name) and at(text.text, one.offset) == place)
    name = next(unknown, "")
    for element in read.model.elements.values():
        if name == element.variable and element.name != text.owner:
            line = "信息需求线" if element.kind in ("inputData", "decision") else "知识需求线"
            return f"“{clip(name, 40)}”没有连到“{clip(text.owner, 40)}”，值总是空", f"用{line}连上“{clip(name, 40)}”"
    kind = text.unary or text.result
    if kind is None or kind.name not in ("string", "Any") or not _is_whole(name, tree):
        return problem.message, problem.cure
    quoted = f'写成 "{clip(name, 40)}"'
    near = f"；要的是名称的，{problem.cure}" if problem.cure.startswith("是不是") else ""
    return f"“{clip(name, 40)}”不是已知的名称；文本要加双引号", quoted + near


def _is_whole(name: str, tree: n.Node) -> bool:
    """Tell whether a name is all that a cell, or one of its tests, consists of."""
    parts = [test.operand for test in tree.tests if not test.op] if isinstance(tree, n.UnaryTestList) else [tree]
    return any(isinstance(part, n.Name) and part.name == name for part in parts)


def result_types(uses: Iterable[RuleUse], rules: Rules) -> dict[str, FeelType]:
    """Return the types of the data that business rule tasks write, as far as their decisions declare them."""
    found: dict[str, FeelType] = {}
    for use in uses:
        read = rules.get(use.path)
        kind = read.type_of(use.decision) if read and use.decision in read.names else ANY
        found[use.result] = stored(join(found[use.result], kind) if use.result in found else kind)
    return found


def check_rule(node: Node, rules: Rules, texts: Texts, report: Reporter) -> RuleUse | None:
    """Check one business rule task; return what it says, None where it names no decision."""
    use: RuleUse | None
    use, problems = PARSERS[node.kind](node.element)
    if use is None and any(problem.code == "extension_attribute_missing" for problem in problems):
        return None  # reported with what is missing
    if use is None:
        report.error(
            node.element,
            "decision_missing",
            "业务规则任务没有说用哪个决策",
            '写 <piyue:decision file="文件名" name="决策名称" result="数据名称"/>',
        )
        return None
    if use.path not in rules:
        available = "、".join(sorted(path[len("decisions/") : -len(".dmn")] for path in rules)[:10])
        report.error(
            node.element,
            "decision_file_missing",
            f"没有决策文件 decisions/{clip(use.file, 40)}.dmn",
            f"加上这个文件，或改成已有的：{available}" if available else "加上这个文件",
        )
    elif (found := rules[use.path]) is not None:  # else it is reported where the file is
        _check_decision(node, use, found, texts, report)
    return use


def _check_decision(node: Node, use: RuleUse, found: Decisions, texts: Texts, report: Reporter) -> None:
    if use.decision in found.names:
        needed = found.input_types(use.decision)
        _check_inputs(node, use, tuple(needed), texts, report)
        _check_input_types(node, use, needed, texts, report)
        return
    report.error(
        node.element,
        "decision_unknown",
        f"{use.path} 里没有决策“{clip(use.decision, 40)}”",
        f"可用的决策：{clip('、'.join(found.names), 200)}" if found.names else "这个文件里还没有决策，先画一个",
    )


def _check_inputs(node: Node, use: RuleUse, needed: tuple[str, ...], texts: Texts, report: Reporter) -> None:
    for name, value in use.inputs:
        texts.check_value(node.element, value, f"输入 {clip(name, 40)} ")
        if name not in needed:
            report.error(
                node.element,
                "decision_input_unknown",
                f"决策“{clip(use.decision, 40)}”没有输入“{clip(name, 40)}”",
                f"它的输入：{clip('、'.join(needed), 200)}" if needed else "它不要输入，删去这一个",
            )
    given = {name for name, _ in use.inputs} if use.inputs else texts.names | RESERVED
    missing = [name for name in needed if name not in given]
    if missing and (use.inputs or texts.complete):
        report.warning(
            node.element,
            "decision_input_missing",
            f"决策“{clip(use.decision, 40)}”要的输入“{clip('、'.join(missing), 80)}”没有给，值总是空",
            '写 <piyue:input name="输入" value="=表达式"/>，没有同名的字段时都要写' if not use.inputs else "补上",
        )


def _check_input_types(
    node: Node, use: RuleUse, needed: Mapping[str, FeelType], texts: Texts, report: Reporter
) -> None:
    """Report what a decision is given that surely isn't of the type that it declares: it would be null."""
    given = dict(use.inputs) if use.inputs else {name: f"={name}" for name in needed if name in texts.types}
    for name, value in given.items():
        found, wanted = _type_given(value, texts), needed.get(name, ANY)
        if _may_be(found, wanted):
            continue
        of = f"决策“{clip(use.decision, 40)}”的输入“{clip(name, 40)}”"
        if found.name == wanted.name:
            message = f"{of}只能是允许的值，给的是“{clip('、'.join(map(spelled, found.values)), 80)}”"
            cure = f"允许的值：{clip('、'.join(map(spelled, wanted.values)), 200)}"
            if value in texts.types:
                cure += f"；要的是字段“{value}”的值就写 ={value}"
        else:
            message = f"{of}应为{shown(wanted)}，给的是{shown(found)}“{clip(value, 60)}”，它会是空"
            cure = _conversion(name, value, wanted, texts)
        report.error(node.element, "decision_input_type", message, cure)


def _type_given(value: str, texts: Texts) -> FeelType:
    if not value.startswith("="):
        return FeelType("string", values=(value,))
    try:
        return infer(value[1:], texts.types, names=())
    except FeelError:  # reported where the expression is checked
        return ANY


def _may_be(found: FeelType, wanted: FeelType) -> bool:
    """Tell whether a value may become one of the type; a list of one and its element become each other."""
    if not is_known(found, wanted) or "list" in (found.name, wanted.name):
        return True
    if found.name != wanted.name:
        return (found.name, wanted.name) == ("date", "date and time")
    return not (found.values and wanted.values) or not set(found.values).isdisjoint(wanted.values)


def _conversion(name: str, value: str, wanted: FeelType, texts: Texts) -> str:
    """Return how to give a value as one of a type."""
    function = "duration" if wanted.name.endswith("duration") else wanted.name
    converted = function == "duration" or function in _CONVERTED
    if not value.startswith("="):
        plain = _type_given(f"={value}", texts)
        if is_known(plain) and _may_be(plain, wanted):  # a field, a number, true or false
            return f"写成 ={value}"
        return f'写成 ={function}("{clip(value, 60)}")' if converted else f"写成 =表达式，结果是{shown(wanted)}"
    if not converted:
        return f"改成结果是{shown(wanted)}的表达式"
    return f"给输入“{clip(name, 40)}”写 ={function}({clip(value[1:], 60)})"
