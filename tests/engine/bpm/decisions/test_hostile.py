"""What a decision may cost while an instance's row is locked: one budget for everything that it asks and converts."""

import time

from engine.bpm.decisions import Decided, read
from tests.factories.tables import HEAD, decisions, literal

SECONDS = 3.0
LONG = "+".join(["1"] * 9_000)


def decided(file: str, name: str, **inputs: object) -> Decided:
    """What a decision says, within the time; compiling it is not counted."""
    compiled = read({"d.dmn": file}, "d.dmn")
    assert compiled.problems == []
    start = time.process_time()
    found = compiled.decide(name, inputs)
    assert time.process_time() - start < SECONDS
    return found


def test_the_allowed_values_of_each_element_are_paid_by_the_decision() -> None:
    """A nurse fills in the list, a designer wrote what is allowed: neither may multiply the other's budget."""
    types = (
        '<itemDefinition name="Row"><typeRef>number</typeRef><allowedValues><text>'
        "count(for i in 1..9000 return i) > ?</text></allowedValues></itemDefinition>"
        '<itemDefinition name="Rows" isCollection="true"><typeRef>Row</typeRef></itemDefinition>'
    )
    rows = '<inputData id="i_rows" name="rows"><variable name="rows" typeRef="Rows"/></inputData>'
    found = decided(decisions(types, rows, literal("n", "count(rows)", "rows"), inputs=()), "n", rows=[1] * 2_000)
    assert found.value is None
    assert "计算量超过上限" in found.messages[-1]


def test_a_decision_service_in_a_loop_is_paid_by_the_loop() -> None:
    service = (
        '<decisionService id="s" name="s"><variable name="s"/><outputDecision href="#d_big"/>'
        '<inputData href="#i_x"/></decisionService>'
    )
    calls = literal("all", "for i in 1..5000 return s(i)").replace(
        "<literalExpression>",
        '<knowledgeRequirement><requiredKnowledge href="#s"/></knowledgeRequirement><literalExpression>',
    )
    found = decided(decisions(literal("big", LONG, "x"), service, calls, inputs=("x",)), "all", x=1)
    assert found.value is None
    assert "计算量超过上限" in found.messages[-1]


def test_to_say_why_many_decisions_are_null_costs_little() -> None:
    text = "null"
    for _ in range(90):
        text = f"({text} + {'+'.join(['1'] * 90)})"
    many = [literal(f"d{number}", text) for number in range(3)]
    asked = "".join(
        f'<informationRequirement><requiredDecision href="#d_d{number}"/></informationRequirement>'
        for number in range(3)
    )
    last = f'<decision id="z" name="z">{asked}<literalExpression><text>7</text></literalExpression></decision>'
    found = decided(f"{HEAD}{''.join(many)}{last}</definitions>", "z")
    assert found.value == 7, "what was spent on reasons is not missing where it is needed"


def in_a_loop(times: int) -> str:
    """A decision that asks a table so many times about what somebody has filled in."""
    table = (
        '<decisionTable id="t" hitPolicy="FIRST"><input label="行"><inputExpression><text>p</text></inputExpression>'
        '</input><output name="o"/><rule><inputEntry><text>-</text></inputEntry><outputEntry><text>1</text>'
        "</outputEntry></rule></decisionTable>"
    )
    model = (
        '<businessKnowledgeModel id="b" name="b"><encapsulatedLogic><formalParameter name="p"/>'
        f"{table}</encapsulatedLogic></businessKnowledgeModel>"
    )
    calls = literal("all", f"count(for i in 1..{times} return b(rows))", "rows").replace(
        "<literalExpression>",
        '<knowledgeRequirement><requiredKnowledge href="#b"/></knowledgeRequirement><literalExpression>',
    )
    return decisions(model, calls, inputs=("rows",))


def test_of_a_table_in_a_loop_the_trail_keeps_so_much() -> None:
    found = decided(in_a_loop(3_000), "all", rows=list(range(5_000)))
    assert found.value == 3_000
    assert len(str([hit.inputs for hit in found.hits])) < 500_000


def test_what_stopped_a_decision_is_told_however_many_rules_hit_before() -> None:
    """Without a reason a null counts as a table that matches nothing, and the process would go on."""
    found = decided(in_a_loop(90_000), "all", rows=[1])
    assert found.value is None
    assert "计算量超过上限" in found.messages[-1]
