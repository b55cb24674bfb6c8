"""What the guides promise of urging, drafts, returns, the order of the trail, and the end of an instance."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from engine import audit, clock
from engine.bpm import commands
from engine.bpm.models import Incident, Subscription, Timer
from engine.errors import Conflict, Forbidden, NotFound
from engine.notices import Notice
from tests.dsl import Bpm, Story, chain, start_task, task
from tests.engine.bpm.contracts.kit import MONDAY, boundary, diagram, incidents, line, sub, timer

FIRST, SECOND = ("first", task("first", "head_nurse")), ("second", task("second", "doctor"))
LAST = ("last", task("last", "hr_head"))


@pytest.fixture
def story(bpm: Bpm) -> Story:
    return bpm.deploy_files(line(FIRST, SECOND, LAST)).start("p", by="nurse").approve(by="head_nurse")


def test_nobody_urges_oneself_alone(story: Story) -> None:
    with pytest.raises(Conflict) as refused:
        story.act("urge", "doctor", story.id)
    assert refused.value.code == "nobody_to_urge"
    assert "urge" not in {verb for verb, _, _ in story.trail}


def test_of_a_countersign_one_urges_the_others(bpm: Bpm) -> None:
    sign = task("sign", "doctor", "surgeon", "archivist", inner='<piyue:round policy="all"/>')
    story = bpm.deploy_files(line(("sign", sign), LAST)).start("p", by="nurse").approve(by="doctor")
    story.act("urge", "surgeon", story.id, text="请今天办")
    with bpm.db.reading() as session:
        urged = session.scalars(select(Notice.person_id).where(Notice.kind == "urge"))
        assert [bpm.name(person) for person in urged] == ["archivist"]


def test_who_may_not_urge_is_told_so_also_after_the_end(story: Story) -> None:
    story.act("copy", "nurse", story.id, to=[story.bpm.person("archivist")], reason="请知悉")
    for _ in range(2):
        with pytest.raises(Forbidden):
            story.act("urge", "archivist", story.id)
        if story.instance.state == "running":
            story.act("withdraw", "nurse", story.id, reason="不要了")


def test_within_the_hour_it_says_how_long_to_wait(story: Story) -> None:
    clock.freeze(MONDAY)
    story.act("urge", "nurse", story.id)
    for passed, left in ((0, 60), (1, 59), (59, 1)):
        clock.freeze(MONDAY + timedelta(minutes=passed))
        with pytest.raises(Conflict) as refused:
            story.act("urge", "nurse", story.id)
        assert f"请 {left} 分钟后再催" in refused.value.message
    clock.freeze(MONDAY + timedelta(minutes=60))
    story.act("urge", "nurse", story.id)


def test_a_draft_is_refused_as_the_item_would_be(story: Story) -> None:
    item = story.item("doctor").id

    def keep(who: str) -> None:
        with story.bpm.db.unit_of_work() as session:
            commands.save_draft(session, story.bpm.actor(who), content={"opinion": "想想"}, item_id=item)

    with pytest.raises(NotFound):
        keep("surgeon")
    with pytest.raises(Forbidden) as foreign:
        keep("nurse")
    assert "诸葛子轩" in foreign.value.message
    keep("doctor")
    story.act("withdraw", "nurse", story.id, reason="不要了")
    with pytest.raises(Conflict) as late:
        keep("doctor")
    assert "单晓燕" in late.value.message


@pytest.mark.parametrize(("mode", "next_"), [("rewalk", "first"), ("jump", "second"), ("choose", "first")])
def test_a_return_without_a_mode_goes_as_the_step_says(bpm: Bpm, mode: str, next_: str) -> None:
    second = ("second", task("second", "doctor", inner=f'<piyue:return mode="{mode}"/>'))
    story = bpm.deploy_files(line(FIRST, second, LAST)).start("p", by="nurse").approve(by="head_nurse")
    story.act("send_back", "doctor", story.item("doctor").id, to="initiator", opinion="请补充")
    story.submit(by="nurse").expect_open(next_)


def test_what_follows_from_an_act_stands_behind_it_on_the_trail(bpm: Bpm) -> None:
    merged = task("second", "head_nurse", inner='<piyue:merge when="previous"/>')
    skipped = task("mine", "nurse", inner='<piyue:same handler="skip"/>')
    bpm.deploy_files(
        line(("mine", skipped), FIRST, ("second", merged), ("third", skipped.replace("mine", "third")), LAST)
    )
    story = bpm.start("p", by="nurse").approve(by="head_nurse").expect_open("last")
    assert [(verb, step) for verb, step, _ in story.trail] == [
        ("start", "apply"),
        ("auto", "mine"),
        ("complete", "first"),
        ("auto", "second"),
        ("auto", "third"),
    ]
    with bpm.db.reading() as session:
        assert audit.verify(session)[1] == []


def test_a_mended_incident_says_who_mended_it(bpm: Bpm) -> None:
    lost = task("lost").replace('rule="initiator"', 'rule="expression" value="=[]"')
    story = bpm.deploy_files(line(("lost", lost), LAST)).start("p", by="nurse")
    assert incidents(story) == ["nobody"]
    with bpm.db.reading() as session:
        incident = session.scalar(select(Incident.id).where(Incident.instance_id == story.id))
    story.act("dismiss", "process_admin", incident)
    with pytest.raises(Conflict) as again:
        story.act("dismiss", "process_admin", incident)
    assert "燕子青" in again.value.message


@pytest.mark.parametrize(("verb", "who"), [("withdraw", "nurse"), ("terminate", "process_admin")])
def test_after_the_end_neither_time_nor_message_wakes_it(bpm: Bpm, verb: str, who: str) -> None:
    each = "<multiInstanceLoopCharacteristics><loopCardinality>3</loopCardinality></multiInstanceLoopCharacteristics>"
    body = (
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="e2"/><parallelGateway id="f"/><parallelGateway id="j"/>'
        + start_task()
        + task("one", "doctor")
        + boundary("late", "one", timer("P1D"), interrupting=False)
        + task("told", "hr_head")
        + '<intermediateCatchEvent id="w"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>'
        + sub("each", ("in", task("in", "surgeon")), inner=each)
        + chain("s", "apply", "f", "one", "j", "e")
        + chain("f", "w", "j")
        + chain("f", "each", "j")
        + chain("late", "told", "e2")
    )
    bpm.deploy_files(diagram(body, outside='<message id="m" name="货已到"/>'))
    clock.freeze(MONDAY)
    story = bpm.start("p", by="nurse")
    assert len(story.items()) == 4
    story.act(verb, who, story.id, reason="不要了").expect_open()
    with bpm.db.reading() as session:
        for table in (Timer, Subscription):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    before = story.trail
    with bpm.db.unit_of_work() as session:
        commands.send_message(session, "货已到", key="k")
    clock.freeze(MONDAY + timedelta(days=30))
    bpm.work()
    assert (story.trail, story.open) == (before, set())
