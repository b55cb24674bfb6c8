"""Until when a step should be done (办理期限): the earliest timer on its border, and what is overdue by it."""

from datetime import timedelta

from engine import clock
from engine.bpm import queries
from engine.bpm.queries import Filters
from tests.dsl import Bpm, bpmn, chain, start_task, task

EVENTS = (
    '<boundaryEvent id="remind" attachedToRef="review" cancelActivity="false"><timerEventDefinition>'
    "<timeCycle>R3/P1D</timeCycle></timerEventDefinition></boundaryEvent>"
    '<boundaryEvent id="expire" attachedToRef="review"><timerEventDefinition>'
    "<timeDuration>P5D</timeDuration></timerEventDefinition></boundaryEvent>"
    '<endEvent id="reminded"/><endEvent id="expired"/>'
    '<sequenceFlow id="f_r" sourceRef="remind" targetRef="reminded"/>'
    '<sequenceFlow id="f_e" sourceRef="expire" targetRef="expired"/>'
)
TIMED = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task()
    + task("review", "head_nurse", "pediatrics_head")
    + task("final", "finance_head")
    + EVENTS
    + chain("s", "apply", "review", "final", "e"),
    key="timed",
)


def board(bpm: Bpm, who: str) -> tuple[int, int, int, int]:
    with bpm.db.reading() as session:
        found = queries.board(session, bpm.actor(who))
    return found.todo, found.read_todo, found.started, found.overdue


def test_a_step_is_overdue_when_its_first_timer_is(bpm: Bpm) -> None:
    clock.freeze(now := clock.now())
    story = bpm.deploy_files(TIMED).start("timed", by="nurse")
    with bpm.db.reading() as session:
        (row,) = queries.page(session, bpm.actor("head_nurse"), "todo").rows
        assert row.due_at == now + timedelta(days=1)  # the reminder, which comes before the end
        assert not row.overdue
    assert board(bpm, "head_nurse") == (1, 0, 0, 0)
    assert board(bpm, "nurse") == (0, 0, 1, 0)

    clock.freeze(now + timedelta(days=1, seconds=1))
    bpm.work()  # the reminder
    assert board(bpm, "head_nurse") == board(bpm, "pediatrics_head") == (1, 0, 0, 1)
    with bpm.db.reading() as session:
        late = queries.page(session, bpm.actor("head_nurse"), "todo", filters=Filters(overdue=True))
        assert [row.overdue for row in late.rows] == [True]
        assert queries.work_item_detail(session, bpm.actor("head_nurse"), late.rows[0].id).item.overdue

    story.approve(by="head_nurse", step="review")
    assert board(bpm, "head_nurse") == board(bpm, "pediatrics_head") == (0, 0, 0, 0)
    with bpm.db.reading() as session:  # what has no timer is never overdue; what is done isn't any more
        assert queries.page(session, bpm.actor("finance_head"), "todo", filters=Filters(overdue=True)).rows == ()
        assert queries.page(session, bpm.actor("finance_head"), "todo").rows[0].due_at is None
        assert not queries.page(session, bpm.actor("head_nurse"), "done").rows[0].overdue


def test_the_box_that_the_number_of_running_ones_leads_to(bpm: Bpm) -> None:
    story = bpm.deploy_files(TIMED).start("timed", by="nurse")
    bpm.start("timed", by="nurse")
    story.act("withdraw", "nurse", story.id, reason="不用了")
    with bpm.db.reading() as session:
        rows = queries.page(session, bpm.actor("nurse"), "started", filters=Filters(state="running")).rows
    assert len(rows) == board(bpm, "nurse")[2] == 1
