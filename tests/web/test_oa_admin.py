"""The pages of the legacy OAs: what those who look after them see, do, and are refused."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from engine import clock, outbox
from engine.bpm import queries
from engine.connectors.oa.models import OACheck, OALoad
from engine.connectors.oa.sites import Sites
from engine.org.demo import CAST
from engine.outbox.handlers import declared
from tests.dsl import Bpm, dates
from tests.factories.oa_shelf import shelf, shelves
from tests.web.conftest import Browser
from web.phrases import OA_LETTERS

OA = "/admin/oa"
LEAVE = {"leave_type": "事假", "reason": "家中有事"} | dates(3, 4)


@pytest.fixture
def sites(bpm: Bpm) -> Iterator[Sites]:
    """The hospital beside one OA, 集团 OA (`ekp`)."""
    with shelves(bpm) as found:
        yield found
    clock.freeze(None)


def figures(page: str) -> dict[str, str]:
    """Return the figures of a card as people read them."""
    found = re.findall(r"<div><dt>([^<]+)</dt><dd>(.*?)</dd></div>", page, re.S)
    return {name: re.sub(r"<[^>]+>", " ", text).strip() for name, text in found}


def verbs(bpm: Bpm) -> list[str]:
    """Return what the auditor reads of OAs on the trail, oldest first."""
    with bpm.db.reading() as session:
        rows = queries.activities(session, bpm.actor("auditor")).rows
    return [row.verb for row in reversed(rows) if row.verb.startswith("oa_")]


@pytest.mark.backend("sqlite", "postgresql")
@pytest.mark.parametrize("path", [f"{OA}/ekp/accounts?q=a%00b", f"{OA}/%00/accounts", f"{OA}/e%00/checks"])
def test_an_address_with_what_no_database_takes_leads_nowhere(browser_of: Browser, sites: Sites, path: str) -> None:
    browser_of.login("auditor").get(path, 404)


def test_the_overview_tells_how_an_oa_is(browser_of: Browser, bpm: Bpm, sites: Sites) -> None:
    bpm.start("leave_request", by="nurse", **LEAVE)
    auditor = browser_of.login("auditor")
    page = auditor.get(OA)
    assert "集团 OA" in page
    assert "正常" in page
    assert figures(page) == {"待办": "1", "待阅": "0", "还没推到": "0", "最近推送成功": "刚刚"}
    assert "有未处理的" not in auditor.get("/admin/instances")
    shelf(bpm).strangers = {CAST["head_nurse"].staff_number}
    story = bpm.start("leave_request", by="nurse", **LEAVE)
    assert "1 人没有账号，1 件推不到" in auditor.get(OA)
    assert "有未处理的" in auditor.get("/admin/instances")
    letters = auditor.get("/admin/outbox?system=oa.ekp")
    assert [text in letters for text in ("集团 OA：推送待办", "集团 OA 投递失败", "里没有账号")] == [True] * 3
    assert f'href="/instances/{story.id}?from=/admin/outbox">{story.instance.title}</a>' in letters


def test_a_channel_is_paused_and_resumed_where_it_is_seen(browser_of: Browser, bpm: Bpm, sites: Sites) -> None:
    admin = browser_of.login("process_admin")
    pause, resume = "/admin/channels/oa.ekp/pause", "/admin/channels/oa.ekp/resume"
    refused = admin.send(pause, admin.form(OA, pause) | {"reason": ""}, 422).text
    assert "请填写暂停的原因" in refused
    assert "站点代码 ekp" in refused, "it is refused on the page from which it came"
    told = admin.send(pause, admin.form(OA, pause) | {"reason": "今晚升级"}).headers["location"]
    assert told == f"{OA}?done=pause"
    assert "今晚升级" in admin.get(told)
    assert admin.send(resume, admin.form(OA, resume)).headers["location"] == f"{OA}?done=resume"


def test_a_connection_is_tested(browser_of: Browser, bpm: Bpm, sites: Sites) -> None:
    admin = browser_of.login("system_admin")
    test = f"{OA}/ekp/test"
    fields = admin.form(OA, test)
    assert "接受了本系统的登录" in admin.send(test, fields, 200).text
    shelf(bpm).broken = outbox.Configuration("系统标识 PY 没有注册")
    refused = admin.send(test, fields, 200).text
    assert "系统标识 PY 没有注册" in refused
    assert "办法：" in refused
    admin.send(f"{OA}/none/test", fields, 404)
    assert verbs(bpm) == ["oa_test", "oa_test"]


def test_without_an_oa_and_without_the_role(browser_of: Browser) -> None:
    assert "还没有连接旧 OA" in browser_of.login("system_admin").get(OA)
    assert "旧 OA</a>" not in browser_of.login("process_admin").get("/admin/instances")
    browser_of.login("nurse").get(OA, 403)


def test_an_unmapped_person_is_given_an_account_and_reached_at_once(
    browser_of: Browser, bpm: Bpm, sites: Sites
) -> None:
    head = CAST["head_nurse"]
    shelf(bpm).strangers = {head.staff_number, "wrong"}
    bpm.start("leave_request", by="nurse", **LEAVE)
    admin = browser_of.login("system_admin")
    page = f"{OA}/ekp/accounts"
    assert head.name in admin.get(page)
    fields = admin.form(page, page)
    assert fields["number"] == head.staff_number
    refused = admin.send(page, fields | {"account": ""}, 422).text
    assert "请填写这个人在 OA 里的账号" in refused
    admin.send(page, fields | {"account": "wrong"})
    assert "里没有账号 wrong" in admin.get(page)
    told = admin.send(page, fields | {"account": "LiSi"}).headers["location"]
    after = admin.get(told)
    assert "正在重新推送" in after
    assert "每个人的待办都推得到" in after
    assert [todo.account for todo, _ in shelf(bpm).shelf.values()] == ["LiSi"]
    assert figures(admin.get(OA))["待办"] == "1"
    assert verbs(bpm) == ["oa_account", "oa_account"]


def test_accounts_are_searched_removed_and_downloaded(browser_of: Browser, bpm: Bpm, sites: Sites) -> None:
    admin = browser_of.login("system_admin")
    page = f"{OA}/ekp/accounts"
    fields = admin.form(page, page)
    for who, account in (("nurse", "shanxy"), ("doctor", "zhuge")):
        admin.send(page, fields | {"number": CAST[who].staff_number, "account": account})
    taken = admin.send(page, fields | {"number": CAST["hr_head"].staff_number, "account": "ShanXY"}, 422).text
    assert f"已经是{CAST['nurse'].name}" in taken
    nobody = admin.send(page, fields | {"number": "no", "account": "x"}, 422).text
    assert "没有工号为“no”的职工" in nobody
    assert "zhuge" not in admin.get(f"{page}?q=shanxy")
    assert "没有找到" in admin.get(f"{page}?q=%25")
    file = admin.client.get(f"{page}.xlsx")
    assert file.content[:2] == b"PK"
    remove = f"{page}/remove"
    told = admin.send(remove, admin.form(f"{page}?q=zhuge", remove)).headers["location"]
    assert "已移除" in admin.get(told)
    assert "zhuge" not in admin.get(page)


def test_a_table_is_imported_whole_or_not_at_all(browser_of: Browser, bpm: Bpm, sites: Sites) -> None:
    admin = browser_of.login("system_admin")
    page = f"{OA}/ekp/accounts"
    fields = admin.form(page, f"{page}/import")

    def send(text: str, status: int) -> str:
        file = {"file": ("a.csv", text.encode("gb18030"), "text/csv")}
        answer = admin.client.post(f"{page}/import", data=fields, files=file)
        assert answer.status_code == status, answer.text
        return str(answer.headers["location"]) if status == 303 else answer.text

    nurse, doctor = CAST["nurse"].staff_number, CAST["doctor"].staff_number
    refused = send(f"工号,账号\n{nurse},shanxy\n9,x\n{doctor},SHANXY\n", 422)
    assert "第 3 行" in refused
    assert "没有工号为“9”的职工" in refused
    assert "表里还没有人" in refused
    assert "缺少列名" in send("工号,名字\n1,x\n", 422)
    assert "请选择要导入的文件" in admin.send(f"{page}/import", fields, 422).text
    after = admin.get(send(f"工号,账号\n{nurse},shanxy\n{doctor},zhuge\n", 303))
    assert "已导入：写入 2、删去 0、不变 0" in after
    assert verbs(bpm) == ["oa_accounts"]


def test_a_first_load_is_begun_paused_and_goes_on(browser_of: Browser, bpm: Bpm, sites: Sites) -> None:
    admin = browser_of.login("system_admin")
    page, load = admin.get(OA), f"{OA}/ekp/load"
    assert "连接以前就打开的待办还不在这个 OA 里" in page
    assert "every 3s" not in page
    with bpm.db.unit_of_work() as session:
        session.add(
            OALoad(site="ekp", state="paused", total=50_000, queued=12_000, until=uuid.uuid4(), started_at=clock.now())
        )
    assert "已暂停" in admin.get(OA)
    told = admin.send(f"{load}/resume", admin.form(OA, f"{load}/resume")).headers["location"]
    page = admin.get(told)
    assert "装载继续" in page
    assert "12,000 / 50,000 件" in page
    assert "every 3s" in page, "what is on its way is looked at again and again"
    fields = admin.form(OA, f"{load}/pause")
    admin.send(f"{load}/pause", fields)
    assert "已经暂停" in admin.send(f"{load}/pause", fields, 409).text
    assert "已暂停，请“继续”" in admin.send(load, fields, 409).text
    assert verbs(bpm) == ["oa_load", "oa_load"]


@pytest.mark.parametrize("who", ["auditor", "process_admin"])
def test_others_look_on_and_change_nothing(browser_of: Browser, bpm: Bpm, sites: Sites, who: str) -> None:
    shelf(bpm).strangers = {CAST["head_nurse"].staff_number}
    bpm.start("leave_request", by="nurse", **LEAVE)
    reader = browser_of.login(who)
    shown = reader.get(OA) + reader.get(f"{OA}/ekp/accounts")
    assert CAST["head_nurse"].name in shown
    assert not re.search(r'action="/admin/oa', shown.replace(f'action="{OA}/ekp/accounts" role="search"', ""))
    fields = reader.form("/account", "/logout") | {"number": CAST["nurse"].staff_number, "account": "x"}
    for path in ("test", "load", "load/pause", "load/resume", "accounts", "accounts/remove"):
        reader.send(f"{OA}/ekp/{path}", fields, 403)
    assert verbs(bpm) == []


def test_staff_see_nothing_of_it(browser_of: Browser, sites: Sites) -> None:
    nurse = browser_of.login("nurse")
    for path in (OA, f"{OA}/ekp/accounts", f"{OA}/ekp/accounts.xlsx"):
        nurse.get(path, 403)
    browser_of.login("system_admin").get(f"{OA}/none/accounts", 404)


def differing(bpm: Bpm) -> None:
    """Let the OA have lost one item of ours and show one that it should not."""
    bpm.start("leave_request", by="nurse", **LEAVE)
    bpm.start("leave_request", by="surgeon", **LEAVE)
    there = shelf(bpm).shelf
    lost, kept = sorted(there)
    todo, state = there[kept]
    there["0" * 32] = replace(todo, key="0" * 32, title="=早已办结的申请"), state
    del there[lost]


def test_a_reconciliation_is_asked_for_read_and_mends(browser_of: Browser, bpm: Bpm, sites: Sites) -> None:
    differing(bpm)
    clock.freeze(clock.now() + timedelta(minutes=10))
    admin = browser_of.login("system_admin")
    check = f"{OA}/ekp/check"
    assert "还没有对过账" in admin.get(OA)
    fields = admin.form(OA, check)
    report = admin.send(check, fields | {"repair": ""}).headers["location"]
    page = admin.get(report)
    assert figures(page) == {"漏（OA 里没有）": "1", "幽灵（OA 里多出）": "1", "陈旧（OA 里过时）": "0", "已修复": "—"}
    assert page.count("只报告</span>") == 2
    assert "早已办结的申请" in page
    narrowed = admin.get(f"{report}?kind=missing")
    assert "早已办结的申请" not in narrowed
    assert "没有符合条件的差异" in admin.get(f"{report}?q=nobody")
    assert "还有 2 件没有修" in admin.get(OA)
    lines = admin.client.get(f"{report}.csv").content.decode("utf-8-sig").splitlines()
    assert [line[:2] for line in lines] == ["种类", "幽灵", "漏,"]
    assert ",'=早已办结的申请," in lines[1], "no spreadsheet takes it for a formula"
    told = admin.client.get(f"{report}.json")
    assert told.headers["content-disposition"].startswith("attachment")
    assert (told.json()["missing"], told.json()["left"]) == (1, 2)
    again = admin.send(check, admin.form(report, check)).headers["location"]
    assert figures(admin.get(again))["已修复"] == "2"
    assert "还有" not in admin.get(OA)
    assert len(shelf(bpm).shelf) == 2
    listed = admin.get(f"{OA}/ekp/checks")
    assert listed.count(bpm.actor("system_admin").name) == 2
    assert verbs(bpm) == ["oa_check", "oa_check"]
    auditor = browser_of.login("auditor")
    assert "再对账并修复" not in auditor.get(report)
    auditor.send(check, auditor.form("/account", "/logout"), 403)
    auditor.login("nurse").get(report, 403)


def test_a_reconciliation_at_work_is_looked_at_again(browser_of: Browser, bpm: Bpm, sites: Sites) -> None:
    given = {"state": "running", "repair": True, "started_at": clock.now(), "by": "nightly", "people": 120}
    with bpm.db.unit_of_work() as session:
        found = OACheck(site="ekp", **given)
        session.add(found)
    admin = browser_of.login("system_admin")
    page = admin.get(OA)
    assert "已看 120 人" in page
    assert "every 3s" in page
    assert "每天凌晨 3 点" not in page
    report = f"{OA}/ekp/checks/{found.id}"
    assert "every 3s" in admin.get(report)
    assert "夜间自动" in admin.get(f"{OA}/ekp/checks")
    admin.get(f"{OA}/ekp/checks/{uuid.uuid4()}", 404)
    admin.get(f"{OA}/ekp/checks/x", 404)


def test_whatever_is_written_for_an_oa_has_a_name(sites: Sites) -> None:
    assert {topic for system, topic in declared if system == "oa.ekp"} <= OA_LETTERS.keys()


def test_who_is_put_anew_is_shown_as_such_until_the_oa_has_answered(
    browser_of: Browser, bpm: Bpm, sites: Sites
) -> None:
    head = CAST["head_nurse"]
    shelf(bpm).strangers = {head.staff_number}
    bpm.start("leave_request", by="nurse", **LEAVE)
    admin = browser_of.login("system_admin")
    page = f"{OA}/ekp/accounts"
    before = admin.get(page)
    assert f"里没有账号 {head.staff_number}" in before
    assert f"用的账号 {head.staff_number}" in before
    assert "请在“账号对照”里" not in before, "that is where one is"
    assert "every 3s" not in before
    with bpm.db.unit_of_work() as session:
        outbox.pause(session, bpm.actor("process_admin"), "oa.ekp", "今晚升级")
    after = admin.get(admin.send(page, admin.form(page, page) | {"account": "LiSi"}).headers["location"])
    assert "这位职工的待办正在重新推送" in after
    assert "用的账号 LiSi" in after
    assert "every 3s" in after, "the row goes by itself"


def test_a_load_that_nobody_needed_is_nobodys(browser_of: Browser, bpm: Bpm, sites: Sites) -> None:
    admin = browser_of.login("system_admin")
    admin.send(f"{OA}/ekp/check", admin.form(OA, f"{OA}/ekp/check"))
    page = admin.get(OA)
    assert "不需要：连接的时候没有等着的待办" in page
    assert "重新装载" not in page
    load = f"{OA}/ekp/load"
    admin.send(load, admin.form(OA, load))
    assert f"{bpm.actor('system_admin').name} 开始" in admin.get(OA)


def test_a_mistake_in_a_file_is_told_once(browser_of: Browser, sites: Sites) -> None:
    admin = browser_of.login("system_admin")
    page = f"{OA}/ekp/accounts"
    file = {"file": ("a.csv", "工号,账号\n99999,x\n".encode(), "text/csv")}
    answer = admin.client.post(f"{page}/import", data=admin.form(page, f"{page}/import"), files=file)
    assert answer.text.count("没有工号为“99999”的职工") == 1
