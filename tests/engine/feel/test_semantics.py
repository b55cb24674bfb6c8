"""Expressions and their values by the DMN 1.5 standard, chapter 10."""

import pytest

from engine import feel

DATA = {
    "天数": 9,
    "申请 天数": 4,
    "部门": "儿科",
    "金额": 3200.5,
    "加急": False,
    "明细": [{"名称": "纱布", "金额": 10, "数量": 3}, {"名称": "监护仪", "金额": 52000.5, "数量": 1}],
    "申请人": {"姓名": "王芳", "科室": {"名称": "儿科"}},
    "开始": "2026-07-01",
    "空": None,
    "item count": 2,
    "a-b": 7,
}


def value(text: str) -> object:
    """Return the plain value of an expression over DATA."""
    return feel.to_plain(feel.compile(text, names=DATA).evaluate(DATA))


LITERALS = [
    ("1", 1),
    (".5", 0.5),
    ("-0", 0),
    ("1.50", 1.5),
    ("1.2e3", 1200),
    ("0.1 + 0.2", 0.3),
    ('"a\\n\\"b\\""', 'a\n"b"'),
    ('"\\d+"', "\\d+"),
    ('"\\u9662\\U01F40E\\uD83D\\uDCA9"', "院🐎💩"),
    ("true", True),
    ("null", None),
    ("[1, [2], {}]", [1, [2], {}]),
    ("[]", []),
    ('{a: 1, "b c": 2, d: a + 1}', {"a": 1, "b c": 2, "d": 2}),
    ('@"2026-07-01"', "2026-07-01"),
    ('@"08:30:00@Asia/Shanghai"', "08:30:00@Asia/Shanghai"),
    ('@"2026-07-01T08:30:00+08:00"', "2026-07-01T08:30:00+08:00"),
    ('@"2026-07-01T08:30:00.250Z"', "2026-07-01T08:30:00.25Z"),
    ('@"P1DT2H"', "P1DT2H"),
    ('@"-P14M"', "-P1Y2M"),
    ('@"P0D"', "PT0S"),
    ('@"P0Y"', "P0M"),
    ('@"2026-02-30"', None),
    ('@"08:00:00@Nowhere/City"', None),
    ('date("2024-02-29")', "2024-02-29"),
    ("1 // the rest is a comment", 1),
    ("1 /* in\nbetween */ + 2", 3),
]

NAMES = [
    ("天数", 9),
    ("申请 天数 + 1", 5),
    ("申请   天数 > 3", True),
    ("item count * 2", 4),
    ("a-b", 7),
    ("不存在", None),
    ("申请人.姓名", "王芳"),
    ("申请人.科室.名称", "儿科"),
    ("申请人.电话", None),
    ("不存在.姓名", None),
    ("{首 选: 1, 次: 首 选 + 1}.首 选", 1),
    ("{a-c: 5, b: a-c - 1}.b", 4),
    ("{if: 1}.if", 1),
    ('{"加 班-天数": 2}', {"加 班-天数": 2}),
]

ARITHMETIC = [
    ("1 + 2 * 3", 7),
    ("(1 + 2) * 3", 9),
    ("10 - 2 - 3", 5),
    ("2 ** 3 ** 2", 64),
    ("-2 ** 2", 4),
    ("2 * -3", -6),
    ("1 / 3", 0.3333333333333333),
    ("1 / 0", None),
    ("1 + null", None),
    ('1 + "a"', None),
    ('"a" + "b"', "ab"),
    ("-true", None),
    ('date("2026-07-01") + @"P1D"', "2026-07-02"),
    ('@"P1D" + date("2026-07-01")', "2026-07-02"),
    ('date("2024-01-31") + @"P1M"', "2024-02-29"),
    ('date("2024-03-31") - @"P1M"', "2024-02-29"),
    ('date("2026-07-01") - @"PT1H"', "2026-06-30"),
    ('date("2026-07-03") - date("2026-07-01")', "P2D"),
    ('@"2026-07-01T00:00:00Z" - @"2026-07-01T00:00:00+08:00"', "PT8H"),
    ('@"2026-03-28T12:00:00@Europe/Paris" + @"P1D"', "2026-03-29T13:00:00@Europe/Paris"),
    ('@"23:30:00" + @"PT1H"', "00:30:00"),
    ('@"08:00:00" - @"09:30:00"', "-PT1H30M"),
    ('@"P1D" * 1.5', "P1DT12H"),
    ('3 * @"P1M"', "P3M"),
    ('@"P1D" / @"PT6H"', 4),
    ('@"P1Y" / 5', "P2M"),
    ('@"P1D" / 0', None),
    ('-@"P1D"', "-P1D"),
    ('@"9999-12-31" + @"P1D"', "10000-01-01"),
    ('@"0001-01-01T00:00:00+14:00" < @"0001-01-01T00:00:00Z"', True),
    ('@"P999999999D" * 1000', None),
]

LOGIC = [
    ('天数 > 7 and 部门 = "儿科" and 金额 <= 5000 and not(加急)', True),
    ("true and null", None),
    ("false and null", False),
    ("null and false", False),
    ("true or null", True),
    ("false or null", None),
    ("null or true", True),
    ("true and 1", None),
    ("false or false or true", True),
    ("true and true and null", None),
    ("true and null and false", False),
    ("not(null)", None),
    ("not(1)", None),
    ("if true then 1 else 2", 1),
    ("if null then 1 else 2", 2),
    ("if 1 then 1 else 2", 2),
    ("if false then 1 else 2 + 3", 5),
    ("1 + if true then 1 else 2", 2),
    ("some x in [1] satisfies x = 1 and false", False),
]

COMPARISON = [
    ("1 = 1.0", True),
    ('1 = "1"', None),
    ("null = null", True),
    ("1 = null", False),
    ("1 != null", True),
    ("空 = null", True),
    ("天数 < 9", False),
    ("天数 <= 9", True),
    ("金额 > 3200.4", True),
    ("空 > 1", None),
    ('部门 > "儿"', True),
    ("true > false", None),
    ('1 < "2"', None),
    ("[1, {a: 2}] = [1, {a: 2}]", True),
    ("[1] = [1, 2]", False),
    ("{a: 1} = {b: 1}", False),
    ('@"2026-07-01T00:00:00Z" = @"2026-07-01T08:00:00@Asia/Shanghai"', True),
    ('@"2026-07-01T00:00:00Z" < @"2026-07-01T00:00:00"', False),
    ('@"2026-07-01T00:00:00Z" = @"2026-07-01T00:00:00"', False),
    ('@"10:00:00Z" = @"12:00:00+02:00"', True),
    ('@"10:00:00.1" = @"10:00:00.9"', True),
    ('@"2026-07-01T10:00:00.1" < @"2026-07-01T10:00:00.9"', False),
    ('@"2026-07-01T10:00:01.5" - @"2026-07-01T10:00:00"', "PT1.5S"),
    ('@"P1D" = @"PT24H"', True),
    ('@"P1Y" = @"P365D"', None),
    ("5 between 1 and 5", True),
    ("5 between 6 and null", False),
    ("5 between 1 and null", None),
    ("天数 between 1 and 10 and true", True),
    ("5 in [1..5]", True),
    ("5 in [1..5)", False),
    ("5 in [1..5[", False),
    ("1 in ]1..5]", False),
    ("5 in (1, 5, 9)", True),
    ("5 in (<3, >=5)", True),
    ("5 in <= 5", True),
    ("5 in [[1..3], [4..6]]", True),
    ("5 in !=5", False),
    ("5 in (=5)", True),
    ("5 in (1..null)", None),
    ('部门 in ("内科", "儿科")', True),
    ('部门 in ["内科", "外科"]', False),
    ("[1..3] = [1..3]", True),
    ("[3..1]", None),
    ("[1..5].end", 5),
    ("(1..5].start included", False),
]

ITERATION = [
    ("for i in [1, 2] return i * 2", [2, 4]),
    ("for i in 1..3 return i", [1, 2, 3]),
    ("for i in 3..1 return i", [3, 2, 1]),
    ("for i in (1..4) return i", [2, 3]),
    ("for i in 1..2, j in i..2 return [i, j]", [[1, 1], [1, 2], [2, 2]]),
    ("for i in 1..4 return if i < 3 then 1 else partial[-1] + partial[-2]", [1, 1, 2, 3]),
    ('for d in @"2026-07-01"..@"2026-07-03" return d.day', [1, 2, 3]),
    ("for i in 7 return i", [7]),
    ("for i in null return i", None),
    ("for i in [] return i", []),
    ("some x in 明细 satisfies x.金额 > 10000", True),
    ("every x in 明细 satisfies x.金额 > 10000", False),
    ("some x in [] satisfies x", False),
    ("every x in [] satisfies x", True),
    ("some x in [1, null] satisfies x > 1", None),
    ("明细.金额", [10, 52000.5]),
    ("明细[金额 > 100].名称", ["监护仪"]),
    ("明细[金额 > 天数].数量", [3, 1]),
    ("明细[item.数量 = 3][1].名称", "纱布"),
    ("[1, 2, 3][item >= 2]", [2, 3]),
    ("[1, 2, 3][2]", 2),
    ("[1, 2, 3][-1]", 3),
    ("[1, 2, 3][4]", None),
    ("[1, 2, 3][天数 - 8]", 1),
    ("5[1]", 5),
    ("5[2]", None),
    ("[{item: 1}, {item: 2}][item = 2]", [{"item": 2}]),
    ("sum(for x in 明细 return x.金额 * x.数量)", 52030.5),
]

FUNCTIONS = [
    ("(function(a, b) a + b)(1, 2)", 3),
    ("(function(x, y) x - y)(y: 1, x: 2)", 1),
    ("(function(a) a)(1, 2)", None),
    ("(function(a: number) a)(1)", 1),
    ('(function(a: number) a)("x")', None),
    ("{f: function(x) x + 天数, r: f(1)}.r", 10),
    ("for f in [function(x) x + 1] return f(1)", [2]),
    ("(function(x) external {java: {class: x}})(1)", None),
    ("天数(1)", None),
    ("不存在(1)", None),
    ("1 instance of number", True),
    ("null instance of number", False),
    ('@"P1D" instance of days and time duration', True),
    ("[1] instance of list<number>", True),
    ('[1, "a"] instance of list<number>', False),
    ("{a: 1} instance of context<a: number>", True),
    ("{a: 1} instance of context<b: number>", False),
    ("(function(a) a) instance of function<Any>->Any", True),
    ("[1..2] instance of range<number>", True),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [*LITERALS, *NAMES, *ARITHMETIC, *LOGIC, *COMPARISON, *ITERATION, *FUNCTIONS],
)
def test_value(text: str, expected: object) -> None:
    got = value(text)
    assert got == expected
    assert type(got) is type(expected)


def test_free_names() -> None:
    expression = feel.compile(
        "天数 > 7 and 明细[金额 > 上限 and item.数量 > 0].名称[1] = 1 and not(加急) and f(x: 局 部)"
    )
    assert expression.names == {"天数", "明细", "加急", "f", "局 部"}
    assert expression.possible_names == {"金额", "上限"}
    assert feel.compile("for i in 甲 return {b: i, c: b + 乙}").names == {"甲", "乙"}
    assert feel.compile("(function(a) a + c)(1)").names == {"c"}


def test_unary_tests() -> None:
    cases: list[tuple[str, object, bool]] = [
        ("-", None, True),
        ("> 7", 8, True),
        ("> 7", "8", False),
        ("> 天数", 10, True),
        ('"儿科", "内科"', "内科", True),
        ('not("儿科", "内科")', "外科", True),
        ('not("儿科", "内科")', "内科", False),
        ("not(true)", False, True),
        ("[1..5)", 5, False),
        ("[1..5), 5", 5, True),
        ("true", False, False),
        ("false", False, True),
        ("null", None, True),
        ("[1, 2]", 2, True),
        ("? > 3 and ? < 天数", 5, True),
        ("? > 3 and ? < 天数", 10, False),
        ('ends with(?, "科")', "儿科", True),
        ('date("2026-07-01")', "2026-07-01", False),
    ]
    for text, given, expected in cases:
        assert feel.compile_unary(text).matches(given, DATA) is expected, (text, given)
    assert feel.compile_unary("> 天数, ?.x = y").names == {"天数", "y"}
