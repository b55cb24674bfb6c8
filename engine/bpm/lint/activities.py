"""Checks of activities other than a user task's people: which the engine runs, loops, operations, calls."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from lxml import etree

from engine.bpm.extensions import (
    NAMESPACE,
    PARSERS,
    DataMapping,
    EventExtension,
    Operation,
    RuleUse,
    is_reserved,
)
from engine.bpm.lint.data import BOOLEAN, NUMBER
from engine.bpm.lint.diagram import TASKS, Node, Scope, child, children, content, local
from engine.bpm.lint.finding import Reporter, clip
from engine.bpm.lint.known import Known
from engine.bpm.lint.rules import Rules, check_rule
from engine.bpm.lint.texts import Texts
from engine.feel.types import ANY

_P = f"{{{NAMESPACE}}}"
_MULTI = "multiInstanceLoopCharacteristics"
_LOOP = "standardLoopCharacteristics"
_LOOP_TYPES = dict.fromkeys(("loopCounter", "numberOfInstances", "numberOfCompletedInstances"), NUMBER)
_UNSUPPORTED = {
    "complexGateway": ("complex_gateway", "引擎不支持复杂网关", "用排他、并行或包容网关组合"),
    "adHocSubProcess": ("ad_hoc", "引擎不支持自由（ad-hoc）子流程", "用普通子流程，顺序不定的步骤用包容网关分开"),
    "transaction": ("transaction", "引擎不支持事务子流程", "用普通子流程，以错误结束事件和错误边界事件代替"),
    "manualTask": ("manual_task", "引擎不支持手工任务", "改为用户任务（userTask）并指定办理人"),
}


@dataclass(slots=True)
class Written:
    """Names that come into the data: from forms, from activities, and whether others may come too.

    `computed` are those of the activities' that may get another value than a form gives them; `rules` are the business
    rule tasks, whose decisions tell the types of their results.
    """

    forms: set[str] = field(default_factory=set)
    activities: set[str] = field(default_factory=set)
    computed: set[str] = field(default_factory=set)
    rules: list[RuleUse] = field(default_factory=list)
    others: bool = False

    def add(self, mapping: Iterable[tuple[str, str]]) -> None:
        """Take in what an activity writes: (name, FEEL or literal)."""
        for name, value in mapping:
            self.activities.add(name)
            if value.removeprefix("=").strip() != name:
                self.computed.add(name)


def written(process: Scope, processes: frozenset[str]) -> Written:
    """Collect the names that a process's operations, calls and loops write; `processes` are those of the folder."""
    found = Written()
    for scope in process.walk():
        for node in scope.nodes.values():
            if node.kind in ("serviceTask", "scriptTask"):
                operation: Operation | None = PARSERS[node.kind](node.element)[0]
                found.add((name, "") for name, _ in (operation.outputs if operation else ()))
            elif node.kind == "businessRuleTask":
                use: RuleUse | None = PARSERS[node.kind](node.element)[0]
                found.rules += [use] if use else []
            elif node.kind == "callActivity":
                mapping: DataMapping = PARSERS[node.kind](node.element)[0]
                found.add((*mapping.outputs, *mapping.inputs))
                shared = not (mapping.inputs or mapping.outputs)
                found.others |= shared and node.element.get("calledElement") not in processes
            elif speaks(node):
                event: EventExtension = PARSERS[node.kind](node.element)[0]
                found.add(event.outputs)
                found.add((name, "") for name in event.expected)
            loop = child(node.element, _MULTI)
            if loop is not None:
                items = [child(loop, name) for name in ("inputDataItem", "outputDataItem")]
                found.add((item_name(i), "") for i in items if i is not None)
                found.add((content(e), "") for e in children(loop, "loopDataOutputRef"))
                found.add((name, "") for name in _LOOP_TYPES)
            elif child(node.element, _LOOP) is not None:
                found.add((name, "") for name in _LOOP_TYPES)
    return found


def speaks(node: Node) -> bool:
    """Whether an element sends or receives a message or signal: what is sent joins the data of who receives it."""
    return node.kind in PARSERS and (node.kind in ("sendTask", "receiveTask") or node.event in ("message", "signal"))


def check_activities(
    scope: Scope, processes: frozenset[str], rules: Rules, known: Known, texts: Texts, report: Reporter
) -> None:
    """Check the activities of one scope; `processes` and `rules` are the processes and decisions of the folder."""
    for node in scope.nodes.values():
        if node.kind in _UNSUPPORTED:
            report.error(node.element, *_UNSUPPORTED[node.kind])
        elif node.kind == "subProcess" and node.element.get("triggeredByEvent") in ("true", "1"):
            report.error(
                node.element,
                "event_sub_process",
                "引擎不支持事件子流程",
                "把触发事件画成边界事件，附着在要守候的步骤或子流程上",
            )
        elif node.kind == "task":
            report.warning(
                node.element, "plain_task", "没有类型的任务什么也不做，流程直接通过", "选定类型，如用户任务、服务任务"
            )
        if node.element.get("isForCompensation") in ("true", "1"):
            report.error(node.element, "compensation", "引擎不支持补偿活动", "用普通步骤画出撤销要做的事")
        _check_extension(node, report)
        _check_repetition(node, texts, report)
        if node.kind in ("serviceTask", "scriptTask"):
            _check_operation(node, known, texts, report)
        elif node.kind == "businessRuleTask":
            use = check_rule(node, rules, texts, report)
            check_written(node.element, use.result if use else "", report)
        elif node.kind == "callActivity":
            _check_call(node, processes, known, texts, report)
        elif node.kind in ("sendTask", "receiveTask") and not node.element.get("messageRef"):
            report.error(node.element, "reference_missing", "任务没有说是哪个消息", "在属性里选定消息（messageRef）")
        if speaks(node):
            _check_carried(node, texts, report)
        if "correlation" in (attributes := _message_attributes(node.element)):
            texts.check_value(node.element, attributes["correlation"], "消息的关联值")


def _check_extension(node: Node, report: Reporter) -> None:
    """Report what the one definition of the extensions says, and extensions where none are allowed."""
    parser = PARSERS.get(node.kind)
    if parser is not None:
        problems = parser(node.element)[1]
        report.problems(node.element, ((p.line, p.code, p.message, p.cure) for p in problems))
        return
    box = child(node.element, "extensionElements")
    for element in () if box is None else box.iterchildren(f"{_P}*"):
        name = str(element.tag).removeprefix(_P)
        report.error(node.element, "extension_element", f"{node.kind} 上不能用 piyue:{clip(name, 40)}", "删去它")


def _check_repetition(node: Node, texts: Texts, report: Reporter) -> None:
    loop, multi = child(node.element, _LOOP), child(node.element, _MULTI)
    if (loop is not None or multi is not None) and node.kind in TASKS - {"callActivity"}:
        code = "multi_instance_task" if multi is not None else "loop_task"
        kind = "多实例" if multi is not None else "循环"
        if node.kind == "userTask":
            cure = '几个人办理同一步骤写 <piyue:round policy="all|any|in_turn"/>，办理人由 piyue:assign 指定'
        else:
            cure = "把任务放进子流程，在子流程上设多实例；循环也可以用网关绕回来"
        report.error(node.element, code, f"这种任务不能设{kind}", cure)
        return
    if multi is not None:
        _check_multi(node, multi, texts, report)
    if loop is not None:
        maximum = loop.get("loopMaximum")
        condition = child(loop, "loopCondition")
        if maximum is not None and not (maximum.isdecimal() and 0 < int(maximum[:9]) <= 1000):
            report.error(node.element, "loop_maximum", "循环的最多次数不是 1 到 1000 的整数", "改为整数")
        if condition is not None:
            texts.check(node.element, content(condition), "循环条件", result=BOOLEAN)
        elif maximum is None:
            report.error(node.element, "loop_endless", "循环没有条件也没有次数", "写 loopCondition 或 loopMaximum")


def _check_multi(node: Node, multi: etree._Element, texts: Texts, report: Reporter) -> None:
    source, number = child(multi, "loopDataInputRef"), child(multi, "loopCardinality")
    if (source is None) == (number is None):
        report.error(
            node.element,
            "multi_instance_source",
            "多实例没有说做几次" if source is None else "多实例既写了列表又写了次数",
            "只写一个：loopDataInputRef（放列表的字段）或 loopCardinality（次数）",
        )
    if number is not None:
        texts.check(node.element, content(number), "多实例的次数", result=NUMBER)
    if source is not None and (not content(source) or (texts.complete and content(source) not in texts.names)):
        report.error(
            node.element,
            "multi_instance_source",
            f"多实例的列表字段“{clip(content(source), 40) or '（空）'}”不存在",
            "写表单里一个放列表的字段",
        )
    elif source is not None and texts.types.get(content(source), ANY).name not in ("list", "Any"):
        report.error(
            node.element,
            "multi_instance_source",
            f"多实例的列表字段“{clip(content(source), 40)}”不是列表",
            "写表单里一个放列表的字段",
        )
    condition = child(multi, "completionCondition")
    if condition is not None:
        texts.check(node.element, content(condition), "多实例的完成条件", local=_LOOP_TYPES, result=BOOLEAN)
    for name in ("inputDataItem", "outputDataItem"):
        item = child(multi, name)
        if item is not None:
            check_written(node.element, item_name(item), report)
    output = child(multi, "loopDataOutputRef")
    if output is not None:
        check_written(node.element, content(output), report)


def item_name(item: etree._Element) -> str:
    """Return the name of a multi-instance's data item."""
    return item.get("name") or item.get("id") or ""


def check_written(element: etree._Element, name: str, report: Reporter) -> None:
    """Refuse to write names that the engine keeps for itself."""
    if is_reserved(name):
        report.error(
            element,
            "name_reserved",
            f"名称“{clip(name, 40)}”由引擎保留，不能写入",
            "换一个名称（不以“_”开头，也不是 outcome、steps、initiator）",
        )


def _check_operation(node: Node, known: Known, texts: Texts, report: Reporter) -> None:
    script = child(node.element, "script")
    if script is not None and content(script):
        report.error(
            node.element,
            "script",
            "引擎不运行图里的脚本",
            '删去脚本，写 <piyue:operation name="…"/> 指定已登记的操作',
        )
    operation: Operation | None = PARSERS[node.kind](node.element)[0]
    if operation is None:
        report.error(
            node.element, "operation_missing", "任务没有指定操作", '写 <piyue:operation name="…"/> 指定已登记的操作'
        )
        return
    if known.operations is not None and operation.name not in known.operations:
        report.error(
            node.element,
            "operation_unknown",
            f"没有登记操作“{clip(operation.name, 40)}”",
            f"可用的操作：{'、'.join(sorted(known.operations))}" if known.operations else "请管理员先登记这个操作",
        )
    for name, value in operation.inputs:
        texts.check_value(node.element, value, f"输入 {clip(name, 40)} ")
    for name, value in operation.outputs:
        texts.check_value(node.element, value, f"输出 {clip(name, 40)} ", local={"result": ANY})
        check_written(node.element, name, report)
    for element in node.element.iter(f"{_P}operation"):
        for inner in element:
            if inner.tag not in (f"{_P}input", f"{_P}output"):
                report.error(
                    node.element, "extension_element", f"piyue:operation 里不能有 {local(inner) or inner.tag}", "删去它"
                )


def _check_carried(node: Node, texts: Texts, report: Reporter) -> None:
    event: EventExtension = PARSERS[node.kind](node.element)[0]
    for name, value in event.outputs:
        texts.check_value(node.element, value, f"输出 {clip(name, 40)} ")
    for name in (*(name for name, _ in event.outputs), *event.expected):
        check_written(node.element, name, report)


def _check_call(node: Node, processes: frozenset[str], known: Known, texts: Texts, report: Reporter) -> None:
    called = node.element.get("calledElement", "")
    if not called:
        report.error(node.element, "call_missing", "调用活动没有说调用哪个流程", "写 calledElement，即那个流程的 id")
    elif called not in processes:
        deployed = known.processes is not None and called in known.processes
        report.error(
            node.element,
            "dangling_reference",
            f"calledElement 指向的流程“{clip(called, 40)}”{'已部署，但不' if deployed else '不'}在文件夹里",
            "把那个流程的 .bpmn 文件放进 called 文件夹，或改成其中一个流程的 id",
        )
    mapping: DataMapping = PARSERS[node.kind](node.element)[0]
    for name, value in mapping.inputs:
        texts.check_value(node.element, value, f"输入 {clip(name, 40)} ")
        check_written(node.element, name, report)
    for name, _ in mapping.outputs:
        check_written(node.element, name, report)


def _message_attributes(element: etree._Element) -> dict[str, str]:
    box = child(element, "extensionElements")
    message = None if box is None else box.find(f"{_P}message")
    return {} if message is None else {str(name): str(value) for name, value in message.attrib.items()}
