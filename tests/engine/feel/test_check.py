"""What the type check finds before an expression ever runs, and what it leaves alone."""

import time

import pytest

from engine import feel
from engine.feel import FeelType, Problem

KIND = FeelType("string", values=("病假", "事假"))
TYPES: dict[str, FeelType | str] = {
    "days": "number",
    "kind": KIND,
    "day": "date",
    "text": "string",
    "flag": "boolean",
    "items": "list<context<name: string, price: number>>",
    "people": "list<string>",
    "initiator": "context<id: string, name: string>",
    "span": "range<number>",
    "anything": "Any",
}


def check(text: str, **options: object) -> list[Problem]:
    return feel.check(text, TYPES, **options)  # type: ignore[arg-type]


def only(text: str, **options: object) -> Problem:
    found = check(text, **options)
    assert len(found) == 1, found
    return found[0]


NAMES = [
    ("dayss > 3", 1, "unknown_name", "“dayss”", "days"),
    ("days > 3 and flagg", 14, "unknown_name", "“flagg”", "flag"),
    ("cont(people)", 1, "unknown_function", "“cont”", "count"),
    ("days(1)", 1, "unknown_function", "不是函数", "函数名"),
    ("initiator.nam", 1, "unknown_path", "“nam”", "name"),
    ("items[prise > 3]", 7, "unknown_name", "“prise”", "price"),
    ("some i in items satisfies i.cost > 3", 27, "unknown_path", "“cost”", "拼写"),
    ("text.days", 1, "unknown_path", "文本没有“days”", "date(…)"),
    ("day.hours", 1, "unknown_path", "日期没有“hours”", "属性"),
    ("days instance of nummer", 18, "unknown_type", "“nummer”", "number"),
    ("for d in people return f(d)", 24, "unknown_function", "“f”", "已有"),
]
OPERATORS = [
    ('"a" + 1', 7, "文本和数字", "string(…)"),
    ('days > "3"', 1, "数字和文本", "不加引号"),
    ("text - text > 3", 8, "文本和文本", "date(…)"),
    ("day > text", 1, "日期和文本", "date(…)"),
    ("day - day > 3", 1, "天数时长和数字", ".days"),
    ("day + 3", 7, "日期和数字", 'duration("P3D")'),
    ("people = text", 1, "列表和文本", "list contains"),
    ("-text", 1, "后面是文本", "number(…)"),
    ('days between "a" and 3', 14, "数字和文本", "引号"),
    ('days in ["a".."b"]', 9, "数字和文本", "引号"),
    ("days in (1, day)", 13, "数字和日期", "同一种"),
    ("[day..3]", 1, "日期和数字", "同一种"),
    ('items[price > "3"]', 7, "数字和文本", "引号"),
    ("list contains(people, 3)", 23, "文本和数字", "引号"),
    ("for i in 1..3 return i + text", 26, "数字和文本", "string(…)"),
    ('{a: 1, b: a + "x"}', 15, "数字和文本", "string(…)"),
    ('string join(people, ",") + days', 28, "文本和数字", "string(…)"),
    ("if flag then 1 + text else 2", 18, "数字和文本", "string(…)"),
]
CONDITIONS = [
    ("if days then 1 else 2", 4, "if 的条件"),
    ("flag and days", 10, "and 连接的各项"),
    ("some p in people satisfies p", 28, "satisfies"),
    ("not(days)", 5, "not 里"),
    ("items[name]", 7, "方括号"),
]
CALLS = [
    ("substring(text)", 1, "argument_count", "substring(string, start position, length?)"),
    ("today(1)", 1, "argument_count", "today()"),
    ("(function(x) x + 1)(1, 2)", 2, "argument_count", "参数"),
    ("(function(x, y) x)(1)", 2, "argument_count", "参数"),
    ("(function(x, y) x)(x: 1, z: 2)", 26, "argument_name", "x、y"),
    ("(function() 1)(x: 1)", 16, "argument_name", "无"),
    ("substring(string: text, start: 1)", 25, "argument_name", "start position"),
    ("substring(days, 1)", 11, "argument_type", "改成文本"),
    ("contains(text, days)", 16, "argument_type", "改成文本"),
    ("sum(items.name)", 5, "argument_type", "一列数字"),
    ('date("2026-02-30")', 6, "argument_type", "2030-01-31"),
    ('number("12a")', 8, "argument_type", "12.5"),
    ("date and time(days)", 15, "argument_type", "文本或日期"),
]
BRANCHES = [
    ("if 1 > 2 then days else text", 15, "then"),
    ("if true then days else text", 24, "else"),
    ("if days > 5 and days < 3 then 1 else 2", 31, "then"),
    ('if kind = "病假" and kind = "事假" then 1 else 2', 37, "then"),
    ("flag and 1 = 2", 10, "不会成立"),
    ("flag or 1 = 1", 9, "总是成立"),
]


@pytest.mark.parametrize(("text", "column", "code", "says", "cure"), NAMES)
def test_a_name_that_nothing_provides_is_found_with_the_nearest_one(
    text: str, column: int, code: str, says: str, cure: str
) -> None:
    problem = only(text)
    assert (problem.line, problem.column, problem.code) == (1, column, code)
    assert says in problem.message
    assert problem.message_en
    assert cure in problem.cure


@pytest.mark.parametrize(("text", "column", "says", "cure"), OPERATORS)
def test_an_operator_on_types_that_do_not_go_together_is_always_null(
    text: str, column: int, says: str, cure: str
) -> None:
    problem = only(text)
    assert (problem.column, problem.code) == (column, "type_operator")
    assert says in problem.message
    assert "总是空" in problem.message or "永远不会相等" in problem.message
    assert "null" in problem.message_en or "never equal" in problem.message_en
    assert cure in problem.cure


@pytest.mark.parametrize(("text", "column", "says"), CONDITIONS)
def test_a_condition_is_true_or_false(text: str, column: int, says: str) -> None:
    problem = only(text)
    assert (problem.column, problem.code) == (column, "type_condition")
    assert says in problem.message


@pytest.mark.parametrize(("text", "column", "code", "cure"), CALLS)
def test_a_call_says_how_the_function_is_called(text: str, column: int, code: str, cure: str) -> None:
    problem = only(text)
    assert (problem.column, problem.code) == (column, code)
    assert cure in problem.cure


@pytest.mark.parametrize(("text", "column", "says"), BRANCHES)
def test_a_branch_that_is_never_reached(text: str, column: int, says: str) -> None:
    problem = only(text)
    assert (problem.column, problem.code) == (column, "unreachable_branch")
    assert says in problem.message


@pytest.mark.parametrize("text", ['kind = "婚假"', '"婚假" != kind', 'kind in ("病假", "婚假")', 'kind in ["婚假"]'])
def test_a_value_that_a_field_does_not_offer(text: str) -> None:
    problem = only(text)
    assert problem.code == "unknown_value"
    assert "“婚假”" in problem.message
    assert problem.cure == "可选的值：病假、事假"


@pytest.mark.parametrize(
    "text",
    [
        'days > 3 and kind = "病假" or not(flag)',
        "days = null or days > 0",
        "anything.a.b + 1 > anything or anything",
        "anything[a > 3 and b]",
        'count(people) > 0 and list contains(people, "x")',
        "items[price > 3].name[1] + text",
        "items[item.price > 3 and days > 1]",
        "items[1].price * 2",
        "items[days].name",
        "(date(text) - date(text)).days + 1",
        'day + duration("P3D") > today()',
        'date and time(text + "T17:30:00@Asia/Shanghai") - now() < @"P1D"',
        "if flag = null then null else days",
        'if flag then 1 else "a"',
        "sum(for i in items return i.price * 2) / count(items)",
        "sort(items, function(a, b) a.price < b.price)[1].name",
        "max(items.price) > span.start",
        "days in [1..3] or days in (1, > 5) or days in span",
        'kind in ("病假", "事假") and kind < "病"',
        "{count: 1, b: count + 1}.b",
        "{count: 5, n: count([count, 1])}.n",
        "for count in [function(x, y) x] return count(1, 2)",
        "{f: function(n) if n < 1 then 1 else n * f(n - 1)}.f(3)",
        "every p in people satisfies string length(p) > 3",
        'get value(initiator, "name")',
        "true",
        "function(a: number, b) external {java: {class: text}}",
        'for i in 1..3, d in @"2026-01-01"..@"2026-01-03" return i + count(partial)',
        "days instance of number and is(days, 3) and anything instance of list<string>",
        'text in (? != "x", "y")',
        "number(text) + number(days)",
        "abs(day - day)",
        "now() - day",
        "(function(a, b) [a, b])(b: 1)",
        "is(value1: days)",
        "not([flag])",
        "days in flag",
        "string(anything) + string(days)",
        "1 in [1, 2, 3] and days in [[1..2], [5..6]]",
    ],
)
def test_what_may_be_meant_is_left_alone(text: str) -> None:
    feel.compile(text)
    assert check(text) == []


def test_where_names_are_not_all_known_an_unknown_one_may_be_anything() -> None:
    assert check("dayz + 1 > cost.total", complete=False) == []
    assert only("dayz + 1 > text", complete=False).code == "type_operator"


def test_names_with_signs_are_known() -> None:
    assert feel.check("加班-天数 > 3", {"加班-天数": "number"}) == []
    assert feel.check('加班-天数 > "3"', {"加班-天数": "number"})[0].code == "type_operator"


def test_names_are_recognised_as_when_compiling() -> None:
    with pytest.raises(feel.FeelSyntaxError):
        check("days left > 3")
    feel.compile("days left > 3")
    (problem,) = check("days left > 3", names=())
    assert (problem.code, problem.message.partition("”")[0]) == ("unknown_name", "“days left")


def test_a_problem_is_found_on_its_line() -> None:
    problem = only('if flag\nthen days\nelse days + "天"')
    assert (problem.line, problem.column) == (3, 13)


def test_the_result_is_of_the_type_that_is_wanted() -> None:
    assert only("days + 1", result="boolean").code == "type_result"
    assert only("flag", result="number").message == "结果是真假，这里要数字"
    assert only("days > 5 and days < 3", result="boolean").message == "条件永远不成立"
    for text in ("days > 1", "anything", "null", "true", "false", 'kind = "病假"'):
        assert check(text, result="boolean") == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("> 3", "type_operator"),
        ('"婚假"', "unknown_value"),
        ('not("病假", "婚假")', "unknown_value"),
        ("[1..3]", "type_operator"),
        ("? > 3", "type_operator"),
        ("? + text", "type_condition"),
        ("dayz", "unknown_name"),
    ],
)
def test_a_cell_of_a_decision_table_is_checked_against_its_input(text: str, code: str) -> None:
    assert [problem.code for problem in check(text, unary=KIND)] == [code]


@pytest.mark.parametrize(
    "text", ["-", '"病假", "事假"', 'not("病假")', '? = "病假" and flag', "flag", "people", "null"]
)
def test_a_cell_that_fits_its_input(text: str) -> None:
    assert check(text, unary=KIND) == []


def test_types_are_inferred_through_names_paths_and_functions() -> None:
    spelled = {
        "items.price": FeelType("list", (FeelType("number"),)),
        "items[1].name": FeelType("string"),
        "day - day": FeelType("days and time duration"),
        "day.year": FeelType("number"),
        "if flag then days else null": FeelType("number"),
        "max(items.price)": FeelType("number"),
        "upper case(text)": FeelType("string"),
        "unknown + 1": FeelType("number"),
        "unknown * 2": FeelType("Any"),
        "{a: day}.a": FeelType("date"),
        "(function(x: number) x > 1)(2)": FeelType("boolean"),
    }
    assert {text: feel.infer(text, TYPES) for text in spelled} == spelled


@pytest.mark.parametrize("text", ["nummer", "list<>", "list<foo>", "number or true", "", "number, string"])
def test_a_text_that_is_no_type(text: str) -> None:
    with pytest.raises(feel.FeelError):
        feel.check("1", {"a": text})


def test_a_text_that_is_no_expression_is_refused_as_by_compile() -> None:
    with pytest.raises(feel.FeelSyntaxError):
        check("days >")


def test_problems_are_many_but_not_endless() -> None:
    assert len(check(" + ".join(f"unknown_{index}" for index in range(1_000)))) == 20


def test_types_that_grow_with_each_entry_stay_small() -> None:
    entries = [f"k{index}: {{x: k{index - 1}, y: k{index - 1}}}" for index in range(1, 90)]
    text = "{k0: 1, " + ", ".join(entries) + "}"
    assert check(f"if {text} = {text} then 1 else 2") == []


def test_types_made_of_types_do_not_grow_without_end() -> None:
    """Each entry is thrice the one before; two such contexts are equal, which takes a while to see."""

    def grown(name: str) -> str:
        entries = (f"{name}{n}: {{a: {name}{n - 1}, b: {name}{n - 1}, c: {name}{n - 1}}}" for n in range(1, 15))
        return f"{name}0: 1, {', '.join(entries)}"

    start = time.process_time()
    feel.check(f"{{{grown('x')}, {grown('y')}, z: if q then x14 else y14}}", {"q": "boolean"})
    assert time.process_time() - start < 1


def test_a_text_without_quotes_beside_values_that_it_is_one_of() -> None:
    (found,) = feel.check("region = 国外", {"region": FeelType("string", values=("国内", "国外"))})
    assert (found.code, found.cure) == ("unknown_name", '写成 "国外"')
    assert "文本要加双引号" in found.message


def test_a_value_that_has_no_parts_is_written_by_its_name() -> None:
    (found,) = feel.check("level.审批级别", {"level": "string"})
    assert found.cure == "它只有一个值，直接写 level"
    (found,) = feel.check("since.year", {"since": "string"})
    assert "date(…)" in found.cure
