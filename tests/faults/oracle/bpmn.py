"""The net as BPMN 2.0 XML, as a deployed process.bpmn would hold it."""

from xml.sax.saxutils import escape

from tests.faults.oracle.net import Flow, Kind, Many, Node, Scope, Wait

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:piyue="urn:piyue:bpmn" '
    'id="Definitions" targetNamespace="urn:piyue:test">\n'
)
_ECHO = (
    '<piyue:operation name="test.echo"><piyue:input name="given" value="=amount"/>'
    '<piyue:output name="amount" value="=result.amount"/></piyue:operation>'
)
_EXTENSIONS = {
    Kind.USER: '<piyue:task kind="decide"/><piyue:assign rule="initiator"/>',
    Kind.SERVICE: _ECHO,
    Kind.SCRIPT: _ECHO,
}
_TAGS = {Kind.TERMINATE: "endEvent"}


def write(scope: Scope) -> str:
    """Return the XML text of a process."""
    process = f'<bpmn:process id="{scope.id}" name="{scope.id}" isExecutable="true">'
    return "\n".join([_HEAD + process, *_body(scope), "</bpmn:process>", "</bpmn:definitions>\n"])


def _body(scope: Scope) -> list[str]:
    lines: list[str] = []
    for node in scope.nodes.values():
        lines += _node(scope, node)
    for flow in scope.flows.values():
        lines.append(_flow(flow))
    return lines


def _flow(flow: Flow) -> str:
    head = f'<bpmn:sequenceFlow id="{flow.id}" sourceRef="{flow.source}" targetRef="{flow.target}"'
    if flow.condition is None:
        return head + "/>"
    return (
        f'{head}><bpmn:conditionExpression xsi:type="bpmn:tFormalExpression">{escape(flow.condition.feel())}'
        "</bpmn:conditionExpression></bpmn:sequenceFlow>"
    )


def _node(scope: Scope, node: Node) -> list[str]:
    tag = _TAGS.get(node.kind, node.kind.value)
    attributes = f'id="{node.id}" name="{node.id}"'
    if node.kind is Kind.BOUNDARY:
        attributes += f' attachedToRef="{node.host}" cancelActivity="{str(node.interrupting).lower()}"'
    default = next((flow.id for flow in scope.outgoing(node.id) if flow.default), None)
    if default is not None:
        attributes += f' default="{default}"'
    lines = [f"<bpmn:{tag} {attributes}>"]
    if node.kind in _EXTENSIONS:
        lines.append(f"<bpmn:extensionElements>{_EXTENSIONS[node.kind]}</bpmn:extensionElements>")
    lines += [f"<bpmn:incoming>{flow.id}</bpmn:incoming>" for flow in scope.incoming(node.id)]
    lines += [f"<bpmn:outgoing>{flow.id}</bpmn:outgoing>" for flow in scope.outgoing(node.id)]
    if node.many is not None:
        lines.append(_many(node.many))
    if node.wait is not None:
        lines.append(_timer(node.id, node.wait))
    if node.kind is Kind.TERMINATE:
        lines.append(f'<bpmn:terminateEventDefinition id="{node.id}_terminate"/>')
    if node.body is not None:
        lines += _body(node.body)
    lines.append(f"</bpmn:{tag}>")
    return lines


def _timer(node_id: str, wait: Wait) -> str:
    tag = "timeDuration" if wait.cycle is None else "timeCycle"
    return (
        f'<bpmn:timerEventDefinition id="{node_id}_timer"><bpmn:{tag} xsi:type="bpmn:tFormalExpression">'
        f"{escape(wait.text)}</bpmn:{tag}></bpmn:timerEventDefinition>"
    )


def _many(many: Many) -> str:
    parts = [f'<bpmn:multiInstanceLoopCharacteristics isSequential="{str(many.sequential).lower()}">']
    if many.count is not None:
        parts.append(f'<bpmn:loopCardinality xsi:type="bpmn:tFormalExpression">{many.count}</bpmn:loopCardinality>')
    if many.over is not None:
        parts.append(f"<bpmn:loopDataInputRef>{many.over}</bpmn:loopDataInputRef>")
        parts.append(f'<bpmn:inputDataItem id="{many.item}_item" name="{many.item}"/>')
    if many.until is not None:
        parts.append(
            '<bpmn:completionCondition xsi:type="bpmn:tFormalExpression">'
            f"{escape(many.until.feel())}</bpmn:completionCondition>"
        )
    return "".join([*parts, "</bpmn:multiInstanceLoopCharacteristics>"])
