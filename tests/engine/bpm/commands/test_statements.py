"""What a command sends: a completion is raw SQL in batches and nothing beside them."""

from sqlalchemy import func, select

from engine.bpm import commands
from engine.bpm.models import Draft
from tests.dsl import Bpm, bpmn, chain, start_task, task
from tests.factories.statements import sent

STEPS = [f"step{number}" for number in range(4)]
LINE = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task()
    + "".join(task(step, "head_nurse", inner='<piyue:merge when="never"/>') for step in STEPS)
    + chain("s", "apply", *STEPS, "e")
)


def test_a_completion_sends_no_statement_through_sqlalchemy(bpm: Bpm) -> None:
    story = bpm.deploy_files(LINE).start("p", by="nurse").approve(by="head_nurse")
    nurse, item = bpm.actor("head_nurse"), story.item("head_nurse").id
    with sent(bpm.db.engine) as statements, bpm.db.unit_of_work() as session:
        commands.complete(session, nurse, item, "approve", key="tap")
    assert [statement for statement in statements if not statement.startswith("BEGIN")] == []
    assert story.open_steps == {STEPS[2]}


def test_a_completion_takes_the_handler_s_draft_with_it(bpm: Bpm) -> None:
    story = bpm.deploy_files(LINE).start("p", by="nurse")
    for verb in ("approve", "reject"):
        item = story.item("head_nurse").id
        story.act("save_draft", "head_nurse", content={"opinion": "写到一半"}, item_id=item)
        with bpm.db.reading() as session:
            assert session.scalar(select(func.count()).select_from(Draft)) == 1
        story.complete("head_nurse", verb)
        with bpm.db.reading() as session:
            assert session.scalar(select(func.count()).select_from(Draft)) == 0
