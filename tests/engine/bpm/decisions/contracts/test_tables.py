"""Decision tables of every hit policy (DMN 1.5, 8.2.8 and 10.3.2.10)."""

from contextlib import suppress
from typing import Any

import pytest

from engine.errors import EngineError
from tests.engine.bpm.decisions.contracts.files import NAMESPACES, data, decision, loaded, plain, table

AGES = ["< 18 | 1", "[18..65] | 2", "> 65 | 3"]
OVERLAPPING = ["> 0 | 30", "> 10 | 10", "> 20 | 20"]
SIZES = ['> 0 | "small"', '> 10 | "large"', '> 20 | "medium"']
TWO = ['> 0 | 1 | "a"', '> 10 | 2 | "b"']
ORDER = {"out": '"large", "medium", "small"'}


def decided(logic: str, x: Any, kind: str = "") -> Any:
    return plain(loaded(data("x", kind), decision("D", logic, "x")).evaluate("D", {"x": x}))


@pytest.mark.parametrize(
    ("clause", "policy", "more", "rules", "x", "value"),
    [
        ("8.2.8 Unique", "UNIQUE", "", AGES, 17, 1),
        ("8.2.8 Unique", "UNIQUE", "", AGES, 18, 2),
        ("8.2.8 Unique", "UNIQUE", "", AGES, 66, 3),
        ("8.2.8 Unique", "UNIQUE", "", ["< 0 | 1"], 5, None),
        ("8.2.8 Unique", "UNIQUE", "", OVERLAPPING, 5, 30),
        ("8.2.8 Unique", "UNIQUE", "", OVERLAPPING, 15, None),
        ("8.2.8 Any", "ANY", "", ["> 0 | 1", "> 10 | 1"], 15, 1),
        ("8.2.8 Any", "ANY", "", ["> 0 | 1", "> 10 | 2"], 15, None),
        ("8.2.8 Any", "ANY", "", ["> 0 | 1", "> 10 | 2"], 5, 1),
        ("8.2.8 Any", "ANY", "", ["> 0 | 1.0", "> 10 | 1"], 15, 1),
        ("8.2.8 First", "FIRST", "", OVERLAPPING, 25, 30),
        ("8.2.8 First", "FIRST", "", ["> 20 | 1", "- | 2"], 5, 2),
        ("8.2.8 Rule order", "RULE ORDER", "", OVERLAPPING, 25, [30, 10, 20]),
        ("8.2.8 Rule order", "RULE ORDER", "", OVERLAPPING, 5, [30]),
        ("8.2.8 Collect", "COLLECT", "", OVERLAPPING, 25, [30, 10, 20]),
        ("8.2.8 Collect", "COLLECT", 'aggregation="SUM"', OVERLAPPING, 25, 60),
        ("8.2.8 Collect", "COLLECT", 'aggregation="MIN"', OVERLAPPING, 25, 10),
        ("8.2.8 Collect", "COLLECT", 'aggregation="MAX"', OVERLAPPING, 25, 30),
        ("8.2.8 Collect", "COLLECT", 'aggregation="COUNT"', OVERLAPPING, 25, 3),
        ("8.2.8 Collect", "COLLECT", 'aggregation="SUM"', OVERLAPPING, 5, 30),
        ("8.2.8 Collect", "COLLECT", 'aggregation="SUM"', SIZES, 25, None),
        ("10.3.2.10, 2.b", "COLLECT", 'aggregation="SUM"', OVERLAPPING, -1, None),
        ("10.3.2.10, 2.b", "COLLECT", 'aggregation="MAX"', OVERLAPPING, -1, None),
        ("10.3.2.10, 2.b", "FIRST", "", OVERLAPPING, -1, None),
        ("10.3.2.10, 15.b", "UNIQUE", "", ["not(1, 2) | 1", "1, 2 | 2"], 3, 1),
        ("10.3.2.10, 15.b", "UNIQUE", "", ["not(1, 2) | 1", "1, 2 | 2"], 2, 2),
        ("10.3.2.10", "UNIQUE", "", ["null | 0", "not(null) | 1"], None, 0),
        ("10.3.2.10", "UNIQUE", "", ["null | 0", "not(null) | 1"], 5, 1),
        ("10.3.2.10", "UNIQUE", "", ["> 0 | x * 2"], 4, 8),
        ("10.3.2.10", "UNIQUE", "", ["? > 0 and ? < 5 | 1"], 4, 1),
        ("10.3.2.10", "UNIQUE", "", ["> 0 | null"], 4, None),
        ("10.3.2.10", "UNIQUE", "", ["> 0 | [x, x]"], 4, [4, 4]),
        ("10.3.2.10", "UNIQUE", "", ["> 0 | {a: x}"], 4, {"a": 4}),
        ("10.3.2.10", "UNIQUE", "", ["> 0 | 1"], "text", None),
    ],
)
def test_hit_policies(clause: str, policy: str, more: str, rules: list[str], x: Any, value: Any) -> None:
    assert decided(table(policy, ["x"], ["out"], rules, more=more), x) == value, f"DMN 1.5, {clause}"


@pytest.mark.parametrize(
    ("policy", "x", "value"),
    [
        ("PRIORITY", 5, "small"),
        ("PRIORITY", 15, "large"),
        ("PRIORITY", 25, "large"),
        ("OUTPUT ORDER", 25, ["large", "medium", "small"]),
        ("OUTPUT ORDER", 15, ["large", "small"]),
        ("OUTPUT ORDER", 5, ["small"]),
        ("PRIORITY", -1, None),
    ],
)
def test_output_values_give_the_priority(policy: str, x: int, value: Any) -> None:
    assert decided(table(policy, ["x"], ["out"], SIZES, values=ORDER), x) == value, "DMN 1.5, 8.2.8"


@pytest.mark.parametrize(
    ("policy", "x", "value"),
    [
        ("UNIQUE", 5, {"n": 1, "t": "a"}),
        ("FIRST", 15, {"n": 1, "t": "a"}),
        ("RULE ORDER", 15, [{"n": 1, "t": "a"}, {"n": 2, "t": "b"}]),
        ("COLLECT", 15, [{"n": 1, "t": "a"}, {"n": 2, "t": "b"}]),
        ("COLLECT", 5, [{"n": 1, "t": "a"}]),
        ("ANY", 15, None),
        ("UNIQUE", 15, None),
        ("FIRST", -1, None),
    ],
)
def test_several_outputs_make_a_context(policy: str, x: int, value: Any) -> None:
    assert decided(table(policy, ["x"], ["n", "t"], TWO), x) == value, "DMN 1.5, 10.3.2.10, 3.a"


@pytest.mark.parametrize(
    ("values", "x", "value"),
    [
        ({"n": "2, 1", "t": '"a", "b"'}, 15, {"n": 2, "t": "b"}),
        ({"n": "1, 2", "t": '"b", "a"'}, 15, {"n": 1, "t": "a"}),
    ],
)
def test_priority_goes_by_the_first_output_first(values: dict[str, str], x: int, value: Any) -> None:
    assert decided(table("PRIORITY", ["x"], ["n", "t"], TWO, values=values), x) == value, "DMN 1.5, 8.2.8"


@pytest.mark.parametrize(
    ("policy", "values", "x", "value"),
    [
        ("UNIQUE", {"=out": "99"}, -1, 99),
        ("UNIQUE", {"=out": "99"}, 5, 30),
        ("FIRST", {"=out": "x * 2"}, -1, -2),
        ("RULE ORDER", {"=out": "99"}, -1, [99]),
        ("COLLECT", {"=out": "99"}, 5, [30]),
    ],
)
def test_default_outputs(policy: str, values: dict[str, str], x: int, value: Any) -> None:
    got = decided(table(policy, ["x"], ["out"], OVERLAPPING, values=values), x)
    assert got in (value, value[0]) if isinstance(value, list) else got == value, "DMN 1.5, 10.3.2.10, 2.a"


def test_default_outputs_of_several_outputs_make_a_context() -> None:
    values = {"=n": "0", "=t": '"none"'}
    assert decided(table("FIRST", ["x"], ["n", "t"], TWO, values=values), -1) == {"n": 0, "t": "none"}


@pytest.mark.parametrize(
    ("rule", "x", "value"),
    [
        ("true | 1", True, 1),
        ("true | 1", False, None),
        ("false | 1", False, 1),
        ("false | 1", True, None),
        ("true | 1", None, None),
        ("false | 1", None, None),
        ("- | 1", True, 1),
        ("not(true) | 1", False, 1),
        ("not(true) | 1", True, None),
    ],
)
def test_boolean_columns(rule: str, x: Any, value: Any) -> None:
    assert decided(table("UNIQUE", ["x"], ["out"], [rule]), x, "boolean") == value


@pytest.mark.parametrize(
    ("values", "rule", "x", "value"),
    [
        ({"x": "[1..10]"}, "- | 1", 5, 1),
        ({"x": "[1..10]"}, "- | 1", 50, None),
        ({"x": '"a", "b"'}, "- | 1", "a", 1),
        ({"x": '"a", "b"'}, "- | 1", "c", None),
        ({"x": '"a", "b"'}, '"a" | 1', "a", 1),
    ],
)
def test_input_values_bound_an_input(values: dict[str, str], rule: str, x: Any, value: Any) -> None:
    assert decided(table("UNIQUE", ["x"], ["out"], [rule], values=values), x) == value, "DMN 1.5, 10.3.2.10, 15.c"


def test_inputs_are_expressions_and_all_must_match() -> None:
    logic = table("UNIQUE", ["x * 2", "x > 3"], ["out"], ["< 10 | true | 1", "< 10 | false | 2", ">= 10 | - | 3"])
    assert [decided(logic, x) for x in (4, 3, 5)] == [1, 2, 3]


def test_a_table_without_inputs_hits_each_rule() -> None:
    assert decided(table("FIRST", [], ["out"], ["1", "2"]), 0) == 1
    assert decided(table("COLLECT", [], ["out"], ["1", "2"]), 0) == [1, 2]


def test_unique_is_the_policy_where_none_is_given() -> None:
    logic = table("UNIQUE", ["x"], ["out"], OVERLAPPING).replace(' hitPolicy="UNIQUE"', "")
    assert decided(logic, 5) == 30
    assert decided(logic, 15) is None


def test_why_a_table_has_no_value_is_said() -> None:
    decisions = loaded(data("x"), decision("D", table("UNIQUE", ["x"], ["out"], OVERLAPPING), "x"))
    assert decisions.evaluate("D", {"x": 15}) is None
    assert decisions.messages
    assert decisions.evaluate("D", {"x": 5}) == 30
    assert decisions.messages == ()


def test_a_large_table_is_decided() -> None:
    rules = [f"{n} | {n * 2}" for n in range(1_000)]
    assert decided(table("UNIQUE", ["x"], ["out"], rules), 999) == 1_998
    assert decided(table("FIRST", ["x"], ["out"], rules), 999) == 1_998


def test_ten_thousand_rules_are_decided_or_refused() -> None:
    rules = [f"{n} | {n * 2}" for n in range(10_000)]
    with suppress(EngineError):
        assert decided(table("UNIQUE", ["x"], ["out"], rules), 9_999) == 19_998


@pytest.mark.parametrize("version", NAMESPACES)
def test_every_version_of_the_standard_is_read(version: str) -> None:
    parts = data("x", "number"), decision("D", table("UNIQUE", ["x"], ["out"], AGES), "x", kind="number")
    assert loaded(*parts, version=version).evaluate("D", {"x": 20}) == 2


@pytest.mark.parametrize("typo", ["UNIQE", "COLLECT2"])
def test_an_unknown_hit_policy_is_a_problem(typo: str) -> None:
    decisions = loaded(data("x"), decision("D", table(typo, ["x"], ["out"], AGES), "x"))
    assert decisions.evaluate("D", {"x": 5}) is None
    assert decisions.problems
