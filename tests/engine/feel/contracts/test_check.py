"""What `check` finds before any run, and what it leaves alone; and unary tests (DMN 1.5, 10.3.2.9, 10.3.2.10)."""

from typing import Any

import pytest

from engine.feel import check, compile_unary

TYPES = {
    "n": "number",
    "s": "string",
    "b": "boolean",
    "d": "date",
    "l": "list<number>",
    "c": "context<a: number, 姓名: string>",
    "申请 天数": "number",
    "any": "Any",
}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("m + 1", "unknown_name"),
        ("n + nn", "unknown_name"),
        ("nothing(1)", "unknown_function"),
        ("c.z", "unknown_path"),
        ("n instance of thing", "unknown_type"),
        ("n + s", "type_operator"),
        ("n + true", "type_operator"),
        ('s - "a"', "type_operator"),
        ("n < s", "type_operator"),
        ('n = "1"', "type_operator"),
        ("b and n", "type_condition"),
        ("d + 1", "type_operator"),
        ('申请 天数 > "3"', "type_operator"),
        ("if n then 1 else 2", "type_condition"),
        ('if s then "a" else "b"', "type_condition"),
        ("substring(s)", "argument_count"),
        ("abs(1, 2)", "argument_count"),
        ("abs(m: 1)", "argument_name"),
        ("string length(n)", "argument_type"),
        ("upper case(1)", "argument_type"),
        ("sqrt(s)", "argument_type"),
        ("if true then 1 else 2", "unreachable_branch"),
        ("if false then 1 else 2", "unreachable_branch"),
        ("if 1 > 2 then 1 else 2", "unreachable_branch"),
        ("n instance of list", "unknown_type"),
    ],
)
def test_what_is_surely_wrong_is_found(text: str, code: str) -> None:
    problems = check(text, TYPES)
    assert code in [problem.code for problem in problems]
    assert all(
        problem.line >= 1 and problem.column >= 1 and problem.message and problem.message_en for problem in problems
    )


@pytest.mark.parametrize(
    "text",
    [
        "n + 1",
        "申请 天数 > 3",
        'c.姓名 = "x"',
        "c.a + n",
        "sum(l)",
        "l[item > n]",
        "for i in l return i + n",
        "some i in l satisfies i > 1",
        "{a: n, b: a + 1}.b",
        "any.thing > 3",
        "any + 1",
        "n = null",
        "if b then 1 else null",
        'd + duration("P1D")',
        "d.year",
        "function(x) x + n",
        "sort(l, function(x, y) x < y)",
        "substring(string: s, start position: n)",
        "n instance of number",
        "max(n, 2)",
        "count(l) > 0 and b",
        "n between 1 and 3",
        "n in [1..3]",
    ],
)
def test_what_may_be_right_is_left_alone(text: str) -> None:
    assert check(text, TYPES) == []


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("> 7", "number", None),
        ('"a", "b"', "string", None),
        ("-", "number", None),
        ("not([1..3])", "number", None),
        ("? > n", "number", None),
        ('"a"', "number", "type_operator"),
        ("> 7", "string", "type_operator"),
        ("m", "number", "unknown_name"),
    ],
)
def test_cells_are_checked_against_their_input(text: str, kind: str, code: str | None) -> None:
    codes = [problem.code for problem in check(text, TYPES, unary=kind)]
    assert codes == [] if code is None else code in codes


@pytest.mark.parametrize(
    ("text", "value", "context", "passes"),
    [
        ("-", 1, {}, True),
        ("7", 7, {}, True),
        ("7", 8, {}, False),
        ("> 7", 8, {}, True),
        ("> 7", 7, {}, False),
        (">= 7", 7, {}, True),
        ("< 7", None, {}, False),
        ("[1..3]", 3, {}, True),
        ("[1..3)", 3, {}, False),
        ("]1..3]", 1, {}, False),
        ("1, 2, > 5", 6, {}, True),
        ("1, 2, > 5", 3, {}, False),
        ('"儿科", "内科"', "内科", {}, True),
        ('not("儿科", "内科")', "外科", {}, True),
        ('not("儿科", "内科")', "内科", {}, False),
        ("not([1..3])", 4, {}, True),
        ("not(null)", 1, {}, True),
        ("not(null)", None, {}, False),
        ("null", None, {}, True),
        ("null", 1, {}, False),
        ("true", True, {}, True),
        ("true", False, {}, False),
        ('"a"', 1, {}, False),
        ("true", None, {}, False),
        ("true", 1, {}, False),
        ("true", "x", {}, False),
        ("true, false", None, {}, False),
        ("not(true)", False, {}, True),
        ("b", None, {"b": True}, False),
        ("c.b", 1, {"c": {"b": True}}, False),
        ("b > 1", None, {"b": 2}, True),
        ("b > 1", "x", {"b": 1}, False),
        ("b > 1", False, {"b": 1}, True),
        ("b > 1 and b < 3", 1, {"b": 2}, True),
        ('starts with(b, "a")', 1, {"b": "ab"}, True),
        ("false", None, {}, False),
        ("false", False, {}, True),
        ("> limit", 5, {"limit": 4}, True),
        ("limits", 5, {"limits": [4, 5]}, True),
        ("? > 3", 5, {}, True),
        ("? > 3 and ? < 6", 5, {}, True),
        ("? + 1 = 6", 5, {}, True),
        ("even(?)", 4, {}, True),
        ("even(?)", 3, {}, False),
        ('starts with(?, "a")', "ab", {}, True),
        ("some x in ? satisfies x = 2", [1, 2], {}, True),
        ('date("2020-01-01")', "2020-01-01", {}, False),
        ("1 + 1", 2, {}, True),
        ("(1)", 1, {}, True),
        ("-1", -1, {}, True),
        ("-x", -5, {"x": 5}, True),
        ("- x", -5, {"x": 5}, True),
        ("[1, 2]", [1, 2], {}, True),
        ("[1, 2]", 2, {}, True),
        ("(1..3)", 2, {}, True),
        ("[a..b]", 2, {"a": 1, "b": 3}, True),
        ("申请 天数", 3, {"申请 天数": 3}, True),
        ("> 申请 天数 + 1", 5, {"申请 天数": 3}, True),
    ],
)
def test_unary_tests_pass_what_the_standard_lets_pass(
    text: str, value: Any, context: dict[str, Any], passes: bool
) -> None:
    assert compile_unary(text, names=context).matches(value, context) is passes
