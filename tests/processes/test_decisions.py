"""The decision files of the shipped processes: drawn whole, and nothing of them that a table's check would tell."""

from pathlib import Path
from typing import Any

import pytest

from engine import xml
from engine.bpm import decisions

PROCESSES = Path(__file__).resolve().parents[2] / "processes"
FILES = sorted(PROCESSES.glob("*/decisions/*.dmn"))

pytestmark = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parents[1].name}-{path.stem}")


def test_every_element_and_requirement_has_its_place(path: Path) -> None:
    root: Any = xml.parse(path.read_bytes(), path.name)
    dmn, di = (f"{{{root.nsmap[prefix]}}}" for prefix in (None, "dmndi"))
    elements = [e.get("id") for tag in ("decision", "inputData") for e in root.iter(f"{dmn}{tag}")]
    needs = {e.get("id"): [inner.get("href")[1:] for inner in e] for e in root.iter(f"{dmn}informationRequirement")}
    assert elements
    assert all(set(targets) <= set(elements) for targets in needs.values())
    assert sorted(e.get("dmnElementRef") for e in root.iter(f"{di}DMNShape")) == sorted(elements)
    assert sorted(e.get("dmnElementRef") for e in root.iter(f"{di}DMNEdge")) == sorted(needs)


def test_every_rule_says_what_it_is_for(path: Path) -> None:
    read = decisions.load(path)
    assert not read.problems
    assert all(rule.note for table in read.tables for rule in table.rules)


def test_the_readme_shows_every_rule(path: Path) -> None:
    text = (path.parents[1] / "README.md").read_text("utf-8")
    for table in decisions.load(path).tables:
        for number, rule in enumerate(table.rules, 1):
            assert f"| {number} | `{rule.texts[0]}` |" in text
            (row,) = [line for line in text.splitlines() if line.startswith(f"| {number} | `{rule.texts[0]}` |")]
            assert row.endswith(f"| {rule.texts[-1].strip(chr(34))} |")
