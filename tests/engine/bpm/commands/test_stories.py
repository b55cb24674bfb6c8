"""What people do to a running instance, told on small processes of the tests' own."""

import orjson
import pytest
from sqlalchemy import func, select

from engine.bpm import commands
from engine.bpm.models import Draft, Incident, WorkRound
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from tests.dsl import Bpm, bpmn, chain, flow, start_task, task

TWO = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task()
    + task("first", "head_nurse")
    + task("second", "pediatrics_head")
    + chain("s", "apply", "first", "second", "e")
)


def test_a_request_goes_from_hand_to_hand(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse")
    story.expect_open(("first", "head_nurse")).approve(by="head_nurse")
    story.expect_open(("second", "pediatrics_head")).approve(by="pediatrics_head").expect_open().expect_state(
        "completed"
    )
    assert story.trail == [
        ("start", "apply", "submit"),
        ("complete", "first", "approve"),
        ("complete", "second", "approve"),
    ]


def test_refusals_come_in_a_fixed_order(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse")
    item = story.item("head_nurse")
    with pytest.raises(NotFound):
        story.act("complete", "surgeon", item.id, "approve")
    with pytest.raises(Forbidden) as forbidden:
        story.act("complete", "nurse", item.id, "approve")
    assert "曾淑贞" in forbidden.value.message
    with pytest.raises(Invalid) as invalid:
        story.act("complete", "head_nurse", item.id, "shrug")
    assert "同意" in invalid.value.message
    with pytest.raises(Invalid):
        story.act("complete", "head_nurse", item.id, "reject")
    with pytest.raises(Conflict):
        story.act("complete", "head_nurse", item.id, "approve", version=99)
    story.approve(by="head_nurse")
    with pytest.raises(Conflict) as conflict:
        story.act("complete", "head_nurse", item.id, "approve")
    assert "您已于" in conflict.value.message


def test_the_same_key_acts_once(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse")
    item = story.item("head_nurse")
    for _ in range(3):
        story.act("complete", "head_nurse", item.id, "approve", key="tap")
    assert [t for t in story.trail if t[0] == "complete"] == [("complete", "first", "approve")]
    with pytest.raises(Conflict) as reused:
        story.act("complete", "head_nurse", story.item("pediatrics_head").id, "approve", key="tap")
    assert reused.value.code == "idempotency_key_reused"


def test_return_to_the_initiator_walks_every_step_again(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse").approve(by="head_nurse")
    story.send_back(by="pediatrics_head", to="initiator").expect_open(("apply", "nurse"))
    story.submit(by="nurse").expect_open(("first", "head_nurse")).approve(by="head_nurse")
    story.expect_open(("second", "pediatrics_head")).approve(by="pediatrics_head").expect_state("completed")


def test_return_with_jump_comes_straight_back(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse").approve(by="head_nurse")
    story.send_back(by="pediatrics_head", to="initiator", mode="jump").expect_open(("apply", "nurse"))
    story.submit(by="nurse").expect_open(("second", "pediatrics_head"))


def test_a_return_needs_a_reason(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse")
    with pytest.raises(Invalid) as refused:
        story.act("send_back", "head_nurse", story.item("head_nurse").id, to="initiator", opinion=" ")
    assert refused.value.errors[0]["place"] == "opinion"


def test_take_back_until_the_next_acts(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse").approve(by="head_nurse")
    done = story.item("head_nurse", "first", "done")
    story.act("take_back", "head_nurse", done.id).expect_open(("first", "head_nurse"))
    story.approve(by="head_nurse").expect_open(("second", "pediatrics_head"))
    again = story.item("head_nurse", "first", "done")
    story.approve(by="pediatrics_head")
    with pytest.raises(Conflict):
        story.act("take_back", "head_nurse", again.id)


COUNTERSIGN = bpmn(
    '<startEvent id="s"/><endEvent id="yes"/><endEvent id="no"/><exclusiveGateway id="x" default="x_no"/>'
    + start_task()
    + task("sign", "head_nurse", "pediatrics_head", "doctor", inner='<piyue:round policy="all" veto="true"/>')
    + chain("s", "apply", "sign", "x")
    + flow("x", "yes", 'outcome = "approve"')
    + flow("x", "no")
)


def test_a_countersign_needs_everybody(bpm: Bpm) -> None:
    story = bpm.deploy_files(COUNTERSIGN).start("p", by="nurse").approve(by="doctor").approve(by="head_nurse")
    story.expect_open(("sign", "pediatrics_head")).approve(by="pediatrics_head").expect_state("completed")


def test_a_veto_closes_the_others(bpm: Bpm) -> None:
    story = bpm.deploy_files(COUNTERSIGN).start("p", by="nurse").reject(by="doctor").expect_state("completed")
    assert {i.person for i in story.items("closed")} == {"head_nurse", "pediatrics_head"}
    with pytest.raises(Conflict) as late:
        story.act("complete", "head_nurse", story.item("head_nurse", "sign", "closed").id, "approve")
    assert "诸葛子轩" in late.value.message


def test_taking_back_a_countersign_keeps_the_others_decisions(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/>'
        + start_task()
        + task("sign", "head_nurse", "doctor", inner='<piyue:round policy="all"/>')
        + task("file", "hr_clerk")
        + chain("s", "apply", "sign", "file", "e")
    )
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").approve(by="head_nurse")
    story.act("take_back", "head_nurse", story.item("head_nurse", "sign", "done").id)
    story.expect_open(("sign", "head_nurse")).approve(by="head_nurse").expect_open(("file", "hr_clerk"))


def test_in_turn_one_after_the_other(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/>'
        + start_task()
        + task("sign", "doctor", "head_nurse", inner='<piyue:round policy="in_turn" veto="true"/>')
        + chain("s", "apply", "sign", "e")
    )
    story = bpm.deploy_files(files).start("p", by="nurse").expect_open(("sign", "doctor"))
    with pytest.raises(Conflict) as early:
        story.act("complete", "head_nurse", story.item("head_nurse", "sign", "queued").id, "approve")
    assert "还没有轮到" in early.value.message
    story.approve(by="doctor").expect_open(("sign", "head_nurse")).approve(by="head_nurse").expect_state("completed")


def test_share_ends_early_and_one_rejection_does_not_defeat_it(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/>'
        + start_task()
        + task("vote", "doctor", "head_nurse", "surgeon", "hr_clerk", inner='<piyue:round policy="share" value="50"/>')
        + task("next", "hr_head")
        + chain("s", "apply", "vote", "next", "e")
    )
    story = bpm.deploy_files(files).start("p", by="nurse").reject(by="doctor").approve(by="head_nurse")
    story.approve(by="surgeon").expect_open(("next", "hr_head"))
    assert story.instance.state == "running"


def test_claim_lets_the_others_stand_by(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/>'
        + start_task()
        + task("any", "doctor", "head_nurse", kind="fill")
        + chain("s", "apply", "any", "e")
    )
    story = bpm.deploy_files(files).start("p", by="nurse")
    story.act("claim", "doctor", story.item("doctor").id).expect_open(("any", "doctor"))
    with pytest.raises(Conflict) as standby:
        story.act("complete", "head_nurse", story.item("head_nurse", "any", "standby").id, "submit")
    assert "签收" in standby.value.message
    story.act("unclaim", "doctor", story.item("doctor").id).expect_open(("any", "doctor"), ("any", "head_nurse"))
    story.submit(by="head_nurse").expect_state("completed")


def test_reassign_hands_over_for_good(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse")
    item = story.item("head_nurse")
    story.act("reassign", "head_nurse", item.id, to=bpm.person("doctor"), reason="出差")
    story.expect_open(("first", "doctor"))
    with pytest.raises(Conflict):
        story.act("complete", "head_nurse", item.id, "approve")
    story.approve(by="doctor").expect_open(("second", "pediatrics_head"))


def test_an_admin_gives_an_item_to_others_not_to_themselves(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse")
    item = story.item("head_nurse").id
    with pytest.raises(Invalid) as refused:
        story.act("reassign", "process_admin", item, to=bpm.person("process_admin"), reason="我来")
    assert refused.value.code == "to_oneself"
    story.act("reassign", "process_admin", item, to=bpm.person("doctor"), reason="护士长出差")
    story.expect_open(("first", "doctor"))


def test_readers_let_the_instance_go_on_when_all_have_read(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/>'
        + start_task()
        + task("read", "doctor", "head_nurse", kind="read")
        + task("file", "archivist", kind="fill")
        + chain("s", "apply", "read", "file", "e")
    )
    story = bpm.deploy_files(files).start("p", by="nurse").read(by="doctor").expect_open(("read", "head_nurse"))
    story.act("circulate", "doctor", story.item("doctor", "read", "done").id, to=[bpm.person("surgeon")])
    story.read(by="head_nurse").expect_open(("read", "surgeon")).read(by="surgeon").expect_open(("file", "archivist"))


def test_withdraw_and_terminate_close_everything(bpm: Bpm) -> None:
    bpm.deploy_files(TWO)
    story = bpm.start("p", by="nurse")
    with pytest.raises(Forbidden):
        story.act("withdraw", "head_nurse", story.id, reason="不要了")
    story.act("withdraw", "nurse", story.id, reason="不请了").expect_state("withdrawn").expect_open()
    with pytest.raises(Conflict):
        story.act("withdraw", "nurse", story.id, reason="再撤")
    other = bpm.start("p", by="nurse")
    other.act("terminate", "process_admin", other.id, reason="重复").expect_state("terminated").expect_open()


def test_urging_is_limited_to_once_an_hour(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse")
    story.act("urge", "nurse", story.id)
    with pytest.raises(Conflict) as again:
        story.act("urge", "nurse", story.id)
    assert again.value.code == "urged_recently"
    with pytest.raises(NotFound):
        story.act("urge", "surgeon", story.id)


def test_nobody_urges_themselves(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse")
    alone = next(who for step, who in story.open)
    with pytest.raises(Conflict) as refused:
        story.act("urge", alone, story.id)
    assert refused.value.code == "nobody_to_urge"


def test_a_copy_is_seen_but_not_decided(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse")
    story.act("copy", "nurse", story.id, to=[bpm.person("surgeon")], reason="请知悉")
    story.act("comment", "surgeon", story.id, text="收到")
    with pytest.raises(Forbidden):
        story.act("complete", "surgeon", story.item("head_nurse").id, "approve")


def test_jump_is_for_admins_with_a_reason(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="nurse")
    with bpm.db.reading() as session:
        task_id = session.scalar(
            select(WorkRound.task_id).where(WorkRound.instance_id == story.id, WorkRound.closed_at.is_(None))
        )
    with pytest.raises(Forbidden):
        story.act("jump", "nurse", story.id, task_id=task_id, to="second", reason="快点")
    story.act("jump", "process_admin", story.id, task_id=task_id, to="second", reason="第一步的人离职")
    story.expect_open(("second", "pediatrics_head"))


def test_nobody_found_goes_to_the_process_admins_with_an_incident(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/>'
        + start_task()
        + '<userTask id="lost" name="lost"><extensionElements><piyue:task kind="decide"/>'
        '<piyue:assign rule="field" field="nobody_here"/></extensionElements></userTask>'
        + chain("s", "apply", "lost", "e")
    )
    story = bpm.deploy_files(files).start("p", by="nurse").expect_open(("lost", "process_admin"))
    with bpm.db.reading() as session:
        kinds = list(session.scalars(select(Incident.kind).where(Incident.instance_id == story.id)))
    assert kinds == ["nobody"]


def test_a_gateway_without_a_way_refuses_the_act_and_raises_one_incident(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/><exclusiveGateway id="x"/>'
        + start_task()
        + task("first", "head_nurse")
        + chain("s", "apply", "first", "x")
        + flow("x", "e", "level &gt; 3")
        + flow("x", "f", "level &lt; 1")
    )
    story = bpm.deploy_files(files).start("p", by="nurse")
    item = story.item("head_nurse")
    for _ in range(2):
        with pytest.raises(commands.ProcessFault):
            story.act("complete", "head_nurse", item.id, "approve")
    story.expect_open(("first", "head_nurse"))
    with bpm.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Incident).where(Incident.instance_id == story.id)) == 1


def test_an_incident_without_a_step_to_retry_is_refused_and_stops_no_timer(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/>'
        + start_task()
        + '<userTask id="lost" name="lost"><extensionElements><piyue:task kind="decide"/>'
        '<piyue:assign rule="field" field="nobody_here"/></extensionElements></userTask>'
        + chain("s", "apply", "lost", "e")
    )
    story = bpm.deploy_files(files).start("p", by="nurse")
    with bpm.db.reading() as session:
        incident = session.scalar(select(Incident.id).where(Incident.instance_id == story.id))
    with pytest.raises(Conflict) as refused:
        story.act("retry", "process_admin", incident)
    assert refused.value.code == "not_retryable"
    story.act("dismiss", "process_admin", incident)
    assert commands.fire_due(bpm.db) == 0


def test_the_data_says_who_started_it(bpm: Bpm) -> None:
    story = bpm.deploy_files(TWO).start("p", by="head_nurse")
    actor = bpm.actor("head_nurse")
    assert orjson.loads(story.instance.data)["initiator"] == {
        "id": str(actor.person_id),
        "name": actor.name,
        "department": actor.department_name,
        "department_id": str(actor.department_id),
        "post": "护士长",
    }


def test_drafts_go_with_their_items(bpm: Bpm) -> None:
    reading = task("circulate", "head_nurse", "surgeon", "doctor", kind="read")
    line = chain("s", "apply", "circulate", "e")
    bpm.deploy_files(bpmn(f'<startEvent id="s"/><endEvent id="e"/>{start_task()}{reading}{line}', key="reading"))
    story = bpm.start("reading", by="nurse")
    for who in ("head_nurse", "surgeon", "doctor"):
        with bpm.db.unit_of_work() as session:
            commands.save_draft(session, bpm.actor(who), item_id=story.item(who).id, content={"opinion": "收"})
    story.read(by="head_nurse").complete(by="surgeon", outcome="acknowledge")
    with bpm.db.unit_of_work() as session:
        commands.purge_drafts(session)
    with bpm.db.reading() as session:
        assert session.scalars(select(Draft.person_id)).all() == [bpm.person("doctor")]
