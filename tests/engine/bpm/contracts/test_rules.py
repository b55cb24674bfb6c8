"""Business rule tasks: a decision of the folder decides at once, its result joins the data, its rules are kept."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from engine import audit
from engine.bpm import commands, queries
from engine.bpm.models import ActionLog
from engine.errors import Conflict, Invalid
from tests.dsl import Bpm, Story, chain, flow, task
from tests.engine.bpm.contracts.kit import data, diagram, form, incidents, starting, sub
from tests.factories.tables import decisions, literal, rule_task, table

LEVELS = table("审批级别", {"天数": "number", "假别": "string"}, '<= 3 | - | "科长"', '> 3 | "病假" | "院长"')
FILE = {"decisions/approval.dmn": decisions(LEVELS, inputs=("天数", "假别"))}
GIVEN = '<piyue:input name="天数" value="=days"/><piyue:input name="假别" value="=kind"/>'
TORN = {
    "decisions/approval.dmn": decisions(literal("审批级别", "天数 + 假别", "天数", "假别"), inputs=("天数", "假别"))
}
FORM = form("f", ("days", "number"), "kind", "secret")
LAST = ("last", task("last", "hr_head"))


def ruled(*elements: tuple[str, str], rule: str = "") -> dict[str, str]:
    """A process whose second element is the rule task."""
    names = [name for name, _ in elements]
    body = '<startEvent id="s"/><endEvent id="e"/>' + starting("f")
    body += rule or rule_task("level_of", "审批级别", "level", GIVEN)
    return diagram(
        body + "".join(xml for _, xml in elements) + chain("s", "apply", "level_of", *names, "e")
    ) | FORM | FILE  # fmt: skip


def rows(story: Story) -> list[tuple[str | None, dict[str, Any]]]:
    """The rows of the trail that a decision has left: element and detail."""
    with story.bpm.db.reading() as session:
        found = session.execute(
            select(ActionLog.step, ActionLog.detail)
            .where(ActionLog.instance_id == story.id, ActionLog.verb == "decide")
            .order_by(ActionLog.id)
        )
        return [(step, json.loads(detail)) for step, detail in found]


def told(story: Story, who: str) -> list[str]:
    """What a person's trail says of decisions."""
    with story.bpm.db.reading() as session:
        entries = queries.timeline(session, story.bpm.actor(who), story.id).entries
    return [entry.note for entry in entries if entry.verb == "decide"]


def test_a_decision_decides_at_once_and_the_trail_keeps_which_rule_hit(bpm: Bpm) -> None:
    story = bpm.deploy_files(ruled(LAST)).start("p", by="nurse", days=9, kind="病假").expect_open("last")
    assert data(story)["level"] == "院长"
    hit = {"decision": "审批级别", "table": "t_审批级别", "rules": [2], "inputs": {"天数": 9, "假别": "病假"}}
    assert rows(story) == [("level_of", {"decision": "审批级别", "result": "院长", "hits": [hit]})]
    assert [verb for verb, _, _ in story.trail] == ["start", "decide"], "first the act, then what followed"
    with bpm.db.reading() as session:
        entry = queries.timeline(session, bpm.actor("hr_head"), story.id).entries[-1]
        assert audit.verify(session)[1] == [], "the row is signed like every other"
    assert (entry.actor, entry.step_name, entry.note) == (None, "level_of", "按决策表“审批级别”：第 2 条规则 → 院长")
    assert entry.ruled is not None
    assert (entry.ruled.result, entry.ruled.hits[0].rules) == ("院长", (2,))


def test_inputs_are_read_from_the_data_by_their_names_where_none_are_given(bpm: Bpm) -> None:
    same = decisions(table("级别", {"days": "number"}, '<= 3 | "科长"', '> 3 | "院长"'), inputs=("days",))
    files = ruled(LAST, rule=rule_task("level_of", "级别", "level")) | {"decisions/approval.dmn": same}
    assert data(bpm.deploy_files(files).start("p", by="nurse", days=4))["level"] == "院长"


def test_an_input_may_be_converted_or_be_a_text(bpm: Bpm) -> None:
    """What an expression gives goes in as it is, a date as a date; a text without = as that text."""
    file = decisions(literal("周几", "string(日期.day) + 词", "日期", "词"), inputs=("日期", "词"))
    given = '<piyue:input name="日期" value="=date(kind)"/><piyue:input name="词" value="号"/>'
    files = ruled(LAST, rule=rule_task("level_of", "周几", "level", given)) | {"decisions/approval.dmn": file}
    story = bpm.deploy_files(files).start("p", by="nurse", kind="2026-03-05")
    assert data(story)["level"] == "5号"
    assert told(story, "hr_head") == ["按决策“周几” → 5号"]


def test_where_no_rule_matches_the_result_is_null_and_the_gateway_takes_its_default(bpm: Bpm) -> None:
    body = '<startEvent id="s"/><endEvent id="e"/>' + starting("f") + LAST[1] + task("boss", "hospital_director")
    body += rule_task("level_of", "审批级别", "level", GIVEN) + '<exclusiveGateway id="g" default="g_boss"/>'
    body += chain("s", "apply", "level_of", "g") + flow("g", "last", 'level = "院长"') + flow("g", "boss")
    body += flow("last", "e") + flow("boss", "e")
    bpm.deploy_files(diagram(body) | FORM | FILE)
    story = bpm.start("p", by="nurse", days=9, kind="事假").expect_open("boss")
    assert data(story)["level"] is None
    assert told(story, "nurse") == ["按决策表“审批级别”：没有适用的规则 → （空）"]
    bpm.start("p", by="nurse", days=9, kind="病假").expect_open("last")


def test_a_decision_that_cannot_answer_is_an_incident_and_changes_nothing(bpm: Bpm) -> None:
    review = ("review", task("review", "head_nurse"))
    body = '<startEvent id="s"/><endEvent id="e"/>' + starting("f") + review[1] + LAST[1]
    body += rule_task("level_of", "审批级别", "level", GIVEN) + chain("s", "apply", "review", "level_of", "last", "e")
    files = diagram(body) | FORM | TORN
    story = bpm.deploy_files(files).start("p", by="nurse", days=4, kind="病假")
    with pytest.raises(
        Conflict, match=r"决策“审批级别”没有结果：“审批级别”的结果为空：“\+”对数字、文本没有结果"
    ) as refusal:
        story.approve("head_nurse")
    assert (refusal.value.code, refusal.value.fields["kind"]) == ("process_fault", "decision")
    story.expect_open("review")
    assert incidents(story) == ["decision"]


def test_where_the_first_step_leads_to_it_nothing_is_started(bpm: Bpm) -> None:
    files = ruled(LAST) | TORN
    with pytest.raises(Invalid, match="没有发起"):
        bpm.deploy_files(files).start("p", by="nurse", days=4, kind="病假")


def test_a_field_that_nobody_has_filled_in_is_null_to_a_decision(bpm: Bpm) -> None:
    open_ended = decisions(
        table("级别", {"days": "number", "kind": "string"}, '- | null | "科长"'), inputs=("days", "kind")
    )
    files = ruled(LAST, rule=rule_task("level_of", "级别", "level")) | {"decisions/approval.dmn": open_ended}
    assert data(bpm.deploy_files(files).start("p", by="nurse", days=4))["level"] == "科长"


def test_after_a_return_it_decides_anew(bpm: Bpm) -> None:
    story = bpm.deploy_files(ruled(LAST)).start("p", by="nurse", days=2, kind="事假")
    story.send_back("hr_head", to="initiator").submit("nurse", days=9, kind="病假").expect_open("last")
    assert data(story)["level"] == "院长"
    assert [detail["result"] for _, detail in rows(story)] == ["科长", "院长"]


def test_what_was_taken_back_is_decided_again(bpm: Bpm) -> None:
    review = task("review", "head_nurse", inner='<piyue:field key="days" access="edit"/>')
    review = review.replace('kind="decide"', 'kind="decide" form="f"')
    body = '<startEvent id="s"/><endEvent id="e"/>' + starting("f") + review + LAST[1]
    body += rule_task("level_of", "审批级别", "level", GIVEN) + chain("s", "apply", "review", "level_of", "last", "e")
    story = bpm.deploy_files(diagram(body) | FORM | FILE).start("p", by="nurse", days=2, kind="病假")
    story.approve("head_nurse", days=9)
    assert data(story)["level"] == "院长"
    story.act("take_back", "head_nurse", story.item("head_nurse", None, "done").id).approve("head_nurse", days=3)
    assert data(story)["level"] == "科长"


def test_in_a_multi_instance_each_has_its_own_result(bpm: Bpm) -> None:
    """Like what an operation writes: it stays in the own scope; the output collection takes it out."""
    inner = (
        "<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality>"
        '<loopDataOutputRef>levels</loopDataOutputRef><outputDataItem name="level"/></multiInstanceLoopCharacteristics>'
    )
    given = '<piyue:input name="天数" value="=loopCounter * 3"/><piyue:input name="假别" value="病假"/>'
    each = sub("each", ("level_of", rule_task("level_of", "审批级别", "level", given)), inner=inner)
    body = (
        '<startEvent id="s"/><endEvent id="e"/>'
        + starting("f")
        + each
        + LAST[1]
        + chain("s", "apply", "each", "last", "e")
    )
    story = bpm.deploy_files(diagram(body) | FORM | FILE).start("p", by="nurse")
    assert data(story)["levels"] == ["科长", "院长"]
    assert "level" not in data(story)


def test_a_running_instance_keeps_the_decisions_of_its_version(bpm: Bpm) -> None:
    review = ("review", task("review", "head_nurse"))
    body = '<startEvent id="s"/><endEvent id="e"/>' + starting("f") + review[1] + LAST[1]
    body += rule_task("level_of", "审批级别", "level", GIVEN) + chain("s", "apply", "review", "level_of", "last", "e")
    old = bpm.deploy_files(diagram(body) | FORM | FILE).start("p", by="nurse", days=9, kind="病假")
    newer = {"decisions/approval.dmn": FILE["decisions/approval.dmn"].replace("院长", "书记")}
    new = bpm.deploy_files(diagram(body) | FORM | newer).start("p", by="nurse", days=9, kind="病假")
    assert [data(s.approve("head_nurse"))["level"] for s in (old, new)] == ["院长", "书记"]


def secretive(rule: str = "") -> dict[str, str]:
    """The first step shows everything; at the last one `kind` is hidden."""
    last = (
        '<userTask id="last" name="last"><extensionElements><piyue:task kind="decide" form="f"/>'
        '<piyue:assign rule="role" role="hr_head"/><piyue:field key="kind" access="hidden"/></extensionElements>'
        "</userTask>"
    )
    return ruled(("last", last), rule=rule)


def test_who_may_not_see_a_field_is_not_told_what_was_decided_upon_it(bpm: Bpm) -> None:
    story = bpm.deploy_files(secretive()).start("p", by="nurse", days=9, kind="病假")
    sentence = "按决策表“审批级别”：第 2 条规则 → 院长"
    assert told(story, "nurse") == [sentence], "their own form shows both fields"
    assert told(story, "hr_head") == [""], "that something was decided is no secret, what and why is"
    assert told(story, "process_admin") == [sentence]
    with bpm.db.reading() as session:
        page = queries.work_item_detail(session, bpm.actor("hr_head"), story.item("hr_head").id)
    assert all("院长" not in str(entry) and "病假" not in str(entry) for entry in page.timeline.entries)


def test_a_result_made_of_a_hidden_result_is_hidden_too(bpm: Bpm) -> None:
    second = table("期限", {"level": "string"}, '"院长" | 2', "- | 5", policy="FIRST")
    both = decisions(LEVELS, second, inputs=("天数", "假别", "level"))
    files = secretive(rule_task("level_of", "审批级别", "level", GIVEN) + rule_task("limit", "期限", "days_left")) | {
        "decisions/approval.dmn": both
    }
    files["process.bpmn"] = files["process.bpmn"].replace(
        flow("level_of", "last"), flow("level_of", "limit") + flow("limit", "last")
    )
    story = bpm.deploy_files(files).start("p", by="nurse", days=9, kind="病假")
    assert told(story, "nurse")[1] == "按决策表“期限”：第 1 条规则 → 2"
    assert told(story, "hr_head") == ["", ""]


def test_a_result_that_is_a_hidden_field_is_hidden_whatever_was_read(bpm: Bpm) -> None:
    """Everybody may see the days; the field that the decision fills in is nobody's business at the last step."""
    by_days = decisions(table("级别", {"天数": "number"}, '<= 3 | "科长"', '> 3 | "院长"'), inputs=("天数",))
    rule = rule_task("level_of", "级别", "kind", '<piyue:input name="天数" value="=days"/>')
    story = bpm.deploy_files(secretive(rule) | {"decisions/approval.dmn": by_days}).start("p", by="nurse", days=9)
    assert data(story)["kind"] == "院长"
    assert told(story, "nurse") == ["按决策表“级别”：第 2 条规则 → 院长"]
    assert told(story, "hr_head") == [""]


CALLED = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" '
    'xmlns:piyue="urn:piyue:bpmn" id="c" targetNamespace="urn:test"><process id="called" name="called" '
    'isExecutable="true"><startEvent id="s"/><endEvent id="e"/>{rule}{flows}</process></definitions>'
)


@pytest.mark.parametrize(("given", "is_told"), [("=kind", False), ("=days", True), ("病假", True)])
def test_what_a_called_process_was_given_is_hidden_as_what_it_was_made_of(bpm: Bpm, given: str, is_told: bool) -> None:
    """Inside it bears a name that everybody sees outside, where it means something else."""
    file = decisions(table("级别", {"days": "Any"}, '- | "科长"'), inputs=("days",))
    call = (
        '<callActivity id="level_of" name="call" calledElement="called"><extensionElements>'
        f'<piyue:input name="days" value="{given}"/></extensionElements></callActivity>'
    )
    flows = chain("s", "level", "e")
    files = secretive(call) | {
        "decisions/approval.dmn": file,
        "called/called.bpmn": CALLED.format(rule=rule_task("level", "级别", "level"), flows=flows),
    }
    story = bpm.deploy_files(files).start("p", by="nurse", days=9, kind="病假")
    sentence = "按决策表“级别”：第 1 条规则 → 科长"
    assert told(story, "hr_head") == [sentence if is_told else ""]
    assert told(story, "nurse") == [sentence]


def test_an_item_is_hidden_as_its_list(bpm: Bpm) -> None:
    inner = (
        "<multiInstanceLoopCharacteristics><loopDataInputRef>kinds</loopDataInputRef>"
        '<inputDataItem name="days"/></multiInstanceLoopCharacteristics>'
    )
    file = decisions(table("级别", {"days": "string"}, '"病假" | "科长"', 'not("病假") | "院长"'), inputs=("days",))
    each = sub("level_of", ("level", rule_task("level", "级别", "level")), inner=inner)
    files = (
        secretive(each) | {"decisions/approval.dmn": file} | form("f", ("days", "number"), "kind", ("kinds", "taglist"))
    )
    files["forms/f.json"] = files["forms/f.json"].replace(
        '"key": "kinds",', '"key": "kinds", "values": [{"label": "病假", "value": "病假"}],'
    )
    files["process.bpmn"] = files["process.bpmn"].replace('key="kind" access', 'key="kinds" access')
    story = bpm.deploy_files(files).start("p", by="nurse", days=9, kinds=["病假"])
    assert told(story, "nurse") == ["按决策表“级别”：第 1 条规则 → 科长"]
    assert told(story, "hr_head") == [""]


def test_who_started_and_what_was_decided_is_known_to_all(bpm: Bpm) -> None:
    file = decisions(table("级别", {"岗位": "string"}, '- | "科长"'), inputs=("岗位",))
    given = '<piyue:input name="岗位" value="=initiator.post"/>'
    files = secretive(rule_task("level_of", "级别", "level", given)) | {"decisions/approval.dmn": file}
    story = bpm.deploy_files(files).start("p", by="nurse", days=9, kind="病假")
    assert told(story, "hr_head") == ["按决策表“级别”：第 1 条规则 → 科长"]


def test_a_decision_asks_others_and_all_their_rules_are_told(bpm: Bpm) -> None:
    top = table(
        "谁批", {"审批级别": "string"}, '"院长" | ["院长", "书记"]', '- | ["科长"]', policy="FIRST", needs=("审批级别",)
    )
    file = {"decisions/approval.dmn": decisions(LEVELS, top, inputs=("天数", "假别"))}
    files = ruled(LAST, rule=rule_task("level_of", "谁批", "who", GIVEN)) | file
    story = bpm.deploy_files(files).start("p", by="nurse", days=9, kind="病假")
    assert data(story)["who"] == ["院长", "书记"]
    assert told(story, "nurse") == ["按决策表“审批级别”：第 2 条规则；“谁批”：第 1 条规则 → 院长、书记"]


def test_the_same_request_again_decides_once(bpm: Bpm) -> None:
    bpm.deploy_files(ruled(LAST))
    with bpm.db.unit_of_work() as session:
        first = commands.start(session, bpm.actor("nurse"), "p", data={"days": 9, "kind": "病假"}, key="k")
    with bpm.db.unit_of_work() as session:
        again = commands.start(session, bpm.actor("nurse"), "p", data={"days": 9, "kind": "病假"}, key="k")
    assert again == first
    assert len(rows(Story(bpm, first.instance_id))) == 1
