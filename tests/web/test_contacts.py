"""Pages of the handover, of the contacts, and of one's own settings."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, update

from engine.connectors.wecom import install
from engine.connectors.wecom.models import WeComAccount
from engine.connectors.wecom.settings import WeComSettings
from engine.org.demo import CAST
from engine.org.models import Person
from sandbox.wecom.server import Running
from tests.dsl import Bpm, dates
from tests.web.conftest import Browser


@pytest.fixture
def stand_in(bpm: Bpm, wecom_sandbox: Running) -> Running:
    """WeCom's stand-in, to which the hospital is connected."""
    settings: dict[str, Any] = {**wecom_sandbox.settings(), "contacts": "lead"}
    install(bpm.db, WeComSettings(**settings), "http://testserver")
    return wecom_sandbox


def leave(bpm: Bpm, who: str) -> str:
    """Start a leave that waits for somebody, and let them leave; return the address of their page."""
    bpm.start("leave_request", by="nurse", leave_type="事假", reason="家中有事", **dates(3, 4))
    with bpm.db.unit_of_work() as session:
        mine = update(Person).where(Person.id == bpm.person(who))
        session.execute(mine.values(disabled_at=datetime(2026, 3, 1, tzinfo=UTC)))
    return f"/admin/handover/{bpm.person(who)}"


def test_an_admin_hands_over_what_was_left(browser_of: Browser, bpm: Bpm) -> None:
    path = leave(bpm, "head_nurse")
    admin = browser_of.login("process_admin")
    assert CAST["head_nurse"].name in admin.get("/admin/handover")
    assert "有未处理的" in admin.get("/admin/instances")
    fields = admin.form(path, path)
    (item,) = re.findall(r'name="items" value="([^"]+)"', admin.get(path))
    refused = admin.send(path, fields | {"items": item, "to:text": CAST["doctor"].name, "reason": ""}, 422).text
    assert "请填写" in refused
    answer = admin.send(path, fields | {"items": item, "to:text": CAST["doctor"].staff_number, "reason": "离职"}, 200)
    assert "已交接 1 件" in answer.text
    assert "都已交接" in answer.text
    admin.get(path, 404)
    assert "停用的人员没有留下要办的事项" in admin.get("/admin/handover")


def test_an_auditor_looks_on(browser_of: Browser, bpm: Bpm) -> None:
    path = leave(bpm, "head_nurse")
    auditor = browser_of.login("auditor")
    assert "交接选中的事项" not in auditor.get(path)
    auditor.login("nurse").get("/admin/handover", 403)


def test_what_differs_is_looked_at_and_then_written(browser_of: Browser, bpm: Bpm, stand_in: Running) -> None:
    admin = browser_of.login("system_admin")
    stand_in.state.members[CAST["nurse"].staff_number].position = "护师"
    fields = admin.form("/admin/contacts", "/admin/contacts/compare")
    shown = admin.send("/admin/contacts/compare", fields, 200).text
    assert "岗位：护士 → 护师" in shown
    with bpm.db.reading() as session:
        assert session.scalars(select(WeComAccount)).all() == []
    (digest,) = re.findall(r'name="digest" value="([^"]+)"', shown)
    assert "再看一遍" in admin.send("/admin/contacts/sync", fields | {"digest": "0"}, 409).text
    admin.send("/admin/contacts/sync", fields | {"digest": digest})
    with bpm.db.reading() as session:
        assert session.get_one(Person, bpm.person("nurse")).post == "护师"
    assert "关联 1588" in admin.get("/admin/contacts?done=sync")


def test_many_who_leave_must_be_confirmed(browser_of: Browser, bpm: Bpm, stand_in: Running) -> None:
    admin = browser_of.login("system_admin")
    fields = admin.form("/admin/contacts", "/admin/contacts/compare")
    digest = re.findall(r'name="digest" value="([^"]+)"', admin.send("/admin/contacts/compare", fields, 200).text)[0]
    admin.send("/admin/contacts/sync", fields | {"digest": digest})
    for key in sorted(stand_in.state.members)[-200:]:
        del stand_in.state.members[key]
    shown = admin.send("/admin/contacts/compare", fields, 200).text
    count, digest = re.findall(r'name="(?:confirmed|digest)" value="([^"]+)"', shown)[::-1]
    assert "超过 158 人" in admin.send("/admin/contacts/sync", fields | {"digest": digest}, 409).text
    admin.send("/admin/contacts/sync", fields | {"digest": digest, "confirmed": count})
    assert f"停用 {count}" in admin.get("/admin/contacts")


def test_a_department_is_mapped_by_hand(browser_of: Browser, stand_in: Running) -> None:
    admin = browser_of.login("system_admin")
    fields = admin.form("/admin/contacts", "/admin/contacts/departments")
    admin.send("/admin/contacts/departments", fields | {"wecom_id": "2", "code": "EK"})
    for wrong, code in (("x", "EK"), ("3", "EK"), ("3", "NO-SUCH")):
        answer = admin.client.post("/admin/contacts/departments", data=fields | {"wecom_id": wrong, "code": code})
        assert answer.status_code in (409, 422), answer.text


def test_without_wecom_and_without_the_role(browser_of: Browser) -> None:
    admin = browser_of.login("system_admin")
    assert "还没有配置企业微信" in admin.get("/admin/contacts")
    browser_of.login("nurse").get("/admin/contacts", 403)


def test_one_s_own_settings(browser_of: Browser, bpm: Bpm) -> None:
    nurse = browser_of.login("nurse")
    fields = nurse.form("/account", "/account/settings")
    refused = nurse.send("/account/settings", fields | {"reading": "单晓燕"}, 422).text
    assert "音节之间用空格" in refused
    assert 'value="单晓燕"' in refused
    nurse.send("/account/settings", fields | {"reading": "dan xiao yan", "mobile_hidden": "1"})
    page = nurse.get("/account?done=settings")
    assert 'value="dan xiao yan"' in page
    assert re.search(r'name="mobile_hidden" value="1" checked', page)
    with bpm.db.reading() as session:
        assert session.get_one(Person, bpm.person("nurse")).pinyin.startswith("danxiaoyan")
