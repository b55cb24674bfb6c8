"""The pages without any script: plain forms, refusals in place, and what protects them."""

import re
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from engine.bpm.models import Draft, Instance, WorkItem
from engine.org.demo import CAST
from tests.dsl import Bpm
from tests.web.conftest import Browser

LEAVE = {"leave_type": "事假", "start_date": "2026-12-01", "end_date": "2026-12-03", "reason": "家中有事"}


def todo(bpm: Bpm, who: str) -> uuid.UUID:
    """Return the only open item of a member of the cast."""
    with bpm.db.reading() as session:
        mine = select(WorkItem.id).where(WorkItem.assignee_id == bpm.person(who), WorkItem.state == "open")
        return session.scalars(mine).one()


def count(bpm: Bpm, table: Any) -> int:
    """Count the rows of a table."""
    with bpm.db.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_leave_request_without_script(browser_of: Browser, bpm: Bpm) -> None:
    nurse = browser_of.login("nurse")
    form = nurse.form("/start/leave_request", "/start/leave_request")
    pdf = ("证明.pdf", b"%PDF-1.4\ntrailer<<>>\n%%EOF\n", "application/pdf")
    answer = nurse.send("/start/leave_request", form | LEAVE, files={"attachments": pdf})
    page = nurse.get(answer.headers["location"])
    assert "已提交。现在：科室负责人审批（曾淑贞）" in page
    assert "证明.pdf" in page
    again = nurse.send("/start/leave_request", form | LEAVE)  # the same form once more
    assert again.headers["location"] == answer.headers["location"]
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
        ("/box/nothing", 422),
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
    assert (answer.text, answer.headers["hx-reswap"]) == ("这一项已办理，不能再暂存", "none")
    assert count(bpm, Draft) == 0


def test_the_api_keeps_its_own_answers(client: httpx.Client) -> None:
    assert client.get("/api/v1/nowhere").headers["content-type"] == "application/problem+json"
    assert client.get("/api/v1/me").headers["content-type"] == "application/problem+json"
