"""What the end of an instance takes along."""

import pytest
from sqlalchemy import select

from engine.bpm.models import Incident
from tests.dsl import Bpm
from tests.engine.bpm.contracts.kit import incidents, line

STEP = (
    '<userTask id="lost" name="lost"><extensionElements><piyue:task kind="decide"/>'
    '<piyue:assign rule="field" field="nobody_here"/></extensionElements></userTask>'
)
LOST = line(("lost", STEP))


@pytest.mark.parametrize(("end", "by"), [("withdraw", "nurse"), ("terminate", "process_admin")])
def test_an_end_before_its_time_resolves_the_open_incidents(bpm: Bpm, end: str, by: str) -> None:
    bpm.deploy_files(LOST)
    story, other = [bpm.start("p", by="nurse") for _ in range(2)]
    assert incidents(story) == ["nobody"]
    story.act(end, by, story.id, reason="不要了")
    assert incidents(story) == []
    assert incidents(story, resolved=True) == ["nobody"]
    assert incidents(other) == ["nobody"]
    with bpm.db.reading() as session:
        row = session.scalars(select(Incident).where(Incident.instance_id == story.id)).one()
    assert row.resolved_by == bpm.person(by)
    assert row.resolved_at == story.instance.ended_at
