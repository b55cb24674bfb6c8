"""Which files a form may name: those that its very field held, and those that the person has sent."""

import io
import uuid
from pathlib import Path

import pytest

from engine import attachments
from engine.bpm.models import Instance
from engine.errors import NotFound
from engine.settings import Settings
from tests.dsl import Bpm, Story
from tests.factories.papers import PROCESS


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(var=tmp_path)


def sent(bpm: Bpm, settings: Settings, who: str) -> str:
    """Let somebody send a file; return its id."""
    with bpm.db.unit_of_work() as session:
        file = attachments.receive(session, settings, bpm.actor(who), "a.txt", io.BytesIO(b"x"))
        return str(file.id)


@pytest.fixture
def files(bpm: Bpm, settings: Settings) -> dict[str, str]:
    return {key: sent(bpm, settings, "nurse") for key in ("open", "secret")}


@pytest.fixture
def story(bpm: Bpm, files: dict[str, str]) -> Story:
    """A request with a file in each field; the head nurse sees and edits one of them."""
    bpm.deploy_files(PROCESS)
    return bpm.start("papers", by="nurse", open=[files["open"]], secret=[files["secret"]])


def state(bpm: Bpm, id_: str) -> tuple[uuid.UUID | None, str]:
    with bpm.db.reading() as session:
        file = session.get_one(attachments.Attachment, uuid.UUID(id_))
        return file.instance_id, file.field


def test_a_field_keeps_what_it_held_and_takes_what_was_sent(
    bpm: Bpm, story: Story, files: dict[str, str], settings: Settings
) -> None:
    mine = sent(bpm, settings, "head_nurse")
    story.submit("head_nurse", open=[files["open"], mine])
    assert state(bpm, mine) == (story.id, "open")
    assert state(bpm, files["open"]) == (story.id, "open")


def test_a_file_of_a_hidden_field_is_no_file_of_this_one(bpm: Bpm, story: Story, files: dict[str, str]) -> None:
    with pytest.raises(NotFound) as refused:
        story.submit("head_nurse", open=[files["open"], files["secret"]])
    assert refused.value.code == "attachment_not_found"
    assert state(bpm, files["secret"]) == (story.id, "secret")
    with bpm.db.reading() as session:
        assert session.get_one(Instance, story.id).state == "running"


def test_what_was_taken_out_of_a_field_doesn_t_come_back(bpm: Bpm, story: Story, files: dict[str, str]) -> None:
    story.send_back("head_nurse", to="initiator").submit("nurse", open=[], secret=[files["secret"]])
    with pytest.raises(NotFound):
        story.submit("head_nurse", open=[files["open"]])
