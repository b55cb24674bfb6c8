"""The box OA 待办 by telephone and at the desk: it fills by itself, a row opens the OA's page, 已办 is beside it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import expect
from sqlalchemy import delete

from engine import clock
from engine.batch import Batch
from engine.connectors.oa.adapters.protocol import Foreign, State
from engine.connectors.oa.inbound import entries
from engine.connectors.oa.models import OAPoll
from engine.org.demo import CAST
from sandbox.oa.server import Running
from tests.browser.conftest import PATIENCE, Visit, serving
from tests.dsl import Bpm
from tests.engine.connectors.desks import site

pytestmark = [pytest.mark.browser, pytest.mark.backend("sqlite")]


@pytest.fixture
def server(bpm: Bpm, oa_sandbox: Running, tmp_path: Path) -> Iterator[str]:
    """The whole service beside an OA whose own lists are taken in."""
    bpm.deploy("leave_request")
    with serving(bpm, tmp_path, oas=[site(oa_sandbox, "template", poll=True)]) as base_url:
        yield base_url


def test_the_box_fills_by_itself_and_a_row_opens_the_oa(people: Visit, bpm: Bpm, oa_sandbox: Running) -> None:
    plain, nurse = oa_sandbox.state.plain, CAST["nurse"].staff_number
    visitor = people("nurse")
    visitor.goto("/box/oa")
    expect(visitor.page.get_by_text("OA 里没有等您办的事")).to_be_visible()
    visitor.shot("oa-box-empty")
    plain.start_own(nurse, "关于开展秋季职工健康体检的通知", workflow="发文", node="阅办", sender="王敏")
    plain.start_own(nurse, "儿科病区空调维修申请", workflow="维修", node="科室确认", sender="陈刚", state="read")
    with bpm.db.unit_of_work() as session:
        session.execute(delete(OAPoll))  # as if half a minute had gone by: the OA isn't asked twice within one
    visitor.page.get_by_role("link", name="刷新").wait_for()
    for _ in range(120):
        visitor.goto("/box/oa")
        if visitor.page.get_by_text("儿科病区空调维修申请").count():
            break
        visitor.page.wait_for_timeout(500)
    row = visitor.page.get_by_role("link", name="关于开展秋季职工健康体检的通知")
    expect(row).to_be_visible(timeout=PATIENCE)
    visitor.shot("oa-box")
    assert row.get_attribute("rel") == "noopener noreferrer"
    with visitor.context.expect_page() as opened:
        row.click()
    assert opened.value.url.startswith(oa_sandbox.url)


LONG = "第三季度医疗质量与安全管理委员会会议纪要（征求意见稿），请各临床科室于本周五前反馈"
HANDLED = [
    ("关于开展秋季职工健康体检的通知", "发文", "阅办", "王敏", "done", 4, 40),
    ("儿科病区空调维修申请", "维修", "科室确认", "陈刚", "finished", 27, 72),
    (LONG, "收文", "传阅", "院办", "done", 24 * 9, 24 * 12),
    ("会议室借用", "", "", "", "finished", None, 24 * 41),
]


def take_in(bpm: Bpm, who: str, *rows: tuple[Any, ...]) -> None:
    """Have the OA's list told; hours ago it was handled, None where that isn't told, and received."""
    now, batch, found = clock.now(), Batch(), list[Foreign]()
    for n, (title, workflow, node, sender, state, handled, received) in enumerate(rows):
        at = None if handled is None else now - timedelta(hours=handled)
        link = f"http://127.0.0.1:9/{n}"
        given = (f"h{n}", State(state), title, workflow, node, sender, now - timedelta(hours=received), link, "", at)
        found.append(Foreign(*given))
    entries.write(batch, {"site": "ekp", "person": bpm.person(who)}, [], found, now)
    with bpm.db.unit_of_work() as session:
        batch.run(session)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_was_handled_there_is_one_tap_beside_what_waits(
    people: Visit, bpm: Bpm, oa_sandbox: Running, scheme: Literal["light", "dark"]
) -> None:
    dark = "-dark" if scheme == "dark" else ""
    visitor = people("nurse", scheme)
    visitor.goto("/box/oa")
    visitor.page.get_by_label("OA 的待办和已办").get_by_role("link", name="已办").click()
    expect(visitor.page.get_by_text("这里还没有您在 OA 办过的事")).to_be_visible()
    visitor.shot(f"oa-handled-empty{dark}")
    take_in(bpm, "nurse", *HANDLED)
    visitor.page.get_by_role("link", name="刷新").click()
    rows = visitor.page.locator(".rows__item")
    expect(rows).to_have_count(4)
    expect(rows.nth(0)).to_contain_text("4 小时前办理")
    expect(rows.nth(1)).to_contain_text("办结")
    expect(rows.nth(3).locator("time")).to_have_text(re.compile(r"\d{4}-\d\d-\d\d 收到"))
    assert visitor.page.url.endswith("/box/oa?view=handled")
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for link in visitor.page.locator(".oa__views a").all():
        box = link.bounding_box()
        assert box is not None
        assert box["height"] >= 44, "a thumb meets it"
    visitor.shot(f"oa-handled{dark}")
    own = oa_sandbox.state.plain.start_own(CAST["nurse"].staff_number, "请您查收的通知")
    oa_sandbox.state.plain.finish_own(own.key)
    with bpm.db.unit_of_work() as session:
        session.execute(delete(OAPoll))  # as if half a minute had gone by
    visitor.goto("/box/oa?view=handled")
    row = visitor.page.get_by_role("link", name="请您查收的通知")
    expect(row).to_be_visible(timeout=PATIENCE)  # comes by itself
    assert visitor.page.url.endswith("/box/oa?view=handled")
    with visitor.context.expect_page() as opened:
        row.click()
    assert opened.value.url.startswith(oa_sandbox.url)
    visitor.page.get_by_label("OA 的待办和已办").get_by_role("link", name="待办").click()
    expect(visitor.page.get_by_text("OA 里没有等您办的事")).to_be_visible()
