"""Who reads the ledger of document numbers, and who marks one void."""

import pytest

from engine import clock
from engine.documents import numbering
from engine.documents.numbering import OFFICE
from engine.errors import Conflict, Forbidden
from engine.org.actor import ADMIN, AUDITOR
from tests.dsl import Bpm, bpmn, chain, start_task, task


def test_the_office_and_process_admins_void_and_the_auditor_only_reads(bpm: Bpm) -> None:
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + task("t", "doctor") + chain("s", "apply", "t", "e")
    story = bpm.deploy_files(bpmn(body)).start("p", by="nurse")
    with bpm.db.unit_of_work() as session:
        for request in ("1", "2"):
            numbering.allocate(session, word="医发", year=2026, instance_id=story.id, request=request, now=clock.now())
    assert [bpm.actor(who).has(role) for who, role in CAST] == [True] * 3
    for who, role in CAST:
        with bpm.db.reading() as session:
            found = numbering.ledger(session, bpm.actor(who), word="医发", year=2026)
        assert [row.number for row in found] == [1, 2], role
    with bpm.db.unit_of_work() as session:
        for who in ("auditor", "nurse"):
            with pytest.raises(Forbidden):
                numbering.void(session, bpm.actor(who), "医发〔2026〕1号", reason="重复")
        numbering.void(session, bpm.actor("office_clerk"), "医发〔2026〕1号", reason="重复")
        numbering.void(session, bpm.actor("process_admin"), "医发〔2026〕2号", reason="不再印发")
        with pytest.raises(Conflict):
            numbering.void(session, bpm.actor("office_clerk"), "医发〔2026〕1号", reason="重复")
    with bpm.db.reading() as session:
        found = numbering.ledger(session, bpm.actor("auditor"), word="医发", year=2026)
        assert [row.void_reason for row in found] == ["重复", "不再印发"]
        with pytest.raises(Forbidden):
            numbering.ledger(session, bpm.actor("nurse"), word="医发", year=2026)


CAST = (("office_clerk", OFFICE), ("process_admin", ADMIN), ("auditor", AUDITOR))
