"""The pages of the legacy OAs: what those who look after them see, do, and are refused."""

import re
from collections.abc import Iterator

import pytest

from engine import outbox
from engine.bpm import queries
from engine.connectors.oa.sites import Sites
from engine.org.demo import CAST
from tests.dsl import Bpm, dates
from tests.factories.oa_shelf import shelf, shelves
from tests.web.conftest import Browser

OA = "/admin/oa"
LEAVE = {"leave_type": "事假", "reason": "家中有事"} | dates(3, 4)


@pytest.fixture
def sites(bpm: Bpm) -> Iterator[Sites]:
    """The hospital beside one OA, 集团 OA (`ekp`)."""
    with shelves(bpm) as found:
        yield found


def figures(page: str) -> dict[str, str]:
    """Return the figures of a card as people read them."""
    found = re.findall(r"<div><dt>([^<]+)</dt><dd>(.*?)</dd></div>", page, re.S)
    return {name: re.sub(r"<[^>]+>", " ", text).strip() for name, text in found}


def verbs(bpm: Bpm) -> list[str]:
    """Return what the auditor reads of OAs on the trail, oldest first."""
    with bpm.db.reading() as session:
        rows = queries.activities(session, bpm.actor("auditor")).rows
    return [row.verb for row in reversed(rows) if row.verb.startswith("oa_")]


def test_the_overview_tells_how_an_oa_is(browser_of: Browser, bpm: Bpm, sites: Sites) -> None:
    bpm.start("leave_request", by="nurse", **LEAVE)
    auditor = browser_of.login("auditor")
    page = auditor.get(OA)
    assert "集团 OA" in page
    assert "正常" in page
    assert figures(page) == {"待办": "1", "待阅": "0", "还没推到": "0", "最近推送成功": "刚刚"}
    assert "有未处理的" not in auditor.get("/admin/instances")
    shelf(bpm).strangers = {CAST["head_nurse"].staff_number}
    bpm.start("leave_request", by="nurse", **LEAVE)
    assert "1 人没有账号，1 件推不到" in auditor.get(OA)
    assert "有未处理的" in auditor.get("/admin/instances")
    assert "集团 OA：推送待办" in auditor.get("/admin/outbox?system=oa.ekp")


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
