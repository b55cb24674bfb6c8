"""Every story of the processes that ship is played, on both databases, and together they walk every way there is."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from lxml import etree
from sqlalchemy import select

import engine.registry
from engine.bpm.extensions import BPMN
from engine.bpm.models import ActionLog
from engine.bpm.scenarios import run
from engine.db import Database

PROCESSES = Path(__file__).resolve().parents[2] / "processes"
FOLDERS = sorted(path.parent for path in PROCESSES.glob("*/process.bpmn"))

assert engine.registry  # importing it registers operations and handlers


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_story_passes_and_every_flow_is_walked(folder: Path, hospital_db: Database) -> None:
    results = run(hospital_db, folder)
    assert [str(result) for result in results if not result.passed] == []
    assert set(elements(folder)) - walked(hospital_db) == set()


def test_the_six_processes_are_there() -> None:
    assert [folder.name for folder in FOLDERS] == [
        "document_incoming",
        "document_outgoing",
        "leave_request",
        "notice_circulation",
        "purchase_request",
        "seal_use",
    ]


def elements(folder: Path) -> Iterator[str]:
    """Ids of all flows, as the trail names them: those of a called process with its id before them."""
    for path in folder.rglob("*.bpmn"):
        root = etree.parse(path).getroot()
        process = root.find(f"{{{BPMN}}}process")
        assert process is not None
        prefix = "" if path.name == "process.bpmn" else f"{process.get('id')}:"
        for flow in root.iter(f"{{{BPMN}}}sequenceFlow"):
            yield f"{prefix}{flow.get('id')}"


def walked(db: Database) -> set[str]:
    with db.reading() as session:
        return {element for path in session.scalars(select(ActionLog.path)) for element in orjson.loads(path)}
