"""Checks of a BPMN file as a whole: ids, references, what the engine does not know, the drawing."""

import re
from collections import Counter
from collections.abc import Iterator

from lxml import etree

from engine.bpm.extensions import BPMN, NAMESPACE
from engine.bpm.lint.diagram import (
    BOUNDS,
    DRAWING,
    FURTHEST,
    NODES,
    SCOPES,
    WAYPOINT,
    Diagram,
    Scope,
    children,
    content,
    local,
    place_of,
)
from engine.bpm.lint.finding import Reporter, clip

MAX_NODES = 400
"""Nodes of one process, those of its sub-processes included."""
MAX_ELEMENTS = 10_000
"""Elements of one file, the drawing left out."""
MAX_DRAWN = 20_000
"""Shapes, lines and points of one drawing."""
MAX_NESTING = 5
"""Levels of sub-processes within each other."""
MAX_TEXT = 20_000
"""Characters of one text in a diagram."""
_LENGTHS = {"id": 80, "name": 80}
_NAMED = NODES | {"process", "message", "signal"}
_PROCESS_ID = 60

_NCNAME = re.compile(r"[^\W\d][\w.\-·]*")
_SILENT = frozenset(
    {  # Drawing, colours and the modeller's own notes: they change nothing about how a process runs.
        BPMN,
        NAMESPACE,
        "http://www.w3.org/2001/XMLSchema-instance",
        "http://www.w3.org/XML/1998/namespace",
        "http://www.omg.org/spec/BPMN/non-normative/color/1.0",
        "http://bpmn.io/schema/bpmn/biocolor/1.0",
        "http://camunda.org/schema/modeler/1.0",
    }
)
_REFERENCES = {
    "sourceRef": NODES,
    "targetRef": NODES,
    "attachedToRef": NODES,
    "default": {"sequenceFlow"},
    "messageRef": {"message"},
    "signalRef": {"signal"},
    "errorRef": {"error"},
    "escalationRef": {"escalation"},
    "dataObjectRef": {"dataObject"},
    "dataStoreRef": {"dataStore"},
    "processRef": {"process"},
    "bpmnElement": None,
}
_TEXT_REFERENCES = {
    "incoming": {"sequenceFlow"},
    "outgoing": {"sequenceFlow"},
    "flowNodeRef": NODES,
    "sourceRef": None,
    "targetRef": None,
}
_IN_SCOPE = (
    NODES
    | SCOPES
    | frozenset(
        "sequenceFlow laneSet documentation extensionElements textAnnotation association group dataObject "
        "dataObjectReference dataStoreReference multiInstanceLoopCharacteristics standardLoopCharacteristics "
        "incoming outgoing category ioSpecification property dataInputAssociation dataOutputAssociation".split()
    )
)


def check_document(diagram: Diagram, report: Reporter) -> bool:
    """Check what concerns the file and not the way through it; return whether it is BPMN at all."""
    if diagram.root.tag != f"{{{BPMN}}}definitions":
        report.error(
            diagram.root, "not_bpmn", "根元素不是 BPMN 的 definitions", "交上流程设计器导出的 BPMN 2.0 文件（.bpmn）"
        )
        return False
    _check_processes(diagram, report)
    _check_ids(diagram, report)
    _check_references(diagram, report)
    _check_foreign(diagram, report)
    _check_texts(diagram, report)
    for process in diagram.processes:
        for scope in process.walk():
            _check_scope(scope, diagram, report)
    _check_drawing(diagram, report)
    return True


def oversized(diagram: Diagram, report: Reporter) -> bool:
    """Report a file or processes that are too large or too deep to be looked at further."""
    elements = sum(1 for _ in diagram.root.iter(f"{{{BPMN}}}*", f"{{{NAMESPACE}}}*"))
    found = elements > MAX_ELEMENTS
    if found:
        report.error(
            diagram.root,
            "too_many_elements",
            f"文件有 {elements} 个元素，上限是 {MAX_ELEMENTS} 个",
            "把可以独立的部分拆成另一个流程，用调用活动（callActivity）接上",
        )
    drawn = sum(1 for _ in diagram.root.iter(f"{{{DRAWING}}}*", BOUNDS, WAYPOINT))
    if drawn > MAX_DRAWN:
        report.error(
            diagram.root,
            "drawing_too_large",
            f"图形有 {drawn} 个形状和拐点，上限是 {MAX_DRAWN} 个",
            "删去多余的拐点，或把可以独立的部分拆成另一个流程",
        )
        found = True
    for process in diagram.processes:
        count = sum(len(scope.nodes) for scope in process.walk())
        if count > MAX_NODES:
            report.error(
                process.element,
                "too_many_nodes",
                f"流程有 {count} 个节点，上限是 {MAX_NODES} 个",
                "把可以独立的部分拆成另一个流程，用调用活动（callActivity）接上",
            )
            found = True
        for scope in process.walk():
            if scope.level == MAX_NESTING + 1:
                report.error(
                    scope.element,
                    "nested_too_deep",
                    f"子流程嵌套超过 {MAX_NESTING} 层",
                    "减少嵌套，或把内层拆成另一个流程用调用活动接上",
                )
                found = True
    return found


def _check_processes(diagram: Diagram, report: Reporter) -> None:
    processes = [scope.element for scope in diagram.processes]
    running = [scope.element for scope in diagram.running]
    if not processes:
        report.error(diagram.root, "no_process", "文件里没有流程（process）", "在设计器里画一个流程再导出")
    elif not running:
        report.error(processes[0], "no_executable", "文件里没有可执行的流程", '把要运行的流程标上 isExecutable="true"')
    for process in running[1:]:
        report.error(
            process,
            "several_executable",
            "一个文件里有几个可执行的流程",
            '每个流程单独存一个 .bpmn 文件；只作说明的标上 isExecutable="false"',
        )
    for process in processes:
        if running and process not in running:
            report.warning(process, "process_ignored", "这个流程标为不可执行，不会运行", "移到单独的文件，或删去")
    for process in processes:
        if len(process.get("id", "")) > _PROCESS_ID:
            report.error(
                process, "process_id_long", f"流程 id 超过 {_PROCESS_ID} 个字符", f"缩短到 {_PROCESS_ID} 个字符以内"
            )


def _check_ids(diagram: Diagram, report: Reporter) -> None:
    count = Counter(element.get("id") for element in _model(diagram) if element.get("id"))
    for element in _model(diagram):
        identifier, kind = element.get("id"), local(element)
        if not identifier:
            if kind in NODES | {"process", "sequenceFlow", "message", "signal", "error", "escalation"}:
                report.error(element, "id_missing", f"元素 {kind} 没有 id", '补上 id="…"')
            continue
        if not _NCNAME.fullmatch(identifier):
            report.error(
                element,
                "id_invalid",
                f"id“{clip(identifier, 40)}”不合格式",
                "以字母、汉字或下划线开头，后接字母、汉字、数字、“_”“-”“.”",
            )
        if count[identifier] > 1 and element is not diagram.ids[identifier]:
            first = diagram.ids[identifier].sourceline
            report.error(
                element, "id_twice", f"id 与第 {first} 行的元素重复", "换一个没有用过的 id，并改正引用它的地方"
            )
        if kind in ("message", "signal") and not element.get("name", "").strip():
            report.error(element, "name_missing", "消息或信号没有名称，别的流程认不出它", "填上名称")
        for attribute, length in _LENGTHS.items():
            if len(element.get(attribute, "")) > length and (attribute == "id" or kind in _NAMED):
                what = {"id": "id", "name": "名称"}[attribute]
                report.error(element, f"{attribute}_long", f"{what}超过 {length} 个字符", f"缩短到 {length} 个字符以内")


def _check_references(diagram: Diagram, report: Reporter) -> None:
    for element in diagram.root.iter(f"{{{BPMN}}}*", f"{{{DRAWING}}}*"):
        found: list[tuple[str, str, object]] = [
            (name, element.get(name, ""), _REFERENCES[name]) for name in element.attrib if name in _REFERENCES
        ]
        kind = local(element) or ""
        if kind in _TEXT_REFERENCES:
            found.append((kind, content(element), _TEXT_REFERENCES[kind]))
        if kind in ("association", "messageFlow"):
            found = [(name, value, None) for name, value, _ in found]
        for name, value, allowed in found:
            target = diagram.ids.get(value, diagram.ids.get(value.partition(":")[2]))
            if target is None:
                if name == "bpmnElement":
                    report.warning(
                        element, "drawing_dangling", f"图形指向不存在的元素“{clip(value, 40)}”", "在设计器里重新保存"
                    )
                else:
                    report.error(
                        element,
                        "dangling_reference",
                        f"{name} 指向不存在的“{clip(value, 40) or '（空）'}”",
                        "改成已有元素的 id，或删去这个引用",
                    )
            elif isinstance(allowed, set | frozenset) and local(target) not in allowed:
                report.error(
                    element,
                    "wrong_reference",
                    f"{name} 指向的“{clip(value, 40)}”是 {local(target)}，不能用在这里",
                    "改成相应种类元素的 id",
                )


def _check_foreign(diagram: Diagram, report: Reporter) -> None:
    for element in _model(diagram):
        foreign = {str(name) for name in element.attrib if _namespace(name) not in (_SILENT | {""})}
        if any(_namespace(name) == NAMESPACE for name in element.attrib):
            names = "、".join(_short(element, name) for name in element.attrib if _namespace(name) == NAMESPACE)
            report.error(
                element,
                "piyue_attribute",
                f"属性 {names} 放错了位置，不会生效",
                "写进 extensionElements 里的 piyue 元素",
            )
        extensions = children(element, "extensionElements")
        for box in extensions:
            foreign |= {str(found.tag) for found in box if _namespace(found.tag) not in _SILENT}
        if foreign and element is not diagram.root:
            names = "、".join(sorted(_short(element, name) for name in foreign)[:6])
            report.warning(
                element, "foreign_extension", f"{names} 是其他引擎的扩展，会被忽略", "删去，需要的功能改用 piyue 的扩展"
            )
        if len(extensions) > 1:
            report.error(
                extensions[1],
                "extension_twice",
                "有两个 extensionElements，只有第一个生效",
                "合并成一个 extensionElements",
            )
    for element in diagram.root.iter(f"{{{NAMESPACE}}}*"):
        parent = element.getparent()
        if parent is not None and local(parent) != "extensionElements" and _namespace(parent.tag) != NAMESPACE:
            report.error(
                element,
                "piyue_misplaced",
                f"{_short(element, element.tag)} 不在 extensionElements 里",
                "移进 extensionElements",
            )


def _check_texts(diagram: Diagram, report: Reporter) -> None:
    for element in _model(diagram):
        longest = max((len(value) for value in element.attrib.values()), default=0)
        if max(longest, len(element.text or "")) > MAX_TEXT:
            report.error(element, "text_long", f"文字超过 {MAX_TEXT} 个字符", "缩短，长文放到说明文件里")


def _check_scope(scope: Scope, diagram: Diagram, report: Reporter) -> None:
    inside = {element.get("id") for element in scope.element}
    for element in scope.element:
        kind = local(element)
        if kind is None:
            report.error(
                element, "unknown_element", f"不认识元素 {_short(element, element.tag)}", "删去，或改用 BPMN 2.0 的元素"
            )
        elif kind not in _IN_SCOPE and not kind.endswith("LoopCharacteristics"):
            report.error(element, "unknown_element", f"引擎不支持元素 {kind}", "删去，或改用支持的元素")
        elif kind == "sequenceFlow":
            ends = element.get("sourceRef"), element.get("targetRef")
            if None in ends:
                report.error(
                    element, "dangling_reference", "顺序流缺少 sourceRef 或 targetRef", "把线的两端都接到节点上"
                )
            elif any(end in diagram.ids and end not in inside for end in ends):
                report.error(
                    element,
                    "flow_crosses",
                    "顺序流穿过了子流程或流程的边界",
                    "线只能连同一层的节点；跨流程用消息或调用活动",
                )


def _check_drawing(diagram: Diagram, report: Reporter) -> None:
    for element in diagram.root.iter(BOUNDS, WAYPOINT):
        if place_of(element) is None:
            given = clip("、".join(element.get(name, "") for name in ("x", "y", "width", "height")), 60)
            report.error(
                element,
                "drawing_number",
                f"图形的位置或大小不对（{given}）：应为数，不超过 {FURTHEST}，宽和高不能是负数",
                "在设计器里重新画这个图形再导出",
            )
    drawn = {shape.get("bpmnElement") for shape in diagram.root.iter(f"{{{DRAWING}}}*")}
    for process in diagram.processes:
        nodes = [node for scope in process.walk() for node in scope.nodes.values()]
        missing = [node.id for node in nodes if node.id not in drawn]
        if nodes and len(missing) == len(nodes):
            report.warning(
                process.element, "drawing_missing", "文件里没有图形（BPMNDI），流程图画不出来", "在设计器里画好再导出"
            )
        elif missing:
            names = "、".join(missing[:5])
            report.warning(process.element, "drawing_incomplete", f"这些节点没有图形：{names}", "在设计器里补上再导出")


def _model(diagram: Diagram) -> Iterator[etree._Element]:
    return diagram.root.iter(f"{{{BPMN}}}*")


def _namespace(name: object) -> str:
    text = str(name)
    return text[1:].partition("}")[0] if text.startswith("{") else ""


def _short(element: etree._Element, name: object) -> str:
    """Return `prefix:local` for a name in Clark notation."""
    namespace = _namespace(name)
    plain = str(name).rpartition("}")[2]
    prefix = next((p for p, uri in element.nsmap.items() if uri == namespace and p), None)
    return clip(f"{prefix}:{plain}" if prefix else plain, 60) or ""
