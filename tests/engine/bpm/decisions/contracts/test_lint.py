"""`piyue process lint`: rules of a Unique table that overlap, cases without a rule, each with the example input."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import piyue
from engine.settings import ROOT
from tests.engine.bpm.decisions.contracts.files import data, decision, item, loaded, model, table

OVERLAP, GAP = "table_overlap", "table_gap"


def lint(folder: Path, *parts: str) -> list[dict[str, Any]]:
    """Return the findings about a decision table in a folder that is otherwise in order."""
    shutil.copytree(ROOT / "processes" / "leave_request", folder / "leave_request")
    shutil.rmtree(folder / "leave_request" / "decisions", ignore_errors=True)
    (folder / "leave_request" / "decisions").mkdir()
    (folder / "leave_request" / "decisions" / "a.dmn").write_text(model(*parts), "utf-8")
    result = CliRunner().invoke(piyue.app, ["process", "lint", "--json", str(folder / "leave_request")])
    found = [one for one in json.loads(result.stdout) if one["file"] == "decisions/a.dmn"]
    assert result.exit_code == (1 if any(one["severity"] == "error" for one in json.loads(result.stdout)) else 0)
    return [one for one in found if one["code"] in (OVERLAP, GAP)]


def typed(logic: str, kind: str) -> str:
    return logic.replace("<inputExpression>", f'<inputExpression typeRef="{kind}">')


@pytest.mark.parametrize(
    ("kind", "rules", "codes"),
    [
        ("number", ["< 10 | 1", "[5..20] | 2", "> 20 | 3"], {OVERLAP}),
        ("number", ["< 10 | 1", "[10..20] | 2", "> 30 | 3"], {GAP}),
        ("number", ["< 10 | 1", "[5..20] | 2", "> 30 | 3"], {OVERLAP, GAP}),
        ("number", ["< 10 | 1", ">= 10 | 2"], set()),
        ("number", ["< 10 | 1", "> 10 | 2"], {GAP}),
        ("number", ["<= 10 | 1", ">= 10 | 2"], {OVERLAP}),
        ("number", ["[1..5] | 1", "not([1..5]) | 2"], set()),
        ("number", ["1, 2 | 1", "2, 3 | 2", "not(1, 2, 3) | 3"], {OVERLAP}),
        ("number", ["- | 1", "5 | 2"], {OVERLAP}),
        ("number", ["(0..1) | 1", "[1..2) | 2", "<= 0 | 3", ">= 2 | 4"], set()),
        ("number", ["< 0.1 | 1", "(0.1..1] | 2", "> 1 | 3"], {GAP}),
        ("boolean", ["true | 1", "false | 2"], set()),
        ("boolean", ["true | 1"], {GAP}),
        ("boolean", ["true | 1", "- | 2"], {OVERLAP}),
        ("boolean", ["not(true) | 1", "true | 2"], set()),
        ("Grade", ['"甲" | 1', '"乙" | 2', '"丙" | 3'], set()),
        ("Grade", ['"甲" | 1', '"乙" | 2'], {GAP}),
        ("Grade", ['"甲", "乙" | 1', '"乙", "丙" | 2'], {OVERLAP}),
        ("Grade", ['"甲" | 1', 'not("甲") | 2'], set()),
        ("Percent", ["[0..50) | 1", "[50..100] | 2"], set()),
        ("Percent", ["[0..50) | 1", "[60..100] | 2"], {GAP}),
    ],
)
def test_overlaps_and_gaps_are_found_with_an_example_that_shows_them(
    tmp_path: Path, kind: str, rules: list[str], codes: set[str]
) -> None:
    parts = (
        item("Grade", "string", allowed='"甲", "乙", "丙"'),
        item("Percent", "number", allowed="[0..100]"),
        data("x", kind),
        decision("D", typed(table("UNIQUE", ["x"], ["out"], rules), kind), "x"),
    )
    found = lint(tmp_path, *parts)
    assert {one["code"] for one in found} == codes
    for one in found:
        example = re.search(r"x = (\S+?)[；，;,]", one["message"])
        assert example, one["message"]
        shown = json.loads(example[1].replace("“", '"').replace("”", '"'))
        collected = table("COLLECT", ["x"], ["out"], rules)
        hits = loaded(*parts[:-1], decision("D", collected, "x")).evaluate("D", {"x": shown}) or []
        assert len(hits) > 1 if one["code"] == OVERLAP else hits == [], one["message"]


def test_two_columns_overlap_only_where_both_do(tmp_path: Path) -> None:
    rules = ["< 10 | true | 1", "[5..20] | false | 2", ">= 10 | true | 3", "(-100..5) | false | 4"]
    found = lint(
        tmp_path,
        data("x", "number"),
        data("y", "boolean"),
        decision("D", table("UNIQUE", ["x", "y"], ["o"], rules), "x", "y"),
    )
    assert [one["code"] for one in found if one["code"] == OVERLAP] == []
    assert GAP in [one["code"] for one in found]


@pytest.mark.parametrize("policy", ["FIRST", "COLLECT", "RULE ORDER"])
def test_other_policies_may_hit_twice(tmp_path: Path, policy: str) -> None:
    logic = table(policy, ["x"], ["out"], ["< 10 | 1", "[5..20] | 2", "> 20 | 3"])
    assert OVERLAP not in [one["code"] for one in lint(tmp_path, data("x", "number"), decision("D", logic, "x"))]


def test_a_default_covers_the_rest(tmp_path: Path) -> None:
    logic = table("UNIQUE", ["x"], ["out"], ["< 10 | 1"], values={"=out": "0"})
    assert lint(tmp_path, data("x", "number"), decision("D", logic, "x")) == []


def test_the_type_of_an_input_bounds_its_column(tmp_path: Path) -> None:
    logic = table("UNIQUE", ["x"], ["out"], ["[0..50) | 1", "[50..100] | 2"])
    percent = item("Percent", "number", allowed="[0..100]")
    assert lint(tmp_path, percent, data("x", "Percent"), decision("D", logic, "x")) == []
