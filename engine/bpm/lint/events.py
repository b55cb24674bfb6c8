"""Checks of events: which the engine runs, and what their definitions need."""

import re

from lxml import etree

from engine import clock
from engine.bpm.lint.diagram import Node, Scope, child, content
from engine.bpm.lint.finding import Reporter, clip
from engine.bpm.lint.texts import Texts
from engine.bpm.runtime import RuntimeFault, timing
from engine.feel import Expression, FeelError, to_plain
from engine.feel.kinds import NAMES as KIND_NAMES

_ALLOWED = {
    "startEvent": frozenset[str](),
    "endEvent": frozenset({"terminate", "error", "escalation", "message"}),
    "intermediateCatchEvent": frozenset({"timer", "message", "signal"}),
    "intermediateThrowEvent": frozenset({"message", "signal", "escalation"}),
    "boundaryEvent": frozenset({"timer", "message", "signal", "error", "escalation"}),
}
_NEEDS_REFERENCE = {"message": "messageRef", "signal": "signalRef"}
_KINDS = {
    "startEvent": "开始事件",
    "endEvent": "结束事件",
    "intermediateCatchEvent": "中间捕获事件",
    "intermediateThrowEvent": "中间抛出事件",
    "boundaryEvent": "边界事件",
}
_NAMES = {
    "timer": "定时",
    "message": "消息",
    "signal": "信号",
    "error": "错误",
    "escalation": "升级",
    "terminate": "终止",
    "compensate": "补偿",
    "link": "链接",
    "conditional": "条件",
    "cancel": "取消",
}
# What the engine gets wrong or can't run: its own code and what to draw instead.
_REFUSED = {
    "compensate": ("compensation", "引擎不支持补偿事件", "用普通步骤画出撤销要做的事，由网关或边界事件引到那里"),
    "link": ("link_event", "引擎不支持链接事件", "直接用顺序流把两处连起来"),
    "cancel": ("transaction", "引擎不支持事务和取消事件", "用普通子流程，以错误结束事件和错误边界事件代替"),
    "conditional": ("conditional_event", "引擎不支持条件事件", "用网关判断，或用定时事件反复检查"),
}
_TIMERS = ("timeDate", "timeDuration", "timeCycle")
_DURATION = re.compile(r"-?P(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_CYCLE = re.compile(r"R(?P<count>-?\d*)/(?P<every>[^/]*)")


def check_events(scope: Scope, texts: Texts, report: Reporter) -> None:
    """Check the events of one scope."""
    for node in scope.of_kind(*_ALLOWED):
        _check_definitions(node, report)
        for kind, definition in node.definitions:
            if kind == "timer":
                _check_timer(node, definition, texts, report)
            elif kind in _NEEDS_REFERENCE and not definition.get(_NEEDS_REFERENCE[kind]):
                reference = _NEEDS_REFERENCE[kind]
                report.error(
                    node.element,
                    "reference_missing",
                    f"{_NAMES[kind]}事件没有说是哪个{_NAMES[kind]}",
                    f"在属性里选定{_NAMES[kind]}（{reference}）",
                )
        if node.kind == "boundaryEvent":
            _check_boundary(node, report)


def _check_definitions(node: Node, report: Reporter) -> None:
    definitions, kind = node.definitions, _KINDS[node.kind]
    if len(definitions) > 1:
        report.error(
            node.element, "event_multiple", f"{kind}有几个事件定义", "一个事件只留一个定义，其余画成单独的事件"
        )
    for name, _ in definitions:
        if name in _REFUSED:
            report.error(node.element, *_REFUSED[name])
        elif node.kind == "endEvent" and name == "signal":
            report.error(
                node.element,
                "signal_end",
                "引擎不支持信号结束事件",
                "在普通结束事件之前加一个信号抛出事件",
            )
        elif node.kind == "startEvent":
            report.error(
                node.element,
                "start_trigger",
                f"开始事件不能由{_NAMES.get(name, name)}触发",
                "用普通开始事件；需要等待时在它后面接一个捕获事件",
            )
        elif name not in _ALLOWED[node.kind]:
            allowed = "、".join(_NAMES[a] for a in sorted(_ALLOWED[node.kind]))
            report.error(
                node.element, "event_unsupported", f"{kind}不支持{_NAMES.get(name, name)}定义", f"可用的定义：{allowed}"
            )
    if not definitions and node.kind in ("boundaryEvent", "intermediateCatchEvent"):
        report.error(
            node.element, "event_undefined", f"{kind}没有事件定义，等不到任何东西", "选定类型：定时、消息或信号"
        )


def _check_boundary(node: Node, report: Reporter) -> None:
    if node.host is None:
        if not node.element.get("attachedToRef"):
            report.error(node.element, "dangling_reference", "边界事件没有附着在任何活动上", "拖到它要守候的步骤的边上")
        elif node.element.get("attachedToRef") in node.scope.nodes or not node.scope.is_process:
            report.error(
                node.element, "boundary_host", "边界事件附着的不是同一层的活动", "附着到同一层的步骤或子流程上"
            )
        return
    if node.host.kind.endswith(("Event", "Gateway")):
        report.error(node.element, "boundary_host", "边界事件只能附着在步骤或子流程上", "拖到步骤的边上")
    if node.event == "error" and not node.interrupting:
        report.error(node.element, "error_not_interrupting", "错误边界事件总是中断的", '去掉 cancelActivity="false"')
    if node.event in ("error", "escalation") and node.host.kind in ("userTask", "receiveTask"):
        report.warning(
            node.element,
            "boundary_never",
            f"这种步骤不会抛出{_NAMES[node.event]}，边界事件永远不触发",
            "附着到子流程、调用活动或服务任务上，或改为定时、消息",
        )


def _check_timer(node: Node, definition: etree._Element, texts: Texts, report: Reporter) -> None:
    found = [(name, element) for name in _TIMERS if (element := child(definition, name)) is not None]
    if len(found) != 1:
        report.error(
            node.element,
            "timer_missing" if not found else "timer_several",
            "定时事件没有写时间" if not found else "定时事件写了几个时间",
            "只写一个：时长 timeDuration、时刻 timeDate 或周期 timeCycle",
        )
        return
    name, element = found[0]
    text = content(element)
    if not text:
        report.error(node.element, "timer_empty", "定时事件的时间是空的", "写时长如 P2D、PT4H，或表达式")
        return
    if name == "timeCycle" and (node.kind != "boundaryEvent" or node.interrupting):
        report.error(
            node.element,
            "timer_cycle_place",
            "周期只能用在不中断的边界事件上",
            '只触发一次的写 timeDuration；要反复提醒就把边界事件设为不中断（cancelActivity="false"）',
        )
    problem = _CHECKS[name](text)
    if problem is None:
        _check_expression(node, element, name, text, texts, report)
        return
    problem = problem or _unreadable(name, text)
    if problem:
        report.error(element, "timer_value", f"{name}“{clip(text, 40)}”{problem}", _CURES[name])


def _duration(text: str) -> str | None:
    """Return what is wrong with a duration, "" when nothing is, None when it is no ISO 8601 text at all."""
    if not _DURATION.fullmatch(text):
        return "不是 ISO 8601 时长" if re.fullmatch(r"-?P[\dTYMWDHS.]*", text) else None
    if text.startswith("-"):
        return "是负的"
    return "" if re.search(r"[1-9]", text) else "是零"


def _moment(text: str) -> str | None:
    if not re.match(r"\d{4}-\d", text):
        return None
    return "" if _MOMENT.fullmatch(text) else "不是 ISO 8601 时刻"


def _cycle(text: str) -> str | None:
    match = _CYCLE.fullmatch(text)
    if not match:
        return "不是 ISO 8601 周期" if re.match(r"R-?\d*/|[\d*]+\s|@every", text) else None
    count = match["count"]
    if count.startswith("-") or (count and not count.strip("0")):
        return "的次数不是正数"
    every = _duration(match["every"])
    return "的间隔不是 ISO 8601 时长" if every is None else "的间隔" + every if every else ""


def _unreadable(name: str, text: str, constant: Expression | None = None) -> str:
    """Return what is wrong where the engine itself makes no moment of a text, or of an expression without names."""

    def evaluate(_: str) -> object:
        return None if constant is None else to_plain(constant.evaluate({}))

    try:
        timing.due(text, name == "timeCycle", clock.now(), evaluate, "")
    except (RuntimeFault, FeelError):
        return "算不出时间"
    return ""


_CHECKS = {"timeDuration": _duration, "timeDate": _moment, "timeCycle": _cycle}
_CURES = {
    "timeDuration": "写正的时长，如 P2D（两天）、PT4H（四小时），年月不与天混写，或表达式 duration(\"P2D\")",
    "timeDate": "写有的日子，时刻写到秒，如 2030-01-31T17:00:00+08:00，或表达式 date and time(…)",
    "timeCycle": "写次数和正的间隔，如 R3/PT1H（三次，每小时一次），年月不与天混写",
}  # fmt: skip
_LENGTHS = frozenset({"string", "days and time duration", "years and months duration"})
_GIVEN = {"timeDuration": _LENGTHS, "timeDate": frozenset({"string", "date", "date and time"}), "timeCycle": _LENGTHS}
_LITERAL = re.compile(r'\s*duration\s*\(\s*"([^"]*)"\s*\)\s*')


def _check_expression(
    node: Node, element: etree._Element, name: str, text: str, texts: Texts, report: Reporter
) -> None:
    literal = _LITERAL.fullmatch(text)
    if literal:
        problem = _duration(literal[1])
        problem = "不是 ISO 8601 时长" if problem is None else problem or _unreadable(name, literal[1])
        if problem:
            report.error(element, "timer_value", f"{name}“{clip(text, 40)}”{problem}", _CURES[name])
        return
    expression = texts.check(element, text, "定时表达式")
    kind = texts.kind(text) if expression else None
    if expression and kind is not None and kind not in _GIVEN[name]:
        problem = f"的结果是{KIND_NAMES[kind]}，算不出时间"
        report.error(element, "timer_value", f"{name}“{clip(text, 40)}”{problem}", _CURES[name])
    elif expression and not expression.names and (problem := _unreadable(name, text, expression)):
        report.error(element, "timer_value", f"{name}“{clip(text, 40)}”{problem}", _CURES[name])
    elif expression and texts.complete and expression.names == {text} and text not in texts.names:
        report.error(element, "timer_value", f"{name}“{clip(text, 40)}”既不是 ISO 8601，也不是已有的字段", _CURES[name])
