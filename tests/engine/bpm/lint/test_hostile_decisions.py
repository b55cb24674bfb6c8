"""Decision files that would hang or exhaust the server that checks them: each is read, or refused, in a moment."""

import random
import time

import orjson
import pytest

from engine.bpm.lint import Finding
from engine.bpm.lint.finding import Report
from engine.bpm.lint.rules import read_rules
from tests.factories.tables import HEAD, decisions, literal, table

SECONDS = 8.0
"""Of the processor, on a busy machine; without bounds these take minutes, in a request."""


def found(*files: str) -> list[Finding]:
    """What is said of decision files, within the time."""
    report = Report()
    start = time.process_time()
    read_rules({f"decisions/f{number}.dmn": file for number, file in enumerate(files)}, report)
    assert time.process_time() - start < SECONDS
    orjson.dumps([finding.as_dict() for finding in report.findings])
    return list(report.findings)


def codes(*files: str) -> set[str]:
    return {finding.code for finding in found(*files)}


def test_the_search_for_gaps_ends() -> None:
    """Many texts in many columns: more combinations of rules than anybody can look at."""
    chosen = random.Random(1)
    columns = {f"c{number}": "string" for number in range(8)}
    cells = [" | ".join(", ".join(f'"{n}"' for n in chosen.sample(range(9), 6)) for _ in columns) for _ in range(160)]
    file = decisions(
        table("级别", columns, *(f"{cell} | 1" for cell in cells), policy="COLLECT"), inputs=tuple(columns)
    )
    assert "dmn_too_large" not in codes(file)
    first = decisions(table("级别", columns, *(f"{cell} | 1" for cell in cells), policy="FIRST"), inputs=tuple(columns))
    assert "dmn_too_large" not in codes(first)


def test_cells_that_compute_are_not_computed() -> None:
    rules = [f"> count(for i in 1..{40_000 + number} return i) | {number}" for number in range(240)]
    tables = [table(f"表{number}", {"n": "number"}, *rules, policy="FIRST") for number in range(3)]
    assert codes(decisions(*tables, inputs=("n",))) <= {"table_gap"}


def test_cells_that_match_patterns_are_not_computed() -> None:
    rules = [f'matches("{"a" * 40}!", "(a+)+{number}") | {number}' for number in range(300)]
    found(decisions(table("级别", {"n": "boolean"}, *rules, policy="FIRST"), inputs=("n",)))


def test_two_cells_that_cannot_be_told_hide_no_rule() -> None:
    file = decisions(
        table("级别", {"n": "number"}, "> limit | 1", "< limit | 2", policy="FIRST"), inputs=("n", "limit")
    )
    assert "table_rule_hidden" not in codes(file)


@pytest.mark.parametrize("later", ["10:00:00Z", "10:00:00@Europe/Paris"])
def test_times_with_a_zone_and_without_stand_in_one_column(later: str) -> None:
    file = decisions(table("级别", {"t": "time"}, '> time("10:00:00") | 1', f'< time("{later}") | 2'), inputs=("t",))
    assert codes(file) <= {"table_gap"}


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (decisions(*(literal(f"d{n}", "+".join(["1"] * 9_000)) for n in range(9)), inputs=()), "dmn_too_large"),
        (decisions(*(f'<itemDefinition name="T{n}"/>' for n in range(25_000)), inputs=()), "dmn_too_large"),
        (
            HEAD + '<decision id="d" name="d"><context>' + "".join(
                f'<contextEntry><variable name="e{n}"/><literalExpression/></contextEntry>'
                for n in range(4_000)
            ) + "</context></decision></definitions>",
            "dmn_too_large",
        ),
        (
            HEAD + "".join(
                f'<inputData id="i{n}" name="n{n}"><variable name="n{n}" typeRef="T{n}"/></inputData>'
                for n in range(5_500)
            ) + "</definitions>",
            "decision_invalid",
        ),
        (
            HEAD + "".join(
                f'<decision id="d{n}" name="d{n}"><informationRequirement><requiredDecision href="#d{n + 1}"/>'
                "</informationRequirement></decision>"
                for n in range(3_800)
            ) + "</definitions>",
            "decision_invalid",
        ),
        (
            HEAD + '<itemDefinition name="T">' + "".join(f'<itemComponent name="c{n}"/>' for n in range(1_500))
            + "</itemDefinition>" + "".join(literal(f"d{n}", "1") for n in range(2_500)) + "</definitions>",
            None,
        ),
    ],
    ids=["expressions", "elements", "names in sight", "unknown types", "a chain", "entries"],
)  # fmt: skip
def test_large_files_are_read_or_refused_in_a_moment(file: str, code: str | None) -> None:
    assert code is None or code in codes(file)
    found(file)


def test_files_that_import_one_another() -> None:
    """Each is read with all the others."""
    files = [
        HEAD.replace("urn:test:rules", f"urn:{own}")
        + "".join(f'<import name="m{n}" namespace="urn:{n}" importType="dmn"/>' for n in range(20) if n != own)
        + "".join(literal(f"d{n}", "1 + 1") for n in range(100))
        + "</definitions>"
        for own in range(20)
    ]
    assert codes(*files) == {"decisions_large"}
    assert codes(*files, *files) == {"decisions_large"}, "and forty are not read at all"


def test_conditions_with_many_cases() -> None:
    condition = "if a = 1 or b = 2 or c = 3 or d = 4 or e = 5 or f = 6 then 1 else 2"
    text = f"[{', '.join([condition] * 250)}]"
    file = decisions(*(literal(f"d{n}", text, *"abcdef") for n in range(3)), inputs=tuple("abcdef"))
    assert codes(file) == set()


def test_a_name_as_long_as_a_book_is_refused_and_told_short() -> None:
    long = literal("甲" * 20_000, "(")
    (finding,) = found(decisions(long, inputs=()))
    assert finding.code == "dmn_too_large"
    assert len(str(finding)) < 500


def test_what_is_wrong_is_told_short_however_long_it_is() -> None:
    column = table("级别", {"n": "甲" * 400}, "(")
    assert sum(len(str(finding)) for finding in found(decisions(column, inputs=("n",)))) < 5_000
