"""Errors and escalations that nothing catches: the first stop the instance, the second go unheard."""

from collections.abc import Mapping

from lxml import etree

from engine.bpm.lint.diagram import Node, Scope
from engine.bpm.lint.finding import Reporter, clip

_REFERENCE = {"error": ("errorRef", "errorCode"), "escalation": ("escalationRef", "escalationCode")}


def check_thrown(scope: Scope, ids: Mapping[str, etree._Element], report: Reporter) -> None:
    """Check that what a scope throws is caught by a boundary event around it; `ids` are the elements of the file.

    For processes that nothing calls: in a called one the caller may catch.
    """
    for node in scope.of_kind("endEvent", "intermediateThrowEvent"):
        kind = node.event
        if kind not in _REFERENCE or _is_caught(node, kind, ids):
            continue
        code = clip(_code(node, kind, ids), 40) or "（无代码）"
        if kind == "error":
            report.error(
                node.element,
                "error_uncaught",
                f"错误“{code}”没有边界事件来接，流程会停在这里",
                "把它放进子流程并在子流程边上加错误边界事件；要结束流程用终止结束事件",
            )
        else:
            report.warning(
                node.element,
                "escalation_uncaught",
                f"升级“{code}”没有边界事件来接，抛出后没有作用",
                "在外层子流程的边上加升级边界事件，或删去",
            )


def _is_caught(node: Node, kind: str, ids: Mapping[str, etree._Element]) -> bool:
    code, owner = _code(node, kind, ids), node.scope.owner
    while owner is not None:
        if any(event.event == kind and _code(event, kind, ids) in (None, code) for event in owner.boundaries):
            return True
        owner = owner.scope.owner
    return False


def _code(node: Node, kind: str, ids: Mapping[str, etree._Element]) -> str | None:
    """Return the code that an event throws or catches; None: any, or none."""
    reference, attribute = _REFERENCE[kind]
    referred = ids.get(node.definitions[0][1].get(reference) or "")
    return None if referred is None else referred.get(attribute)
