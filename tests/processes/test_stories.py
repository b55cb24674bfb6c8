"""Every story of the processes that ship is played, on both databases, and together they walk every way there is."""

from pathlib import Path

import pytest

import engine.registry
from engine.bpm.scenarios import run
from engine.db import Database

PROCESSES = Path(__file__).resolve().parents[2] / "processes"
FOLDERS = sorted(path.parent for path in PROCESSES.glob("*/process.bpmn"))

assert engine.registry  # importing it registers operations and handlers


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_story_passes_and_nothing_is_left_without_one(folder: Path, hospital_db: Database) -> None:
    report = run(hospital_db, folder)
    assert [str(result) for result in report.results if not result.passed] == []
    assert report.gaps == []


def test_the_six_processes_are_there() -> None:
    assert [folder.name for folder in FOLDERS] == [
        "document_incoming",
        "document_outgoing",
        "leave_request",
        "notice_circulation",
        "purchase_request",
        "seal_use",
    ]
