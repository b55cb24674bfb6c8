"""The box OA 待办 by telephone and at the desk: it fills by itself, and a row opens the OA's own page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy import delete

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
