"""In the OA: what waits comes to the desk's list, opens on our page without a login, and leaves once it is done.

The people use the stand-in's desk page in plain browsers of their own.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from engine.connectors.wecom.settings import WeComSettings
from engine.org.demo import CAST
from engine.settings import ROOT
from sandbox.oa.records import Row
from sandbox.oa.server import Running
from sandbox.wecom.server import Running as Phones
from tests.browser.conftest import PATIENCE, SIZES, Visitor, serving
from tests.browser.test_wecom_phones import link, phone
from tests.dsl import Bpm, dates
from tests.engine.connectors.desks import site

pytestmark = [pytest.mark.browser, pytest.mark.backend("sqlite")]

LEAVE = {"leave_type": "年休假", "reason": "回家探亲"} | dates(5, 7)
Desk = Callable[..., Page]


@pytest.fixture(params=["landray.soap"])
def kind(request: pytest.FixtureRequest) -> str:
    """The OA that stands in the hospital."""
    return str(request.param)


@pytest.fixture(params=SIZES)
def shots(request: pytest.FixtureRequest) -> Path:
    """Where the pictures of this size go."""
    folder: Path = ROOT / "var" / "screenshots" / request.param
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def contexts(browser: Browser, shots: Path) -> Iterator[Callable[[], BrowserContext]]:
    """Give people browsers of their own."""
    width, height = SIZES[shots.name]
    given: list[BrowserContext] = []

    def another() -> BrowserContext:
        given.append(
            browser.new_context(
                viewport={"width": width, "height": height},
                locale="zh-CN",
                timezone_id="Asia/Shanghai",
                reduced_motion="reduce",
            )
        )
        return given[-1]

    expect.set_options(timeout=PATIENCE)
    yield another
    expect.set_options(timeout=5_000)
    for context in given:
        context.close()


def desk(context: BrowserContext, oa: Running, who: str, of: str = "landray") -> Page:
    """Open somebody's desk."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{oa.url}/desk?oa={of}&as={CAST[who].staff_number}")
    return page


def rows(page: Page, name: str) -> Locator:
    """Return the rows of a list that stay."""
    return page.locator(f'section[data-list="{name}"] tbody tr:not(.leaving)')


def choose(page: Page, label: str) -> None:
    """Look at another list."""
    page.get_by_role("button", name=re.compile(f"^{label}")).click()


def test_a_leave_is_found_opened_and_approved_from_the_oa(
    bpm: Bpm,
    oa_sandbox: Running,
    contexts: Callable[[], BrowserContext],
    shots: Path,
    kind: str,
    tmp_path: Path,
) -> None:
    bpm.deploy("leave_request")
    title = f"{CAST['nurse'].name}的请假申请"
    with serving(bpm, tmp_path, oas=[site(oa_sandbox, kind)]) as address:
        page = desk(contexts(), oa_sandbox, "head_nurse")
        expect(page.get_by_text("没有待办，都办完了")).to_be_visible()
        problems: list[str] = []
        nurse = Visitor(contexts(), address, shots, problems).login("nurse")
        nurse.goto("/start/leave_request")
        nurse.page.get_by_label("请假类别").select_option("事假")
        nurse.page.get_by_label("开始日期").fill(str(dates(3, 4)["start_date"]))
        nurse.page.get_by_label("结束日期").fill(str(dates(3, 4)["end_date"]))
        nurse.page.get_by_label("事由").fill("回家探亲")
        nurse.press("提交", "/instances/")
        row = rows(page, "todo").filter(has_text=title)
        expect(row).to_contain_text("批阅")
        expect(row.get_by_label("未读")).to_be_visible()
        page.screenshot(path=shots / "oa-desk-todo.png", caret="initial")
        with page.expect_popup() as opened:
            row.get_by_role("link", name=title).click()
        item = opened.value
        item.set_default_timeout(PATIENCE)
        item.wait_for_url(re.compile(re.escape(f"{address}/items/")))
        expect(item.get_by_text("回家探亲").first).to_be_visible()
        item.screenshot(path=shots / "oa-desk-item.png", caret="initial")
        item.locator(".bar").get_by_role("button", name="同意", exact=True).click()
        expect(rows(page, "todo")).to_have_count(0)
        choose(page, "已办")
        expect(rows(page, "done").filter(has_text=title)).to_be_visible()
        page.screenshot(path=shots / "oa-desk-done.png", caret="initial")
        assert problems == []
    rows_ = [row for row in oa_sandbox.state.landray.of(CAST["head_nurse"].staff_number) if row.title.startswith(title)]
    assert [(row.state, row.notified, row.in_oa) for row in rows_] == [("done", 1, False)]


def test_what_is_pressed_on_the_phone_leaves_the_oa_s_list(
    bpm: Bpm,
    oa_sandbox: Running,
    wecom_sandbox: Phones,
    contexts: Callable[[], BrowserContext],
    kind: str,
    tmp_path: Path,
) -> None:
    bpm.deploy("leave_request")
    link(bpm)
    settings = WeComSettings.model_validate(wecom_sandbox.settings())
    with serving(bpm, tmp_path, settings, [site(oa_sandbox, kind)]) as address:
        wecom_sandbox.call(f"{address}/wecom/callback")
        page = desk(contexts(), oa_sandbox, "head_nurse")
        bpm.start("leave_request", by="nurse", **LEAVE)
        expect(rows(page, "todo")).to_have_count(1)
        phones = contexts().new_page()
        phones.goto(f"{wecom_sandbox.url}/phone?as={CAST['head_nurse'].staff_number}")
        phone(phones, "head_nurse").get_by_role("button", name="同意", exact=True).click()
        expect(rows(page, "todo")).to_have_count(0)
        choose(page, "已办")
        expect(rows(page, "done")).to_have_count(1)


def test_who_does_not_agree_says_why_or_thinks_again(
    oa_sandbox: Running, contexts: Callable[[], BrowserContext], shots: Path
) -> None:
    plain, head = oa_sandbox.state.plain, CAST["head_nurse"].staff_number
    plain.add(Row(plain.number(), "a" * 32, head, "todo", "采购申请：输液泵 2 台", link="https://piyue.example/x"))
    page = desk(contexts(), oa_sandbox, "head_nurse", "plain")
    row, dialog = rows(page, "todo"), page.get_by_role("dialog", name="不同意")
    reject = row.get_by_role("button", name=re.compile("^不同意"))
    reject.click()
    expect(dialog).to_contain_text("采购申请：输液泵 2 台")
    page.screenshot(path=shots / "oa-desk-reject.png", caret="initial")
    dialog.get_by_role("button", name="取消").click()
    expect(dialog).to_be_hidden()
    page.context.set_offline(True)
    row.get_by_role("button", name=re.compile("^同意")).click()
    expect(page.locator(".toast")).to_contain_text("再点一次")
    page.context.set_offline(False)
    reject.click()
    dialog.get_by_label("意见").fill("先修旧的")
    dialog.get_by_role("button", name="确定").click()
    expect(row).to_have_count(0)
    [done] = plain.of(head)
    assert (done.state, done.outcome, done.opinion) == ("done", "reject", "先修旧的")
