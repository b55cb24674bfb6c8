"""Corners of the DMN 1.5 standard, clause by clause: what an expression says, and what it is worth as FEEL text.

Every list names its clause. `null` stands for null; what is refused at compile time stands in `REFUSED`.
"""

import pytest

from engine import feel
from engine.feel.limits import Run
from engine.feel.texts import text_of

GRAMMAR = [  # 10.3.1.2
    ("1.2E+3", "1200"),
    (".5e1", "5"),
    ("007", "7"),
    ("--1", "1"),
    ("4 -5", "-1"),
    ("2**-1", "0.5"),
    ("{it's: 3, b: it's + 1}.b", "4"),
    ("{it’s: 3}.it’s", "3"),
    ("{a.b: 1, a + b: 2, c: a + b}.c", "2"),
    ("{a/b: 1}.a/b", "1"),
    ("{for each: 1, x: for each + 1}.x", "2"),
    ("(function(a-b: number, c/d: number) a-b + c/d)(a-b: 1, c/d: 2)", "3"),
    ("(function(a) a)(1 + 1)", "2"),
    ("{a: 1, b: 2, f: function(x: number) x, c: f(x: a - b)}.c", "-1"),
    ('{"a b": 1, c: a b}.c', "1"),
    ('"http://x" /* no comment inside a string */', "http://x"),
    ("1 + // the rest of the line\n 2", "3"),
    ("/**/ 1", "1"),
]
NUMBERS = [  # 10.3.2.3.1 and table 53; IEEE 754-2008 for powers
    ("0 ** 0", "1"),
    ("0 ** -1", "null"),
    ("(-8) ** (1/3)", "null"),
    ("2 ** null", "null"),
    ("1e-7000", "0"),
    ("modulo(10 ** 40, 3)", "1"),
    ("modulo(-10.1, 4.5)", "3.4"),
    ("even(10 ** 40)", "true"),
    ("odd(10 ** 40 + 1)", "false"),
]
TIMES = [  # 10.3.2.3.4 to .6 and 10.3.4.1; XML Schema part 2 for the texts
    ('@"24:00:00"', "00:00:00"),
    ('@"24:00:00.000+02:00"', "00:00:00+02:00"),
    ('@"24:00:01"', "null"),
    ('@"24:00:00.1"', "null"),
    ('@"2024-12-31T24:00:00"', "2025-01-01T00:00:00"),
    ('@"9999-12-31T24:00:00Z"', "10000-01-01T00:00:00Z"),
    ('@"10:00:00-00:00"', "10:00:00Z"),
    ('@"10:00:00+14:01"', "null"),
    ('@"10:00:60"', "null"),
    ('date("2017-02-29")', "null"),
    ('date("2017-12-31T10:00:00")', "null"),
    ('date and time("2017-12-31T11:22")', "null"),
    ('date and time("2017-12-31T11:22:33Z@Europe/Paris")', "null"),
    ('date and time(@"2017-12-31T11:22:33Z", @"01:02:03+02:00")', "2017-12-31T01:02:03+02:00"),
    ('time(11, 59, 45.123, -duration("PT14H"))', "11:59:45.123-14:00"),
    ('time(11, 59, 45, duration("PT15H"))', "null"),
    ('time(@"2026-06-01")', "00:00:00Z"),
    ('time(from: @"10:00:00")', "10:00:00"),
    ('duration("P1Y1D")', "null"),
    ('duration("PT")', "null"),
    ('duration("P-1Y")', "null"),
    ('string(duration("-PT0S"))', "PT0S"),
]
YEARS = [  # 10.3.4.1, date(year, month, day): years to ±999 999 999
    ('@"999999999-12-31"', "999999999-12-31"),
    ('@"-999999999-01-01"', "-999999999-01-01"),
    ('@"1000000000-01-01"', "null"),
    ('@"012345-01-01"', "null"),
    ('@"0000-01-01"', "null"),
    ('@"+2026-01-01"', "null"),
    ("date(0, 1, 1)", "null"),
    ("date(-5, 2, 3)", "-0005-02-03"),
    ("date(999999999, 12, 31).year", "999999999"),
    ('date("12024-02-29").weekday', "4"),
    ('date("12023-02-29")', "null"),
    ('day of year(@"12024-12-31")', "366"),
    ('day of week(@"12024-02-29")', "Thursday"),
    ('month of year(@"-0044-03-15")', "March"),
    ('week of year(@"12026-07-01")', "27"),
    ('@"99999-12-31T11:22:33@Europe/Paris"', "99999-12-31T11:22:33@Europe/Paris"),
    ('@"99999-07-31T11:22:33@Europe/Paris".time offset', "PT2H"),
    ('@"99999-12-31T11:22:33+02:00".hour', "11"),
    ('@"99999-12-31" instance of date', "true"),
    ('@"99999-12-31T00:00:00" instance of date and time', "true"),
    ('date(@"99999-12-31T11:22:33")', "99999-12-31"),
    ('time(@"99999-12-31T11:22:33Z")', "11:22:33Z"),
    ('date and time(@"99999-12-31", @"11:22:33Z")', "99999-12-31T11:22:33Z"),
    ('date and time(@"99999-12-31")', "99999-12-31T00:00:00"),
    ('date and time(@"9999-12-31T20:00:00Z", "Asia/Shanghai")', "10000-01-01T04:00:00@Asia/Shanghai"),
    ('@"99999-12-31" > @"2020-01-01"', "true"),
    ('@"99999-12-31" = @"2020-01-01"', "false"),
    ('@"99999-12-31T00:00:00Z" = @"99999-12-31T08:00:00+08:00"', "true"),
    ('@"9999-12-31T20:00:00Z" = @"10000-01-01T04:00:00+08:00"', "true"),
    ('@"99999-12-31T00:00:00+08:00" < @"99999-12-31T00:00:01"', "true"),
    ('@"9999-12-31" + @"P1D"', "10000-01-01"),
    ('@"10000-01-01" - @"P1D"', "9999-12-31"),
    ('@"0001-03-01" - @"P1Y1M"', "0000-02-01"),
    ('@"10000-02-29" + @"P1Y"', "10001-02-28"),
    ('@"99999-12-31T23:59:59Z" + @"PT1S"', "100000-01-01T00:00:00Z"),
    ('@"9999-12-31T23:59:59@Europe/Paris" + @"PT1S"', "10000-01-01T00:00:00@Europe/Paris"),
    ('@"999999999-12-31" + @"P1D"', "null"),
    ('@"999999999-12-31" + @"P1Y"', "null"),
    ('@"99999-12-31" - @"99998-12-31"', "P365D"),
    ('@"99999-12-31" - @"99998-12-31T00:00:00Z"', "P365D"),
    ('@"999999999-12-31" - @"-999999999-01-01"', "null"),
    ('years and months duration(@"-0001-01-01", @"99999-02-01")', "P100000Y1M"),
    ('years and months duration(@"2020-01-01", @"99999-02-01T00:00:00")', "P97979Y1M"),
    ('is(@"99999-12-31T00:00:00Z", @"99999-12-31T08:00:00+08:00")', "false"),
    ('sort([@"99999-12-31", @"2020-01-01", @"-0001-01-01"])', "[-0001-01-01, 2020-01-01, 99999-12-31]"),
    ('@"99999-12-31" in [@"2020-01-01"..@"999999-01-01"]', "true"),
]
LISTS = [  # 10.3.2.5 and tables 54, 75
    ("[1, 2, 3][null]", "[]"),
    ("[1, 2, 3][true]", "[1, 2, 3]"),
    ("[1, 2, 3][0]", "null"),
    ("[1, 2, 3][1.5]", "null"),
    ("null[1]", "null"),
    ("[{x: 1}, {y: 2}][x > 0]", "[{x: 1}]"),
    ("[{x: 1}, {y: 2}].x", "[1, null]"),
    ("[[1, 2], [3]][1][2]", "2"),
    ("append(list: [1], item: 2)", "[1, 2]"),
    ("append([1], null)", "[1, null]"),
    ("concatenate(list: [1])", "[1]"),
    ("sublist(list: [1, 2, 3], start position: 2, length: 1)", "[2]"),
    ("insert before(list: [1, 3], position: -1, newItem: 2)", "[1, 2, 3]"),
    ("list replace(list: [1, 2], position: -1, newItem: null)", "[1, null]"),
    ("list replace(list: [1, 2], match: function(item, newItem) item = 1, newItem: 5)", "[5, 2]"),
    ("list replace([1, 2], function(item) true, 5)", "null"),
    ('list replace([1, 2], function(item, newItem) "x", 5)', "null"),
    ("sort(list: [2, 1], precedes: function(x, y) x < y)", "[1, 2]"),
    ("all([])", "true"),
    ("all([true, null])", "null"),
    ("any([null, true])", "true"),
    ("mode([])", "[]"),
    ("stddev([47])", "null"),
    ("product()", "null"),
    ("count(null)", "null"),
]
CONTEXTS = [  # 10.3.2.6 and 10.3.4.10
    ("{a: 1, b: {c: a + 1}}.b.c", "2"),
    ("context(entries: [{key: null, value: 1}])", "null"),
    ('context([{key: "a"}])', "null"),
    ('context([{key: "a", value: 1}, {key: "a", value: 2}])', "null"),
    ('context put(context: {a: {b: 1}}, keys: ["a", "c"], value: 2)', "{a: {b: 1, c: 2}}"),
    ('context put({a: 1}, ["a", "c"], 2)', "null"),
    ("context merge(contexts: [{a: {b: 1}}, {a: {c: 1}}])", "{a: {c: 1}}"),
    ('get value(m: {a: 1}, key: "a")', "1"),
    ('string({"{": 1, "a b": 2})', '{"{": 1, a b: 2}'),
]
TYPES = [  # 10.3.2.9.2, conformance
    ("null instance of Null", "true"),
    ("null instance of Any", "false"),
    ("{a: 1} instance of context<>", "true"),
    ("1 instance of context<>", "false"),
    ("abs instance of function", "true"),
    ("(function(a: number) a) instance of function<number>->number", "true"),
    ("(function(a: number) a) instance of function<string>->number", "false"),
    ("(function(a: number) a) instance of function<number, number>->number", "false"),
    ("(function(a: context<x: number>) 1) instance of function<context<x: number, y: string>>->Any", "true"),
    ("(function(a: context<x: number, y: string>) 1) instance of function<context<x: number>>->Any", "false"),
    ("(function() {b: 1, c: 2}) instance of function<>->context<b: number>", "true"),
    ("(function() {b: 1}) instance of function<>->context<b: number, c: number>", "false"),
    ("(function() [1]) instance of function<>->list<string>", "false"),
    ("(function(f: function<number>->number) f) instance of function<function<Any>->number>->Any", "true"),
    ("[function(a) a] instance of list<function<number>->number>", "true"),
]
CONVERSIONS = [  # 10.3.2.9.4, implicit conversions of arguments
    ("(function(a: list<number>) a)(1)", "[1]"),
    ("(function(a: number) a)([1])", "1"),
    ("(function(a: number) a)([1, 2])", "null"),
    ('(function(a: number) "given")("x")', "null"),
    ('(function(a: number) "given")(null)', "given"),
    ('(function(a: date and time) a)(@"2026-07-01")', "2026-07-01T00:00:00Z"),
    ('(function(a: date and time) a)(@"12026-07-01")', "12026-07-01T00:00:00Z"),
    ("(function(a: context<x: number>) a.x)({x: 1, y: 2})", "1"),
    ("(function(a: unheard) a)(1)", "null"),
    ("abs([-1])", "1"),
    ("reverse(1)", "[1]"),
    ('upper case(["a"])', "A"),
]
FUNCTIONS = [  # 10.3.2.13.2
    ("{fac: function(n) if n <= 1 then 1 else n * fac(n - 1), r: fac(5)}.r", "120"),
    ("{abs: function(n) abs(n) + 1, r: abs(-1)}.r", "2"),
    ("{g: function(n) n, h: {g: function(n) g(n) + 1, r: g(1)}}.h.r", "2"),
    ("{g: function(g) g, r: g(7)}.r", "7"),
    ("{mk: function(a) function(b) a + b, r: mk(1)(2)}.r", "3"),
    ("{x: abs, r: x(-1)}.r", "1"),
    ("{count: 5, n: count([count, 1])}.n", "2"),
    ("{count: function(l) 7, n: count([])}.n", "7"),
    ("[function(x) x][1](3)", "3"),
    ("abs(n: -1, m: 2)", "null"),
]
RANGES = [  # 10.3.4.9; an absent end lies beyond every value
    ("overlaps after([1..5], [1..5))", "false"),
    ("overlaps after((1..5], [1..5))", "true"),
    ("overlaps before([1..5), (1..5])", "true"),
    ("before(1, (> 5))", "true"),
    ("before((< 5), 5)", "true"),
    ("before((<= 5), 5)", "false"),
    ("after((> 5), 3)", "true"),
    ("includes((> 5), 6)", "true"),
    ("includes((> 5), (> 6))", "true"),
    ("includes((> 6), (> 5))", "false"),
    ("during([6..7], (> 5))", "true"),
    ("overlaps((> 5), (< 7))", "true"),
    ("overlaps((> 5), [1..5])", "false"),
    ("meets((<= 5), (>= 5))", "true"),
    ("starts(5, (>= 5))", "true"),
    ("finished by((<= 5), 5)", "true"),
    ("coincides((> 5), (> 5))", "true"),
    ("coincides((= 5), 5)", "true"),
    ("coincides((!= 5), 5)", "null"),
    ('overlaps((> 5), (> "a"))', "null"),
    ('before((< 5), (< "a"))', "null"),
    ("includes([1..null], 1)", "null"),
    ("before(range: [1..5], point: 6)", "true"),
    ("before(point: 6, range: [1..5])", "false"),
    ("after(range: [1..5], point: 6)", "false"),
    ("includes(range: [3..4], point: 3)", "true"),
    ("before([1], [[2..3]])", "true"),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *GRAMMAR,
        *NUMBERS,
        *TIMES,
        *YEARS,
        *LISTS,
        *CONTEXTS,
        *TYPES,
        *CONVERSIONS,
        *FUNCTIONS,
        *RANGES,
    ],
)
def test_corner(text: str, expected: str) -> None:
    assert text_of(feel.compile(text).evaluate({}), Run()) == expected


REFUSED = ["1.", "1..2", "[1,]", "{a: 1,}", "{a: }", "(1, 2)", "for i in [1] return", "1 instance of", "'a'"]


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(feel.FeelSyntaxError):
        feel.compile(text)


def test_a_function_calls_its_namesake_of_the_context_first() -> None:
    data = {"f": feel.compile("function(n) n + 100").evaluate({})}
    assert feel.compile("{f: function(n) f(n), r: f(1)}.r").evaluate(data) == 101


def test_names_with_apostrophes_are_known_names() -> None:
    assert feel.compile("patient's age + 1", names=["patient's age"]).evaluate({"patient's age": 2}) == 3


def test_external_functions_are_null_and_say_so() -> None:
    text = '(function(a) external {java: {class: "java.lang.Math", method signature: "cos(double)"}})(1)'
    run = Run()
    assert feel.compile(text).run({}, run) is None
    assert "外部" in run.messages[0]
