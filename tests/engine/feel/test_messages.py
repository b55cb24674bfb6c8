"""What an evaluation says beside a value that is null (`Run.messages`), and where data that are no data stand."""

import pytest

from engine import feel
from engine.feel.limits import Run


def said(text: str, **context: object) -> list[str]:
    """Return the notes of an expression whose value is null."""
    run = Run()
    assert feel.compile(text, names=context).run(context, run) is None
    return run.messages


@pytest.mark.parametrize(
    "text",
    [
        "10 ** 7000",
        "10 ** 7000 + 1",
        "-(10 ** 6144 * 10)",
        "10 ** 6000 / 10 ** -6000",
        "exp(100000)",
        "sum([9e6144, 9e6144])",
        "mean(9e6144, 9e6144)",
        "product([1e6000, 1e6000])",
        '@"P1D" * 9e6144',
    ],
)
def test_a_number_out_of_range_is_null_and_says_so(text: str) -> None:
    assert said(text) == ["计算结果超出数字范围，为 null"]


def test_what_overflows_in_a_loop_leaves_the_other_turns() -> None:
    assert feel.compile("for i in [1, 7000, 2] return 10 ** i").evaluate({}) == [10, None, 100]


def test_other_nulls_of_arithmetic_say_nothing() -> None:
    assert said("1 / 0") == said("sqrt(-1)") == said('1 + "a"') == []


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("nothing(1)", "“nothing”不是函数，调用结果为 null"),
        ("days(n: 1)", "“days”不是函数，调用结果为 null"),
        ("org.fee of(days)", "“fee of”不是函数，调用结果为 null"),
        ("[1][1](2)", "调用的值不是函数，结果为 null"),
    ],
)
def test_a_call_of_what_is_no_function_is_null_and_names_it(text: str, note: str) -> None:
    assert said(text, days=3, org={}) == [note]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(function(a, b) [a, b])(b: 1)", [None, 1]),
        ("(function(a: number, b: string) b)(a: 1)", None),
        ("(function(a) a)(a: 1, c: 2)", None),
        ("(function(a, b) a)(1)", None),
        ("is(value1: 1)", False),
        ("list contains(list: [1, null])", True),
        ('substring(string: "abc")', None),
    ],
)
def test_parameters_that_a_named_call_leaves_out_are_null(text: str, value: object) -> None:
    assert feel.to_plain(feel.compile(text).evaluate({})) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({1: "a"}, "“x”：数据中的键 1 不是文本，请改成文本"),
        ([{"rows": [{"a": {None: 1}}]}], "“x”：“rows”：“a”：数据中的键 NoneType 不是文本，请改成文本"),
        ({10**5000: 1}, "“x”：数据中的键 int 不是文本，请改成文本"),
        ({"a": {"b": float("inf")}}, "“x”：“a”：“b”：数据中有无穷大或非数（NaN）"),
    ],
)
def test_data_that_are_no_data_are_refused_with_their_place(data: object, message: str) -> None:
    with pytest.raises(feel.FeelError) as caught:
        feel.compile("x").evaluate({"x": data})
    assert caught.value.message == message


def test_types_with_operators_in_their_names_are_read_when_known() -> None:
    for text in (
        "1 instance of t-Foo",
        "1 instance of list<t-Foo>",
        "function(a: lib.t-Foo) a",
        "t - 1",
        "1 instance of date and time-x",
    ):
        feel.compile(text, names=["t", "t-Foo", "date and time-x"])
    with pytest.raises(feel.FeelSyntaxError):
        feel.compile("1 instance of list<t-Foo>", names=["t"])
