"""The designers' guide: its worked example is a process as it stands there, its vocabulary is complete."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from typer.testing import CliRunner

import engine.registry
import piyue
from engine.bpm import extensions
from engine.bpm.operations import operation_names
from engine.feel.problems import CODES
from engine.settings import ROOT

GUIDE = (ROOT / "docs" / "zh" / "设计员指南.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
FILES = dict(re.findall(r"^`processes/outing/([\w./]+)`[^\n]*\n```\w+\n(.*?)^```", GUIDE, re.M | re.S))

assert engine.registry  # importing it registers operations


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / "outing" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "outing" / path).write_text(text, "utf-8")
    return tmp_path / "outing"


def run(*words: str) -> str:
    done = CliRunner().invoke(piyue.app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_worked_example_does_what_the_guide_says(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIYUE_MODE", "demo")
    monkeypatch.setenv("PIYUE_VAR", str(tmp_path))
    monkeypatch.setenv("PIYUE_DATABASE_URL", f"sqlite:///{tmp_path}/guide.db")
    run("db", "upgrade")
    said = re.search(r"lint 说“(.+?)”，test 说“(.+?)”和“(.+?)”，deploy 说“(.+?)”", GUIDE)
    assert said is not None
    assert said[1] in run("process", "lint", str(folder))
    tested = run("process", "test", str(folder))
    assert said[2] in tested
    assert said[3] in tested
    assert said[4] in run("process", "deploy", str(folder), "--note", "第一版")


def test_every_word_of_the_vocabulary_is_explained() -> None:
    """What architecture.md lists of extensions, the guide tells designers."""
    section = ARCHITECTURE[ARCHITECTURE.index("## Extensions in a diagram") : ARCHITECTURE.index("## Rounds")]
    elements = set(re.findall(r"<piyue:(\w+)", section))
    attributes = set(re.findall(r"[ (](\w+)=\"", section))
    assert {name for name in elements if f"<piyue:{name}" not in GUIDE} == set()
    assert {name for name in attributes if not re.search(rf"\b{name}\b", GUIDE)} == set()
    assert {rule for rule in extensions.RULES if f"| {rule} |" not in GUIDE} == set()
    assert {policy for policy in extensions.POLICIES if not re.search(rf"^\| {policy}\b", GUIDE, re.M)} == set()
    standard = set(re.findall(r"`((?:loop|input|output|completion|time)\w+|standardLoop\w+)`", section))
    assert {name for name in standard if name not in GUIDE} == set()


def test_every_operation_is_listed() -> None:
    shipped = {name for name in operation_names() if not name.startswith(("tests.", "contracts."))}
    assert {name for name in shipped if f"| {name}" not in GUIDE} == set()


def test_what_the_type_check_finds_is_explained() -> None:
    table = GUIDE[GUIDE.index("## 十一、") :]
    assert {code for code in CODES if not re.search(rf"^\|.*\b{code}\b", table, re.M)} == set()


SNIPPETS = re.findall(r"^```xml\n(.*?)^```", GUIDE[GUIDE.index("## 三、") :], re.M | re.S)
NAMESPACES = f'xmlns:bpmn="{extensions.BPMN}" xmlns:piyue="{extensions.NAMESPACE}"'
READERS: dict[str, Callable[[Any], tuple[Any, list[extensions.Problem]]]] = {
    "process": extensions.parse_process,
    "serviceTask": extensions.parse_operation,
    "businessRuleTask": extensions.parse_rule,
    "userTask": extensions.parse_task,
    "callActivity": extensions.parse_mapping,
    "intermediateCatchEvent": extensions.parse_event,
    "boundaryEvent": extensions.parse_event,
}


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: text.split(maxsplit=1)[0].strip("<>"))
def test_what_the_guide_shows_is_read_without_a_complaint(snippet: str) -> None:
    if snippet.startswith("<piyue:"):
        first = snippet.split(maxsplit=1)[0].removeprefix("<piyue:")
        host = {"process": "process", "operation": "serviceTask"}.get(first, "userTask")
        inner = f"<bpmn:extensionElements>{snippet}</bpmn:extensionElements>"
        snippet = f"<bpmn:{host}>{inner}</bpmn:{host}>"
    root = etree.fromstring(f"<root {NAMESPACES}>{snippet}</root>")
    for element in root:
        kind = etree.QName(element).localname
        if kind in READERS:
            assert READERS[kind](element)[1] == []
