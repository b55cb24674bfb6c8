"""Draw the diagrams of the shipped processes anew into docs/pictures/processes: `make pictures`.

They are laid out as the pages lay them out for the phone, so that they can be read on a README's narrow page, with the
signs of BPMN and without where an instance stands. The same diagram always gives the same picture: a test compares.
"""

from html import escape
from pathlib import Path
from typing import Any

from engine import xml
from engine.bpm.extensions import BPMN
from web.topdown import Edge, Node, picture

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(__file__).resolve().parent / "processes"

_B = f"{{{BPMN}}}"
_STYLE = (
    ".t{fill:#fff;stroke:#444;stroke-width:1.3}.auto{fill:#f1f3f5}.x{stroke-width:3}.in{fill:none;stroke:#444}"
    ".dash{stroke-dasharray:3 2}.f{fill:none;stroke:#888;stroke-width:1.3}"
    ".l{text-anchor:start;font-size:11px;fill:#555;paint-order:stroke;stroke:#fff;stroke-width:4px}.a{text-anchor:middle}"
)
_FONT = 'font-family="sans-serif" font-size="12.5" text-anchor="middle"'
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path fill="#888" d="M0 0 8 4 0 8z"/></marker></defs>'
)
# from the middle of the element
_GATEWAYS = {
    "exclusiveGateway": "m-4-5 8 10m0-10-8 10",
    "parallelGateway": "m-6 0h12m-6-6v12",
    "inclusiveGateway": "m-6 0a6 6 0 1 0 12 0 6 6 0 1 0-12 0",
    "eventBasedGateway": "m0-8 8 6-3 9h-10l-3-9z",
}
_EVENTS = {
    "timerEventDefinition": "m0-5v5h4",
    "messageEventDefinition": "m-5-3.5h10v7h-10zl5 4 5-4",
    "signalEventDefinition": "m0-6 5.5 9.5h-11z",
    "errorEventDefinition": "m-5 5 3-10 4 7 3-7",
    "escalationEventDefinition": "m0-6 5 11-5-5-5 5z",
    "terminateEventDefinition": "m-6 0a6 6 0 1 0 12 0 6 6 0 1 0-12 0",
}
_NARROW = 4  # characters
_THROWN = ("endEvent", "intermediateThrowEvent")
_AUTOMATIC = ("serviceTask", "scriptTask", "sendTask", "receiveTask", "businessRuleTask")
_TABLE = "h14v11h-14zm0 3.5h14m-9-3.5v11"  # from its top left corner: the sign of a business rule task


def diagrams() -> dict[Path, Path]:
    """Return the shipped diagrams by where their pictures lie: under the process's key, or the called file's name."""
    found = {}
    for path in sorted((ROOT / "processes").glob("**/*.bpmn")):
        name = path.parent.name if path.name == "process.bpmn" else path.stem
        found[TARGET / f"{name}.svg"] = path
    return found


def drawn(path: Path) -> str:
    """Return the picture of a diagram as SVG that stands alone."""
    text = path.read_text("utf-8")
    elements = {e.get("id", ""): e for e in xml.parse(text, path.name).iter(f"{_B}*")}
    # everything counts as walked, so that what hangs on a boundary event is drawn too
    laid = picture(text, walked=elements, standing=(), notes={})
    assert laid is not None, path
    size = f'viewBox="0 0 {laid.width} {laid.height}" width="{laid.width}" height="{laid.height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_FONT}>',
        f"<style>{_STYLE}</style>",
        _TIP,
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for node in sorted(laid.nodes, key=lambda n: n.kind != "frame"):
        if node.kind == "frame":
            lines += _frame(node, elements[node.id])
    lines += [f'<polyline class="f" points="{edge.points}" marker-end="url(#tip)"/>' for edge in laid.edges]
    for node in laid.nodes:
        if node.kind != "frame":
            lines += {"task": _task, "gateway": _gateway}.get(node.kind, _event)(node, elements[node.id])
    lines += [_label(edge) for edge in laid.edges if edge.name]
    return "\n".join([*lines, "</svg>", ""])


def _frame(node: Node, element: Any) -> list[str]:
    left, top = node.x - node.width / 2, node.y - node.height / 2
    many = element.find(f"{_B}multiInstanceLoopCharacteristics")
    how = "" if many is None else "（逐项）" if many.get("isSequential") == "true" else "（每项一份）"
    box = f'<rect class="f" x="{left:.1f}" y="{top:.1f}" width="{node.width}" height="{node.height}" rx="10"/>'
    return [box, _text(f"{node.lines[0]}{how}", left + 8, top + 16, "l")]


def _task(node: Node, _element: Any) -> list[str]:
    kind = "t auto" if node.type in _AUTOMATIC else "t x" if node.type == "callActivity" else "t"
    left, top = node.x - node.width / 2, node.y - node.height / 2
    box = f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{node.width}" height="{node.height}" rx="8"/>'
    sign = [f'<path class="in" d="M{left + 6:.1f} {top + 6:.1f}{_TABLE}"/>'] if node.type == "businessRuleTask" else []
    return [box, *sign, *(_text(line, node.x, node.name_top + 15 * at) for at, line in enumerate(node.lines))]


def _gateway(node: Node, _element: Any) -> list[str]:
    x, y = node.x, node.y
    diamond = f'<path class="t" d="M{x:.1f} {y:.1f}m-15 0 15-15 15 15-15 15z"/>'
    sign = f'<path class="in" stroke-width="2" d="M{x:.1f} {y:.1f}{_GATEWAYS[node.type]}"/>'
    return [diamond, sign, *(_text(line, x + 12, y - 10, "l") for line in node.lines)]


def _event(node: Node, element: Any) -> list[str]:
    boundary = node.type == "boundaryEvent"
    dash = " dash" if boundary and element.get("cancelActivity") == "false" else ""
    radius = 12 if boundary else 15
    thick = " x" if node.type == "endEvent" else ""
    lines = [f'<circle class="t{thick}{dash}" cx="{node.x}" cy="{node.y}" r="{radius}"/>']
    if boundary or node.type.startswith("intermediate"):
        lines.append(f'<circle class="in{dash}" cx="{node.x}" cy="{node.y}" r="{radius - 3}"/>')
    for definition, sign in _EVENTS.items():
        if element.find(f"{_B}{definition}") is not None:
            fill = ' fill="#444"' if node.type in _THROWN else ' class="in"'
            lines.append(f'<path{fill} stroke="#444" d="M{node.x} {node.y}{sign}"/>')
    name = "".join(node.lines)
    if not boundary:
        return [*lines, _text(name, node.x + radius + 5, node.y + 4, "l")] if name else lines
    # between its host and what it leads to there is room for a few characters above the line and below it
    half = len(name) if len(name) <= _NARROW else (len(name) + 1) // 2
    for part, y in ((name[:half], node.y - 5), (name[half:], node.y + 14)):
        if part:
            lines.append(_text(part.strip(), node.x + radius + 3, y, "l"))
    return lines


def _label(edge: Edge) -> str:
    return _text(edge.name, *edge.label, "l a" if edge.across else "l")


def _text(text: str, x: float, y: float, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def main() -> None:
    """Draw all of them; a picture whose diagram is gone goes too."""
    TARGET.mkdir(exist_ok=True)
    for target in set(TARGET.glob("*.svg")) - diagrams().keys():
        target.unlink()
    for target, path in diagrams().items():
        target.write_text(drawn(path), "utf-8")


if __name__ == "__main__":
    main()
