"""Whatever the text, only FeelError comes out."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from engine import feel

SEEDS = [
    '天数 > 7 and 部门 = "儿科" and 金额 <= 5000 and not(加急)',
    "for i in 1..3, j in [i..4] return partial[-1] + i * j ** 2",
    '{a-b: 1, "c d": [1, {e: 2}], f: function(x: number, y) x + a-b}.f(1, y)',
    "some x in 明细 satisfies x.金额 > 1 or every y in x.l satisfies y in (1, <2, [3..4[)",
    '@"2026-07-01T08:00:00@Asia/Shanghai" - @"P1DT2H" between now() and date("2026-07-01") + @"P1M"',
    "sort(明细, function(a, b) a.金额 < b.金额)[item.金额 > 1][1].名称 instance of list<context<a: number>>",
    'if matches("a\\u9662", "[a-z-[b]]+(x|\\p{L}){1,3}", "ix") then replace("a", "(a)", "$1") else split("a b", "\\s")',
    "decimal(1 / 3, 2) + sum(1, 2) - modulo(-5, 3) * round half up(2.5, 0) / sqrt(2)",
    'substring(string: "foobar", start position: -3, length: 2) + string join(["a"], ", ")',
    'range("[1..3]") = ]0..4[ and overlaps([1..5), (< 3)) != null',
    'context put({}, ["a", "b"], 1).a.b != get value({a: 1}, "a") // end',
]
DATA = {
    "天数": 9,
    "部门": "儿科",
    "金额": 1.5,
    "加急": False,
    "明细": [{"金额": 1, "名称": "a", "l": [1]}, 3, None],
    "y": 1,
}
PIECES = sorted({piece for seed in SEEDS for piece in seed.split()} | set("()[]{}<>=,.:+-*/\"@?|\\ \n'#$%&;!^~`0１（"))
TYPES = {"天数": "number", "部门": "string", "加急": "boolean", "明细": "list<context<金额: number, 名称: string>>"}
LIMITS = feel.Limits(steps=5_000)


def attempt(work: Callable[[], object]) -> None:
    """Do some work that may refuse with a message in both languages; any other exception fails the test."""
    refusal: feel.FeelError | None = None
    try:
        work()
    except feel.FeelError as error:
        refusal = error
    assert refusal is None or (refusal.message and refusal.message_en)


def run(text: str) -> None:
    """Compile, evaluate and check a text as an expression, as a part of others and as unary tests."""
    attempt(lambda: feel.to_plain(feel.compile(text, names=DATA).evaluate(DATA, limits=LIMITS)))
    attempt(lambda: feel.compile(f"string({text}\n) = {text}\n", names=DATA).evaluate(DATA, limits=LIMITS))
    attempt(lambda: feel.compile_unary(text).matches(5, DATA, limits=LIMITS))
    attempt(lambda: feel.check(text, TYPES, result="boolean"))
    attempt(lambda: feel.check(text, TYPES, unary="number"))


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=300)
def test_any_text(text: str) -> None:
    run(text)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))
@settings(deadline=None, max_examples=400)
def test_any_sequence_of_pieces(text: str) -> None:
    run(text)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 4), st.sampled_from(PIECES)), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=600)
def test_mutations_of_valid_expressions(seed: str, edits: list[tuple[int, int, str]]) -> None:
    for position, removed, piece in edits:
        position %= len(seed) + 1
        seed = seed[:position] + piece + seed[position + removed :]
    run(seed)


ARGUMENTS = st.sampled_from(
    """null|1|-2.5|10 ** 6000|1 / 10 ** 6000|"a"|""|"("|true|[]|[1, 2]|[[1]]|[null]|{}|{a: 1}|@"2026-07-01"
    |@"9999-12-31T23:59:59-14:00"|@"0001-01-01T00:00:00+14:00"|@"10:00:00@Asia/Shanghai"|@"P999999999D"|@"-P999999999D"
    |@"P999999999999Y"|[1..2]|(< 3)|(= null)|function(a, b) a|now()|count
    |"+8"|"-"|"Z"|".."|"\\\\"|"[a"|"$9"|"P1"|","|"q"|0|99999999999""".split("|")
)


@given(st.sampled_from(sorted(feel.FUNCTION_NAMES)), st.lists(ARGUMENTS, max_size=4))
@settings(deadline=None, max_examples=1500)
def test_any_arguments_of_the_built_ins(name: str, arguments: list[str]) -> None:
    run(f"{name}({', '.join(arguments)})")


@given(ARGUMENTS, st.sampled_from("+ - * / ** = != < <= > >= in and or".split()), ARGUMENTS)
@settings(deadline=None, max_examples=1000)
def test_any_operands(left: str, operator: str, right: str) -> None:
    run(f"({left}) {operator} ({right})")
