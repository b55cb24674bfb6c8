"""Small DMN files for the contract: a line of Python for a piece of the diagram."""

from html import escape
from typing import Any

from engine.bpm.decisions import Decisions, read

NAMESPACES = {
    "1.1": "http://www.omg.org/spec/DMN/20151101/dmn.xsd",
    "1.2": "http://www.omg.org/spec/DMN/20180521/MODEL/",
    "1.3": "https://www.omg.org/spec/DMN/20191111/MODEL/",
    "1.4": "https://www.omg.org/spec/DMN/20211108/MODEL/",
    "1.5": "https://www.omg.org/spec/DMN/20230324/MODEL/",
}


def model(*parts: str, version: str = "1.5", namespace: str = "urn:m", attributes: str = "") -> str:
    return (
        f'<definitions xmlns="{NAMESPACES[version]}" id="_definitions" name="m" namespace="{namespace}" {attributes}>'
        f"{''.join(parts)}</definitions>"
    )


def loaded(*parts: str, version: str = "1.5", **others: str) -> Decisions:
    """Read a model of these parts; `others` are files of the same folder by name."""
    files = {f"p/{name}.dmn": text for name, text in others.items()}
    return read({"p/m.dmn": model(*parts, version=version), **files}, "p/m.dmn")


def text(expression: str) -> str:
    return f"<literalExpression><text>{escape(expression, quote=False)}</text></literalExpression>"


def data(name: str, kind: str = "") -> str:
    return f'<inputData id="{_id(name)}" name="{name}"><variable name="{name}"{_type(kind)}/></inputData>'


def decision(name: str, logic: str, *needs: str, kind: str = "", knows: tuple[str, ...] = ()) -> str:
    """A decision that needs input data `x` or decisions `=x`, and knows business knowledge models and services."""
    return (
        f'<decision id="{_id(name)}" name="{name}"><variable name="{name}"{_type(kind)}/>'
        f"{''.join(map(_need, needs))}{''.join(map(_know, knows))}{logic}</decision>"
    )


def knowledge(name: str, parameters: str, body: str, *, kind: str = "", knows: tuple[str, ...] = ()) -> str:
    return (
        f'<businessKnowledgeModel id="{_id(name)}" name="{name}"><variable name="{name}"/>'
        f"<encapsulatedLogic{_type(kind)}>{_formal(parameters)}{body}</encapsulatedLogic>{''.join(map(_know, knows))}"
        "</businessKnowledgeModel>"
    )


def service(name: str, *, out: str, inside: str = "", needs: str = "", takes: str = "", kind: str = "") -> str:
    """A decision service: its output, encapsulated and input decisions, and its input data, names parted by `;`."""
    parts = [("outputDecision", out), ("encapsulatedDecision", inside), ("inputDecision", needs), ("inputData", takes)]
    links = [f'<{tag} href="#{_id(one)}"/>' for tag, names in parts for one in names.split(";") if one]
    variable = f'<variable name="{name}"{_type(kind)}/>'
    return f'<decisionService id="{_id(name)}" name="{name}">{variable}{"".join(links)}</decisionService>'


def function(parameters: str, body: str, *, kind: str = "FEEL") -> str:
    return f'<functionDefinition kind="{kind}">{_formal(parameters)}{body}</functionDefinition>'


def item(name: str, kind: str = "", *parts: str, allowed: str = "", many: bool = False) -> str:
    return _item("itemDefinition", name, kind, parts, allowed, many)


def component(name: str, kind: str = "", *parts: str, allowed: str = "", many: bool = False) -> str:
    return _item("itemComponent", name, kind, parts, allowed, many)


def table(
    policy: str,
    inputs: list[str],
    outputs: list[str],
    rules: list[str],
    *,
    more: str = "",
    values: dict[str, str] | None = None,
) -> str:
    """A decision table; a rule is `input | input | output`; `values` are input values, output values, defaults."""
    values = values or {}
    columns = "".join(
        f'<input label="{escape(one)}"><inputExpression><text>{escape(one)}</text></inputExpression>'
        f"{_values('inputValues', values.get(one))}</input>"
        for one in inputs
    )
    name = '<output name="{0}">' if len(outputs) > 1 else "<output>"
    results = "".join(
        f"{name.format(one)}{_values('outputValues', values.get(one))}"
        f"{_values('defaultOutputEntry', values.get('=' + one))}"
        "</output>"
        for one in outputs
    )
    lines = ""
    for rule in rules:
        cells = [cell.strip() for cell in rule.split("|")]
        entries = "".join(_values("inputEntry", cell) for cell in cells[: len(inputs)])
        entries += "".join(_values("outputEntry", cell) for cell in cells[len(inputs) :])
        lines += f"<rule>{entries}</rule>"
    return f'<decisionTable hitPolicy="{policy}" {more}>{columns}{results}{lines}</decisionTable>'


def plain(value: Any) -> Any:
    """Return numbers as Python's, for assertions that read well."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


def _item(tag: str, name: str, kind: str, parts: tuple[str, ...], allowed: str, many: bool) -> str:
    reference = f"<typeRef>{kind}</typeRef>" if kind else ""
    values = f"<allowedValues><text>{escape(allowed, quote=False)}</text></allowedValues>" if allowed else ""
    return f'<{tag} name="{name}" isCollection="{str(many).lower()}">{reference}{values}{"".join(parts)}</{tag}>'


def _formal(parameters: str) -> str:
    found = [one.strip().partition(":") for one in parameters.split(",") if one.strip()]
    return "".join(f'<formalParameter name="{name}"{_type(kind.strip())}/>' for name, _, kind in found)


def _values(tag: str, cell: str | None) -> str:
    return "" if cell is None else f"<{tag}><text>{escape(cell, quote=False)}</text></{tag}>"


def _need(name: str) -> str:
    tag = "requiredDecision" if name.startswith("=") else "requiredInput"
    href = name.lstrip("=")
    return (
        f'<informationRequirement><{tag} href="{href if "#" in href else "#" + _id(href)}"/></informationRequirement>'
    )


def _know(name: str) -> str:
    href = name if "#" in name else f"#{_id(name)}"
    return f'<knowledgeRequirement><requiredKnowledge href="{href}"/></knowledgeRequirement>'


def _id(name: str) -> str:
    return "_" + name.replace(" ", "_")


def _type(kind: str) -> str:
    return f' typeRef="{kind}"' if kind else ""
