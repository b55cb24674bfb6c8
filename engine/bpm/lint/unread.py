"""Checks of what is correct BPMN and yet not what the engine reads: spellings, references, numbers it passes over."""

from collections import Counter

from lxml import etree

from engine.bpm.extensions import BPMN
from engine.bpm.lint.diagram import NODES, Diagram, child, children, local
from engine.bpm.lint.finding import Reporter, clip

_FLAGS = frozenset(
    "isExecutable cancelActivity isSequential testBefore triggeredByEvent isForCompensation instantiate".split()
)
_ONCE = frozenset(
    "conditionExpression timeDate timeDuration timeCycle loopCondition loopCardinality loopDataInputRef "
    "loopDataOutputRef inputDataItem outputDataItem completionCondition multiInstanceLoopCharacteristics "
    "standardLoopCharacteristics".split()
)


def check_unread(diagram: Diagram, report: Reporter) -> None:
    """Refuse what the engine would accept in silence and then do something else."""
    for element in diagram.root.iter(f"{{{BPMN}}}*"):
        _check_flags(element, report)
        _check_once(element, report)
        if local(element) in NODES:
            _check_node(element, report)


def _check_flags(element: etree._Element, report: Reporter) -> None:
    """XML Schema also spells a boolean 1 and 0; the engine's parser takes `1` for false."""
    for name in sorted(_FLAGS.intersection(element.attrib)):
        value = element.get(name, "")
        if value not in ("true", "false"):
            report.error(
                element,
                "flag_spelling",
                f"{name}=“{clip(value, 20)}”，引擎只认 true 和 false",
                f'写成 {name}="true" 或 "false"',
            )


def _check_once(element: etree._Element, report: Reporter) -> None:
    count = Counter(name for name in map(local, element) if name in _ONCE)
    for name in sorted(name for name, times in count.items() if times > 1):
        report.error(element, "element_twice", f"有 {count[name]} 个 {name}，只有一个生效", "只留一个")


def _check_node(element: etree._Element, report: Reporter) -> None:
    if children(element, "eventDefinitionRef"):
        report.error(
            element,
            "event_reference",
            "引擎不读 eventDefinitionRef，这个事件会什么也不做",
            "把事件定义直接写在事件里，如 timerEventDefinition",
        )
    for name in ("startQuantity", "completionQuantity"):
        if element.get(name, "1") != "1":
            report.error(element, "token_quantity", f"引擎不支持 {name}", "删去它；要做几次就用子流程的多实例")
    multi = child(element, "multiInstanceLoopCharacteristics")
    if multi is not None and child(element, "standardLoopCharacteristics") is not None:
        report.error(element, "loop_twice", "又是多实例又是循环，只有一个生效", "只留一个，另一个画成外层的子流程")
    if multi is not None and multi.get("behavior", "All") != "All":
        report.error(element, "multi_instance_behavior", "引擎不支持多实例的 behavior", "删去 behavior")
    if local(element) == "receiveTask" and element.get("instantiate") == "true":
        report.error(element, "start_trigger", "接收任务不能启动流程", "去掉 instantiate，在前面画普通开始事件")
