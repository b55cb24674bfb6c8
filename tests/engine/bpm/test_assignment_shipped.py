"""The reasons (为什么是我) that people read on the items of a shipped process."""

from io import BytesIO
from pathlib import Path

from engine import attachments
from engine.org import roles
from engine.org.demo import CAST
from engine.settings import Settings
from tests.dsl import Bpm
from tests.factories import files


def test_reasons_name_fields_as_the_form_does(bpm: Bpm, tmp_path: Path) -> None:
    bpm.deploy("document_incoming")
    with bpm.db.unit_of_work() as session:
        clerk = bpm.actor("office_clerk")
        # he reads as a head then, not by the role
        roles.revoke(session, None, "doc_reader", CAST["pediatrics_head"].staff_number)
        letter = attachments.receive(session, Settings(var=tmp_path), clerk, "来文.pdf", BytesIO(files.PDF))
    story = bpm.start(
        "document_incoming", "office_clerk", title="督导检查", source="市卫健委", source_number="卫健发〔2026〕12号",
        received_date="2026-03-02", secrecy="普通", urgency="普通", copies=1, attachments=[str(letter.id)],
    )  # fmt: skip
    readers, departments = [str(bpm.person("nursing_head"))], [str(bpm.staff.departments["EK"])]
    story.submit("office_director", "propose")
    story.approve("hospital_director", "instruct", departments=departments, readers=readers)

    assert {
        "circulate": story.item("nursing_head", "circulate").why,
        "circulate by its head": story.item("pediatrics_head", "circulate").why,
        "handle": story.item("doctor", "handle").why,
    } == {
        "circulate": "主任，因在“传阅人员”中选定",
        "circulate by its head": "科主任，因是“承办科室”中儿科的负责人",
        "handle": "住院医师，因是“承办科室”中儿科的成员",
    }
