"""The type check tells the truth: types are those of the values, and what it calls always null or unreachable is."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine import feel
from engine.feel import FeelType
from engine.feel.cases import coverage
from engine.feel.limits import Run
from engine.feel.parser import parse
from engine.feel.types import conforms

KINDS = ("a", "b", "c")
TYPES: dict[str, FeelType] = {
    "n": FeelType("number"),
    "k": FeelType("string", values=KINDS),
    "s": FeelType("string"),
    "f": FeelType("boolean"),
    "d": FeelType("date"),
    "l": FeelType.read("list<number>"),
    "c": FeelType.read("context<n: number, s: string>"),
    "r": FeelType.read("list<context<n: number, s: string>>"),
    "u": FeelType("Any"),
}
numbers = st.sampled_from([0, 1, 2, 3, 5])
rows = st.fixed_dictionaries({"n": st.none() | numbers, "s": st.none() | st.sampled_from("xy")})
DATA = st.fixed_dictionaries(
    {
        "n": st.none() | numbers,
        "k": st.none() | st.sampled_from(KINDS),
        "s": st.none() | st.sampled_from(["x", "2026-01-02", ""]),
        "f": st.none() | st.booleans(),
        "d": st.none() | st.dates(),
        "l": st.none() | st.lists(st.none() | numbers, max_size=3),
        "c": st.none() | rows,
        "r": st.none() | st.lists(rows, max_size=3),
        "u": st.none() | numbers | st.booleans() | st.sampled_from(["x"]) | st.lists(numbers, max_size=2) | rows,
    }
)
LEAVES = st.sampled_from(
    [
        *TYPES,
        "1",
        "2",
        "-3",
        '"a"',
        '"x"',
        "true",
        "false",
        "null",
        '@"2026-01-02"',
        'duration("P1D")',
        "[1, 2]",
        "[]",
        "c.n",
        "r.s",
        "r[1].n",
        "l[1]",
        "{n: 1}.n",
        "[1..3]",
        "today()",
        "missing",
    ]
)


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def of(template: str) -> st.SearchStrategy[str]:
        parts = st.tuples(*[inner] * template.count("{}"))
        return parts.map(lambda chosen: _filled(template, chosen))

    operators = ["+", "-", "*", "/", "**", "=", "!=", "<", "<=", ">", ">=", "and", "or", "in"]
    templates = [f"({{}} {op} {{}})" for op in operators] + [
        "not({})", "-({})", "(if {} then {} else {})", "({} between {} and {})", "({} in ({}, < 2))", "({})[{}]",
        "({})[item > 1]", "({})[n > 1]", "({}).n", "({}).year", "({}).days", "[{}, {}]", "{n: {}, m: {}}.n",
        "(for x in {} return x)", "(for x in {} return x + {})", "(some x in {} satisfies x = {})",
        "(every x in {} satisfies {})", "count({})", "sum({})", "max({}, {})", "string({})", "number({})", "date({})",
        "contains({}, {})", "substring({}, {})", "list contains({}, {})", "sublist({}, {})", "append({}, {})",
        "abs({})", "floor({})", "distinct values({})", "(function(x) x + {})({})", "get value({}, {})",
        "({} instance of number)", "is({}, {})", "string join({}, {})", "index of({}, {})", "reverse({})",
    ]  # fmt: skip
    return st.sampled_from(templates).flatmap(of)


def _filled(template: str, chosen: tuple[str, ...]) -> str:
    for part in chosen:
        template = template.replace("{}", part, 1)
    return template


EXPRESSIONS = st.recursive(LEAVES, _compound, max_leaves=8)


def value_of(text: str, data: Any) -> Any:
    try:
        return feel.compile(text).evaluate(data)
    except feel.FeelLimitError:
        return None


@given(EXPRESSIONS, DATA)
@settings(deadline=None, max_examples=250)
def test_the_value_is_null_or_of_the_inferred_type(text: str, data: dict[str, object]) -> None:
    inferred = feel.infer(text, TYPES)
    value = value_of(text, data)
    assert value is None or conforms(value, inferred, Run()), inferred
    assert value is None or not inferred.values or value in inferred.values, inferred


OPERANDS = st.sampled_from(
    ["n", "k", "s", "f", "d", "l", "c", "r", "u", "1", '"a"', "true", '@"P1D"', '@"P1M"', "[1..3]", "now()", "c.n"]
)
OPERATORS = st.sampled_from("+ - * / ** = != < <= > >=".split())
ALWAYS_NULL = frozenset({"type_operator", "argument_count", "argument_name", "argument_type"})


@given(OPERANDS, OPERATORS, OPERANDS, DATA)
@settings(deadline=None, max_examples=200)
def test_an_operator_that_is_called_always_null_is_null(
    left: str, op: str, right: str, data: dict[str, object]
) -> None:
    text = f"{left} {op} {right}"
    if any(problem.code in ALWAYS_NULL for problem in feel.check(text, TYPES)):
        value = value_of(text, data)
        assert value is None or (op in ("=", "!=") and None in (value_of(left, data), value_of(right, data)))


@given(st.sampled_from(sorted(feel.FUNCTION_NAMES - {"not"})), st.lists(OPERANDS, max_size=4), DATA)
@settings(deadline=None, max_examples=300)
def test_a_call_that_is_called_always_null_is_null(name: str, arguments: list[str], data: dict[str, object]) -> None:
    text = f"{name}({', '.join(arguments)})"
    if any(problem.code in ALWAYS_NULL for problem in feel.check(text, TYPES)):
        assert value_of(text, data) is None


ATOMS = st.sampled_from(
    [
        "n > 1",
        "n <= 1",
        "n = 2",
        "n between 1 and 3",
        "n in [0..2)",
        "3 < n",
        'k = "a"',
        'k != "a"',
        'k in ("a", "b")',
        "f",
        "not(f)",
        "f = true",
        "f != true",
        's = "x"',
        's != "x"',
        "n = null",
        "k != null",
        "true",
        "n in (1, 3)",
    ]
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda three: f"({' '.join(three)})"),
    max_leaves=4,
)


@given(st.lists(CONDITIONS, min_size=1, max_size=4), DATA)
@settings(deadline=None, max_examples=200)
def test_coverage_is_what_the_conditions_do(conditions: list[str], data: dict[str, object]) -> None:
    found = coverage([parse(text) for text in conditions], TYPES.get)
    holding = [index for index, text in enumerate(conditions) if value_of(text, data) is True]
    assert not set(holding[:1]) & set(found.dead)
    if found.covered and None not in (data["n"], data["k"], data["f"], data["s"]):
        assert holding
    if found.gap is not None:
        case = {path[0]: value for path, value in found.gap.items()}
        assert not any(value_of(text, case) is True for text in conditions)


def test_the_samples_lie_between_the_constants() -> None:
    found = coverage([parse("n < 3"), parse("n > 4")], {"n": FeelType("number")}.get)
    assert found.gap is not None
    assert Decimal(3) <= found.gap["n",] <= Decimal(4)
