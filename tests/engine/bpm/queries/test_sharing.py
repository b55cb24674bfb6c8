"""What a hidden field holds stays hidden: in copies, and for who knows the id of a file."""

import io
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from engine import attachments, clock
from engine.bpm import queries
from engine.settings import Settings
from tests.dsl import Bpm, Story


@pytest.fixture
def file(bpm: Bpm, tmp_path: Path) -> uuid.UUID:
    with bpm.db.unit_of_work() as session:
        content = io.BytesIO("诊断证明".encode())
        return attachments.receive(session, Settings(var=tmp_path), bpm.actor("doctor"), "诊断证明.txt", content).id


@pytest.fixture
def leave(bpm: Bpm, file: uuid.UUID) -> Story:
    """A sick leave with its certificate, agreed to, of which the handover person is told."""
    first = clock.today() + timedelta(days=10)
    data = {"leave_type": "病假", "start_date": first.isoformat(), "end_date": first.isoformat(), "reason": "发热"}
    story = bpm.deploy("leave_request").start(
        "leave_request", "doctor", **data, handover=str(bpm.person("nurse")), attachments=[str(file)]
    )
    return story.approve(by="pediatrics_head")


def shown(story: Story, who: str) -> dict[str, object]:
    with story.bpm.db.reading() as session:
        detail = queries.instance_detail(session, story.bpm.actor(who), story.id)
    return {key: value for form in detail.forms for key, value in form.data.items()}


def opens(story: Story, who: str, file: uuid.UUID) -> bool:
    with story.bpm.db.reading() as session:
        return queries.may_open(session, story.bpm.actor(who), story.id, file)


def test_a_copy_shows_what_its_sender_saw(leave: Story, file: uuid.UUID) -> None:
    leave.act("copy", "nurse", leave.id, to=[leave.bpm.person("surgeon")], reason="请知悉")
    for who in ("nurse", "surgeon"):
        assert "start_date" in shown(leave, who)
        assert {"reason", "attachments"}.isdisjoint(shown(leave, who))
        assert not opens(leave, who, file)
    leave.act("copy", "pediatrics_head", leave.id, to=[leave.bpm.person("hr_clerk")], reason="请知悉")
    assert shown(leave, "hr_clerk")["reason"] == "发热"
    assert opens(leave, "hr_clerk", file)


def test_a_copy_gives_no_right_of_a_handler(leave: Story) -> None:
    leave.act("copy", "pediatrics_head", leave.id, to=[leave.bpm.person("hr_clerk")], reason="请知悉")
    with leave.bpm.db.reading() as session:
        may = queries.instance_detail(session, leave.bpm.actor("hr_clerk"), leave.id).actions.may
    assert {"copy", "urge"}.isdisjoint(may)


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        ("doctor", True),
        ("pediatrics_head", True),
        ("process_admin", True),
        ("auditor", True),
        ("nurse", False),
        ("surgeon", False),
    ],
)
def test_a_file_opens_for_whom_its_field_is_shown_to(leave: Story, file: uuid.UUID, who: str, allowed: bool) -> None:
    assert opens(leave, who, file) is allowed
    assert not opens(leave, who, uuid.uuid4()) or who in ("process_admin", "auditor")
