"""The detail of items and instances: what each person sees, what they may do, and how it came here."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from engine import clock
from engine.bpm import commands, queries
from engine.errors import Conflict, NotFound
from engine.org.models import Person
from tests.dsl import Bpm, Story, bpmn, chain, start_task, task
from tests.engine.bpm.contracts.kit import form, line, starting


def days(first: int, last: int) -> dict[str, str]:
    """A leave that has not begun: days from today."""
    start, end = (clock.today() + timedelta(days=n) for n in (first, last))
    return {"leave_type": "病假", "start_date": start.isoformat(), "end_date": end.isoformat(), "reason": "发热"}


@pytest.fixture
def leave(bpm: Bpm) -> Story:
    handover = str(bpm.person("nurse"))
    return bpm.deploy("leave_request").start("leave_request", "doctor", **days(10, 12), handover=handover)


def item(story: Story, who: str, step: str | None = None, *states: str) -> queries.ItemDetail:
    with story.bpm.db.reading() as session:
        return queries.work_item_detail(session, story.bpm.actor(who), story.item(who, step, *states).id)


def instance(story: Story, who: str) -> queries.InstanceDetail:
    with story.bpm.db.reading() as session:
        return queries.instance_detail(session, story.bpm.actor(who), story.id)


def test_an_open_item_has_all_that_its_page_shows(leave: Story) -> None:
    found = item(leave, "pediatrics_head")
    figure = f"病假 3 天，{clock.today() + timedelta(days=10):%m-%d} 起"
    assert (found.head.title, found.head.summary, found.head.state) == ("诸葛子轩的请假申请", figure, "running")
    assert (found.head.process_name, found.head.version_number, found.head.initiator) == ("请假", 1, "诸葛子轩")
    assert found.head.revision == leave.instance.version
    assert (found.item.step, found.item.step_name, found.item.assignee) == (
        "head_review", "科室负责人审批", "欧阳静怡",
    )  # fmt: skip
    assert "发起人" in found.item.why
    assert [(o.id, o.opinion) for o in found.actions.outcomes] == [("approve", "optional"), ("reject", "required")]
    (form,) = found.forms
    assert form.form == "leave"
    assert form.data["reason"] == "发热"
    assert set(form.rights.fields.values()) | {form.rights.default} <= {"read", "edit"}
    assert (found.draft, found.late) == (None, None)
    assert {"complete", "return", "reassign", "draft", "comment", "copy"} <= found.actions.may
    assert {"withdraw", "terminate", "take_back", "claim", "urge"}.isdisjoint(found.actions.may)
    assert [(t.step, t.name) for t in found.actions.returns] == [("apply", "填写申请")]
    assert found.actions.return_modes == ("rewalk", "jump")


def test_others_find_neither_item_nor_instance(leave: Story, unknown: uuid.UUID) -> None:
    with leave.bpm.db.reading() as session:
        stranger = leave.bpm.actor("surgeon")
        calls: list[Any] = [
            lambda: queries.work_item_detail(session, stranger, leave.item("pediatrics_head").id),
            lambda: queries.work_item_detail(session, stranger, unknown),
            lambda: queries.instance_detail(session, stranger, leave.id),
            lambda: queries.timeline(session, stranger, leave.id),
            lambda: queries.diagram(session, stranger, leave.id),
        ]
        for call in calls:
            with pytest.raises(NotFound):
                call()


def test_hidden_fields_are_not_in_the_result(leave: Story) -> None:
    leave.approve("pediatrics_head")
    (form,) = item(leave, "nurse").forms
    assert "reason" not in form.data
    assert form.data["leave_type"] == "病假"
    assert (form.rights.of("reason"), form.rights.of("leave_type")) == ("hidden", "read")
    (form,) = instance(leave, "nurse").forms
    assert "reason" not in form.data
    assert form.rights.of("reason") == "hidden"
    for who in ("doctor", "pediatrics_head", "hr_clerk", "auditor", "process_admin"):
        (form,) = (f for f in instance(leave, who).forms if f.form == "leave")
        assert form.data["reason"] == "发热"
        assert "edit" not in {form.rights.default, *form.rights.fields.values()}


def test_a_closed_item_explains_itself(leave: Story) -> None:
    leave.approve("pediatrics_head")
    found = item(leave, "pediatrics_head", None, "done")
    assert found.late is not None
    assert "您已于" in found.late
    assert "complete" not in found.actions.may
    assert found.actions.outcomes == ()
    (form,) = found.forms
    assert "edit" not in {form.rights.default, *form.rights.fields.values()}


def test_late_in_an_any_sign_round_names_who_and_how(bpm: Bpm) -> None:
    body = '<startEvent id="s"/>' + start_task() + task("review", "nurse", "surgeon") + '<endEvent id="e"/>'
    story = bpm.deploy_files(bpmn(body + chain("s", "apply", "review", "e"))).start("p", "doctor")
    assert {"claim"} <= item(story, "nurse").actions.may
    story.act("claim", "nurse", story.item("nurse").id)
    assert {"unclaim"} <= item(story, "nurse").actions.may
    assert "签收" in (item(story, "surgeon", None, "standby").late or "")
    story.approve("nurse")
    late = item(story, "surgeon", None, "closed").late
    assert late is not None
    assert "单晓燕" in late
    assert "同意" in late


def test_another_participant_sees_the_item_without_buttons(leave: Story) -> None:
    with leave.bpm.db.reading() as session:
        id_ = leave.item("pediatrics_head").id
        found = queries.work_item_detail(session, leave.bpm.actor("doctor"), id_)
        admin = queries.work_item_detail(session, leave.bpm.actor("process_admin"), id_)
    assert {"complete", "return", "draft", "reassign"}.isdisjoint(found.actions.may)
    assert {"withdraw", "urge", "copy"} <= found.actions.may
    assert {"reassign", "terminate", "jump"} <= admin.actions.may
    assert {"complete", "return", "draft", "withdraw"}.isdisjoint(admin.actions.may)


def test_taking_back_is_offered_as_long_as_it_works(bpm: Bpm) -> None:
    story = (
        bpm.deploy("leave_request")
        .start("leave_request", "doctor", **days(10, 14) | {"leave_type": "事假"})
        .approve("pediatrics_head")
    )
    mine = story.item("pediatrics_head", "head_review", "done")
    assert "take_back" in item(story, "pediatrics_head", "head_review", "done").actions.may
    story.act("take_back", "pediatrics_head", mine.id).expect_open(("head_review", "pediatrics_head"))
    story.approve("pediatrics_head").approve("hr_head")
    again = story.item("pediatrics_head", "head_review", "done")
    assert "take_back" not in item(story, "pediatrics_head", "head_review", "done").actions.may
    with pytest.raises(Conflict):
        story.act("take_back", "pediatrics_head", again.id)


def test_one_decision_of_a_round_that_is_open_can_be_taken_back(bpm: Bpm) -> None:
    for policy, offered in (("all", True), ("in_turn", False)):
        people, round_ = ("nurse", "surgeon", "hr_head"), f'<piyue:round policy="{policy}"/>'
        body = '<startEvent id="s"/>' + start_task() + task("sign", *people, inner=round_) + '<endEvent id="e"/>'
        files = bpmn(body + chain("s", "apply", "sign", "e"), policy)
        story = bpm.deploy_files(files).start(policy, "doctor").approve("nurse").approve("surgeon")
        assert ("take_back" in item(story, "nurse", None, "done").actions.may) is offered
        assert "take_back" in item(story, "surgeon", None, "done").actions.may
        story.act("take_back", "surgeon", story.item("surgeon", None, "done").id)
        assert ("sign", "surgeon") in story.open


def test_urging_is_offered_once_an_hour(leave: Story) -> None:
    leave.act("urge", "doctor", leave.id)
    assert "urge" not in instance(leave, "doctor").actions.may
    clock.freeze(clock.now() + timedelta(minutes=61))
    assert "urge" in instance(leave, "doctor").actions.may


def test_nothing_is_offered_after_the_end(leave: Story) -> None:
    leave.act("withdraw", "doctor", leave.id, reason="不请了")
    assert instance(leave, "doctor").actions.may == {"comment", "copy"}
    found = item(leave, "pediatrics_head", None, "cancelled")
    assert found.actions.may == {"comment", "copy"}
    assert found.late is not None


def test_a_draft_is_its_writers_own(leave: Story) -> None:
    id_ = leave.item("pediatrics_head").id
    leave.act("save_draft", "pediatrics_head", item_id=id_, content={"opinion": "还在想"})
    draft = item(leave, "pediatrics_head").draft
    assert draft is not None
    assert draft.content == {"opinion": "还在想"}
    with leave.bpm.db.reading() as session:
        assert queries.work_item_detail(session, leave.bpm.actor("process_admin"), id_).draft is None


def test_a_draft_of_a_new_instance_is_its_writers_own(leave: Story, unknown: uuid.UUID) -> None:
    bpm, content = leave.bpm, {"data": {"reason": "发热"}, "opinion": "", "outcome": None}
    of_item = leave.item("pediatrics_head").id
    with bpm.db.unit_of_work() as session:
        doctor, head = bpm.actor("doctor"), bpm.actor("pediatrics_head")
        mine = commands.save_draft(session, doctor, process_key="leave_request", content=content)
        other = commands.save_draft(session, head, item_id=of_item, content=content)
    with bpm.db.reading() as session:
        found = queries.draft(session, doctor, mine)
        assert (found.id, found.content) == (mine, content)
        for viewer, id_ in ((head, mine), (head, other), (doctor, unknown)):
            with pytest.raises(NotFound):
                queries.draft(session, viewer, id_)


def test_timeline_tells_who_when_how_long_and_where_to(leave: Story) -> None:
    leave.send_back("pediatrics_head", to="initiator").submit("doctor", **days(10, 12))
    id_, to = leave.item("pediatrics_head").id, leave.bpm.person("head_nurse")
    leave.act("reassign", "pediatrics_head", id_, to=to, reason="请代审")
    leave.approve("head_nurse")
    with leave.bpm.db.reading() as session:
        found = queries.timeline(session, leave.bpm.actor("doctor"), leave.id)
    told = [(e.verb, e.actor, e.step_name, e.outcome_name, e.target) for e in found.entries]
    assert told[0][:3] == ("start", "诸葛子轩", "填写申请")
    assert ("return", "欧阳静怡", "科室负责人审批", None, "填写申请") in told
    assert ("reassign", "欧阳静怡", "科室负责人审批", None, "曾淑贞") in told
    assert ("complete", "曾淑贞", "科室负责人审批", "同意", "") in told
    assert [e.id for e in found.entries] == sorted(e.id for e in found.entries)
    decided = next(e for e in found.entries if e.verb == "complete" and e.actor == "曾淑贞")
    assert decided.took is not None
    assert decided.took >= timedelta(0)
    assert not found.cut


def test_timeline_counts_readers_and_names_who_has_not_read(bpm: Bpm) -> None:
    people = [str(bpm.person(who)) for who in ("nurse", "head_nurse", "surgeon")]
    data = {
        "title": "培训", "notice_type": "会议通知", "content": "周五",
        "deadline": (clock.today() + timedelta(days=3)).isoformat(), "people": people,
    }  # fmt: skip
    story = bpm.deploy("notice_circulation").start("notice_circulation", "doctor", **data)
    story.read("nurse")
    story.act("acknowledge", "head_nurse", story.item("head_nurse").id, opinion="派 5 人")
    with bpm.db.reading() as session:
        found = queries.timeline(session, bpm.actor("doctor"), story.id)
    (reading,) = (s for s in found.steps if s.kind == "read")
    assert (reading.total, reading.done, [p.name for p in reading.waiting]) == (3, 2, ["冼国栋"])
    assert [(e.actor, e.opinion) for e in found.entries if e.verb == "read"] == [("曾淑贞", "派 5 人")]
    assert reading.took is None
    assert found.open == (reading,)


def test_a_long_trail_is_cut_to_its_newest(leave: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.bpm.queries.trail.MAX_ENTRIES", 2)
    for text in "一二三":
        leave.act("comment", "doctor", leave.id, text=text)
    with leave.bpm.db.reading() as session:
        found = queries.timeline(session, leave.bpm.actor("doctor"), leave.id)
    assert ([e.opinion for e in found.entries], found.cut) == (["二", "三"], True)


def test_opinions_stand_in_their_boxes_by_rank(leave: Story) -> None:
    leave.approve("pediatrics_head")
    (box,) = instance(leave, "doctor").opinions
    assert box.name == "科室意见"
    (opinion,) = box.opinions
    assert (opinion.name, opinion.outcome_name, opinion.text) == ("欧阳静怡", "同意", "意见")


def test_opinions_of_one_box_by_rank_then_time(bpm: Bpm) -> None:
    round_ = '<piyue:round policy="all"/><piyue:opinion box="会签意见"/>'
    people = ("nurse", "vice_director_medical", "surgeon", "hospital_director")
    body = '<startEvent id="s"/>' + start_task() + task("sign", *people, inner=round_) + '<endEvent id="e"/>'
    story = bpm.deploy_files(bpmn(body + chain("s", "apply", "sign", "e"))).start("p", "doctor")
    for who in people:
        story.approve(who)
    with bpm.db.reading() as session:
        ranks = {p: bpm_rank(session, bpm.person(p)) for p in people}
    (box,) = instance(story, "doctor").opinions
    names = [bpm.actor(who).name for who in sorted(people, key=lambda who: (ranks[who], people.index(who)))]
    assert [o.name for o in box.opinions] == names
    assert len(set(ranks.values())) > 1


def bpm_rank(session: Any, person_id: uuid.UUID) -> int:
    row: Person = session.get_one(Person, person_id)
    return row.rank


def test_diagram_shows_the_path_and_where_it_stands(leave: Story) -> None:
    leave.approve("pediatrics_head")
    with leave.bpm.db.reading() as session:
        found = queries.diagram(session, leave.bpm.actor("doctor"), leave.id)
    assert found.xml.startswith("<?xml")
    assert {"start", "apply", "head_review", "flow_apply_head_review", "head_decision"} <= set(found.walked)
    assert "hr_review" not in found.walked
    assert len(found.walked) == len(set(found.walked))
    assert found.walked.index("apply") < found.walked.index("head_review")
    for step in found.open:
        assert found.handlers[step]


def test_statements_stay_the_same_however_many_take_part(bpm: Bpm, statements: Any) -> None:
    round_ = '<piyue:round policy="all"/>'
    costs: dict[int, list[int]] = {}
    for count in (2, 6):
        people = ("nurse", "surgeon", "hr_head", "hr_clerk", "seal_keeper", "archivist")[:count]
        body = '<startEvent id="s"/>' + start_task() + task("sign", *people, inner=round_) + '<endEvent id="e"/>'
        files = bpmn(body + chain("s", "apply", "sign", "e"), f"p{count}")
        story = bpm.deploy_files(files).start(f"p{count}", "doctor")
        for who in people[1:]:
            story.approve(who).act("comment", who, story.id, text="好")
        item(story, "nurse")  # the version is parsed once
        with bpm.db.reading() as session:
            viewer, id_ = bpm.actor("nurse"), story.item("nurse").id
            calls: list[Any] = [
                lambda: queries.work_item_detail(session, viewer, id_),  # noqa: B023
                lambda: queries.instance_detail(session, viewer, story.id),  # noqa: B023
                lambda: queries.timeline(session, viewer, story.id),  # noqa: B023
                lambda: queries.diagram(session, viewer, story.id),  # noqa: B023
            ]
            for call in calls:
                with statements(session) as sent:
                    call()
                costs.setdefault(count, []).append(len(sent))
    assert costs[2] == costs[6] == [3, 2, 2, 2]


def two_forms(bpm: Bpm, *second: str, hidden: str = "") -> Story:
    """A process whose second step has a form that shows fields of the first one's again."""
    filled = (
        '<userTask id="file" name="file"><extensionElements><piyue:task kind="fill" form="second"/>'
        f'<piyue:assign rule="initiator"/>{hidden}</extensionElements></userTask>'
    )
    files = line(("file", filled)) | form("first", "a", "b") | form("second", *second)
    files["process.bpmn"] = files["process.bpmn"].replace(start_task(), starting("first"))
    return bpm.deploy_files(files).start("p", "doctor", a="1", b="2").submit("doctor", "file")


@pytest.mark.parametrize("who", ["doctor", "auditor"])
def test_a_field_of_several_forms_is_shown_once(bpm: Bpm, who: str) -> None:
    first, second = instance(two_forms(bpm, "a", "c"), who).forms
    assert [first.rights.of(key) for key in "ab"] == ["read", "read"]
    assert [second.rights.of(key) for key in "ac"] == ["hidden", "read"]
    assert second.data["a"] == "1", "its conditions still read it"


def test_a_form_that_adds_nothing_is_left_out(bpm: Bpm) -> None:
    (only,) = instance(two_forms(bpm, "b", "a"), "doctor").forms
    assert only.form == "first"


def test_a_field_that_another_form_hides_stays_visible_where_it_was_shown(bpm: Bpm) -> None:
    hidden = '<piyue:field key="a" access="hidden"/>'
    first, second = instance(two_forms(bpm, "a", "c", hidden=hidden), "doctor").forms
    assert (first.rights.of("a"), second.rights.of("a")) == ("read", "hidden")
    assert "a" not in second.data
