"""What must hold of any text taken as FEEL: for the fuzzers by properties (`test_fuzz`) and by coverage."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from engine import feel
from engine.feel.limits import Run
from engine.feel.values import KINDS

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
    '@"-12026-02-29T24:00:00Z" + @"P999999999D" > date and time(@"99999-12-31", "+14:00")',
    "{f: function(n) if n <= 1 then 1 else n * f(n - 1), it's: f}.it's(5) instance of function<number>->Any",
    "before((> 5), [7..8]) and includes([1..2], null) or coincides((= 1), 1)",
]
DATA = {
    "天数": 9,
    "部门": "儿科",
    "金额": 1.5,
    "加急": False,
    "明细": [{"金额": 1, "名称": "a", "l": [1]}, 3, None],
    "y": 1,
}
TYPES = {"天数": "number", "部门": "string", "加急": "boolean", "明细": "list<context<金额: number, 名称: string>>"}
LIMITS = feel.Limits(steps=5_000)
SECONDS = 5.0
"""What one evaluation may take on a slow machine."""
_FORBIDDEN = ("exec", "compile", "os.", "subprocess.", "socket.", "ctypes.", "shutil.")
_watched = False


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched:
        return
    if event.startswith(_FORBIDDEN) or (event == "open" and arguments[1] not in (None, "r", "rb")):
        raise AssertionError(f"an expression reached {event}{arguments!r}")


sys.addaudithook(_refuse)
# What the first expression of a process loads is no escape.
feel.compile('[matches("a", "a"), @"10:00:00@Asia/Shanghai", @"10:00:00@Asia/Nowhere"]').evaluate({})


@contextmanager
def _nothing_but_values() -> Iterator[None]:
    """Fail when code, processes, sockets or writable files are reached meanwhile."""
    global _watched
    _watched = True
    try:
        yield
    finally:
        _watched = False


def attempt(work: Callable[[], object]) -> object:
    """Do some work that may refuse with a message in both languages; any other exception fails."""
    refusal: feel.FeelError | None = None
    result: object = None
    try:
        with _nothing_but_values():
            result = work()
    except feel.FeelError as error:
        refusal = error
    assert refusal is None or (refusal.message and refusal.message_en)
    return result


def evaluate(expression: feel.Expression) -> object:
    """Evaluate within the budget: in bounded time, with no step over it, to a value of FEEL and nothing else."""
    run = Run(LIMITS)
    start = perf_counter()
    value = expression.run(DATA, run)
    assert run.steps >= 0
    assert perf_counter() - start < SECONDS
    _check_kind(value, [20_000])
    return value


def _check_kind(value: object, left: list[int]) -> None:
    assert type(value) in KINDS, f"{type(value)} is no value of FEEL"
    left[0] -= 1
    if isinstance(value, list | dict) and left[0] > 0:
        for element in value.values() if isinstance(value, dict) else value:
            _check_kind(element, left)


def probe(text: str) -> None:
    """Compile, evaluate and check a text as an expression, as a part of others and as unary tests."""
    attempt(lambda: feel.to_plain(evaluate(feel.compile(text, names=DATA))))
    attempt(lambda: evaluate(feel.compile(f"string({text}\n) = {text}\n", names=DATA)))
    attempt(lambda: feel.compile_unary(text).matches(5, DATA, limits=LIMITS))
    attempt(lambda: feel.check(text, TYPES, result="boolean"))
    attempt(lambda: feel.check(text, TYPES, unary="number"))
