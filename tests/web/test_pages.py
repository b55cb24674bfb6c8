"""The pages without any script: plain forms, refusals in place, and what protects them."""

import re
import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import TimeoutError as NoConnection

from engine import clock
from engine.bpm import queries
from engine.bpm.models import Draft, Instance, WorkItem
from engine.bpm.queries.trail import readers
from engine.org.demo import CAST
from tests.dsl import Bpm, bpmn, chain, dates, start_task, task
from tests.web.conftest import Browser
from web.rendering import due, initial, moment, waited

LEAVE = {"leave_type": "事假", "reason": "家中有事"} | dates(5, 7)


def todo(bpm: Bpm, who: str) -> uuid.UUID:
    """Return the only open item of a member of the cast."""
    with bpm.db.reading() as session:
        mine = select(WorkItem.id).where(WorkItem.assignee_id == bpm.person(who), WorkItem.state == "open")
        return session.scalars(mine).one()


def count(bpm: Bpm, table: Any) -> int:
    """Count the rows of a table."""
    with bpm.db.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_what_this_device_keeps_is_kept_by_person(browser_of: Browser, bpm: Bpm) -> None:
    # a ward shares a computer: what the network lost of one person's form is never sent again as another's
    for who in ("nurse", "doctor"):
        browser, kept = browser_of.login(who), f'"start:leave_request:{bpm.person(who)}"'
        assert f"data-outbox={kept}" in browser.get("/start/leave_request")
        form = browser.form("/start/leave_request", "/start/leave_request")
        done = browser.send("/start/leave_request", form | LEAVE)
        assert f"data-sent={kept}" in browser.get(done.headers["location"])


def test_a_leave_request_without_script(browser_of: Browser, bpm: Bpm) -> None:
    nurse = browser_of.login("nurse")
    form = nurse.form("/start/leave_request", "/start/leave_request")
    pdf = ("证明.pdf", b"%PDF-1.4\ntrailer<<>>\n%%EOF\n", "application/pdf")
    answer = nurse.send("/start/leave_request", form | LEAVE, files={"attachments": pdf})
    page = nurse.get(answer.headers["location"])
    assert "已提交。现在：科室负责人审批（曾淑贞）" in page
    assert "证明.pdf" in page
    again = nurse.send("/start/leave_request", form | LEAVE, files={"attachments": pdf})  # the same form once more
    assert again.headers["location"] == answer.headers["location"]
    other = nurse.send("/start/leave_request", form | LEAVE | {"reason": "改了事由"}, 409, files={"attachments": pdf})
    assert "第一次的已生效，这一次没有" in other.text
    assert count(bpm, Instance) == 1

    head, item = browser_of.login("head_nurse"), todo(bpm, "head_nurse")
    form = head.form(f"/items/{item}?from=/box/todo%3Fperiod%3Dweek", f"/items/{item}/complete")
    assert form["_from"] == "/box/todo?period=week"
    refused = head.send(f"/items/{item}/complete", form | {"_outcome": "reject"}, 422)
    assert "请填写意见" in refused.text
    done = head.send(f"/items/{item}/complete", form | {"_outcome": "approve", "_opinion": "好好休息"})
    assert "已办理" in head.get(done.headers["location"])
    late = head.send(f"/items/{item}/complete", form | {"_outcome": "approve", "_key": "another"}, 409)
    assert "您已于" in late.text


def test_what_was_typed_comes_back_with_the_refusal(browser_of: Browser) -> None:
    nurse = browser_of.login("nurse")
    form = nurse.form("/start/leave_request", "/start/leave_request")
    refused = nurse.send("/start/leave_request", form | LEAVE | {"start_date": "", "reason": "<b>探亲</b>"}, 422)
    assert "请填写“开始日期”" in refused.text
    assert "&lt;b&gt;探亲&lt;/b&gt;" in refused.text


def test_a_return_needs_a_reason_and_keeps_its_dialog_open(browser_of: Browser, bpm: Bpm) -> None:
    bpm.start("leave_request", by="nurse", **LEAVE)
    head, item = browser_of.login("head_nurse"), todo(bpm, "head_nurse")
    action = f"/items/{item}/return"
    form = head.form(f"/items/{item}?do=return", action)
    refused = head.send(action, form | {"to": "apply", "mode": "rewalk", "reason": " "}, 422)
    assert re.search(r'id="dialog-return"[^>]* open ', refused.text)
    assert "请填写原因" in refused.text
    returned = head.send(action, form | {"to": "apply", "mode": "rewalk", "reason": "请补充材料"})
    assert "已退回" in head.get(returned.headers["location"])
    assert todo(bpm, "nurse")


def test_people_are_typed_where_no_script_suggests_them(browser_of: Browser, bpm: Bpm) -> None:
    bpm.start("leave_request", by="nurse", **LEAVE)
    head, item = browser_of.login("head_nurse"), todo(bpm, "head_nurse")
    action = f"/items/{item}/reassign"
    form = head.form(f"/items/{item}?do=reassign", action) | {"reason": "出差"}
    assert "找不到“没有这个人”" in head.send(action, form | {"to:text": "没有这个人"}, 422).text
    assert "请选择人员" in head.send(action, form, 422).text
    head.send(action, form | {"to:text": CAST["pediatrics_head"].name})
    assert todo(bpm, "pediatrics_head")


def test_drafts(browser_of: Browser, bpm: Bpm) -> None:
    nurse = browser_of.login("nurse")
    form = nurse.form("/start/leave_request", "/start/leave_request")
    kept = nurse.send("/start/leave_request/draft", form | {"reason": "还没想好"})
    assert "已暂存" in nurse.get(kept.headers["location"])
    link = re.search(r'href="(/start/leave_request\?draft=[^"]+)"', nurse.get("/box/drafts"))
    assert link
    assert "还没想好" in nurse.get(link[1])
    nurse.send("/start/leave_request", nurse.form(link[1], "/start/leave_request") | LEAVE)
    assert count(bpm, Draft) == 0


def test_no_draft_is_kept_beside_what_was_sent(browser_of: Browser, bpm: Bpm) -> None:
    nurse = browser_of.login("nurse")
    form = nurse.form("/start/leave_request", "/start/leave_request") | LEAVE
    script = {"HX-Request": "true", "HX-Request-Type": "partial"}
    for _ in range(2):  # the page that was sent never learned of its draft, and it is one
        assert "已暂存" in nurse.send("/start/leave_request/draft", form, 200, headers=script).text
        assert count(bpm, Draft) == 1
    refused = nurse.send("/start/leave_request", form | {"reason": ""}, 422).text
    assert f'value="{form["_draft"]}"' in refused
    assert count(bpm, Draft) == 1
    nurse.send("/start/leave_request", form)
    assert count(bpm, Draft) == 0
    late = nurse.send("/start/leave_request/draft", form, 409, headers=script)
    assert "已经提交" in late.text
    assert count(bpm, Draft) == 0


def test_nobody_saves_into_the_draft_of_another(browser_of: Browser, bpm: Bpm) -> None:
    nurse = browser_of.login("nurse")
    form = nurse.form("/start/leave_request", "/start/leave_request")
    nurse.send("/start/leave_request/draft", form | {"reason": "我的"})
    head = browser_of.login("head_nurse")
    own = head.form("/start/leave_request", "/start/leave_request") | {"_draft": form["_draft"], "reason": "别人的"}
    head.send("/start/leave_request/draft", own, 404)
    assert count(bpm, Draft) == 1


def test_a_list_that_is_none_is_not_found(browser_of: Browser) -> None:
    page = browser_of.login("nurse").get("/box/draft", 404)
    assert "没有这个列表" in page
    assert "read_todo、" not in page


def test_forms_of_other_sites_and_without_token_are_refused(browser_of: Browser, bpm: Bpm) -> None:
    bpm.start("leave_request", by="nurse", **LEAVE)
    head, item = browser_of.login("head_nurse"), todo(bpm, "head_nurse")
    form = head.form(f"/items/{item}", f"/items/{item}/complete") | {"_outcome": "approve"}
    action = f"/items/{item}/complete"
    assert "页面已过期" in head.send(action, form | {"_csrf": "x"}, 403).text
    assert head.send(action, form, 403, headers={"Origin": "https://evil.example"})
    assert head.send(action, form, 403, headers={"Sec-Fetch-Site": "cross-site"})
    assert (
        browser_of.client.post(
            "/login", data={"number": "10001"}, headers={"Origin": "https://evil.example"}
        ).status_code
        == 403
    )
    assert todo(bpm, "head_nurse") == item


def test_who_is_not_logged_in_comes_back_after_it(client: httpx.Client) -> None:
    answer = client.get("/box/done?urgency=3")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fbox%2Fdone%3Furgency%3D3")
    number = CAST["nurse"].staff_number
    there = client.post("/login", data={"number": number, "next": "/box/done?urgency=3"})
    assert there.headers["location"] == "/box/done?urgency=3"
    for elsewhere in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert client.post("/login", data={"number": number, "next": elsewhere}).headers["location"] == "/"
    wrong = client.post("/login", data={"number": number, "password": "wrong"})
    assert wrong.status_code == 401
    assert "工号或密码不正确" in wrong.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/items/none", 404),
        (f"/items/{uuid.UUID(int=1)}", 404),
        (f"/instances/{uuid.UUID(int=1)}", 404),
        (f"/attachments/{uuid.UUID(int=1)}", 404),
        ("/box/nothing", 404),
        ("/box/todo?cursor=x", 422),
        ("/box/todo?text=" + "长" * 60, 422),
        ("/start/nothing", 404),
        ("/admin", 403),
        ("/admin/incidents", 403),
        ("/definitions", 403),
        ("/start/leave_request?draft=" + str(uuid.UUID(int=1)), 404),
    ],
)
def test_what_is_not_there_or_not_allowed_is_a_page(browser_of: Browser, path: str, status: int) -> None:
    page = browser_of.login("nurse").get(path, status)
    assert "回到首页" in page
    assert "Traceback" not in page


def test_answers_carry_their_policy(browser_of: Browser) -> None:
    answers = [browser_of.login("nurse").client.get("/box/todo") for _ in range(2)]
    nonces = [
        re.search(r"script-src 'nonce-([^']+)' 'strict-dynamic'", a.headers["content-security-policy"]) for a in answers
    ]
    for answer, nonce in zip(answers, nonces, strict=True):
        assert nonce
        assert f'nonce="{nonce[1]}"' in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "private, no-cache"
        assert " style=" not in answer.text
        assert not re.search(r"<script(?![^>]* src=)", answer.text)
    assert len({nonce[1] for nonce in nonces if nonce}) == 2


def test_built_files_are_kept_for_ever(client: httpx.Client) -> None:
    page = client.get("/login").text
    for name in re.findall(r"/static/app-[^\"]+", page):
        answer = client.get(name)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_a_refused_part_of_a_page_is_told_and_changes_nothing(browser_of: Browser, bpm: Bpm) -> None:
    bpm.start("leave_request", by="nurse", **LEAVE).approve(by="head_nurse")
    head = browser_of.login("head_nurse")
    with bpm.db.reading() as session:
        item = session.scalars(select(WorkItem.id).where(WorkItem.assignee_id == bpm.person("head_nurse"))).one()
    form = {"_csrf": head.form("/account", "/logout")["_csrf"], "_opinion": "晚了"}
    script = {"HX-Request": "true", "HX-Request-Type": "partial"}
    answer = head.send(f"/items/{item}/draft", form, 409, headers=script)
    assert ("您已于" in answer.text, answer.headers["hx-reswap"]) == (True, "none")
    assert count(bpm, Draft) == 0


def test_the_api_keeps_its_own_answers(client: httpx.Client) -> None:
    assert client.get("/api/v1/nowhere").headers["content-type"] == "application/problem+json"
    assert client.get("/api/v1/me").headers["content-type"] == "application/problem+json"


def test_uploads_may_be_as_large_as_through_the_api(browser_of: Browser) -> None:
    nurse = browser_of.login("nurse")
    form = nurse.form("/start/leave_request", "/start/leave_request") | LEAVE
    pdf = b"%PDF-1.4\n" + b"%" * (3 << 20) + b"\ntrailer<<>>\n%%EOF\n"
    kept = nurse.send("/start/leave_request/draft", form, files={"attachments": ("扫描件.pdf", pdf)})
    link = re.search(r'href="(/start/leave_request\?draft=[^"]+)"', nurse.get(kept.headers["location"]))
    assert link
    assert "扫描件.pdf" in nurse.get(link[1])
    large = {"files": ("process.bpmn", b"<!--" + b" " * (3 << 20) + b"-->")}
    admin = browser_of.login("process_admin")
    form = admin.form("/definitions", "/definitions")
    assert "process.bpmn" in admin.send("/definitions", form, 422, files=large).text
    too_large = {"files": ("process.bpmn", b" " * (6 << 20))}
    admin.send("/definitions", form, 413, files=too_large)
    admin.send("/account/care", {"care": "1" * (2 << 20)}, 413)  # no files there


def test_a_box_is_filtered_by_the_processes_in_it(browser_of: Browser, bpm: Bpm) -> None:
    bpm.deploy("document_incoming")
    bpm.start("leave_request", by="nurse", **LEAVE)

    def choices(page: str) -> list[str]:
        inner = page[page.index('<select name="process">') :]
        return re.findall(r'<option value="([^"]+)"', inner[: inner.index("</select>")])

    head = browser_of.login("head_nurse")
    assert choices(head.get("/box/todo")) == ["leave_request"]
    assert choices(head.get("/box/done")) == []
    # a filter that leaves nothing doesn't take away the others
    assert choices(head.get("/box/todo?text=没有这样的")) == ["leave_request"]


def test_a_box_tells_of_processes_one_may_not_start(browser_of: Browser, bpm: Bpm) -> None:
    closed = bpmn(
        '<startEvent id="s"/><endEvent id="e"/>'
        + start_task()
        + task("check", "head_nurse")
        + chain("s", "apply", "check", "e"),
        key="closed",
        extension='<piyue:process starters="role:process_admin"/>',
    )
    bpm.deploy_files(closed).start("closed", by="process_admin")
    head = browser_of.login("head_nurse")
    assert "/start/closed" not in head.get("/start")
    assert '<option value="closed">' in head.get("/box/todo")


def test_readers_are_named_to_whoever_sees_the_instance(browser_of: Browser, bpm: Bpm) -> None:
    people = [str(bpm.person(who)) for who in ("nurse", "head_nurse", "surgeon")]
    deadline = (clock.today() + timedelta(days=3)).isoformat()
    data = {"title": "培训", "notice_type": "会议通知", "content": "周五", "deadline": deadline, "people": people}
    story = bpm.deploy("notice_circulation").start("notice_circulation", "doctor", **data)
    doctor = browser_of.login("doctor")
    assert "已阅名单" not in doctor.get(f"/instances/{story.id}")
    story.read("nurse").read("head_nurse")
    (link,) = re.findall(rf'href="(/instances/{story.id}/rounds/[^"]+/readers)"', doctor.get(f"/instances/{story.id}"))
    page = doctor.get(link)
    names = re.findall(r'<li class="chip chip_seen"><span>([^<]+)</span><small>([^<]+) · ', page)
    assert names == [(CAST[who].name, "儿科") for who in ("head_nurse", "nurse")]
    assert CAST["surgeon"].name not in page
    assert "<html" not in doctor.get(link, headers={"HX-Request": "true"})
    browser_of.login("hr_clerk").get(link, 404)
    browser_of.login("doctor").get(f"{link}?cursor=x", 422)


def test_a_long_list_of_readers_comes_in_pages(browser_of: Browser, bpm: Bpm) -> None:
    people = [str(bpm.person(who)) for who in ("nurse", "head_nurse", "surgeon")]
    deadline = (clock.today() + timedelta(days=3)).isoformat()
    data = {"title": "培训", "notice_type": "会议通知", "content": "周五", "deadline": deadline, "people": people}
    story = bpm.deploy("notice_circulation").start("notice_circulation", "doctor", **data)
    for who in ("nurse", "head_nurse", "surgeon"):
        story.read(who)
    with bpm.db.reading() as session:
        viewer = bpm.actor("doctor")
        (step,) = (s for s in queries.timeline(session, viewer, story.id).steps if s.kind == "read")
        first = readers(session, viewer, story.id, step.round_id, limit=2)
        rest = readers(session, viewer, story.id, step.round_id, limit=2, cursor=first.next_cursor)
    assert [reader.name for reader in (*first.rows, *rest.rows)] == [
        CAST[who].name for who in ("surgeon", "head_nurse", "nurse")
    ]
    assert rest.next_cursor is None


def test_what_nobody_expected_is_a_page_with_its_number(
    browser_of: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nurse = browser_of.login("nurse")
    monkeypatch.setattr("web.pages.notices.notices.list_notices", lambda *_: 1 / 0)
    page = nurse.get("/notices", 500)
    found = re.search(r"请把编号 ([0-9a-f]{12}) 告诉信息科", page)
    assert found
    assert f"unexpected error {found[1]}: GET /notices" in caplog.text
    monkeypatch.setattr("web.pages.notices.notices.list_notices", _no_connection)
    away = nurse.client.get("/notices")
    assert (away.status_code, away.headers["retry-after"]) == (503, "2")
    assert "系统繁忙" in away.text


def _no_connection(*_: object) -> None:
    raise NoConnection("QueuePool limit")


def test_what_takes_nothing_or_words_alone(browser_of: Browser, bpm: Bpm) -> None:
    story = bpm.start("leave_request", by="nurse", **LEAVE)
    head, item = browser_of.login("head_nurse"), todo(bpm, "head_nurse")
    form = head.form(f"/items/{item}", f"/items/{item}/complete") | {"_outcome": "approve"}
    head.send(f"/items/{item}/complete", form)
    action = f"/items/{item}/take-back"
    back = head.send(action, head.form(f"/items/{item}?from=/box/done", action))
    assert "已撤回，可以重新办理" in head.get(back.headers["location"])
    assert back.headers["location"].endswith("&from=%2Fbox%2Fdone")
    again = head.send(action, form | {"_key": "later"}, 409)
    assert re.search(r'role="alert"', again.text)
    nurse = browser_of.login("nurse")
    for verb, told in (("comment", "评论已发表"), ("urge", "已催办"), ("withdraw", "已撤销")):
        action = f"/instances/{story.id}/{verb}"
        form = nurse.form(f"/instances/{story.id}?do={verb}", action)
        if verb != "urge":
            refused = nurse.send(action, form | {"reason": " ", "_key": f"{verb}-empty"}, 422).text
            assert re.search(rf'id="dialog-{verb}"[^>]* open ', refused)
        assert told in nurse.get(nurse.send(action, form | {"reason": "家里来电"}).headers["location"])
    story.expect_state("withdrawn")
    for unknown in (f"/items/{item}/forget", f"/instances/{story.id}/forget"):
        nurse.send(unknown, form, 404)


def test_a_groups_item_is_claimed_from_the_bar(browser_of: Browser, bpm: Bpm) -> None:
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + task("check", "head_nurse", "doctor", "surgeon")
    bpm.deploy_files(bpmn(body + chain("s", "apply", "check", "e"))).start("p", by="nurse")
    head, item = browser_of.login("head_nurse"), todo(bpm, "head_nurse")
    page = head.get(f"/items/{item}")
    assert re.search(
        r'class="bar__claim"><span>另有 2 人可办理，签收后由您一人办理</span><button[^>]*form="claim"', page
    )
    assert "任一人办理即可" in page[page.index("trail__list") :]
    assert "已办 0/3" not in page
    action = f"/items/{item}/claim"
    page = head.get(head.send(action, head.form(f"/items/{item}", action)).headers["location"])
    assert "已签收" in page
    assert "bar__claim" not in page
    form = head.form(f"/items/{item}", f"/items/{item}/complete") | {"_outcome": "approve"}
    page = head.get(head.send(f"/items/{item}/complete", form).headers["location"])
    assert re.search("任一人办理即可，(诸葛子轩、冼国栋|冼国栋、诸葛子轩)不必再办", page)


def test_what_it_waits_for_is_told_on_the_page_in_the_list_and_on_the_diagram(browser_of: Browser, bpm: Bpm) -> None:
    start = clock.today() + timedelta(days=5)
    dates = {"start_date": start.isoformat(), "end_date": start.isoformat()}
    story = bpm.start("leave_request", by="nurse", **LEAVE | dates).approve("head_nurse")
    moment, nurse = f"{start:%m-%d} 08:00", browser_of.login("nurse")
    assert f"现在：等待休假开始（{start:%m-%d} 08:00）" in nurse.get(f"/instances/{story.id}")
    assert f"等待休假开始（{moment}）" in nurse.get("/box/started")
    assert moment in nurse.get(f"/instances/{story.id}/diagram")
    found = nurse.client.get(f"/instances/{story.id}/diagram.json").json()
    assert (found["open"], found["notes"]) == (["leave_begins"], {"leave_begins": [moment]})
    assert f"等待休假开始（{moment}）" in browser_of.login("process_admin").get("/admin")


def test_a_step_in_a_called_process_is_told_where_it_is_called(browser_of: Browser, bpm: Bpm) -> None:
    called = bpmn('<startEvent id="s"/><endEvent id="e"/>' + task("look", "surgeon") + chain("s", "look", "e"), "inner")
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + '<callActivity id="call" calledElement="inner"/>'
    files = bpmn(body + chain("s", "apply", "call", "e"))
    story = bpm.deploy_files(files | {"called/inner.bpmn": called["process.bpmn"]}).start("p", by="nurse")
    found = browser_of.login("nurse").client.get(f"/instances/{story.id}/diagram.json").json()
    assert (found["open"], found["notes"]) == (["call"], {"call": ["look", CAST["surgeon"].name, "刚到"]})


def test_opening_a_matter_reads_what_was_told_of_it(browser_of: Browser, bpm: Bpm) -> None:
    bpm.start("leave_request", by="nurse", **LEAVE)
    bpm.start("leave_request", by="nurse", **LEAVE | {"reason": "又有事"})
    head = browser_of.login("head_nurse")

    def badge(page: str) -> str:
        tab = page[page.index('href="/notices"') :]
        found = re.search(r'nav__count"><span class="sr">，</span>(\d+)<', tab[: tab.index("</a>")])
        return found[1] if found else ""

    assert badge(head.get("/box/todo")) == "2"
    link = re.findall(r'href="(/items/[^"?]+)', head.get("/box/todo"))[0]
    assert badge(head.get(link)) == "1"  # on the very page
    assert badge(head.get(link)) == badge(head.get("/box/todo")) == "1"


def test_what_one_decided_is_told_in_the_words_of_the_step(browser_of: Browser, bpm: Bpm) -> None:
    filed = task("file", "archivist", kind="fill", inner='<piyue:outcome id="submit" name="归档"/>')
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + filed + task("check", "archivist")
    story = bpm.deploy_files(bpmn(body + chain("s", "apply", "file", "check", "e"))).start("p", by="nurse")
    story.submit("archivist", "file").send_back("archivist", to="file")
    item = story.item("archivist", "file")
    story.act("reassign", "archivist", item.id, to=bpm.person("doctor"), reason="代办")
    page = browser_of.login("archivist").get("/box/done")
    assert re.findall(r'<span class="tag">([^<]+)</span>', page) == ["已转办", "退回", "归档"]


def test_many_processes_are_typed(browser_of: Browser, bpm: Bpm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.pages.boxes._MANY", 1)
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + task("check", "head_nurse")
    bpm.deploy_files(bpmn(body + chain("s", "apply", "check", "e"), key="other")).start("other", by="nurse")
    bpm.start("leave_request", by="nurse", **LEAVE)
    head = browser_of.login("head_nurse")
    page = head.get("/box/todo")
    options = page[page.index('<datalist id="filter-processes">') : page.index("</datalist>")]
    assert re.findall('value="([^"]+)"', options) == ["other", "请假"]
    found = head.get("/box/todo?process=请假")
    assert found.count('class="rows__item"') == 1
    assert '/box/todo?process=leave_request"' in found.replace("&amp;", "&")
    assert "没有符合条件的事项" in head.get("/box/todo?process=没有这个")


@pytest.mark.parametrize(
    ("name", "shown"),
    [("欧阳修", "欧阳"), ("欧阳静怡", "静怡"), ("单晓燕", "晓燕"), ("令狐伟", "令狐"), ("覃怀", "覃怀"), ("单", "单")],
)
def test_an_avatar_never_cuts_a_surname_in_two(name: str, shown: str) -> None:
    assert initial(name) == shown


def test_who_looks_at_an_item_has_opened_it(browser_of: Browser, bpm: Bpm) -> None:
    bpm.start("leave_request", by="nurse", **LEAVE)
    item = todo(bpm, "head_nurse")
    assert "未打开" not in browser_of.login("head_nurse").get(f"/items/{item}")


def test_a_refused_form_is_told_once(browser_of: Browser, bpm: Bpm) -> None:
    bpm.start("leave_request", by="nurse", **LEAVE)
    head, item = browser_of.login("head_nurse"), todo(bpm, "head_nurse")
    action = f"/items/{item}/return"
    head.send(action, head.form(f"/items/{item}", action) | {"to": "apply", "mode": "rewalk", "reason": "日期有误"})
    nurse, item = browser_of.login("nurse"), todo(bpm, "nurse")
    form = nurse.form(f"/items/{item}", f"/items/{item}/complete") | LEAVE | {"reason": "", "_outcome": "submit"}
    refused = nurse.send(f"/items/{item}/complete", form, 422).text
    assert (refused.count('role="alert"'), "第一处：请填写“事由”" in refused) == (1, True)


def test_a_total_stands_while_a_row_is_being_filled_in(browser_of: Browser, bpm: Bpm) -> None:
    bpm.deploy("purchase_request")
    nurse = browser_of.login("nurse")
    form = nurse.form("/start/purchase_request", "/start/purchase_request")
    rows = {"items[0].quantity": "2", "items[0].price": "4000", "items[1].name": "支架"}
    shown = nurse.send("/start/purchase_request/form", form | rows, 200).text
    assert re.search(r"<dt[^>]*>合计</dt>\s*<dd[^>]*><p><strong>¥ 8,000\.00</strong>", shown)


def test_what_is_due_is_not_said_to_be_waited_for() -> None:
    before, after = clock.now() - timedelta(minutes=1), clock.now() + timedelta(minutes=1)
    assert (due(before), due(after)) == ("时间已到", moment(after))


def test_waiting_is_told_from_a_minute_on() -> None:
    assert [waited(clock.now() - timedelta(seconds=s)) for s in (5, 61, 7500)] == [
        "刚到",
        "已等 1 分钟",
        "已等 2 小时 5 分",
    ]
