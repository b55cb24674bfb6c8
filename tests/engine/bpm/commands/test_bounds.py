"""What nobody may do without end, and to whom nothing is handed."""

from datetime import timedelta

import pytest

from engine import clock
from engine.bpm import commands
from engine.bpm.commands import talking
from engine.errors import Conflict, Invalid
from engine.org.system_accounts import create_system_account
from tests.dsl import Bpm, task
from tests.engine.bpm.contracts.kit import MONDAY, line


@pytest.mark.parametrize("verb", ["reassign", "copy"])
def test_nothing_is_handed_to_a_system_account(bpm: Bpm, verb: str) -> None:
    with bpm.db.unit_of_work() as session:
        account = create_system_account(session, None, "SYS-HIS", "挂号系统", "XX").id
    story = bpm.deploy_files(line(("first", task("first", "head_nurse")))).start("p", by="nurse")
    target = story.item("head_nurse").id if verb == "reassign" else story.id
    to = account if verb == "reassign" else [account]
    with pytest.raises(Invalid) as refused:
        story.act(verb, "head_nurse", target, to=to, reason="试试")
    assert refused.value.code == "person_unknown"
    assert story.open == {("first", "head_nurse")}


def test_drafts_have_an_end(bpm: Bpm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talking, "MOST_DRAFTS", 2)
    story = bpm.deploy_files(line(("first", task("first", "head_nurse")))).start("p", by="nurse")
    nurse, head = bpm.actor("nurse"), bpm.actor("head_nurse")
    with bpm.db.unit_of_work() as session:
        first, _ = (commands.save_draft(session, nurse, content={}, process_key="p") for _ in range(2))
    with pytest.raises(Conflict) as refused, bpm.db.unit_of_work() as session:
        commands.save_draft(session, nurse, content={}, process_key="p")
    assert refused.value.code == "draft_quota"
    with bpm.db.unit_of_work() as session:
        commands.save_draft(session, nurse, content={"data": {}}, process_key="p", draft_id=first)  # the same again
        commands.save_draft(session, head, content={}, process_key="p")  # everybody's own
        # those of items don't count
        commands.save_draft(session, head, content={}, item_id=story.item("head_nurse").id)
        commands.drop_draft(session, nurse, first)
        commands.save_draft(session, nurse, content={}, process_key="p")


def test_comments_do_not_push_the_trail_out_of_sight(bpm: Bpm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talking, "MOST_COMMENTS", 2)
    clock.freeze(MONDAY)
    story = bpm.deploy_files(line(("first", task("first", "head_nurse")))).start("p", by="nurse")
    for _ in range(2):
        story.act("comment", "nurse", story.id, text="刷屏")
    with pytest.raises(Conflict) as refused:
        story.act("comment", "nurse", story.id, text="刷屏")
    assert refused.value.code == "commented_too_often"
    story.act("comment", "head_nurse", story.id, text="请说明")  # everybody's own
    clock.freeze(MONDAY + timedelta(hours=1))
    story.act("comment", "nurse", story.id, text="说明如下")
