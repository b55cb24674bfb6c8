"""The story of the product, played in Chromium: a leave request, and an incoming document from its registration to the
archive. What the pages say is checked against the database and the diagram.
"""

import uuid
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import func, select

from engine.attachments import Attachment
from engine.bpm import commands, queries
from engine.bpm.models import ActionLog, Instance, ItemState, WorkItem, WorkRound
from engine.org.demo import CAST
from engine.org.queries import actor_for
from tests.browser.conftest import Visit, Visitor, offline
from tests.dsl import Bpm, dates

pytestmark = [pytest.mark.browser, pytest.mark.combined("people", "1280x800", "390x844")]

PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)
LEAVE = dates(2, 4)
TITLE = "关于开展春季传染病防控督导检查的通知"


def test_leave_request(bpm: Bpm, people: Visit) -> None:
    nurse = people("")
    nurse.goto("/login").shot("01-login")
    nurse.login("nurse").shot("02-nothing-to-do")
    nurse.goto("/start").shot("03-start")
    nurse.page.get_by_role("link", name="请假").click()
    nurse.shot("04-leave-empty")
    nurse.page.get_by_role("button", name="提交", exact=True).click()
    expect(nurse.page.locator(".form-errors")).to_contain_text("请选择")
    nurse.shot("05-leave-refused")
    nurse.page.get_by_label("请假类别").select_option("病假")
    nurse.page.get_by_label("开始日期").fill(LEAVE["start_date"])
    nurse.page.get_by_label("结束日期").fill(LEAVE["end_date"])
    expect(nurse.page.locator("[data-form]")).to_contain_text("3 天")  # computed on the server while filling in
    nurse.page.get_by_label("事由").fill("发热，医嘱休息三天")
    nurse.attach("诊断证明.pdf", PDF)
    nurse.choose("工作交接人", "zgzx", "诸葛子轩")
    expect(nurse.page.locator(".bar__note")).to_contain_text("已暂存")
    nurse.shot("06-leave-filled")
    submit = nurse.page.get_by_role("button", name="提交", exact=True)
    submit.evaluate("button => { button.click(); button.click(); button.click(); }")
    nurse.page.wait_for_url("**/instances/**")
    expect(nurse.page.get_by_role("status").first).to_contain_text("科室负责人审批（曾淑贞）")
    nurse.shot("07-leave-started")
    leave = bpm_instance(bpm, "leave_request")  # three clicks, one record
    nurse.goto("/box/drafts")
    expect(nurse.page.get_by_text("没有草稿")).to_be_visible()
    nurse.shot("08-no-drafts")

    head = people("head_nurse")
    row = head.row("todo", "单晓燕的请假申请")
    expect(row).to_contain_text("病假 3 天")
    head.shot("09-todo")
    head.open("todo", "单晓燕的请假申请")
    link = head.page.locator(".files__link")
    expect(link).to_contain_text("诊断证明.pdf")
    opened = head.page.request.get(f"{head.address}{link.get_attribute('href')}")
    assert (opened.status, opened.body()) == (200, PDF)
    head.shot("10-leave-item")
    stale = head.tab()
    stale.goto(head.page.url)
    head.page.locator(".more summary").click()
    head.shot("11-leave-more")
    head.page.keyboard.press("Escape")
    head.page.get_by_role("link", name="退回").click()
    head.page.locator("#dialog-return").get_by_role("button", name="退回").click()
    expect(head.page.locator("#dialog-return")).to_contain_text("请填写原因")
    head.shot("12-leave-return")
    head.page.locator("#dialog-return").get_by_role("link", name="取消").click()
    head.page.get_by_role("button", name="不同意").click()
    expect(head.page.locator("#opinion-error")).to_contain_text("需要填写意见")
    head.shot("13-leave-opinion-needed")
    head.press("同意", "done=complete")
    head.shot("14-leave-agreed")

    stale.locator(".bar").get_by_role("button", name="同意", exact=True).click()
    expect(stale.get_by_role("alert")).to_contain_text("您已于")
    expect(stale.locator(".bar").get_by_role("button", name="同意", exact=True)).to_have_count(0)
    stale.set_viewport_size(head.page.viewport_size or {"width": 390, "height": 844})

    assert trail(bpm, leave.id) == [("start", "submit"), ("complete", "approve")]
    with bpm.db.reading() as session:
        file = session.scalars(select(Attachment)).one()
        done = session.scalars(select(WorkItem).where(WorkItem.assignee_id == bpm.person("head_nurse"))).one()
        walked = queries.diagram(session, bpm.actor("nurse"), leave.id).walked
    assert (file.name, file.state, file.instance_id) == ("诊断证明.pdf", "bound", leave.id)
    assert (done.state, done.outcome) == (ItemState.DONE, "approve")
    assert {"apply", "head_review", "inform_handover"} <= set(walked)
    nurse.goto(f"/instances/{leave.id}")
    walked_path_is_drawn(nurse, "head_review", "15-leave-diagram")


def test_incoming_document(bpm: Bpm, people: Visit) -> None:
    clerk = people("office_clerk")
    clerk.goto("/start/document_incoming")
    clerk.page.get_by_label("标题").fill(TITLE)
    clerk.page.get_by_label("来文单位").fill("市卫生健康委")
    clerk.page.get_by_label("来文字号").fill("卫健发〔2026〕12 号")
    clerk.page.get_by_label("收文日期").fill("2026-11-23")
    clerk.page.get_by_label("缓急").select_option("加急")
    clerk.attach("来文.pdf", PDF)
    clerk.shot("20-document-filled")
    clerk.press("提交", "/instances/")
    clerk.shot("21-document-registered")
    document = bpm_instance(bpm, "document_incoming").id

    office = people("office_director").open("todo", TITLE)
    office.shot("22-propose")
    office.choose("承办科室", "儿科", "儿科")
    office.page.get_by_label("意见", exact=False).last.fill("拟请儿科承办，请院长批示。")
    office.press("呈批", "done=complete")
    office.shot("23-proposed")

    director = people("hospital_director").open("todo", TITLE)
    director.page.get_by_role("button", name="请按规定办理。").click()
    director.choose("传阅人员", "xgd", CAST["surgeon"].name)
    director.shot("24-instruct")
    director.press("批示", "done=complete")
    director.shot("25-instructed")

    doctor = people("doctor").open("todo", TITLE)
    late = people("pediatrics_head").open("todo", TITLE)
    doctor.page.locator("#opinion").fill("已自查并上报。")
    doctor.shot("26-handle")
    with offline(doctor):
        doctor.page.locator(".bar").get_by_role("button", name="办毕", exact=True).click()
        expect(doctor.page.locator(".bar__note")).to_contain_text("未提交")
        doctor.shot("27-unsent")
    doctor.page.wait_for_url("**done=complete**")  # sent again by itself
    late.page.locator("#opinion").fill("我来办。")
    late.press_late("办毕")
    expect(late.page.get_by_role("alert")).to_contain_text("已由诸葛子轩于")
    late.shot("28-late")

    reader = late.open("read_todo", TITLE)
    expect(reader.page.locator(".trail__item_now")).to_contain_text("已阅 0/")
    reader.shot("29-read")
    reader.page.locator("#opinion").fill("已组织科室学习。")
    reader.press("已阅", "done=read")
    reader.shot("30-acknowledged")
    people("surgeon").open("read_todo", TITLE).press("已阅", "done=read")
    readers = acknowledge_rest(bpm, document)
    assert readers >= 40

    clerk.open("todo", TITLE)
    expect(clerk.page.locator(".trail")).to_contain_text(f"已阅 {readers}/{readers}")
    clerk.shot("31-finish")
    clerk.press("办结", "done=complete")
    archivist = people("archivist").open("todo", TITLE)
    archivist.page.get_by_label("保管期限").select_option(index=1)
    archivist.page.get_by_label("档号").fill("2026-收-0001")
    archivist.shot("32-archive")
    archivist.press("归档", "done=complete")
    expect(archivist.page.get_by_role("status").first).to_contain_text("已办结")
    archivist.shot("33-archived")

    with bpm.db.reading() as session:
        instance = session.get_one(Instance, document)
        open_items = session.scalar(
            select(func.count()).where(WorkItem.instance_id == document, WorkItem.state == ItemState.OPEN)
        )
        walked = queries.diagram(session, bpm.actor("office_clerk"), document).walked
    assert (instance.state, instance.urgency, open_items) == ("completed", 2, 0)
    verbs = trail(bpm, document)
    assert verbs[0] == ("start", "submit")
    assert [outcome for verb, outcome in verbs if verb == "complete"] == [
        "submit", "approve", "submit", "finish", "submit",
    ]  # fmt: skip
    assert sum(verb == "read" for verb, _ in verbs) == readers
    assert {"assign_number", "handle", "circulate", "join", "archive", "end_archived"} <= set(walked)
    clerk.goto(f"/instances/{document}").shot("34-document-tracked")
    walked_path_is_drawn(clerk, "archive", "35-document-diagram")


def bpm_instance(bpm: Bpm, key: str) -> Instance:
    """Return the only instance of a process."""
    with bpm.db.reading() as session:
        return session.scalars(select(Instance).where(Instance.process_key == key)).one()


def trail(bpm: Bpm, instance_id: uuid.UUID) -> list[tuple[str, str | None]]:
    """Return what people did, as (verb, outcome)."""
    acts = ("start", "complete", "read", "return")
    with bpm.db.reading() as session:
        rows: Any = session.execute(
            select(ActionLog.verb, ActionLog.outcome)
            .where(ActionLog.instance_id == instance_id, ActionLog.verb.in_(acts))
            .order_by(ActionLog.id)
        )
        return [(verb, outcome) for verb, outcome in rows]


def acknowledge_rest(bpm: Bpm, instance_id: uuid.UUID) -> int:
    """Let everybody who has not read yet read through the command, and return how many readers there were in all."""
    with bpm.db.reading() as session:
        rows = session.execute(
            select(WorkItem.id, WorkItem.assignee_id, WorkItem.state)
            .join(WorkRound, WorkRound.id == WorkItem.round_id)
            .where(WorkItem.instance_id == instance_id, WorkItem.kind == "read")
        ).all()
    for item_id, person_id, state in rows:
        if state == ItemState.OPEN:
            with bpm.db.unit_of_work() as session:
                commands.acknowledge(session, actor_for(session, person_id), item_id)
    return len(rows)


def walked_path_is_drawn(visitor: Visitor, step: str, name: str) -> None:
    """Open the diagram on the page of an instance: SVG on a telephone, the viewer at the desk."""
    visitor.page.locator("[data-diagram]").click()
    if visitor.telephone:
        expect(visitor.page.locator(f'.flow [data-element="{step}"]')).to_have_class("flow__node flow__node_walked")
    else:
        expect(visitor.page.locator(f'.viewer [data-element-id="{step}"].walked')).to_be_visible()
    visitor.shot(name)
