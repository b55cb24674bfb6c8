"""The pages of the legacy OAs at both sizes, by day and by night: they open, and what is on its way moves by itself."""

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import FilePayload, expect

from engine import clock, outbox
from engine.connectors.oa.models import OACheck, OAFinding, OALoad
from engine.connectors.oa.sites import Sites
from engine.org.demo import CAST
from tests.browser.conftest import Visit
from tests.dsl import Bpm, dates
from tests.factories.oa_shelf import shelf, shelves
from tests.factories.outbox import NOON

pytestmark = [pytest.mark.browser, pytest.mark.backend("sqlite")]

OA = "/admin/oa"
LEAVE = {"leave_type": "年休假", "reason": "回家探亲"} | dates(5, 7)


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    """By night the worker would reconcile by itself."""
    clock.freeze(NOON)
    yield
    clock.freeze(None)


@pytest.fixture
def sites(bpm: Bpm) -> Iterator[Sites]:
    """Two OAs; the service finds them where the test gives them to it."""
    with shelves(bpm, {"poll": True}, {"code": "old", "name": "老院区 OA", "kind": "shelf"}) as found:
        yield found


@pytest.fixture
def beside(sites: Sites, bpm: Bpm, people: Visit) -> Visit:
    """People of a hospital beside two OAs, of which one doesn't know everybody."""
    bpm.db.provide(sites)  # the service has looked for them in an empty folder
    shelf(bpm).strangers = {CAST["head_nurse"].staff_number, CAST["pediatrics_head"].staff_number}
    for number in range(3):
        bpm.start("leave_request", by="nurse", **LEAVE | {"reason": f"第 {number + 1} 次回家探亲"})
    bpm.start("leave_request", by="surgeon", **LEAVE)
    now = clock.now()
    begun = {
        "until": uuid.UUID(int=1),
        "started_at": now - timedelta(minutes=20),
        "started_by": bpm.person("system_admin"),
    }
    with bpm.db.unit_of_work() as session:
        outbox.pause(session, bpm.actor("process_admin"), "oa.old", "老院区今晚升级 OA，21:00 后恢复")
        session.add(OALoad(site="ekp", state="paused", total=50_000, queued=12_400, **begun))
    return people


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_overview(beside: Visit, bpm: Bpm, scheme: str) -> None:
    dark = scheme == "dark"
    tag = "-dark" if dark else ""
    admin = beside("system_admin", "dark" if dark else "light")
    admin.goto(OA).shot(f"80-oa{tag}")
    card = admin.page.locator("#site-ekp")
    card.get_by_role("button", name="测试连接").click()
    expect(card.get_by_role("status")).to_contain_text("接受了本系统的登录")
    shelf(bpm).broken = outbox.Configuration("系统标识 PIYUE 没有在统一待办中心注册")
    card.get_by_role("button", name="测试连接").click()
    expect(card.get_by_role("alert")).to_contain_text("没有在统一待办中心注册")
    admin.shot(f"81-oa-tested{tag}")


def test_a_load_moves_by_itself(beside: Visit, bpm: Bpm) -> None:
    with bpm.db.unit_of_work() as session:  # so that the worker leaves it to the test
        outbox.pause(session, bpm.actor("process_admin"), "oa.ekp", "维护")
    admin = beside("system_admin").goto(OA)
    card = admin.page.locator("#site-ekp")
    card.get_by_role("button", name="继续装载").click()
    expect(card).to_contain_text("12,400 / 50,000 件")
    pause = card.get_by_role("button", name="暂停装载")
    pause.focus()
    with bpm.db.unit_of_work() as session:
        session.get_one(OALoad, "ekp").queued = 31_000
    expect(card).to_contain_text("31,000 / 50,000 件")
    expect(pause).to_be_focused()
    admin.shot("82-oa-loading")
    with bpm.db.unit_of_work() as session:
        found = session.get_one(OALoad, "ekp")
        found.state, found.queued, found.ended_at = "done", 50_000, clock.now()
    expect(card).to_contain_text("50,000 / 50,000 件")
    expect(card.get_by_role("button", name="重新装载")).to_be_visible()
    asked = []
    admin.page.on("request", lambda request: asked.append(request.url))
    admin.page.wait_for_timeout(4_000)
    assert asked == [], "what is done is not asked for any more"


def test_accounts(beside: Visit, bpm: Bpm) -> None:
    admin = beside("system_admin").goto(f"{OA}/ekp/accounts")
    admin.shot("83-oa-accounts")
    row = admin.page.locator(f"#person-{CAST['head_nurse'].staff_number}")
    row.get_by_role("button", name="保存").click()
    expect(row.get_by_role("alert")).to_contain_text("请填写")
    admin.shot("84-oa-account-refused")
    row.get_by_role("textbox").fill("lisi")
    row.get_by_role("button", name="保存").click()
    expect(admin.page.get_by_role("status").first).to_contain_text("正在重新推送")
    admin.shot("85-oa-account-set")
    wrong = f"工号,账号\n{CAST['nurse'].staff_number},lisi\n99999,x\n".encode()
    table: FilePayload = {"name": "账号.csv", "mimeType": "text/csv", "buffer": wrong}
    admin.page.get_by_label("xlsx 或 CSV 文件").set_input_files([table])
    admin.page.get_by_role("button", name="检查并导入").click()
    expect(admin.page.get_by_role("table", name="文件里的错误").locator("tbody tr")).to_have_count(2)
    admin.shot("86-oa-import-refused")


def test_what_auditors_see(beside: Visit) -> None:
    auditor = beside("auditor").goto(OA)
    expect(auditor.page.locator("#site-ekp")).to_contain_text("首次装载")
    expect(auditor.page.locator("main").get_by_role("button")).to_have_count(0)
    auditor.shot("87-oa-auditor")
    auditor.goto(f"{OA}/ekp/accounts")
    expect(auditor.page.locator("main").get_by_role("button", name="保存")).to_have_count(0)
    auditor.shot("88-oa-accounts-auditor")
    auditor.goto("/admin/outbox?system=oa.ekp")
    expect(
        auditor.page.locator("main").get_by_role("link", name=f"{CAST['nurse'].name}的请假申请").first
    ).to_be_visible()
    auditor.shot("88-oa-letters-auditor")


def test_reports(beside: Visit, bpm: Bpm) -> None:
    findings = [
        ("missing", "theirs", "nurse", "单晓燕的请假申请（3 天）", "OA 的待办里没有", "repaired"),
        ("missing", "ours", "doctor", "采购申请：输液泵 2 台", "还没有推送", "capped"),
        ("ghost", "theirs", "head_nurse", "关于调整门诊时间的通知", "我们这里已办结，OA 里还是待办", "repaired"),
        ("stale", "theirs", "surgeon", "关于印发《医院感染管理办法》的通知（长标题换行的样子）", "标题不同", "unable"),
    ]
    given = {"state": "done", "repair": True, "by": "person", "started_by": bpm.person("system_admin")}
    counts = {"people": 1588, "items": 4210, "missing": 2, "ghost": 1, "stale": 1, "repaired": 2, "capped": 1}
    now = clock.now()
    with bpm.db.unit_of_work() as session:
        done = OACheck(site="ekp", started_at=now - timedelta(hours=2), ended_at=now, **given, **counts)
        running = OACheck(site="ekp", state="running", started_at=now, by="nightly", people=300, missing=1)
        running.after = bpm.person("doctor")
        session.add_all([done, running])
        session.flush()
        for kind, side, who, title, detail, result in findings:
            what = {"kind": kind, "side": side, "title": title, "detail": detail, "result": result}
            session.add(OAFinding(check_id=done.id, person_id=bpm.person(who), account=CAST[who].staff_number, **what))
    admin = beside("system_admin").goto(OA)
    expect(admin.page.locator("#site-ekp")).to_contain_text("还有 2 件没有修")
    admin.shot("89-oa-checking")
    admin.goto(f"{OA}/ekp/checks").shot("90-oa-checks")
    admin.goto(f"{OA}/ekp/checks/{done.id}").shot("91-oa-report")
    if admin.telephone:
        admin.goto(f"{OA}/ekp/checks/{done.id}?kind=missing")
    else:
        admin.page.get_by_label("种类").select_option("missing")
    expect(admin.page.get_by_text("长标题换行")).to_have_count(0)
    admin.goto(f"{OA}/ekp/checks/{running.id}").shot("92-oa-report-running")
    with bpm.db.unit_of_work() as session:
        session.get_one(OACheck, running.id).state = "done"
    expect(admin.page.locator("#check")).to_contain_text("完成")
