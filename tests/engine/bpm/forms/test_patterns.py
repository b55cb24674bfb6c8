"""Patterns of designers: the useful ones work, those that may hang are refused."""

import pytest

from engine.bpm.forms.patterns import Unsafe, compile_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{2}\d{4}$",
        r"^(1\d{10}|0\d{2,3}-\d{7,8})$",
        r"([A-Z]{2}-)+",
        r"^\p{Han}{2,10}$",
        r"(?=.*\d)\w{8,}",
        "a+?b",
    ],
)
def test_useful_patterns(pattern: str) -> None:
    compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+", "(a*)*b", r"^(\d+,?)*$", "((a|b)+c)*", "(a{1,9}){2,}", "((a{90}){90}){90}", "a{99999}", "(?R)", "("],
)
def test_dangerous_or_broken_patterns(pattern: str) -> None:
    with pytest.raises(Unsafe):
        compile_pattern(pattern)


def test_patterns_have_a_length() -> None:
    compile_pattern("a" * 500)
    with pytest.raises(Unsafe, match="500"):
        compile_pattern("a" * 501)
