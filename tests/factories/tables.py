"""Decision files (DMN) as a modeler writes them, from a few words."""

from xml.sax.saxutils import escape

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="definitions" name="规则" '
    'namespace="urn:test:rules">'
)


def table(name: str, columns: dict[str, str], *rules: str, policy: str = "UNIQUE", needs: tuple[str, ...] = ()) -> str:
    """Return a decision with its table.

    `columns` are the input expressions with their types, `rules` lines of `test | test | output`; `needs` are other
    decisions that it asks.
    """
    asked = "".join(
        f'<informationRequirement id="{name}_{i}"><requiredDecision href="#d_{n}"/></informationRequirement>'
        for i, n in enumerate(needs)
    )
    asked += "".join(
        f'<informationRequirement id="{name}_in_{c}"><requiredInput href="#i_{c}"/></informationRequirement>'
        for c in columns
        if c not in needs
    )
    head = "".join(
        f'<input id="{name}_c_{c}" label="{c}"><inputExpression id="{name}_e_{c}" typeRef="{kind}">'
        f"<text>{escape(c)}</text></inputExpression></input>"
        for c, kind in columns.items()
    )
    body = ""
    for number, rule in enumerate(rules):
        *tests, output = (cell.strip() for cell in rule.split("|"))
        cells = "".join(f"<inputEntry><text>{escape(test)}</text></inputEntry>" for test in tests)
        body += f'<rule id="{name}_r{number}">{cells}<outputEntry><text>{escape(output)}</text></outputEntry></rule>'
    return (
        f'<decision id="d_{name}" name="{name}"><variable name="{name}"/>{asked}'
        f'<decisionTable id="t_{name}" hitPolicy="{policy}">{head}<output id="{name}_o"/>{body}'
        "</decisionTable></decision>"
    )


def literal(name: str, text: str, *inputs: str) -> str:
    """Return a decision of one expression."""
    asked = "".join(
        f'<informationRequirement id="{name}_in_{c}"><requiredInput href="#i_{c}"/></informationRequirement>'
        for c in inputs
    )
    return (
        f'<decision id="d_{name}" name="{name}"><variable name="{name}"/>{asked}'
        f"<literalExpression><text>{escape(text)}</text></literalExpression></decision>"
    )


def decisions(*elements: str, inputs: tuple[str, ...]) -> str:
    """Return a file of these decisions over these inputs."""
    data = "".join(f'<inputData id="i_{n}" name="{n}"><variable name="{n}"/></inputData>' for n in inputs)
    return HEAD + data + "".join(elements) + "</definitions>"


def rule_task(id_: str, decision: str, result: str, inner: str = "", *, file: str = "approval", name: str = "") -> str:
    """Return a business rule task of a diagram whose BPMN elements have no prefix."""
    return (
        f'<businessRuleTask id="{id_}" name="{name or id_}"><extensionElements>'
        f'<piyue:decision file="{file}" name="{decision}" result="{result}">{inner}</piyue:decision>'
        "</extensionElements></businessRuleTask>"
    )
