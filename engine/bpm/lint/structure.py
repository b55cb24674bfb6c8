"""Checks of the way through a scope: starts, ends, reachability, loops, joins."""

from itertools import count

from engine.bpm.lint import graph
from engine.bpm.lint.diagram import GATEWAYS, Diagram, Node, Scope
from engine.bpm.lint.finding import Reporter
from engine.bpm.lint.tokens import Place, stuck_joins

_WAITING = frozenset("userTask serviceTask scriptTask receiveTask callActivity intermediateCatchEvent".split())
_INTERRUPTIBLE_ENDS = ("terminate", "error")
_SUBSETS = 6
"""Outgoing flows of an inclusive gateway up to which every choice is tried."""


def check_structure(scope: Scope, report: Reporter) -> None:
    """Check the flow of one scope: what can't be reached, can't end, never stops or waits for ever."""
    sound = all([_check_starts(scope, report), _check_ends(scope, report), _check_flows(scope, report)])
    if sound and _check_reachable(scope, report):
        _check_joins(scope, report)
        _check_inclusive_loops(scope, report)


def check_loops(process: Scope, report: Reporter) -> None:
    """Refuse loops in which nothing waits: the engine would go round for ever."""
    passing: set[str] = set()  # sub-processes that a token may cross without waiting
    for scope in reversed(list(process.walk())):
        through = {node.id for node in scope.nodes.values() if not _waits(node, passing)}
        rushing = graph.restrict(scope.graph, through)
        for cycle in graph.cycles(rushing):
            first = next((scope.nodes[n] for n in cycle if scope.nodes[n].kind in GATEWAYS), scope.nodes[cycle[0]])
            report.error(
                first.element,
                "endless_loop",
                f"这里有一个不停的循环，中间没有等待的步骤：{_names(cycle)}",
                "在循环里放一个人工步骤或定时事件，或改正流向",
            )
        starts = [node.id for node in scope.starts if node.id in through]
        ends = {node.id for node in scope.nodes.values() if not node.outgoing}
        if scope.owner and not ends.isdisjoint(graph.reachable(rushing, starts)):
            passing.add(scope.owner.id)


def check_calls(diagrams: dict[str, Diagram], reporters: dict[str, Reporter]) -> None:
    """Refuse processes of one folder that call themselves, directly or through each other."""
    processes = {scope.element.get("id", ""): (file, scope) for file, d in diagrams.items() for scope in d.processes}
    calls: dict[str, list[str]] = {}
    for key, (_, process) in processes.items():
        activities = (node for scope in process.walk() for node in scope.of_kind("callActivity"))
        called = (node.element.get("calledElement", "") for node in activities)
        calls[key] = [target for target in dict.fromkeys(called) if target in processes]
    for cycle in graph.cycles(calls):
        file, process = processes[cycle[0]]
        reporters[file].error(
            process.element,
            "call_loop",
            f"流程互相调用成了循环：{_names(cycle)}",
            "去掉其中一个调用活动；要重复就在流程里画循环",
        )


def _waits(node: Node, passing: set[str]) -> bool:
    if node.kind == "subProcess":
        return node.id not in passing
    if node.kind == "boundaryEvent":
        return node.event not in ("error", "escalation")
    return node.kind in _WAITING


def _check_starts(scope: Scope, report: Reporter) -> bool:
    starts = scope.starts
    what = "流程" if scope.is_process else "子流程"
    if not starts:
        report.error(scope.element, "no_start", f"{what}没有开始事件", "加一个开始事件，连到第一个步骤")
    for extra in starts[1:]:
        report.error(extra.element, "several_starts", f"{what}有几个开始事件", "只留一个开始事件，其余的入口用网关分开")
    wrong = [flow for start in starts for flow in start.incoming]
    for flow in wrong:
        report.error(flow.element, "flow_into_start", "有线连进开始事件", "连到开始事件后面的步骤")
    return len(starts) == 1 and not wrong


def _check_ends(scope: Scope, report: Reporter) -> bool:
    ends = scope.of_kind("endEvent")
    if not ends:
        what = "流程" if scope.is_process else "子流程"
        report.error(scope.element, "no_end", f"{what}没有结束事件", "加一个结束事件，把最后的步骤连过去")
    wrong = [flow for end in ends for flow in end.outgoing]
    for flow in wrong:
        report.error(flow.element, "flow_from_end", "有线从结束事件连出", "把结束事件换成中间事件，或删去这条线")
    return bool(ends) and not wrong


def _check_flows(scope: Scope, report: Reporter) -> bool:
    sound = True
    pairs: set[tuple[str, str]] = set()
    for flow in scope.flows:
        pair = (flow.source.id, flow.target.id)
        joined = {flow.source.kind, flow.target.kind} & {"parallelGateway", "inclusiveGateway"}
        if flow.source is flow.target:
            report.error(flow.element, "flow_to_itself", "线的两端是同一个节点", "删去这条线；要重做就经过网关绕回来")
            sound = False
        elif flow.target.kind == "boundaryEvent":
            report.error(flow.element, "flow_into_boundary", "有线连进边界事件", "连到边界事件所附着的步骤")
            sound = False
        elif pair in pairs and joined:
            report.error(
                flow.element, "flow_twice", "并行或包容网关与同一个节点之间有两条线，汇合时会等不齐", "删去多余的线"
            )
            sound = False
        pairs.add(pair)
    for node in scope.nodes.values():
        if len(node.outgoing) > 1 and node.kind not in GATEWAYS | {"endEvent"}:
            report.error(
                node.element,
                "implicit_split",
                f"这个节点有 {len(node.outgoing)} 条流出线",
                "在它后面加一个网关：只走一条用排他网关，都走用并行网关",
            )
    return sound


def _check_reachable(scope: Scope, report: Reporter) -> bool:
    forward = graph.reachable(scope.graph, [start.id for start in scope.starts])
    ends = [node.id for node in scope.of_kind("endEvent")]
    backward = graph.reachable(graph.reverse(scope.graph), ends)
    sound = True
    for node in scope.nodes.values():
        if node.kind == "subProcess" and node.element.get("triggeredByEvent") in ("true", "1"):
            sound = False  # refused elsewhere
        elif node.id not in forward:
            report.error(node.element, "unreachable", "从开始事件走不到这个节点", "把它连进流程，或删去")
            sound = False
        elif node.id not in backward:
            report.error(
                node.element,
                "dead_end",
                "从这个节点走不到结束事件" if node.outgoing else "这个节点没有流出线",
                "把它后面的路连到一个结束事件",
            )
            sound = False
    return sound


def _check_joins(scope: Scope, report: Reporter) -> None:
    """Play the token game, where the scope has a join that waits."""
    if not any(len(node.incoming) > 1 for node in scope.of_kind("parallelGateway", "inclusiveGateway")):
        return
    numbers = count(1)
    entry = next(numbers)
    edges = {flow: next(numbers) for flow in scope.flows}
    origins = {number: flow.source for flow, number in edges.items()}
    attached = {event: next(numbers) for node in scope.nodes.values() for event in node.boundaries}
    places = {}
    for node in scope.nodes.values():
        incoming = [edges[flow] for flow in node.incoming]
        incoming += [entry] if node.kind == "startEvent" else [attached[node]] if node.kind == "boundaryEvent" else []
        outgoing = [edges[flow] for flow in node.outgoing]
        join = {"parallelGateway": "all", "inclusiveGateway": "inclusive"}.get(node.kind, "any")
        places[node.id] = Place(
            join="any" if len(incoming) == 1 else join,  # type: ignore[arg-type]
            incoming=tuple(incoming),
            alternatives=_alternatives(node, outgoing, {e: attached[e] for e in node.boundaries}),
            ends_all=node.kind == "endEvent" and node.event in _INTERRUPTIBLE_ENDS,
        )
    for name, missing in stuck_joins(places, entry).items():
        report.error(
            scope.nodes[name].element,
            "join_stuck",
            f"汇合可能永远等不齐：来自 {origins[missing].id} 的线不一定有",
            "让汇合与分开的网关同一种：排他分开就用排他汇合，并行分开的每条路都要走到并行汇合",
        )


def _alternatives(node: Node, outgoing: list[int], attached: dict[Node, int]) -> tuple[tuple[int, ...], ...]:
    if node.kind in ("exclusiveGateway", "eventBasedGateway"):
        return tuple((edge,) for edge in outgoing)
    if node.kind == "inclusiveGateway" and len(outgoing) > 1:
        conditional = [edge for edge, flow in zip(outgoing, node.outgoing, strict=True) if flow.id != node.default]
        # The default is taken only where nothing else is.
        return (*_choices(conditional), *((edge,) for edge in outgoing if edge not in conditional))
    normal = tuple(outgoing)
    ways = [normal]
    for event, edge in attached.items():
        ways.append((edge,) if event.interrupting else (*normal, edge))
    return tuple(ways)


def _choices(edges: list[int]) -> tuple[tuple[int, ...], ...]:
    """Return the choices of an inclusive split: every subset, or only each single flow and all where there are many."""
    if len(edges) > _SUBSETS:
        return (*((edge,) for edge in edges), tuple(edges))
    masks = range(1, 1 << len(edges))
    return tuple(tuple(edge for bit, edge in enumerate(edges) if mask >> bit & 1) for mask in masks)


def _check_inclusive_loops(scope: Scope, report: Reporter) -> None:
    """Warn of an inclusive join that a loop re-enters without passing the node that leads to it."""
    joins = [node for node in scope.of_kind("inclusiveGateway") if len(node.incoming) > 1]
    if not joins:
        return
    leading = graph.dominators(scope.graph, scope.starts[0].id)
    for join in joins:
        around = graph.reachable(scope.graph, scope.graph[join.id], without=leading[join.id])
        if join.id in around:
            report.warning(
                join.element,
                "inclusive_loop",
                "包容汇合在一个不成块的循环里，等谁不等谁难以预料",
                "让循环回到对应的分支网关之前，或在循环入口改用排他网关",
            )


def _names(ids: list[str]) -> str:
    return "、".join(ids[:5]) + (" 等" if len(ids) > 5 else "")
