"""Whatever the text, only FeelError comes out, and values are FEEL's (`fuzzing.py` says it in full)."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import feel
from tests.engine.feel.fuzzing import DATA, SEEDS, evaluate, probe

PIECES = sorted({piece for seed in SEEDS for piece in seed.split()} | set("()[]{}<>=,.:+-*/\"@?|\\ \n'#$%&;!^~`0１（"))


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=300)
def test_any_text(text: str) -> None:
    probe(text)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))
@settings(deadline=None, max_examples=400)
def test_any_sequence_of_pieces(text: str) -> None:
    probe(text)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 4), st.sampled_from(PIECES)), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=300)
def test_mutations_of_valid_expressions(seed: str, edits: list[tuple[int, int, str]]) -> None:
    for position, removed, piece in edits:
        position %= len(seed) + 1
        seed = seed[:position] + piece + seed[position + removed :]
    probe(seed)


ARGUMENTS = st.sampled_from(
    """null|1|-2.5|10 ** 6000|1 / 10 ** 6000|"a"|""|"("|true|[]|[1, 2]|[[1]]|[null]|{}|{a: 1}|@"2026-07-01"
    |@"9999-12-31T23:59:59-14:00"|@"0001-01-01T00:00:00+14:00"|@"10:00:00@Asia/Shanghai"|@"P999999999D"|@"-P999999999D"
    |@"P999999999999Y"|@"-999999999-01-01"|@"999999999-12-31T23:59:59@Europe/Paris"|(> 5)|[null..2]|{f: 1}|["a"]
    |[1..2]|(< 3)|(= null)|function(a, b) a|now()|count
    |"+8"|"-"|"Z"|".."|"\\\\"|"[a"|"$9"|"P1"|","|"q"|0|99999999999""".split("|")
)


@given(st.sampled_from(sorted(feel.FUNCTION_NAMES)), st.lists(ARGUMENTS, max_size=4))
@settings(deadline=None, max_examples=300)
def test_any_arguments_of_the_built_ins(name: str, arguments: list[str]) -> None:
    probe(f"{name}({', '.join(arguments)})")


@given(ARGUMENTS, st.sampled_from("+ - * / ** = != < <= > >= in and or".split()), ARGUMENTS)
@settings(deadline=None, max_examples=400)
def test_any_operands(left: str, operator: str, right: str) -> None:
    probe(f"({left}) {operator} ({right})")


TYPES = st.recursive(
    st.sampled_from(["number", "string", "Any", "date and time", "days and time duration", "unheard", "function"]),
    lambda types: st.one_of(
        types.map("list<{}>".format),
        types.map("range<{}>".format),
        types.map("context<a: {}>".format),
        st.builds("function<{}>->{}".format, types, types),
    ),
    max_leaves=4,
)
NAMES = st.sampled_from(["天数", "金额", "部门", "明细", "y", "x", "item", "partial", "count", "不存在"])


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return the expressions of the grammar (DMN 1.5, 10.3.1.2) whose parts are `inner`, all in parentheses."""
    operators = st.sampled_from("+ - * / ** = != < <= > >= and or in".split())
    iterators = st.one_of(
        st.builds("{} in {}".format, NAMES, inner),
        st.builds("{} in {}..{}".format, NAMES, inner, inner),
        st.builds("x in {}, y in x".format, inner),
    )
    test = st.one_of(inner, st.builds("{}{}".format, st.sampled_from(["<", ">=", "=", "!="]), inner))
    forms = st.one_of(
        st.builds("{} {} {}".format, inner, operators, inner),
        st.builds("{} between {} and {}".format, inner, inner, inner),
        st.builds("{} in ({}, {})".format, inner, test, test),
        st.builds("{} instance of {}".format, inner, TYPES),
        st.builds("if {} then {} else {}".format, inner, inner, inner),
        st.builds("for {} return {}".format, iterators, inner),
        st.builds("{} {} satisfies {}".format, st.sampled_from(["some", "every"]), iterators, inner),
        st.builds("function(x: {}, y) {}".format, TYPES, inner),
        st.builds("-{}".format, inner),
        st.builds("{}{}..{}{}".format, st.sampled_from("[(]"), inner, inner, st.sampled_from("])[")),
        st.builds("{} {}".format, st.sampled_from(["<", ">=", "=", "!="]), inner),
    ).map("({})".format)
    # `]a..b]` and `(a..b)` above stand in parentheses, so that no bracket before them can claim theirs.
    return st.one_of(
        forms,
        st.builds("[{}, {}]".format, inner, inner),
        st.builds('{{a: {}, "b c": {}}}'.format, inner, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("{}.{}".format, inner, st.sampled_from(["a", "b c", "金额", "year", "start included", "if"])),
        st.builds("{}({}, {})".format, inner, inner, inner),
        st.builds("{}({})".format, st.sampled_from(sorted(feel.FUNCTION_NAMES)), inner),
        st.builds("{}({}, {})".format, st.sampled_from(sorted(feel.FUNCTION_NAMES)), inner, inner),
    )


EXPRESSIONS = st.recursive(st.one_of(ARGUMENTS.map("({})".format), NAMES), _compound, max_leaves=8)


@given(EXPRESSIONS)
@settings(deadline=None, max_examples=300)
def test_what_the_grammar_makes_compiles_and_is_worth_the_same_in_parentheses(text: str) -> None:
    expression, enclosed = feel.compile(text, names=DATA), feel.compile(f"({text})", names=DATA)
    probe(text)
    try:
        value = evaluate(expression)
        assert feel.to_plain(value) == feel.to_plain(evaluate(enclosed)) or "now()" in text
    except feel.FeelError:
        return


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not made for this Python")
def test_ten_minutes_by_coverage(tmp_path: Path) -> None:
    seconds = int(os.environ.get("PIYUE_FUZZ_SECONDS", "600"))
    command = [sys.executable, "-m", "tests.engine.feel.coverage_fuzzer", str(tmp_path / "corpus")]
    options = [f"-max_total_time={seconds}", "-timeout=10", "-max_len=400", f"-artifact_prefix={tmp_path}/"]
    fuzzer = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert fuzzer.returncode == 0, fuzzer.stderr[-3_000:]
    assert "Done" in fuzzer.stderr
