"""Decision tables before they are deployed: overlaps, gaps and hidden rules, each with an example that is one."""

import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import feel
from engine.bpm import decisions
from engine.bpm.lint.finding import Finding, Report
from engine.bpm.lint.tables import MAX_RULES, check_table
from tests.factories import tables

FILE = "decisions/x.dmn"


def read(columns: Mapping[str, str], *rules: str, policy: str = "UNIQUE", change: Any = None) -> decisions.Decisions:
    text = tables.decisions(tables.table("级别", dict(columns), *rules, policy=policy), inputs=tuple(columns))
    return decisions.read({FILE: change(text) if change else text}, FILE)


def findings(found: decisions.Decisions) -> list[Finding]:
    report = Report()
    for table in found.tables:
        check_table(FILE, table, report)
    return report.sorted()


def examples(finding: Finding) -> dict[str, Any]:
    """Return the inputs that a finding shows."""
    shown = re.search(r"(?:例如 |这种情况：)(.*?)(?:；“|，结果会是空)", finding.message)
    assert shown is not None
    pairs = [pair.split(" = ") for pair in shown[1].split("，")]
    return {name: _value(text) for name, text in pairs}


def _value(text: str) -> Any:
    return "谁也没写过的" if text == "其他" else feel.compile(text).evaluate({})


def test_rules_that_both_hit_are_told_with_an_example() -> None:
    found = findings(
        read(
            {"天数": "number", "假别": "string"},
            '<= 3 | - | "科长"',
            '[3..7] | "病假","事假" | "人事科"',
            '> 7 | - | "院长"',
        )
    )
    overlap, gap = found
    assert (overlap.code, overlap.severity, overlap.element, overlap.name) == (
        "table_overlap",
        "error",
        "t_级别",
        "级别",
    )
    assert '第 1 条和第 2 条规则会同时命中，例如 天数 = 3，假别 = "病假"' in overlap.message
    assert (gap.code, gap.severity) == ("table_gap", "warning")
    assert examples(gap) == {"天数": 4, "假别": "谁也没写过的"}


def test_a_table_without_a_gap_or_an_overlap_says_nothing() -> None:
    assert findings(read({"天数": "number"}, '<= 3 | "a"', '(3..7] | "b"', '> 7 | "c"')) == []
    assert (
        findings(read({"加急": "boolean", "天数": "number"}, "true | - | 1", "false | < 5 | 2", "not(true) | >= 5 | 3"))
        == []
    )


def test_days_have_successors() -> None:
    assert findings(read({"日期": "date"}, '< date("2026-01-01") | 1', '>= date("2026-01-01") | 2')) == []
    assert findings(read({"日期": "date"}, '<= @"2025-12-31" | 1', '>= @"2026-01-01" | 2')) == []
    (gap,) = findings(read({"日期": "date"}, '<= @"2025-12-31" | 1', '> @"2026-01-01" | 2'))
    assert '日期 = "2026-01-01"' in gap.message


def test_the_domain_is_what_the_input_says() -> None:
    columns, rules = {"假别": "string"}, ('"病假" | 1', '"事假" | 2')

    def only(values: str) -> Any:
        return lambda text: text.replace(
            "</inputExpression>", f"</inputExpression><inputValues><text>{values}</text></inputValues>"
        )

    assert [f.code for f in findings(read(columns, *rules))] == ["table_gap"]
    assert findings(read(columns, *rules, change=only('"病假","事假"'))) == []
    (gap,) = findings(read(columns, *rules, change=only('"病假","事假","婚假"')))
    assert examples(gap) == {"假别": "婚假"}
    assert findings(read({"天数": "number"}, "[0..5) | 1", "[5..10] | 2", change=only("[0..10]"))) == []


def test_a_default_fills_the_gaps() -> None:
    def default(text: str) -> str:
        return text.replace(
            '<output id="级别_o"/>',
            '<output id="级别_o"><defaultOutputEntry><text>0</text></defaultOutputEntry></output>',
        )

    assert findings(read({"天数": "number"}, "<= 3 | 1", change=default)) == []


def test_any_may_overlap_where_the_results_are_the_same() -> None:
    columns = {"天数": "number"}
    assert findings(read(columns, "<= 3 | 1", "> 2 | 1", policy="ANY")) == []
    (overlap,) = findings(read(columns, "<= 3 | 1", "> 2 | 2", policy="ANY"))
    assert (overlap.code, examples(overlap)) == ("table_overlap", {"天数": Decimal("2.5")})


def test_of_first_a_rule_that_comes_too_late_is_told() -> None:
    (hidden,) = findings(read({"天数": "number"}, "- | 1", "> 2 | 2", policy="FIRST"))
    assert (hidden.code, hidden.severity) == ("table_rule_hidden", "warning")
    assert findings(read({"天数": "number"}, "> 2 | 1", "- | 2", policy="FIRST")) == []


def test_a_table_too_large_to_be_checked_is_told_so() -> None:
    (large,) = findings(read({"天数": "number"}, *[f"{days} | 1" for days in range(MAX_RULES + 1)]))
    assert (large.code, large.severity) == ("table_large", "warning")


@pytest.mark.parametrize("policy", ["COLLECT", "RULE ORDER", "OUTPUT ORDER"])
def test_many_hits_may_overlap_and_may_be_none(policy: str) -> None:
    assert findings(read({"天数": "number"}, "> 1 | 1", "> 2 | 2", policy=policy)) == []


@pytest.mark.parametrize("cell", ["> 上限", "? > 3 and ? < 上限", "> today()", "count(天数) > 3"])
def test_what_cannot_be_told_beforehand_raises_no_alarm(cell: str) -> None:
    assert findings(read({"天数": "number"}, f"{cell} | 1", "<= 3 | 2")) == []


def test_a_table_without_rules_is_an_error() -> None:
    assert [f.code for f in findings(read({"天数": "number"}))] == ["table_empty"]


NUMBERS, TEXTS = (-1, 0, 0.5, 1, 1.5, 2, 2.5, 3, 4), ("甲", "乙", "丙")
ends = st.integers(0, 3)


def _range(one: int, other: int, opened: str, closed: str) -> str:
    return f"{opened}{min(one, other)}..{max(one, other)}{closed}"


number_cells = st.one_of(
    st.just("-"),
    st.builds("{} {}".format, st.sampled_from(["<", "<=", ">", ">="]), ends),
    st.builds(_range, ends, ends, st.sampled_from("[("), st.sampled_from("])")),
    st.builds("{}, {}".format, ends, ends),
    st.builds("not({})".format, ends),
)
text_cells = st.one_of(st.just("-"), st.sampled_from(['"甲"', '"乙"', '"甲","乙"', 'not("甲")', 'not("甲","乙")']))
rows = st.lists(
    st.builds("{} | {} | {} | 1".format, number_cells, text_cells, st.sampled_from(["-", "true", "false"])),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150)
@given(rules=rows)
def test_nothing_is_overlooked_and_every_example_is_one(rules: list[str]) -> None:
    """Against the engine itself, over a grid of inputs that hits every atom."""
    table = read({"天数": "number", "科室": "string", "加急": "boolean"}, *rules)

    def hits(inputs: dict[str, Any]) -> int:
        return len(table.decide("级别", inputs).hits[0].rules)

    counted = {hits({"天数": n, "科室": t, "加急": b}) for n, t, b in product(NUMBERS, TEXTS, (True, False))}
    found = findings(table)
    codes = {finding.code for finding in found}
    assert ("table_gap" in codes) == (0 in counted), rules
    assert ("table_overlap" in codes) == any(count > 1 for count in counted), rules
    for finding in found:
        shown = {"天数": 0, "科室": "甲", "加急": True} | examples(finding)
        assert hits(shown) == 0 if finding.code == "table_gap" else hits(shown) > 1
