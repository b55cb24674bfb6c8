"""In WeCom: the card comes to the phone, is pressed, changes for everybody; what needs words opens the page.

The people use the stand-in's phone page in one plain browser, as a newcomer of the demo does.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import select

from engine.connectors.wecom.models import WeComAccount
from engine.connectors.wecom.settings import WeComSettings
from engine.org.demo import CAST
from engine.org.models import Person
from engine.settings import ROOT
from sandbox.wecom.server import Running
from tests.browser.conftest import serving
from tests.dsl import Bpm, bpmn, chain, dates, start_task, task

pytestmark = [pytest.mark.browser, pytest.mark.backend("sqlite")]

PATIENCE = 20_000  # milliseconds
SHOTS = ROOT / "var" / "screenshots" / "wecom"
LEAVE = {"leave_type": "年休假", "reason": "回家探亲"} | dates(5, 7)
Desk = Callable[..., Page]


@pytest.fixture
def address(bpm: Bpm, wecom_sandbox: Running, tmp_path: Path) -> Iterator[str]:
    """The whole service with its worker, connected to the stand-in; where it listens."""
    link(bpm)
    with serving(bpm, tmp_path, WeComSettings.model_validate(wecom_sandbox.settings())) as url:
        wecom_sandbox.call(f"{url}/wecom/callback")
        yield url


@pytest.fixture
def desk(browser: Browser, address: str, wecom_sandbox: Running) -> Iterator[Desk]:
    """Open the phone page with two members of the cast side by side."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="zh-CN", timezone_id="Asia/Shanghai")

    def show(first: str, second: str) -> Page:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        numbers = (CAST[first].staff_number, CAST[second].staff_number)
        page.goto(f"{wecom_sandbox.url}/phone?as={numbers[0]}&and={numbers[1]}")
        return page

    SHOTS.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE)
    yield show
    expect.set_options(timeout=5_000)
    context.close()


def link(bpm: Bpm) -> None:
    """Link the cast to their accounts, as the contacts' synchronisation does it."""
    numbers = [member.staff_number for member in CAST.values()]
    with bpm.db.unit_of_work() as session:
        for id_, found in session.execute(
            select(Person.id, Person.staff_number).where(Person.staff_number.in_(numbers))
        ):
            session.add(WeComAccount(person_id=id_, userid=found, userid_key=found.lower()))


def phone(page: Page, who: str) -> Locator:
    return page.locator(f'[data-phone="{CAST[who].staff_number}"]')


def test_a_card_is_pressed_and_changes_for_both(bpm: Bpm, desk: Desk) -> None:
    """Either of two may decide; who pressed, and what, stands on both cards, and the other can't press any more."""
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task()
    body += task("check", "head_nurse", "doctor", inner='<piyue:round policy="any"/>')
    bpm.deploy_files(bpmn(body + chain("s", "apply", "check", "e")))
    page = desk("head_nurse", "doctor")
    story = bpm.start("p", by="nurse")
    for who in ("head_nurse", "doctor"):
        expect(phone(page, who).get_by_role("button", name="同意", exact=True)).to_be_enabled()
    phone(page, "head_nurse").get_by_role("button", name="同意", exact=True).click()
    name = CAST["head_nurse"].name
    for who, said in (("head_nurse", f"已同意 · {name}"), ("doctor", f"已由{name}同意，您无需再办")):
        expect(phone(page, who).locator(".message")).to_contain_text(said)
        expect(phone(page, who).locator("[data-click]")).to_have_count(0)
        expect(phone(page, who).locator(".message")).to_have_count(1)
    page.screenshot(path=SHOTS / "card-changed-for-both.png")
    assert story.instance.state == "completed"


def test_returned_on_the_page_that_the_card_opens(bpm: Bpm, desk: Desk) -> None:
    """退回 needs a reason, so it opens the page, logged in as who holds the phone; the card then says so."""
    bpm.deploy("leave_request")
    page = desk("nurse", "head_nurse")
    bpm.start("leave_request", by="nurse", **LEAVE)
    with page.expect_popup() as opened:
        phone(page, "head_nurse").get_by_role("link", name="退回").click()
    item = opened.value
    item.set_default_timeout(PATIENCE)
    item.locator("dialog[open] textarea").fill("请补充值班安排")
    item.screenshot(path=SHOTS / "webview-return.png", caret="initial")
    item.locator("dialog[open]").get_by_role("button", name="退回").click()
    head = phone(page, "head_nurse").locator(".message").first
    expect(head).to_contain_text(f"已退回：请补充值班安排 · {CAST['head_nurse'].name}")
    item.wait_for_url("**done=return**")
    again = phone(page, "nurse").locator(".message").last
    expect(again).to_contain_text("请补充值班安排")
    page.screenshot(path=SHOTS / "card-returned.png")
    with page.expect_popup() as opened:  # the same browser, now as the nurse
        again.locator(".card-goal").click()
    expect(opened.value.get_by_text("请补充值班安排").first).to_be_visible()
    assert "/login" not in opened.value.url
