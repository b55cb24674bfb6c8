"""The processes that ship give the linter nothing to say."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

import engine.registry
from engine.bpm import definitions, lint
from engine.bpm.forms import Form
from engine.org.demo import load_demo

PROCESSES = Path(__file__).resolve().parents[2] / "processes"
FOLDERS = sorted(path.parent for path in PROCESSES.glob("*/process.bpmn"))

assert engine.registry  # importing it registers operations and handlers


@pytest.mark.backend("sqlite")
def test_no_finding_not_even_a_hint(session: Session) -> None:
    load_demo(session)
    known = definitions.organisation(session)
    for folder in FOLDERS:
        files = {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in folder.rglob("*.*")}
        assert lint.check(files, known=known) == []


@pytest.mark.parametrize("path", sorted(PROCESSES.glob("*/forms/*.json")), ids=lambda path: path.stem)
def test_forms_load_without_a_hint(path: Path) -> None:
    assert Form.load(path.read_text(encoding="utf-8"), place=path.name).lint() == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_can_be_uploaded_as_it_is(folder: Path) -> None:
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    assert set(definitions.checked_files(files)) >= {"process.bpmn", "README.md", "scenarios.yaml"}
