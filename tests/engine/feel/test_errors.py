"""What a designer reads when an expression is wrong, and how values pass in and out."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum

import pytest

from engine import feel
from engine.errors import Invalid

PLACES = [
    ("天数 >", 1, 5, "不完整"),
    ("天数 > then", 1, 6, "then"),
    ("天数\n  > 7 and", 2, 10, "不完整"),
    ("f(1", 1, 4, "“)”"),
    ("if a then b", 1, 12, "else"),
    ("for x in [1] x", 1, 14, "return"),
    ('"abc', 1, 1, "双引号"),
    ("a /* b", 1, 3, "*/"),
    ("'abc'", 1, 1, "双引号"),
    ("天数＞7", 1, 3, "半角 >"),
    ("not（加急）", 1, 4, "半角 ("),
    ("部门 = “儿科”", 1, 6, '半角 "'),
    ("not 加急", 1, 1, "not(…)"),
    ("天数 > 1 and 急 AND 加", 1, 14, "and"),
    ("a b AND c", 1, 5, "and"),
    ("a == b", 1, 4, "="),
    ("a && b", 1, 3, "&"),
    ("{a: 1, a: 2}", 1, 8, "重复"),
    ("1e9999999", 1, 1, "超出范围"),
    ('"\\uD83D"', 1, 1, "不成对"),
    ("", 1, 1, "为空"),
    ("   ", 1, 1, "为空"),
]


EXPECTED = [
    ("1 +", "值", "a value"),
    ("1 2", "运算符、结束", "an operator, the end"),
    ("a, b", "结束", "the end"),
    ("f(1 2)", "“,”、“)”、运算符", '",", ")", an operator'),
    ("a between 1 3", "and", "and"),
    ("for x", "in", "in"),
    ("some x in y", "“,”、satisfies", '",", satisfies'),
    ("{a 1}", "“:”", '":"'),
    ("a.", "名称", "a name"),
    ("x instance of", "名称", "a name"),
    ("function x", "“(”", '"("'),
]


@pytest.mark.parametrize(("text", "zh", "en"), EXPECTED)
def test_syntax_error_says_what_was_expected_in_both_languages(text: str, zh: str, en: str) -> None:
    with pytest.raises(feel.FeelSyntaxError) as caught:
        feel.compile(text)
    assert caught.value.message.endswith(f"，此处应为 {zh}")
    assert caught.value.message_en.endswith(f"; expected {en}")


@pytest.mark.parametrize(("text", "line", "column", "hint"), PLACES)
def test_syntax_error_names_the_place_and_the_cure(text: str, line: int, column: int, hint: str) -> None:
    with pytest.raises(feel.FeelSyntaxError) as caught:
        feel.compile(text)
    error = caught.value
    assert (error.line, error.column) == (line, column)
    assert f"第 {line} 行第 {column} 列" in error.message
    assert hint in error.message
    assert f"line {line}, column {column}" in error.message_en
    assert isinstance(error, Invalid)
    assert error.code == "feel.syntax"


def test_full_width_signs_are_fine_in_known_names() -> None:
    assert feel.compile("金额（元） > 5", names=["金额（元）"]).evaluate({"金额（元）": 6}) is True
    assert feel.compile("{金额（元）: 1, b: 金额（元） + 1}.b").evaluate({}) == 2
    assert feel.compile("x.金额（元）").evaluate({"x": {"金额（元）": 1}}) == 1


def test_longest_known_name_wins() -> None:
    names = ["a", "a-b", "a-b + c", "d and e", 'bad"name']
    data = {"a": 10, "b": 1, "a-b": 5, "a-b + c": 3, "d and e": 7, "f": 2}
    assert feel.compile("a-b + c", names=names).evaluate(data) == 3
    assert feel.compile("a-b + f", names=names).evaluate(data) == 7
    assert feel.compile("a-b", names=["a"]).evaluate(data) == 9
    assert feel.compile("d and e", names=names).evaluate(data) == 7
    assert feel.compile("d and e").evaluate({"d": True, "e": False}) is False


class Level(StrEnum):
    HIGH = "high"


def test_plain_values_come_in() -> None:
    assert feel.number(0.1) == Decimal("0.1")
    assert feel.number(2**60) == Decimal(2**60)
    assert feel.number([1, (True, None)]) == [Decimal(1), [True, None]]
    assert isinstance(feel.number({"a": 1})["a"], Decimal)
    assert type(feel.number(Level.HIGH)) is str
    assert feel.number(True) is True
    assert str(feel.number(Decimal(1) / 3 * 10**20)) == "33333333333333333333.33333333"
    with pytest.raises(feel.FeelLimitError):
        feel.number(10**7000)


def test_values_go_out_as_json_knows_them() -> None:
    assert feel.to_plain(Decimal("3.00")) == 3
    assert type(feel.to_plain(Decimal("3.00"))) is int
    assert feel.to_plain(Decimal("1E+30")) == 10**30
    assert feel.to_plain(Decimal("0.25")) == 0.25
    assert feel.to_plain(Decimal("0.12345678901234567890")) == 0.12345678901234568
    assert feel.compile("x * 3 > 0.9").evaluate({"x": feel.to_plain(feel.compile("1 / 3").evaluate({}))}) is True
    assert feel.to_plain(Decimal("1.5E-400")) == "0." + "0" * 399 + "15"
    assert feel.to_plain([date(2026, 7, 1), time(8, 5), datetime(2026, 7, 1, tzinfo=UTC), timedelta(hours=36)]) == [
        "2026-07-01",
        "08:05:00",
        "2026-07-01T00:00:00Z",
        "P1DT12H",
    ]
    assert feel.to_plain(feel.YearsMonthsDuration(-14)) == "-P1Y2M"
    assert feel.to_plain(feel.Range(Decimal(1), Decimal(2), True, False)) == "[1..2)"
    with pytest.raises(feel.FeelError):
        feel.to_plain(feel.compile("function(a) a").evaluate({}))
