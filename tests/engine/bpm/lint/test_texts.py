"""Expressions: what is no FEEL is refused with the FEEL that was meant."""

import pytest

from engine import feel
from engine.bpm.lint.texts import feel_form
from tests.engine.bpm.lint.diagrams import end, exclusive, flow, lint, path, process, start, user

REMNANTS = {
    "days == 3": "days = 3",
    "days === 3 && kind !== 'x'": 'days = 3 and kind != "x"',
    "days > 3 || kind == 'it\\'s'": 'days > 3 or kind = "it\'s"',
    "days <> 3": "days != 3",
    "kind is None": "kind = null",
    "kind is not None": "kind != null",
    "urgent == True": "urgent = true",
    "not urgent": "not(urgent)",
    "!urgent": "not(urgent)",
    "${days > 3}": "days > 3",
    "#{days > 3}": "days > 3",
    "=days > 3": "days > 3",
    "len(kinds) > 2": "count(kinds) > 2",
    "int(days) > 2": "number(days) > 2",
}


def condition(text: str) -> str:
    return process(
        start(),
        user("a"),
        exclusive("g", default="g-end"),
        user("b"),
        end(),
        path("start", "a", "g"),
        flow("g", "b", text, "f"),
        flow("g", "end"),
        path("b", "end"),
    )


@pytest.mark.parametrize("text", REMNANTS)
def test_other_languages_are_refused_with_the_feel_that_was_meant(text: str) -> None:
    findings = lint(condition(text))
    assert [(f.code, f.element, f.severity) for f in findings] == [("not_feel", "f", "error")]
    assert findings[0].cure == f"写成 {REMNANTS[text]}"
    feel.compile(REMNANTS[text])


@pytest.mark.parametrize(
    "text", ['note = "a == b && c"', 'kind != "病假"', "not(urgent)", "days between 1 and 3", "申请天数 > 3"]
)
def test_feel_is_left_alone(text: str) -> None:
    assert lint(condition(text)) == []
    assert feel_form(text) == text


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('true')", "lambda: 1", "[x for x in days]", "exec('1')", "a; b", "=" * 19_999],
)
def test_python_is_refused_and_never_run(text: str) -> None:
    assert "error" in {finding.severity for finding in lint(condition(text))}


@pytest.mark.parametrize(
    "text", ["(" * 5000, "a ( " * 4000, "not " * 4000, '"' * 9999, "'\\" * 5000, " " * 9000 + "&&"]
)
def test_hostile_expressions_are_one_error(text: str) -> None:
    findings = lint(condition(text))
    assert len(findings) == 1
    assert findings[0].severity == "error"
    assert len(str(findings[0])) < 600
