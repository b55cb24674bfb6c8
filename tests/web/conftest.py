"""A browser without script, for all tests of pages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from api.app import create_app
from engine.connectors.wecom.entry import codes
from engine.db import Database
from engine.org.demo import CAST
from engine.settings import Settings
from sandbox.wecom.server import Running
from tests.api.conftest import Served
from tests.dsl import Bpm
from tests.serving import share_pages
from tests.web.wecom_phone import Phone, connect
from web.app import mount


class Browser:
    """A browser without script."""

    def __init__(self, client: httpx.Client, bpm: Bpm) -> None:
        self.client, self._bpm = client, bpm

    def login(self, who: str) -> "Browser":
        """Pick somebody in the demo."""
        answer = self.client.post("/login", data={"number": CAST[who].staff_number, "next": "/"})
        assert answer.status_code == 303, answer.text
        return self

    def get(self, path: str, status: int = 200, **options: Any) -> str:
        """Open a page."""
        answer = self.client.get(path, **options)
        assert answer.status_code == status, answer.text
        return answer.text

    def form(self, path: str, action: str) -> dict[str, str]:
        """Return the hidden fields of a form on a page."""
        page = self.get(path)
        inner = page[page.index(f'action="{action}"') :]
        inner = inner[: inner.index("</form>")]
        found = (re.search(r'name="([^"]+)"', tag) and tag for tag in re.findall(r'<input type="hidden"[^>]*>', inner))
        fields = [(re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)) for tag in found if tag]
        return {name[1]: value[1] for name, value in fields if name and value}

    def send(self, action: str, data: dict[str, Any], status: int = 303, **options: Any) -> httpx.Response:
        """Send a form."""
        answer = self.client.post(action, data=data, **options)
        assert answer.status_code == status, answer.text
        self._bpm.work()
        return answer


@pytest.fixture
def client(bpm: Bpm, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of the whole service, with one process deployed."""
    bpm.deploy("leave_request")
    with served(Settings(mode="demo", var=tmp_path, secure_cookie=False), bpm.db) as found:
        yield found


@contextmanager
def served(settings: Settings, db: Database) -> Iterator[httpx.Client]:
    """A client of the whole service."""
    share_pages(settings.var)
    service = create_app(settings, db)
    mount(service)
    with start_blocking_portal() as portal:
        yield httpx.Client(
            transport=Served(service, portal), base_url="http://testserver", headers={"Accept-Encoding": "identity"}
        )


@pytest.fixture
def browser_of(client: httpx.Client, bpm: Bpm) -> Browser:
    """A browser in which anybody may log in."""
    return Browser(client, bpm)


@pytest.fixture
def phone(bpm: Bpm, wecom_sandbox: Running, tmp_path: Path) -> Iterator[Phone]:
    """The nurse's telephone."""
    bpm.deploy("leave_request")
    wecom = connect(bpm, wecom_sandbox)
    settings = Settings(mode="demo", var=tmp_path, secure_cookie=False, base_url="http://testserver")
    codes.provide(bpm.db, settings)
    with served(settings, bpm.db) as client:
        yield Phone(client, wecom_sandbox, wecom=wecom)
