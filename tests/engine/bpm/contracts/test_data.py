"""Data of an instance: names, sizes, rights per field, parallel branches, searchable values, what titles show."""

import json
from decimal import Decimal

import pytest
from sqlalchemy import select

from engine.bpm import runtime
from engine.bpm.models import SearchValue
from engine.errors import Invalid
from tests.dsl import Bpm, Story, bpmn, chain, flow, start_task, task
from tests.engine.bpm.contracts.kit import data, diagram, form, starting

HOSTILE = ["__builtins__", "__class__", "typename", "type", "len", "print", "self", "task", "data", "constructor", "的"]


def filled(*fields: str, access: str = "", extension: str = "", step: str = "") -> dict[str, str]:
    """A start form and then a step with the same form and these rights."""
    second = task("second", "doctor", kind="fill", inner=access).replace('kind="fill"', 'kind="fill" form="f"')
    body = (
        '<startEvent id="s"/><endEvent id="e"/>'
        + starting("f")
        + (step or second)
        + task("last", "hr_head")
        + chain("s", "apply", "second", "last", "e")
    )
    return diagram(body, extension=extension) | form("f", *fields)


def test_the_runtime_keeps_any_name_and_value() -> None:
    """What a form may be called is the linter's matter; the codec must survive every key."""
    from datetime import UTC, datetime

    definition = runtime.load(
        bpmn('<startEvent id="s"/><endEvent id="e"/>' + task("a") + task("b") + chain("s", "a", "b", "e"))
    )
    now = datetime(2026, 3, 2, tzinfo=UTC)
    odd = {name: {"typename": name, "__class__": "x", "value": [name, {"typename": "Task"}]} for name in HOSTILE}
    change = runtime.start(definition, {"initiator": {"id": "1"}, **odd}, now=now)
    event = runtime.Complete(change.opened[0].task_id, "approve", {"more": odd})
    change = runtime.advance(definition, change.state, json.loads(json.dumps(change.data)), event, now=now)
    assert {name: change.data[name] for name in HOSTILE} == odd
    assert change.data["more"] == odd
    assert change.opened[0].step == "b"


@pytest.mark.parametrize("name", ["typename", "constructor", "task", "类型", "请假天数", "的"])
def test_fields_with_names_that_mean_something_elsewhere(bpm: Bpm, name: str) -> None:
    text = '{"typename": "SpiffWorkflow.Task"} 𠮷野家🏥 <script>&amp;'
    story = bpm.deploy_files(filled(name, "other")).start("p", by="nurse", **{name: text, "other": "x"})
    story.submit(by="doctor").expect_open("last")
    assert data(story)[name] == text


@pytest.mark.parametrize("name", ["__builtins__", "_private", "outcome", "steps", "initiator"])
def test_reserved_names_are_refused_when_deployed(bpm: Bpm, name: str) -> None:
    with pytest.raises(Invalid):
        bpm.deploy_files(filled(name))


@pytest.mark.parametrize("name", ["outcome", "steps", "initiator", "_secret", "unknown", "__builtins__"])
def test_what_the_form_does_not_have_is_dropped(bpm: Bpm, name: str) -> None:
    story = bpm.deploy_files(filled("text")).start("p", by="nurse", **{name: {"id": "forged"}, "text": "好"})
    kept = data(story)
    assert kept["text"] == "好"
    assert kept.get(name) != {"id": "forged"}
    story.act("complete", "doctor", story.item("doctor").id, "submit", data={name: {"id": "forged"}})
    assert data(story).get(name) != {"id": "forged"}


@pytest.mark.parametrize(("access", "written"), [("edit", True), ("read", False), ("hidden", False), ("", False)])
def test_a_step_writes_what_it_may_edit(bpm: Bpm, access: str, written: bool) -> None:
    rights = f'<piyue:field key="text" access="{access}"/>' if access else ""
    story = bpm.deploy_files(filled("text", access=rights)).start("p", by="nurse", text="原文")
    try:
        story.submit(by="doctor", text="改了")
    except Invalid:
        assert not written
    assert data(story)["text"] == ("改了" if written else "原文")


def test_a_hidden_required_field_does_not_stop_a_step(bpm: Bpm) -> None:
    files = filled("text", access='<piyue:field key="text" access="hidden"/>') | form("f", "text", required=("text",))
    story = bpm.deploy_files(files).start("p", by="nurse", text="原文").submit(by="doctor").expect_open("last")
    assert data(story)["text"] == "原文"


def test_a_step_without_a_form_writes_nothing(bpm: Bpm) -> None:
    story = bpm.deploy_files(filled("text")).start("p", by="nurse", text="原文").submit(by="doctor")
    story.approve(by="hr_head", text="改了", more="x")
    assert data(story)["text"] == "原文"
    assert "more" not in data(story)


def test_a_refused_form_changes_nothing(bpm: Bpm) -> None:
    files = filled("text", access='<piyue:field key="text" access="edit"/>') | form("f", "text", required=("text",))
    story = bpm.deploy_files(files).start("p", by="nurse", text="原文")
    with pytest.raises(Invalid) as refused:
        story.submit(by="doctor", text="")
    assert [e["place"] for e in refused.value.errors]
    assert data(story)["text"] == "原文"
    story.expect_open("second")


def test_a_big_document_survives(bpm: Bpm) -> None:
    text = "".join(chr(0x4E00 + n % 20_000) for n in range(20_000))
    files = filled("text") | {
        "forms/f.json": json.dumps(
            {
                "schemaVersion": 19,
                "id": "f",
                "type": "default",
                "components": [{"type": "textarea", "id": "field_0", "key": "text", "label": "正文"}],
            }
        )
    }
    story = bpm.deploy_files(files).start("p", by="nurse", text=text)
    for _ in range(3):
        story.send_back(by="doctor", to="initiator").submit(by="nurse", text=text)
    assert data(story)["text"] == text


def test_branches_write_beside_one_another_and_the_last_writer_wins(bpm: Bpm) -> None:
    def writer(name: str, who: str, field: str) -> str:
        rights = f'<piyue:field key="{field}" access="edit"/><piyue:field key="both" access="edit"/>'
        return task(name, who, kind="fill", inner=rights).replace('kind="fill"', 'kind="fill" form="f"')

    files = diagram(
        '<startEvent id="s"/><endEvent id="e"/><parallelGateway id="split"/><parallelGateway id="join"/>'
        + starting("f")
        + writer("a", "doctor", "left")
        + writer("b", "surgeon", "right")
        + task("last", "hr_head")
        + chain("s", "apply", "split", "a", "join", "last", "e")
        + chain("split", "b", "join")
    ) | form("f", "left", "right", "both")
    bpm.deploy_files(files)
    for first, second in [("doctor", "surgeon"), ("surgeon", "doctor")]:
        story = bpm.start("p", by="nurse")
        for who in (first, second):
            story.submit(by=who, **{"left" if who == "doctor" else "right": who, "both": who})
        kept = data(story.expect_open("last"))
        assert (kept["left"], kept["right"], kept["both"]) == ("doctor", "surgeon", second)


def test_the_outcome_of_a_branch_does_not_disturb_the_other(bpm: Bpm) -> None:
    def checked(name: str, who: str) -> str:
        return (
            task(name, who)
            + f'<exclusiveGateway id="{name}x" default="{name}x_{name}y"/><exclusiveGateway id="{name}y"/>'
            + task(f"{name}no", "archivist")
            + chain("split", name, f"{name}x", f"{name}y", "join")
            + flow(f"{name}x", f"{name}no", 'outcome = "reject"')
            + flow(f"{name}no", f"{name}y")
        )

    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/><parallelGateway id="split"/><parallelGateway id="join"/>'
        + start_task()
        + checked("a", "doctor")
        + checked("b", "surgeon")
        + task("last", "hr_head")
        + chain("s", "apply", "split")
        + chain("join", "last", "e")
    )
    story = bpm.deploy_files(files).start("p", by="nurse").reject(by="doctor").approve(by="surgeon")
    story.expect_open("ano").approve(by="archivist").expect_open("last")
    assert data(story)["steps"] == {"apply": "submit", "a": "reject", "b": "approve", "ano": "approve"}


EXTENSION = (
    '<piyue:process title="=initiator.name + &quot;的申请：&quot; + text" summary="=string(days) + &quot; 天&quot;" '
    'urgency="=if days &gt; 5 then 3 else 0"/>'
    '<piyue:searchable field="text" type="text"/><piyue:searchable field="days" type="number"/>'
    '<piyue:searchable field="day" type="date"/>'
)


def searched(story: Story) -> dict[str, object]:
    with story.bpm.db.reading() as session:
        rows = session.scalars(select(SearchValue).where(SearchValue.instance_id == story.id))
        return {r.field: r.text if r.text is not None else r.number if r.number is not None else r.moment for r in rows}


def described() -> dict[str, str]:
    rights = "".join(f'<piyue:field key="{k}" access="edit"/>' for k in ("text", "days", "day"))
    files = filled("text", access=rights, extension=EXTENSION)
    components = [
        {"type": "textfield", "id": "field_0", "key": "text", "label": "事由"},
        {"type": "number", "id": "field_1", "key": "days", "label": "天数"},
        {"type": "datetime", "subtype": "date", "id": "field_2", "key": "day", "dateLabel": "日期"},
    ]
    files["forms/f.json"] = json.dumps({"schemaVersion": 19, "id": "f", "type": "default", "components": components})
    return files


def test_title_summary_urgency_and_search_follow_the_data(bpm: Bpm) -> None:
    story = bpm.deploy_files(described()).start("p", by="nurse", text="探亲", days=7, day="2026-03-06")
    row = story.instance
    assert (row.title, row.summary, row.urgency) == ("单晓燕的申请：探亲", "7 天", 3)
    found = searched(story)
    assert (found["text"], found["days"]) == ("探亲", Decimal(7))
    assert found["day"] is not None
    story.submit(by="doctor", text="看病", days=2, day=None)
    row, found = story.instance, searched(story)
    assert (row.summary, row.urgency) == ("2 天", 0)
    assert row.title == "单晓燕的申请：看病"
    assert (found["text"], found["days"]) == ("看病", Decimal(2))
    assert found.get("day") is None
    assert [i.id for i in story.items()]


def test_a_title_that_can_not_be_computed_does_not_stop_the_request(bpm: Bpm) -> None:
    story = bpm.deploy_files(described()).start("p", by="nurse")
    assert story.instance.title
    story.expect_open("second")


def test_a_long_title_is_cut(bpm: Bpm) -> None:
    story = bpm.deploy_files(described()).start("p", by="nurse", text="长" * 900, days=1)
    assert 0 < len(story.instance.title) <= 200
    assert searched(story)["text"] is not None


def test_a_number_beyond_the_column_is_refused_or_kept_but_never_breaks(bpm: Bpm) -> None:
    bpm.deploy_files(described())
    for number in (10**15, 1e-9, 10**30, -(10**16)):
        try:
            story = bpm.start("p", by="nurse", text="x", days=number)
        except Invalid:
            continue
        story.expect_open("second")
