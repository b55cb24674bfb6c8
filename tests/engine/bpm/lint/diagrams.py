"""Small diagrams for the linter's tests, written by code."""

import re
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from engine.bpm.lint import Finding, Known, check

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" '
    'xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:piyue="urn:piyue:bpmn" '
    'xmlns:camunda="http://camunda.org/schema/1.0/bpmn" targetNamespace="urn:test" id="definitions">\n'
)


def element(kind: str, id_: str | None, *inner: str, **attributes: str) -> str:
    """A BPMN element on lines of its own."""
    given = {"id": id_, **{k.rstrip("_").replace("__", ":"): v for k, v in attributes.items()}}
    written = "".join(f" {k}={quoteattr(v)}" for k, v in given.items() if v is not None)
    return f"<bpmn:{kind}{written}>\n" + "".join(inner) + f"</bpmn:{kind}>\n"


def extension(*inner: str) -> str:
    """The box of extensions."""
    return "<bpmn:extensionElements>" + "".join(inner) + "</bpmn:extensionElements>\n"


ASSIGN = '<piyue:assign rule="initiator_head"/>'


def start(id_: str = "start") -> str:
    """A start event."""
    return element("startEvent", id_)


def end(id_: str = "end", *inner: str) -> str:
    """An end event."""
    return element("endEvent", id_, *inner)


def user(id_: str, *inner: str, extra: str = ASSIGN, **attributes: str) -> str:
    """A user task with an assignment."""
    return element("userTask", id_, extension(extra), *inner, **attributes)


def service(id_: str, operation: str = "mail.send", *inner: str) -> str:
    """A service task with an operation."""
    return element("serviceTask", id_, extension(f'<piyue:operation name="{operation}"/>'), *inner)


def flow(source: str, target: str, condition: str | None = None, id_: str | None = None) -> str:
    """A sequence flow; its id is `source-target` unless given."""
    inner = "" if condition is None else f"<bpmn:conditionExpression>{escape(condition)}</bpmn:conditionExpression>\n"
    return element("sequenceFlow", id_ or f"{source}-{target}", inner, sourceRef=source, targetRef=target)


def path(*ids: str) -> str:
    """Flows from each node to the next."""
    return "".join(flow(a, b) for a, b in pairwise(ids))


def exclusive(id_: str, **attributes: str) -> str:
    """An exclusive gateway."""
    return element("exclusiveGateway", id_, **attributes)


def parallel(id_: str) -> str:
    """A parallel gateway."""
    return element("parallelGateway", id_)


def process(*inner: str, drawing: bool = True, outside: str = "", id_: str = "leave", **attributes: str) -> str:
    """A BPMN file with one process."""
    body = element("process", id_, *inner, **{"isExecutable": "true", **attributes})
    shapes = "".join(f'<bpmndi:BPMNShape bpmnElement="{i}"/>' for i in re.findall(r"<bpmn:\w+ id=\"([^\"]+)\"", body))
    plane = (
        f'<bpmndi:BPMNDiagram><bpmndi:BPMNPlane bpmnElement="{id_}">{shapes}</bpmndi:BPMNPlane></bpmndi:BPMNDiagram>'
    )
    return HEAD + outside + body + (plane if drawing else "") + "\n</bpmn:definitions>\n"


def simple(*inner: str, **options: Any) -> str:
    """A process start → a → end with further elements."""
    return process(start(), user("a"), end(), path("start", "a", "end"), *inner, **options)


def lint(content: str | bytes, forms: dict[str, str] | None = None, known: Known | None = None) -> list[Finding]:
    """Check one diagram."""
    return check({"process.bpmn": content, **(forms or {})}, known=known)


def codes(content: str | bytes, forms: dict[str, str] | None = None, known: Known | None = None) -> set[str]:
    """The codes of what is wrong with one diagram."""
    return {finding.code for finding in lint(content, forms, known)}


def line_of(content: str, text: str) -> int:
    """The line on which a text stands first."""
    return content[: content.index(text)].count("\n") + 1
