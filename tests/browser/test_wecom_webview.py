"""In WeCom's webview: the unmodified SDK on our pages, against the stand-in's phone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from engine.org.demo import CAST
from sandbox.wecom.server import Running
from tests.browser.conftest import _WATCH
from tests.dsl import Bpm
from tests.factories.files import JPG
from tests.sandbox.webview import ANDROID, USER_AGENT, webview
from tests.web.wecom_phone import connect

pytestmark = [pytest.mark.browser, pytest.mark.backend("postgresql")]

Phone = Callable[[str], Page]
LEAVE = {"leave_type": "事假", "start_date": "2026-03-03", "end_date": "2026-03-05", "reason": "家中有事"}


@pytest.fixture(params=["iphone", "android"])
def phone(
    request: pytest.FixtureRequest, bpm: Bpm, wecom_sandbox: Running, server: str, browser: Browser
) -> Iterator[Phone]:
    """Give a member of the cast a telephone; nothing may be complained of."""
    connect(bpm, wecom_sandbox, contacts="off")  # at night the worker would link everybody
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def give(who: str) -> Page:
        agent = USER_AGENT if request.param == "iphone" else ANDROID
        context = webview(
            browser,
            wecom_sandbox.url,
            CAST[who].staff_number,
            user_agent=agent,
            reduced_motion="reduce",
            base_url=server,
        )
        contexts.append(context)
        context.add_init_script(_WATCH)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        return page

    yield give
    for context in contexts:
        context.close()
    assert problems == []


def test_pictures_colleagues_and_files_by_wecom_s_own_means(phone: Phone, tmp_path: Path) -> None:
    page = phone("nurse")
    page.goto("/start/leave_request")  # no login in between
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(JPG)
    page.get_by_role("button", name="拍照或相册").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_text("从手机相册选择").click()
    chooser.value.set_files(photo)
    picture = page.get_by_role("link", name="照片")
    expect(picture).to_be_visible()
    picture.click()
    preview = page.get_by_role("dialog", name="文件预览")
    expect(preview).to_contain_text("image/jpeg")
    preview.get_by_role("button", name="关闭").click()
    page.get_by_role("button", name="从企业微信选人").click()
    page.get_by_role("radio", name="曾淑贞").check()
    page.get_by_role("button", name="确定").click()
    # whom nobody has linked and who never came in isn't known by that userid
    expect(page.locator("#toast")).to_contain_text("批阅里没有曾淑贞")
    phone("head_nurse").goto("/box/todo")
    page.get_by_role("button", name="从企业微信选人").click()
    page.get_by_role("radio", name="曾淑贞").check()
    page.get_by_role("button", name="确定").click()
    expect(page.locator(".form-chip_chosen")).to_have_text("曾淑贞")


def test_what_was_opened_from_a_card_goes_back_to_the_chat(bpm: Bpm, phone: Phone) -> None:
    first, second = bpm.start("leave_request", "nurse", **LEAVE), bpm.start("leave_request", "nurse", **LEAVE)
    page = phone("head_nurse")
    page.goto(f"/items/{first.item('head_nurse').id}")
    page.get_by_role("button", name="同意", exact=True).click()
    back = page.get_by_role("link", name="返回聊天")
    expect(back).to_be_visible()
    expect(page.get_by_role("link", name="下一条")).to_be_visible()  # more waits: it is for the person to say
    with page.expect_event("close"):
        back.click()
    last = phone("head_nurse")
    last.goto(f"/items/{second.item('head_nurse').id}")
    with last.expect_event("close"):  # nothing more waits: by itself
        last.get_by_role("button", name="同意", exact=True).click()


def test_what_was_opened_from_the_workbench_stays_open(bpm: Bpm, phone: Phone) -> None:
    story = bpm.start("leave_request", "nurse", **LEAVE)
    page = phone("head_nurse")
    page.goto("/box/todo")
    page.goto(f"/items/{story.item('head_nurse').id}")
    page.get_by_role("button", name="同意", exact=True).click()
    back = page.locator(".bar").get_by_role("link", name="返回列表")
    expect(back).to_be_visible()
    page.wait_for_timeout(2000)
    expect(back).to_be_visible()
