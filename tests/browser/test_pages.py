"""Every page, at both sizes, by day, by night and in senior mode: it opens, and the browser complains of nothing."""

import re
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from playwright.sync_api import FilePayload, Route, expect

from engine import clock, outbox
from engine.errors import Unauthenticated
from engine.org import auth, roles, service_tokens, system_accounts
from engine.org.demo import CAST
from tests.browser.conftest import Visit
from tests.dsl import Bpm, bpmn, chain, dates, flow, start_task, task

pytestmark = [pytest.mark.browser, pytest.mark.backend("sqlite")]

PASSWORD = "一个 好 长 的 密码 2026"
LEAVE = {"leave_type": "年休假", "reason": "回家探亲"} | dates(5, 7)
DOCUMENT = {
    "source": "市卫生健康委",
    "source_number": "卫健发〔2026〕12 号",
    "received_date": "2026-11-23",
    "copies": 1,
}


@pytest.fixture
def busy(bpm: Bpm) -> Bpm:
    """A hospital in which something is going on."""
    bpm.deploy("leave_request", "notice_circulation")
    for number in range(3):
        bpm.start("leave_request", by="nurse", **LEAVE | {"reason": f"第 {number + 1} 次回家探亲"})
    bpm.start("leave_request", by="doctor", **LEAVE).approve(by="pediatrics_head")
    returned = bpm.start("leave_request", by="surgeon", **LEAVE)
    returned.act("comment", "surgeon", returned.id, text="已与同事商量好值班。")
    return bpm


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_staff(busy: Bpm, people: Visit, scheme: str) -> None:
    dark = scheme == "dark"
    head = people("head_nurse", "dark" if dark else "light")
    tag = "-dark" if dark else ""
    for box in ("todo", "read_todo", "done", "started", "copied", "drafts"):
        head.goto(f"/box/{box}").shot(f"40-box-{box}{tag}")
    head.goto("/box/todo?urgency=3").shot(f"41-nothing-found{tag}")
    expect(head.page.get_by_text("没有符合条件的事项")).to_be_visible()
    head.open("todo", "单晓燕的请假申请").shot(f"42-item{tag}")
    head.page.locator(".more summary").click()
    head.shot(f"43-more{tag}")
    head.page.get_by_role("link", name="转办").click()
    head.choose("转给", "oyjy", CAST["pediatrics_head"].name)
    head.shot(f"44-reassign{tag}")
    head.goto("/notices").shot(f"45-notices{tag}")
    head.goto("/account").shot(f"46-account{tag}")
    head.goto("/start/leave_request").shot(f"47-start{tag}")
    doctor = people("doctor", "dark" if dark else "light")
    doctor.open("started", "诸葛子轩的请假申请").shot(f"48-tracked{tag}")
    doctor.page.locator("[data-diagram]").click()
    expect(doctor.page.locator(".flow, .viewer .djs-element").first).to_be_visible()
    doctor.shot(f"49-diagram{tag}")


def test_senior_mode(busy: Bpm, people: Visit) -> None:
    head = people("head_nurse").goto("/account")
    head.page.get_by_role("switch").click()
    expect(head.page.get_by_role("switch")).to_have_attribute("aria-checked", "true")
    head.shot("50-account-care")
    head.row("todo", "单晓燕的请假申请")
    head.shot("51-todo-care")
    head.open("todo", "单晓燕的请假申请").shot("52-item-care")
    tall = head.page.locator(".bar").get_by_role("button", name="同意", exact=True).bounding_box()
    assert tall is not None
    assert tall["height"] >= 48


def test_pages_of_admins(busy: Bpm, people: Visit) -> None:
    admin = people("process_admin")
    admin.goto("/admin").shot("60-instances")
    admin.page.get_by_role("link", name="单晓燕的请假申请").first.click()
    admin.page.wait_for_url("**/instances/**")
    admin.shot("61-instance")
    admin.page.locator(".more summary").click()
    admin.page.get_by_role("link", name="跳转").click()
    admin.shot("62-jump")
    dialog = admin.page.locator("#dialog-jump")
    dialog.get_by_label("到", exact=True).select_option("hr_review")
    dialog.get_by_label("原因").fill("科室负责人休假，由人事科直接审核")
    dialog.get_by_role("button", name="跳转").click()
    expect(admin.page.get_by_role("status").first).to_contain_text("已跳转。现在：人事科审核")
    admin.page.get_by_role("link", name="换成别人").first.click()
    admin.shot("63-reassign")
    admin.goto("/admin/incidents").shot("64-incidents")
    admin.goto("/definitions").shot("65-definitions")
    faulty = bpmn('<startEvent id="start"/>' + task("check", "nurse") + flow("start", "check"))["process.bpmn"]
    broken: FilePayload = {"name": "process.bpmn", "mimeType": "text/xml", "buffer": faulty.encode()}
    admin.page.get_by_label("流程文件").set_input_files([broken])
    admin.page.get_by_role("button", name="检查并部署").click()
    expect(admin.page.get_by_role("table", name="检查结果").locator("tbody tr").first).to_contain_text("process.bpmn")
    admin.shot("66-upload-refused")
    admin.goto("/definitions/leave_request")
    if not admin.telephone:
        expect(admin.page.locator(".viewer .djs-element").first).to_be_visible()
    admin.shot("67-definition")


def test_what_auditors_read(busy: Bpm, people: Visit) -> None:
    admin = busy.actor("system_admin")
    with busy.db.unit_of_work() as session:
        nurse = CAST["nurse"].staff_number
        roles.grant(session, admin, "seal_keeper", nurse, "EK")
        auth.set_password(session, None, busy.person("nurse"), PASSWORD)
        account = system_accounts.create_system_account(session, admin, "SYS-HIS", "挂号系统", "XX")
        service_tokens.create_service_token(
            session, admin, "挂号系统的接口", account.id, ["instances:start", "instances:read"]
        )
    for _ in range(5):
        with suppress(Unauthenticated), busy.db.unit_of_work() as session:
            auth.login(session, nurse, "guess", address="10.21.4.88")
    auditor = people("auditor").goto("/admin")
    auditor.page.get_by_role("link", name="操作记录").click()
    expect(auditor.page.locator(".grid")).to_contain_text("连续输错 5 次")
    auditor.shot("69-activities")
    auditor.page.get_by_label("姓名或工号").fill(nurse)
    auditor.page.get_by_label("姓名或工号").press("Enter")
    expect(auditor.page.locator(".grid tbody tr")).to_have_count(3)
    auditor.shot("69-activities-of-one")
    auditor.goto("/admin/activities?who=没有这个人").shot("69-activities-of-nobody")
    auditor.goto("/account").shot("69-account-of-auditor")


def test_what_was_not_delivered_is_delivered_again(bpm: Bpm, people: Visit) -> None:
    story = bpm.start("leave_request", "nurse", **LEAVE)
    told = {"instance": str(story.id), "kind": "urge", "persons": [str(bpm.person("head_nurse"))], "text": "请批"}
    gone = {
        "state": "dead",
        "attempts": 8,
        "last_error": "OperationalError (engine/notices.py:72)",
        "done_at": clock.now(),
    }
    with bpm.db.unit_of_work() as session:
        for key in ("a", "b"):
            row = outbox.row("notice", key, "person", told, clock.now())
            session.add(outbox.Outbox(**row, **gone))
    admin = people("process_admin").goto("/admin/outbox")
    admin.shot("69-outbox")
    admin.page.get_by_role("link", name="逐条查看").click()
    expect(admin.page.get_by_role("link", name="单晓燕的请假申请")).to_have_count(2)
    admin.shot("70-dead-letters")
    admin.goto("/admin/outbox").page.get_by_role("button", name="全部重新投递").click()
    expect(admin.page.get_by_role("status").first).to_contain_text("已重新投递 2 条")
    expect(admin.page.get_by_text("没有投递失败")).to_be_visible()


def test_a_form_is_read_out_and_read(people: Visit) -> None:
    nurse = people("nurse").goto("/start/purchase_request")
    field = nurse.page.locator("input[data-upload]").first
    expect(nurse.page.get_by_text("添加附件")).to_be_visible()
    assert field.evaluate("field => [...field.labels].map((label) => label.textContent.trim())") == ["附件"]
    colour = "(element, part) => getComputedStyle(element, part).color"
    faint = nurse.page.get_by_label("采购事项").evaluate(colour, "::placeholder")
    assert faint == nurse.page.locator(".lead").evaluate(colour)
    nurse.attach("论证.pdf", b"%PDF-1.4\ntrailer<<>>\n%%EOF\n")


def test_who_has_read_opens_beside_who_has_not(bpm: Bpm, people: Visit) -> None:
    readers = [str(bpm.person(who)) for who in ("nurse", "head_nurse", "surgeon")]
    deadline = (clock.today() + timedelta(days=3)).isoformat()
    notice = {"title": "培训", "notice_type": "会议通知", "content": "周五", "deadline": deadline, "people": readers}
    bpm.deploy("notice_circulation").start("notice_circulation", "doctor", **notice).read("nurse").read("head_nurse")
    doctor = people("doctor").open("started", "培训")
    expect(doctor.page.locator(".trail")).to_contain_text("未阅 1 人")
    doctor.page.get_by_role("link", name="已阅名单（2 人）").click()
    listed = doctor.page.get_by_role("list", name="已阅名单").get_by_role("listitem")
    expect(listed).to_contain_text([CAST["head_nurse"].name, CAST["nurse"].name])
    doctor.shot("68-readers")


def test_the_list_keeps_its_place(bpm: Bpm, people: Visit) -> None:
    bpm.deploy("leave_request")
    for number in range(26):
        bpm.start("leave_request", by="nurse", **LEAVE | {"reason": f"第 {number + 1} 次"})
    head = people("head_nurse").goto("/box/todo?period=week")
    rows = head.page.locator(".rows__item")
    expect(rows).to_have_count(20)
    head.page.get_by_role("link", name="更多").click()
    expect(rows).to_have_count(26)
    rows.nth(24).locator("a").click()
    head.page.wait_for_url("**/items/**")
    head.press("同意", "done=complete")
    expect(head.page.get_by_role("link", name="下一条（剩 25）")).to_be_visible()
    if head.telephone:
        head.page.get_by_role("link", name="返回列表").last.click()
        head.page.wait_for_url("**/box/todo?period=week")
        expect(rows).to_have_count(25)
        assert head.page.evaluate("document.scrollingElement.scrollTop") > 500


def test_the_diagram_at_the_desk_is_readable_and_shows_where_it_waits(bpm: Bpm, people: Visit) -> None:
    first = clock.today() + timedelta(days=5)
    dates = {"start_date": first.isoformat(), "end_date": first.isoformat()}
    bpm.deploy("leave_request").start("leave_request", by="nurse", **LEAVE | dates).approve(by="head_nurse")
    nurse = people("nurse").open("started", "单晓燕的请假申请")
    expect(nurse.page.locator(".standing")).to_contain_text(f"等待休假开始（{first:%m-%d} 08:00）")
    nurse.page.locator("[data-diagram]").click()
    if nurse.telephone:
        expect(nurse.page.locator('.flow [data-element="leave_begins"]')).to_contain_text(f"{first:%m-%d} 08:00")
        nurse.shot("69-waiting")
        return
    box = nurse.page.locator(".viewer[data-ready]")
    expect(box.locator('[data-element-id="leave_begins"].standing')).to_be_in_viewport()
    expect(box.locator(".viewer__note")).to_have_text(f"{first:%m-%d} 08:00")
    drawn, readable = box.locator(".viewport"), re.compile(r"matrix\((0\.9|1)")
    expect(drawn).to_have_attribute("transform", readable)
    nurse.shot("69-waiting")
    box.get_by_role("button", name="显示全图").click()
    expect(drawn).not_to_have_attribute("transform", readable)
    box.get_by_role("button", name="放大到整个窗口").click()
    expect(box).to_have_css("position", "fixed")
    expect(drawn).to_have_attribute("transform", readable)
    nurse.page.keyboard.press("Escape")
    expect(box).not_to_have_css("position", "fixed")


def test_a_groups_item_is_claimed_within_the_thumbs_reach(bpm: Bpm, people: Visit) -> None:
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + task("check", "head_nurse", "doctor")
    bpm.deploy_files(bpmn(body + chain("s", "apply", "check", "e"))).start("p", by="nurse")
    head = people("head_nurse").open("todo", "p（单晓燕）")
    claim = head.page.locator(".bar").get_by_role("button", name="签收")
    place, size = claim.bounding_box(), head.page.viewport_size
    assert place is not None
    assert size is not None
    assert place["height"] >= 44
    assert place["y"] > size["height"] - 140
    head.shot("70-claim")
    claim.click()
    expect(head.page.get_by_role("status").first).to_contain_text("已签收")
    expect(claim).to_have_count(0)


def test_files_of_a_process_are_listed_when_they_are_chosen(bpm: Bpm, people: Visit) -> None:
    bpm.deploy("leave_request")
    admin = people("process_admin").goto("/definitions")
    files: list[FilePayload] = [
        {"name": name, "mimeType": "text/plain", "buffer": b"x" * 2048} for name in ("process.bpmn", "leave.json")
    ]
    admin.page.get_by_label("流程文件").set_input_files(files)
    expect(admin.page.locator(".upload .upload-row")).to_have_text(["process.bpmn2 KB", "leave.json2 KB"])


def test_nothing_is_saved_beside_what_is_being_sent(bpm: Bpm, people: Visit) -> None:
    nurse = people("nurse").goto("/start/leave_request")
    saved: list[str] = []
    nurse.page.on("request", lambda sent: saved.append(sent.url) if sent.url.endswith("/draft") else None)

    def slowly(route: Route) -> None:
        time.sleep(2)  # longer than a form waits after the last letter until it saves
        route.continue_()

    nurse.page.route("**/start/leave_request", slowly)
    nurse.page.get_by_label("请假类别").select_option(LEAVE["leave_type"])
    nurse.page.get_by_label("开始日期").fill(LEAVE["start_date"])
    nurse.page.get_by_label("结束日期").fill(LEAVE["end_date"])
    nurse.page.get_by_label("事由").fill("回家探亲")
    nurse.press("提交", "/instances/")
    assert saved == []
    nurse.goto("/box/drafts")
    expect(nurse.page.get_by_text("没有草稿")).to_be_visible()
