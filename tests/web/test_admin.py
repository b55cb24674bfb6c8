"""What those who oversee see and do: incidents, jumps, uploaded processes."""

import html
import io
import re
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from engine import clock, outbox
from engine.bpm import queries
from engine.bpm.models import Incident, IncidentKind, WorkItem
from engine.bpm.queries import VERBS
from engine.org import auth, roles
from engine.org.demo import CAST
from engine.outbox.handlers import declared
from engine.settings import ROOT
from tests.dsl import Bpm, bpmn, chain, dates, flow, start_task, task
from tests.web.conftest import Browser
from web.activities import NAMES
from web.phrases import LETTERS, SYSTEMS

LEAVE = {"leave_type": "事假", "reason": "家中有事"} | dates(5, 7)
FOLDER = ROOT / "processes" / "purchase_request"
PURCHASE = {
    path.relative_to(FOLDER).as_posix(): path.read_bytes()
    for path in sorted(FOLDER.rglob("*"))
    if path.suffix in (".bpmn", ".json", ".dmn")
}
# two branches meet without waiting for one another: the same step is open twice
TWICE = bpmn(
    '<startEvent id="s"/><parallelGateway id="fork"/><exclusiveGateway id="meet"/><endEvent id="e"/>'
    + start_task()
    + task("sign", "head_nurse")
    + task("check", "hr_head")
    + chain("s", "apply", "fork")
    + '<exclusiveGateway id="other"/>'
    + flow("fork", "meet")
    + chain("fork", "other", "meet")
    + chain("meet", "sign", "check", "e"),
    key="twice",
)


def incident(bpm: Bpm, instance_id: uuid.UUID, kind: str) -> None:
    with bpm.db.unit_of_work() as session:
        session.add(Incident(instance_id=instance_id, task_id=1, kind=kind, message="说明文字", created_at=clock.now()))


def test_auditors_see_incidents_and_may_not_mend_them(browser_of: Browser, bpm: Bpm) -> None:
    story = bpm.start("leave_request", by="nurse", **LEAVE)
    incident(bpm, story.id, "nobody")
    auditor = browser_of.login("auditor").get("/admin/incidents")
    assert "说明文字" in auditor
    assert not re.search(r"/(dismiss|retry)|重试</button>|忽略</button>", auditor)
    admin = browser_of.login("process_admin")
    (action,) = re.findall(r'action="(/admin/incidents/[^"]+/dismiss)"', admin.get("/admin/incidents"))
    admin.send(action, admin.form("/admin/incidents", action))
    assert "没有异常，一切正常" in admin.get("/admin/incidents")


def bury(bpm: Bpm, *numbers: int) -> None:
    """Let deliveries to nobody be given up; nothing ever mends them."""
    nobody = {"instance": str(uuid.uuid4()), "persons": [], "kind": "urge", "text": "x"}
    with bpm.db.unit_of_work() as session:
        for number in numbers:
            outbox.enqueue(session, "notice", f"k{number}", "person", nobody)
    for hours in range(1, 9):
        clock.freeze(clock.now() + timedelta(hours=hours))
        bpm.work()


def test_whatever_is_written_into_the_outbox_has_a_name() -> None:
    written = {
        f"{system}/{topic}" for system, topic in declared if system in SYSTEMS and not topic.startswith("tests.")
    }
    assert written == LETTERS.keys()


@pytest.fixture
def _thawed() -> Iterator[None]:
    yield
    clock.freeze(None)


@pytest.mark.usefixtures("_thawed")
def test_what_was_not_delivered_is_shown_by_reason_and_delivered_again(browser_of: Browser, bpm: Bpm) -> None:
    admin = browser_of.login("process_admin")
    assert "没有投递失败" in admin.get("/admin/outbox")
    assert "有未处理的" not in admin.get("/admin/instances")
    bury(bpm, 1, 2)
    admin = browser_of.login("process_admin")
    assert admin.get("/admin/instances").count("有未处理的") == 1
    page = admin.get("/admin/outbox")
    assert "抄送和催办通知" in page
    assert "2 条" in page
    assert "ValueError (bpm/handlers.py" in page
    address = html.unescape(re.findall(r'href="(/admin/outbox\?system=[^"]+)"', page)[0])
    one_by_one = admin.get(address)
    actions = re.findall(r'action="(/admin/outbox/\d+/requeue)"', one_by_one)
    assert len(actions) == 2
    told = admin.send(actions[0], admin.form(address, actions[0])).headers["location"]
    assert "已重新投递 1 条" in admin.get(told)
    form = admin.form("/admin/outbox", "/admin/outbox/requeue")
    told = admin.send("/admin/outbox/requeue", form | {"reason": html.unescape(form["reason"])}).headers["location"]
    assert "已重新投递 1 条" in admin.get(told)
    with bpm.db.reading() as session:
        assert [d.system for d in outbox.depth(session)] == ["notice"]
    waiting = admin.get("/admin/outbox")
    assert "没有投递失败" in waiting
    assert "站内通知" in waiting


@pytest.mark.usefixtures("_thawed")
def test_auditors_see_what_was_not_delivered_and_others_do_not(browser_of: Browser, bpm: Bpm) -> None:
    bury(bpm, 1)
    page = browser_of.login("auditor").get("/admin/outbox")
    assert "抄送和催办通知" in page
    assert "重新投递</button>" not in page
    browser_of.login("system_admin").get("/admin/outbox", 403)
    browser_of.login("nurse").get("/admin/outbox?system=notice", 403)


@pytest.mark.parametrize("letter", ["0", "999999", "99999999999999999999", "-1", "x"])
def test_a_letter_that_is_none(browser_of: Browser, letter: str) -> None:
    admin = browser_of.login("process_admin")
    form = admin.form("/account", "/logout")
    answer = admin.client.post(f"/admin/outbox/{letter}/requeue", data=form)
    assert answer.status_code in (404, 422)


@pytest.mark.parametrize("kind", [*IncidentKind, "unheard_of"])
def test_kinds_of_incidents_are_told_in_words(browser_of: Browser, bpm: Bpm, kind: str) -> None:
    incident(bpm, bpm.start("leave_request", by="nurse", **LEAVE).id, kind)
    page = browser_of.login("process_admin").get("/admin/incidents")
    (told,) = re.findall(r'<p class="incident__top"><span[^>]*>([^<]+)</span>', page)
    assert re.fullmatch(r"[\u4e00-\u9fff]{4,}", told)
    assert (told == "其他异常") == (kind not in set(IncidentKind))


def test_a_jump_moves_the_one_of_two_open_rounds_that_was_chosen(browser_of: Browser, bpm: Bpm) -> None:
    story = bpm.deploy_files(TWICE).start("twice", by="nurse")
    admin = browser_of.login("process_admin")
    page = admin.get(f"/instances/{story.id}?do=jump")
    select_ = page[page.index('<select class="field__input" id="jump-task"') :]
    choices = re.findall(r'<option value="(\d+)"[^>]*>([^<]+)', select_[: select_.index("</select>")])
    assert [name for _, name in choices] == ["sign（曾淑贞）", "sign（曾淑贞）"]
    assert len({task_id for task_id, _ in choices}) == 2
    with bpm.db.reading() as session:
        steps = queries.timeline(session, bpm.actor("process_admin"), story.id).open
        rounds = {i.id: i.round_id for i in session.scalars(select(WorkItem).where(WorkItem.state == "open"))}
    assert [str(step.task_id) for step in steps] == [task_id for task_id, _ in choices]
    chosen, other = steps[1], steps[0]
    action = f"/instances/{story.id}/jump"
    form = admin.form(f"/instances/{story.id}?do=jump", action)
    gone = admin.send(action, form | {"task": str(chosen.task_id), "to": "check", "reason": "直接审核"})
    assert "已跳转" in admin.get(gone.headers["location"])
    assert sorted(story.open) == [("check", "hr_head"), ("sign", "head_nurse")]
    assert rounds[story.item("head_nurse").id] == other.round_id
    late = admin.send(action, form | {"task": str(chosen.task_id), "to": "check", "reason": "再来", "_key": "k"}, 409)
    assert "这一步已不在办理中" in late.text


def upload(browser: Browser, files: Mapping[str, bytes], status: int = 303) -> str:
    """Send files as a browser does: without their folders."""
    parts: list[Any] = [("files", (path.rpartition("/")[2], content)) for path, content in files.items()]
    answer = browser.send("/definitions", browser.form("/definitions", "/definitions"), status, files=parts)
    return answer.headers["location"] if status == 303 else answer.text


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return out.getvalue()


def kept(bpm: Bpm) -> set[str]:
    """Return the paths of the purchase's newest version."""
    admin = bpm.actor("process_admin")
    with bpm.db.reading() as session:
        version = queries.definition_versions(session, admin, "purchase_request")[0]
        return set(queries.version_files(session, admin, version.id))


def test_the_files_of_a_process_one_by_one(browser_of: Browser, bpm: Bpm) -> None:
    admin = browser_of.login("process_admin")
    table = (ROOT / "processes" / "purchase_request" / "README.md").read_bytes()
    assert upload(admin, PURCHASE | {"README.md": table}) == "/definitions/purchase_request?done=deploy"
    assert kept(bpm) == PURCHASE.keys() | {"README.md"}
    assert any(path.startswith("called/") for path in kept(bpm))


def test_a_zip_of_the_folder_with_what_systems_leave_in_it(browser_of: Browser, bpm: Bpm) -> None:
    files = {f"采购/{path}": content for path, content in PURCHASE.items()}
    files |= {"__MACOSX/采购/._process.bpmn": b"\0", "采购/.DS_Store": b"\0"}
    upload(browser_of.login("process_admin"), {"采购.zip": zipped(files)})
    assert kept(bpm) == PURCHASE.keys()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "请选择流程文件"),
        ({"process.bpmn": b"<x/>", "说明.docx": b"x", "图.png": b"x"}, "流程里没有地方放“说明.docx”、“图.png”"),
        ({"a.bpmn": b"<x/>", "b.bpmn": b"<x/>"}, "看不出哪个是主流程：a.bpmn、b.bpmn"),
        ({"a.zip": b"PK", "process.bpmn": b"<x/>"}, "ZIP 要单独上传"),
        ({"a.zip": b"PK"}, "压缩包已损坏"),
        ({"a.zip": zipped({"process.bpmn": b"<x/>", "bilder/a.json": b"{}"})}, "没有地方放“bilder/a.json”"),
        ({"a.zip": zipped({"process.bpmn": b"<x/>", "a.json": b"{}", "forms/a.json": b"{}"})}, "“forms/a.json”有两份"),
        ({"a.zip": zipped({"forms/a.json": b"{}"})}, "缺少 process.bpmn"),
    ],
)
def test_what_has_no_place_in_a_process_is_said(browser_of: Browser, files: Mapping[str, bytes], told: str) -> None:
    assert told in upload(browser_of.login("process_admin"), files, 422)


def test_the_decision_tables_of_a_version_are_read_on_its_page(browser_of: Browser, bpm: Bpm) -> None:
    admin = browser_of.login("process_admin")
    upload(admin, PURCHASE)
    assert "decisions/approval.dmn" in kept(bpm)
    page = html.unescape(re.sub(r"<[^>]+>", " ", admin.get("/definitions/purchase_request")))
    assert "决策表：审批级别" in page
    assert "命中策略：唯一" in page
    for row in ('第 1 条 <= 5000 "科室负责人" 五千元以内', '第 4 条 > 200000 "院长" 二十万元以上'):
        assert row in re.sub(r"\s+", " ", page)
    assert "未到" not in page, "a version is walked by nobody"


def test_what_stops_an_upload_is_told_before_what_only_reminds(browser_of: Browser) -> None:
    table = PURCHASE["decisions/approval.dmn"].replace(b"(5000..50000]", b"[5000..40000]")
    refused = upload(browser_of.login("process_admin"), PURCHASE | {"decisions/approval.dmn": table}, 422)
    assert re.findall(r'data-label="级别"><span[^>]*>(\w+)', refused) == ["错误", "提醒"]
    assert "没有规则管这种情况" in refused


def test_decision_tables_have_their_folder(browser_of: Browser) -> None:
    """The engine's own check, not the upload, says what it thinks of the table."""
    refused = upload(browser_of.login("process_admin"), PURCHASE | {"limit.dmn": b"\xff"}, 422)
    assert "decisions/limit.dmn 不是 UTF-8 文本" in refused


def test_auditors_read_what_was_done_beside_the_instances(browser_of: Browser, bpm: Bpm) -> None:
    for who in ("nurse", "doctor") * 9:
        browser_of.login(who)
    with bpm.db.unit_of_work() as session:
        roles.grant(session, bpm.actor("system_admin"), "archivist", CAST["surgeon"].staff_number, "EK")
        auth.set_password(session, None, bpm.person("surgeon"), "一个 好 长 的 密码 2026")
    auditor = browser_of.login("auditor")
    page = auditor.get("/admin/activities")
    assert f"{CAST['surgeon'].name}（{CAST['surgeon'].staff_number}）：档案员，限儿科" in page
    assert page.index("设置密码</td>") < page.index("分配角色</td>")
    assert "命令行" in page
    assert page.count('data-label="时间"') == 20
    (more,) = re.findall(r'href="(/admin/activities\?cursor=[^"]+)"', page)
    following = auditor.get(more.replace("&amp;", "&"))
    assert "导入人员</td>" in following
    only = auditor.get("/admin/activities", params={"who": CAST["surgeon"].name, "period": "today"})
    assert len(re.findall("<tr><td", only)) == 2
    assert auditor.get("/admin/activities", params={"verb": "role_grant"}).count("<tr><td") == 1
    assert "没有这个人" in auditor.get("/admin/activities", params={"who": "没有这个人"})
    assert "没有符合条件的操作记录" in auditor.get("/admin/activities", params={"verb": "resume"})
    assert 'href="/admin/activities"' in auditor.get("/admin/incidents")
    auditor.get("/admin/activities?verb=x", 422)


def test_nobody_else_reads_it(browser_of: Browser) -> None:
    for who in ("process_admin", "system_admin", "designer", "nurse"):
        assert "只有审计员" in browser_of.login(who).get("/admin/activities", 403)
    assert "操作记录" not in browser_of.login("process_admin").get("/admin/incidents")


def test_every_activity_is_told_in_words() -> None:
    assert set(NAMES) == set(VERBS)


def test_where_nobody_was_found_somebody_is_put(browser_of: Browser, bpm: Bpm) -> None:
    nobody = task("check").replace('rule="initiator"', 'rule="expression" value="=[]"')
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + nobody + chain("s", "apply", "check", "e")
    story = bpm.deploy_files(bpmn(body)).start("p", by="nurse")
    admin = browser_of.login("process_admin")
    page = admin.get("/admin/incidents")
    assert "重试</button>" not in page
    (link,) = re.findall(r'href="([^"]+)">换人</a>', page)
    action = f"/items/{story.item('process_admin').id}/reassign"
    form = admin.form(link.replace("&amp;", "&"), action) | {"reason": "由她核对", "to": str(bpm.person("head_nurse"))}
    admin.send(action, form)
    story.expect_open(("check", "head_nurse"))
    assert "没有异常，一切正常" in admin.get("/admin/incidents")


def test_the_same_files_once_more_are_not_deployed(browser_of: Browser, bpm: Bpm) -> None:
    bpm.deploy("purchase_request")
    admin = browser_of.login("process_admin")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in PURCHASE.items():
            archive.writestr(path, content)
    form = admin.form("/definitions", "/definitions")
    answer = admin.send("/definitions", form, files={"files": ("p.zip", packed.getvalue(), "application/zip")})
    page = admin.get(answer.headers["location"])
    assert "文件与当前版本相同，没有部署新版本" in page
    assert "第 2 版" not in page


def test_what_only_explains_a_process_makes_no_new_version(browser_of: Browser, bpm: Bpm) -> None:
    bpm.deploy("purchase_request")
    admin = browser_of.login("designer")
    beside = {name: (FOLDER / name).read_bytes() for name in ("README.md", "scenarios.yaml")}
    assert upload(admin, PURCHASE | beside) == "/definitions/purchase_request?done=same"
    assert kept(bpm) == PURCHASE.keys()


def test_a_deployment_shows_its_warnings(browser_of: Browser, bpm: Bpm) -> None:
    admin = browser_of.login("designer")
    body = '<startEvent id="s"/><task id="t" name="登记"/><endEvent id="e"/>' + chain("s", "t", "e")
    files = {path: text.encode() for path, text in bpmn(body, key="warned").items()}
    page = upload(admin, files, 200)
    (count,) = re.findall(r"已部署为第 1 版，有 (\d+) 个提醒", page)
    table = page[page.index("检查结果") : page.index("</table>")]
    assert table.count("提醒</span>") == int(count)
    assert "plain_task" in table
    assert "登记" in table
    assert upload(admin, files) == "/definitions/warned?done=same"
