"""What a decision table answers under each hit policy (DMN 1.5, 8.2.10), and which rules it says were hit."""

from typing import Any

import pytest

from engine.bpm import decisions
from engine.feel.limits import MAX_NOTES
from tests.factories import tables

COLUMNS = {"天数": "number"}
RULES = ('< 3 | "短"', '< 10 | "中"', '> 0 | "长"')


def table(*rules: str, policy: str, values: str = "", default: str = "", aggregation: str = "") -> decisions.Decisions:
    inner = (f"<outputValues><text>{values}</text></outputValues>" if values else "") + (
        f"<defaultOutputEntry><text>{default}</text></defaultOutputEntry>" if default else ""
    )
    text = tables.decisions(tables.table("级别", COLUMNS, *rules, policy=policy), inputs=tuple(COLUMNS))
    text = text.replace('<output id="级别_o"/>', f'<output id="级别_o">{inner}</output>')
    if aggregation:
        text = text.replace('hitPolicy="COLLECT"', f'hitPolicy="COLLECT" aggregation="{aggregation}"')
    return decisions.read({"x.dmn": text}, "x.dmn")


@pytest.mark.parametrize(
    ("policy", "days", "value", "hit"),
    [
        ("UNIQUE", -1, None, (1, 2)),
        ("UNIQUE", 20, "长", (3,)),
        ("ANY", 1, None, (1, 2, 3)),
        ("ANY", 20, "长", (3,)),
        ("FIRST", 1, "短", (1,)),
        ("FIRST", 5, "中", (2,)),
        ("PRIORITY", 1, "长", (1, 2, 3)),
        ("PRIORITY", -1, "中", (1, 2)),
        ("RULE ORDER", 1, ["短", "中", "长"], (1, 2, 3)),
        ("OUTPUT ORDER", 1, ["长", "中", "短"], (1, 2, 3)),
        ("COLLECT", 5, ["中", "长"], (2, 3)),
    ],
)
def test_each_policy_chooses_its_way(policy: str, days: int, value: Any, hit: tuple[int, ...]) -> None:
    decided = table(*RULES, policy=policy, values='"长","中","短"').decide("级别", {"天数": days})
    assert decided.value == value
    assert [one.rules for one in decided.hits] == [hit]
    assert bool(decided.messages) is (value is None)
    assert decided.hits[0].inputs == {"天数": days}


def test_a_result_that_has_no_value_is_explained_unless_its_author_wrote_null() -> None:
    levels = table('< 3 | 天数 + "天"', "[3..10] | if 天数 > 5 then null else 1", policy="UNIQUE")
    assert levels.decide("级别", {"天数": 1}).messages == (
        "决策表“级别”第 1 条规则的结果为空：“+”对数字、文本没有结果",
    )
    for days in (7, 20):
        decided = levels.decide("级别", {"天数": days})
        assert (decided.value, decided.messages) == (None, ())


def test_however_much_is_recorded_a_budget_that_is_spent_is_said() -> None:
    rows = "for i in 1..9000 return 级别(i)"
    body = (
        tables.table("级别", COLUMNS, *RULES, policy="FIRST").partition("<decisionTable")[2].partition("</decision>")[0]
    )
    model = (
        '<businessKnowledgeModel id="b" name="级别"><encapsulatedLogic><formalParameter name="天数"/>'
        f"<decisionTable{body}</encapsulatedLogic></businessKnowledgeModel>"
    )
    asks = '<knowledgeRequirement><requiredKnowledge href="#b"/></knowledgeRequirement>'
    decision = tables.literal("d", f"count({rows})").replace("<literal", f"{asks}<literal")
    decided = decisions.read({"x.dmn": tables.decisions(model, decision, inputs=())}, "x.dmn").decide("d", {})
    assert decided.value is None
    assert decided.messages[-1].startswith("表达式的计算量超过上限")
    assert len(decided.hits) == MAX_NOTES


@pytest.mark.parametrize(
    ("aggregation", "some", "none"),
    [("SUM", 6, None), ("MIN", 1, None), ("MAX", 3, None), ("COUNT", 3, 0), ("", [1, 3, 2], [])],
)
def test_collect_joins_what_was_hit(aggregation: str, some: Any, none: Any) -> None:
    found = table("> 0 | 1", "> 0 | 3", "> 0 | 2", policy="COLLECT", aggregation=aggregation)
    assert found.evaluate("级别", {"天数": 1}) == some
    assert found.evaluate("级别", {"天数": -1}) == none
    assert found.messages == ()


def test_what_cannot_be_joined_is_null_and_said() -> None:
    found = table('> 0 | "a"', "> 0 | 3", policy="COLLECT", aggregation="SUM")
    assert found.evaluate("级别", {"天数": 1}) is None
    assert found.messages == ("决策表“级别”的结果不能求合计",)


@pytest.mark.parametrize("policy", ["UNIQUE", "FIRST", "COLLECT"])
def test_where_nothing_hits_the_default_is_the_answer(policy: str) -> None:
    found = table("> 5 | 1", policy=policy, default="天数 * 100")
    assert found.evaluate("级别", {"天数": 1}) == 100
    decided = found.decide("级别", {"天数": 1})
    assert [one.rules for one in decided.hits] == [()]


def test_any_is_content_with_equal_results() -> None:
    assert table('< 3 | "a"', '< 10 | "a"', policy="ANY").evaluate("级别", {"天数": 1}) == "a"


def test_several_outputs_make_a_context_ordered_by_the_first_that_differs() -> None:
    text = tables.decisions(
        tables.table("级别", COLUMNS, "> 0 | 1", "> 0 | 2", policy="OUTPUT ORDER"), inputs=("天数",)
    )
    columns = (
        '<output name="谁"><outputValues><text>"院长","科长"</text></outputValues></output>'
        '<output name="几"><outputValues><text>2,1</text></outputValues></output>'
    )
    text = text.replace('<output id="级别_o"/>', columns)
    for number, who in ((1, '"科长"'), (2, '"科长"')):
        text = text.replace(
            f"<outputEntry><text>{number}</text>",
            f"<outputEntry><text>{who}</text></outputEntry><outputEntry><text>{number}</text>",
        )
    found = decisions.read({"x.dmn": text}, "x.dmn")
    assert found.evaluate("级别", {"天数": 1}) == [{"谁": "科长", "几": 2}, {"谁": "科长", "几": 1}]


@pytest.mark.parametrize("policy", ["RANDOM", "U"])
def test_an_unknown_policy_is_a_problem(policy: str) -> None:
    found = table("> 0 | 1", policy=policy)
    assert found.evaluate("级别", {"天数": 1}) is None
    assert "不认识的命中策略" in found.problems[0].message


def test_a_rule_with_too_few_cells_is_a_problem() -> None:
    found = table("1", policy="UNIQUE")
    assert "第 1 条规则有 0 个条件和 1 个结果" in found.problems[0].message
    assert found.evaluate("级别", {"天数": 1}) is None


def test_a_column_that_cannot_be_computed_is_told_where_no_rule_hits() -> None:
    text = tables.decisions(tables.table("级别", COLUMNS, '< 3 | "短"'), inputs=tuple(COLUMNS))
    text = text.replace("<text>天数</text></inputExpression>", '<text>天数 + "x"</text></inputExpression>')
    found = decisions.read({"x.dmn": text}, "x.dmn")
    assert found.evaluate("级别", {"天数": 1}) is None
    assert list(found.messages) == ["“级别”的输入“天数”没有值：“+”对数字、文本没有结果"]


def test_a_type_made_of_another_is_bound_by_the_values_of_both() -> None:
    item = (
        '<itemDefinition name="{}"><typeRef>{}</typeRef><allowedValues><text>{}</text></allowedValues></itemDefinition>'
    )
    types = item.format("份", "number", "[0..100]") + item.format("大份", "份", "> 50")
    text = tables.decisions(tables.literal("d", "天数", "天数"), inputs=("天数",))
    text = text.replace('<variable name="天数"/>', '<variable name="天数" typeRef="大份"/>').replace(
        "<inputData", types + "<inputData", 1
    )
    found = decisions.read({"x.dmn": text}, "x.dmn")
    assert [found.evaluate("d", {"天数": n}) for n in (60, 40, 200)] == [60, None, None]
