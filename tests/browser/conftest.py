"""The service in a thread, and people who use it in a real browser."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, FilePayload, Locator, Page

import piyue
from engine.connectors.oa.adapters.site import Site
from engine.connectors.wecom.settings import WeComSettings
from engine.org.demo import CAST
from engine.settings import ROOT, Settings
from sandbox.serving import serving as listening
from tests.dsl import Bpm
from tests.services import free_port
from tests.serving import share_pages

SIZES = {"390x844": (390, 844), "1280x800": (1280, 800)}
PATIENCE = 15_000  # milliseconds
# what the browser says of an answer that refuses: the page explains it
_REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 4(09|22)")
_WATCH = (
    "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective, e.blockedURI))"
)


@contextmanager
def serving(bpm: Bpm, var: Path, of_wecom: WeComSettings | None = None, oas: list[Site] | None = None) -> Iterator[str]:
    """Serve the whole service with its worker on the test's database; yield the address where it listens."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    share_pages(var)
    settings = Settings(mode="demo", embedded_worker=True, secure_cookie=False, var=var, base_url=base_url)
    with listening(piyue.application(settings, bpm.db, of_wecom, oas), port=port):
        yield base_url


@pytest.fixture
def server(bpm: Bpm, tmp_path: Path) -> Iterator[str]:
    """The whole service with its worker, on the test's database; the address where it listens."""
    bpm.deploy("leave_request", "document_incoming", "document_outgoing", "notice_circulation", "seal_use")
    bpm.deploy("purchase_request")
    with serving(bpm, tmp_path) as base_url:
        yield base_url


class Visitor:
    """One person with a browser of their own; `problems` is everything that the browser complained of."""

    def __init__(self, context: BrowserContext, address: str, shots: Path, problems: list[str]) -> None:
        self.context, self.address, self._shots, self._problems = context, address, shots, problems
        self.online = True
        self.page = self.tab()

    def tab(self) -> Page:
        """Open a tab."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self._problems.append(f"{page.url}: {error}"))
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if self.online and message.type in ("error", "warning") and not _REFUSED.match(message.text):
            self._problems.append(f"{message.location.get('url')}: {message.text}")

    @property
    def telephone(self) -> bool:
        """Whether the screen is a telephone's."""
        size = self.page.viewport_size
        assert size is not None
        return size["width"] < 900

    def login(self, who: str) -> "Visitor":
        """Pick a member of the cast on the demo's login page."""
        self.page.goto(f"{self.address}/login")
        self.page.get_by_label("查找").fill(CAST[who].name)
        self.page.get_by_role("button", name=CAST[who].name).first.click()
        self.page.wait_for_url("**/box/**")
        return self

    def goto(self, path: str) -> "Visitor":
        """Open an address of the service."""
        self.page.goto(f"{self.address}{path}")
        return self

    def row(self, box: str, title: str) -> Locator:
        """Wait until a box shows a title: the worker may still be at it."""
        rows = self.goto(f"/box/{box}").page.locator(".row", has_text=title)
        deadline = time.monotonic() + PATIENCE / 1000
        while not rows.count() and time.monotonic() < deadline:
            self.page.wait_for_timeout(200)
            self.page.reload()
        return rows.first

    def open(self, box: str, title: str) -> "Visitor":
        """Open what a box shows under a title."""
        self.row(box, title).click()
        self.page.wait_for_url(re.compile("/(items|instances)/"))
        return self

    def choose(self, label: str, text: str, name: str) -> None:
        """Look somebody up in a picker and take the first who is found."""
        field = self.page.get_by_label(label)
        field.press_sequentially(text, delay=20)
        self.page.get_by_role("option", name=name).first.click()

    def attach(self, name: str, content: bytes) -> None:
        """Upload a file into the form's attachments."""
        chosen: FilePayload = {"name": name, "mimeType": "application/pdf", "buffer": content}
        self.page.locator("input[data-upload]").first.set_input_files([chosen])
        self.page.get_by_role("link", name=name).wait_for()

    def press(self, name: str, then: str) -> None:
        """Press a button of the bar and wait for the page that follows."""
        self.page.locator(".bar").get_by_role("button", name=name, exact=True).click()
        self.page.wait_for_url(re.compile(re.escape(then)))

    def press_late(self, name: str) -> None:
        """Press a button of the bar of a page that is no longer true."""
        self.page.locator(".bar").get_by_role("button", name=name, exact=True).click()

    def shot(self, name: str) -> None:
        """Keep a picture of the page as it is, the whole of it on a telephone."""
        size = self.page.viewport_size
        assert size is not None
        if self.telephone and not self.page.locator("dialog[open]").count():
            height = self.page.evaluate("document.documentElement.scrollHeight")
            self.page.set_viewport_size({"width": size["width"], "height": max(size["height"], min(height, 2600))})
        # without `caret` the tool would write a style of its own into the page, against the policy
        self.page.screenshot(path=self._shots / f"{name}.png", caret="initial")
        self.page.set_viewport_size(size)


class Visit(Protocol):
    """Lets a member of the cast in, each in a browser of their own."""

    def __call__(self, who: str, scheme: Literal["light", "dark"] = "light") -> Visitor:
        """Log `who` in, nobody where it is empty."""


@pytest.fixture(params=SIZES)
def people(request: pytest.FixtureRequest, server: str, browser: Browser) -> Iterator[Visit]:
    """Let members of the cast use the service, each in a browser of their own; nothing may be complained of."""
    width, height = SIZES[request.param]
    shots = ROOT / "var" / "screenshots" / request.param
    problems: list[str] = []
    contexts: list[BrowserContext] = []

    def visit(who: str, scheme: Literal["light", "dark"] = "light") -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            color_scheme=scheme,
            reduced_motion="reduce",  # no picture of a page halfway to the next
        )
        contexts.append(context)
        context.add_init_script(_WATCH)
        visitor = Visitor(context, server, shots, problems)
        return visitor.login(who) if who else visitor

    shots.mkdir(parents=True, exist_ok=True)
    yield visit
    for context in contexts:
        context.close()
    assert problems == []


@contextmanager
def offline(visitor: Visitor) -> Iterator[None]:
    """Cut a visitor off from the network."""
    visitor.online = False
    visitor.context.set_offline(True)
    try:
        yield
    finally:
        visitor.context.set_offline(False)
        visitor.online = True
