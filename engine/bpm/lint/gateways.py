"""Checks of gateways and of the conditions on flows."""

from collections.abc import Mapping

from engine.bpm.extensions import TaskExtension
from engine.bpm.lint.data import BOOLEAN, engine_types
from engine.bpm.lint.diagram import Flow, Node, Scope, content
from engine.bpm.lint.finding import Reporter, clip
from engine.bpm.lint.texts import Texts, walk
from engine.feel import FeelType, nodes
from engine.feel.cases import Case, Other, coverage
from engine.feel.operations import spelled
from engine.feel.parser import parse

_CHOOSING = ("exclusiveGateway", "inclusiveGateway")
_CATCHES = ("timer", "message", "signal")


def check_gateways(scope: Scope, tasks: Mapping[str, TaskExtension], texts: Texts, report: Reporter) -> None:
    """Check the gateways of one scope and every condition in it; `tasks` are the process's user tasks by id."""
    for flow in scope.flows:
        _check_place(flow, report)
    for node in scope.of_kind("exclusiveGateway", "parallelGateway", "inclusiveGateway", "eventBasedGateway"):
        if len(node.incoming) <= 1 and len(node.outgoing) <= 1:
            report.warning(node.element, "gateway_idle", "网关只有一进一出，没有作用", "删去网关，直接连线")
    for node in scope.of_kind(*_CHOOSING):
        _check_default(node, report)
        if len(node.outgoing) > 1 or any(flow.condition is not None for flow in node.outgoing):
            _check_choice(node, tasks, texts, report)
    for node in scope.of_kind("eventBasedGateway"):
        _check_events(node, report)


def possible_outcomes(node: Node, tasks: Mapping[str, TaskExtension]) -> frozenset[str] | None:
    """Return the values that `outcome` can have when a token reaches a node; None where that can't be decided.

    They are those of the nearest user tasks before it; sub-processes and called processes hide theirs.
    """
    found: set[str] = set()
    pending, seen = [node], {node.id}
    while pending:
        current = pending.pop()
        before = [flow.source for flow in (current.host or current).incoming]
        if not before:
            return None  # the start: nothing has been decided, or the scope around knows
        for source in before:
            if source.kind == "userTask" and source.id in tasks:
                found |= {outcome.id for outcome in tasks[source.id].outcomes}
            elif source.kind in ("callActivity", "subProcess", "userTask", "manualTask"):
                return None
            elif source.id not in seen:
                seen.add(source.id)
                pending.append(source)
    return frozenset(found)


def _check_place(flow: Flow, report: Reporter) -> None:
    if flow.condition is None or flow.source.kind in (*_CHOOSING, "complexGateway"):
        return
    if flow.source.kind in ("parallelGateway", "eventBasedGateway"):
        report.error(
            flow.element, "condition_ignored", "这种网关的流出线不看条件", "去掉条件，或把网关换成排他网关、包容网关"
        )
    else:
        report.error(
            flow.element,
            "condition_on_task",
            "条件写在步骤的流出线上，不会起作用",
            "在步骤后面加一个排他网关，把条件写在网关的流出线上",
        )


def _check_default(node: Node, report: Reporter) -> None:
    default = next((flow for flow in node.outgoing if flow.id == node.default), None)
    if node.default and default is None:
        report.error(
            node.element, "default_foreign", "默认流出线不是这个网关的流出线", "在网关的属性里重新选默认流出线"
        )
    elif default is not None and default.condition is not None:
        report.warning(default.element, "default_condition", "默认流出线上的条件不会起作用", "去掉这个条件")


def _check_choice(node: Node, tasks: Mapping[str, TaskExtension], texts: Texts, report: Reporter) -> None:
    conditions: list[tuple[Flow, nodes.Node]] = []
    outcomes = possible_outcomes(node, tasks)
    complete = True
    for flow in node.outgoing:
        if flow.id == node.default:
            continue
        if flow.condition is None:
            report.error(
                flow.element,
                "condition_missing",
                "网关的这条流出线没有条件，也不是默认流出线",
                "写上条件，或把它设为网关的默认流出线",
            )
            complete = False
            continue
        text = content(flow.condition)
        if texts.check(flow.element, text, "条件", result=BOOLEAN) is None:
            complete = False
            continue
        tree = parse(text)
        conditions.append((flow, tree))
        _check_outcomes(flow, tree, outcomes, tasks, report)
    if complete and conditions:
        types = {**texts.types, **engine_types({id_: [o.id for o in task.outcomes] for id_, task in tasks.items()})}
        types["outcome"] = FeelType("string", values=tuple(sorted(outcomes or ())))
        _check_cover(node, conditions, types, report)


def _check_cover(
    node: Node, conditions: list[tuple[Flow, nodes.Node]], types: Mapping[str, FeelType], report: Reporter
) -> None:
    """Look for cases in which no flow is taken, and for flows that are taken in no case."""
    found = coverage([tree for _, tree in conditions], types.get, in_order=node.kind == "exclusiveGateway")
    if not node.default and not found.covered:
        when = "条件都不成立时" if found.gap is None else f"如{_spelled(found.gap)}时，"
        report.warning(
            node.element,
            "default_missing",
            f"网关没有默认流出线，{when}流程会停在这里",
            "把其中一条设为默认流出线",
        )
    for index in found.dead:
        flow, tree = conditions[index]
        if not coverage([tree], types.get).dead:  # else the type check has said so
            report.warning(
                flow.element,
                "unreachable_branch",
                "这条线走不到：前面的线已经包括了它的所有情况",
                "改正条件，或把这条线移到前面（排他网关走第一条成立的线），或删去",
            )


def _spelled(case: Case) -> str:
    """Return a case as people say it: `kind 是“事假”、days 是 4`."""
    said = []
    for path, value in case.items():
        text = (
            "别的值" if isinstance(value, Other) else "空" if value is None else f"“{clip(spelled(value), 20) or ''}”"
        )
        said.append(f" {clip('.'.join(path), 40)} 是{text}")
    return "、".join(said[:4])


def _check_outcomes(
    flow: Flow,
    tree: nodes.Node,
    outcomes: frozenset[str] | None,
    tasks: Mapping[str, TaskExtension],
    report: Reporter,
) -> None:
    """Compare the outcomes that a condition names with those that the steps before it have."""
    for node in walk(tree):
        for compared, wanted in compared_texts(node):
            match compared:
                case nodes.Name(name="outcome"):
                    allowed, step = outcomes, "前面的步骤"
                case nodes.Path(source=nodes.Name(name="steps"), name=name):
                    if name not in tasks:
                        continue
                    allowed, step = frozenset(o.id for o in tasks[name].outcomes), f"步骤 {name} "
                case _:
                    continue
            if allowed is not None and wanted not in allowed:
                cure = f"可用的结果：{'、'.join(sorted(allowed))}"
                if wanted == "return":
                    cure += "；退回是动作，不经过网关"
                report.error(flow.element, "outcome_unknown", f"{step}没有办理结果“{wanted[:40]}”", cure)


def compared_texts(tree: nodes.Node) -> list[tuple[nodes.Node, str]]:
    """Return what a condition compares with text constants, by `=` and `in`: (compared, constant)."""
    match tree:
        case nodes.Comparison(op="=", left=value, right=nodes.Literal(value=str(wanted))):
            return [(value, wanted)]
        case nodes.Comparison(op="=", left=nodes.Literal(value=str(wanted)), right=value):
            return [(value, wanted)]
        case nodes.In(value=value, tests=tests):
            return [
                (value, literal.value)
                for test in tests
                if not test.op
                for literal in (test.operand.elements if isinstance(test.operand, nodes.ListOf) else (test.operand,))
                if isinstance(literal, nodes.Literal) and isinstance(literal.value, str)
            ]
    return []


def _check_events(node: Node, report: Reporter) -> None:
    if node.element.get("eventGatewayType", "Exclusive") != "Exclusive" or node.element.get("instantiate") == "true":
        report.error(
            node.element,
            "event_gateway_kind",
            "引擎只支持排他的、不启动流程的事件网关",
            "去掉 eventGatewayType 和 instantiate",
        )
    if len(node.outgoing) < 2:
        report.error(node.element, "event_gateway_single", "事件网关至少要有两条流出线", "再连一个捕获事件，或删去网关")
    for flow in node.outgoing:
        target = flow.target
        catches = target.kind == "intermediateCatchEvent" and target.event in _CATCHES
        if not (catches or target.kind == "receiveTask"):
            report.error(
                flow.element,
                "event_gateway_target",
                "事件网关后面只能直接接捕获事件或接收任务",
                "在线的另一端放一个定时、消息或信号捕获事件",
            )
        elif len(target.incoming) > 1:
            report.error(
                target.element,
                "event_gateway_shared",
                "事件网关后面的事件还有别的流入线",
                "为别的来路另画一个事件，之后再汇合",
            )
