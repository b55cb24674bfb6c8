"""The service over HTTP, on the demo hospital with deployed processes."""

import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from sqlalchemy.engine import URL

from api.app import Service, create_app
from engine import clock
from engine.db import Database
from engine.org.demo import CAST, DemoStaff
from engine.settings import Settings
from tests.conftest import AUDIT_KEY, Backend
from tests.dsl import Bpm, bpmn, chain, start_task, task

PREFIX = "/api/v1"
SIMPLE = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task()
    + task("first", "head_nurse", "pediatrics_head")
    + task("second", "finance_head")
    + task("circulate", "doctor", "surgeon", kind="read")
    + chain("s", "apply", "first", "second", "circulate", "e"),
    key="simple",
)
LEAVE = {
    "leave_type": "事假",
    "start_date": "2026-03-03",
    "end_date": "2026-03-05",
    "reason": "家中有事",
}
_keys = itertools.count()


class Served(httpx.BaseTransport):
    """Lets a plain client talk to an ASGI application on an event loop that goes on between requests."""

    def __init__(self, app: Service, portal: BlockingPortal) -> None:
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._portal = portal

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        return self._portal.call(self._send, request.method, request.url, request.headers, content)

    async def _send(self, method: str, url: httpx.URL, headers: httpx.Headers, content: bytes) -> httpx.Response:
        answer = await self._inner.handle_async_request(httpx.Request(method, url, headers=headers, content=content))
        content = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(content))


@dataclass
class Person:
    """A member of the cast with a browser of their own."""

    api: "Api"
    key: str
    client: httpx.Client
    csrf: str = ""

    @property
    def id(self) -> uuid.UUID:
        """The person's id."""
        return self.api.bpm.person(self.key)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request as a page would."""
        headers = {"X-CSRF-Token": self.csrf} | options.pop("headers", {})
        return self.client.request(method, PREFIX + path, headers=headers, **options)

    def get(self, path: str, **params: Any) -> Any:
        """Read, and expect an answer."""
        answer = self.ask("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, *, expect: int | None = None, **options: Any) -> Any:
        """Do something; refused with the status `expect`, or else not refused. Returns what was answered."""
        answer = self.ask("POST", path, json=body, **options)
        assert answer.status_code == (expect or answer.status_code), answer.text
        assert expect or answer.is_success, answer.text
        self.api.bpm.work()
        return answer.json() if answer.content else None

    def todo(self, step: str | None = None, box: str = "todo") -> str:
        """Return the id of the newest item in a box."""
        rows = self.get(f"/boxes/{box}")["rows"]
        assert rows, f"nothing in {box} of {self.key}"
        return str(rows[0]["id"])


class Api:
    """The service and its people."""

    def __init__(self, db: Database, staff: DemoStaff, folder: Path, portal: BlockingPortal, **settings: Any) -> None:
        self.db, self._portal, self._folder = db, portal, folder
        values: dict[str, Any] = {"mode": "demo", "var": folder, "secure_cookie": False, "attachment_max_mb": 1}
        self.settings = Settings(**values | settings)
        self.app: Service = create_app(self.settings, db)
        self.bpm = Bpm(db, staff)
        self._people: dict[str, Person] = {}

    def client(self) -> httpx.Client:
        """Return a browser that nobody has logged in with."""
        return httpx.Client(transport=Served(self.app, self._portal), base_url="http://testserver")

    def with_settings(self, **settings: Any) -> "Api":
        """Return another service on the same database."""
        return Api(self.db, self.bpm.staff, self._folder, self._portal, **settings)

    def person(self, key: str) -> Person:
        """Return a member of the cast, logged in."""
        if key not in self._people:
            client = self.client()
            answer = client.post(f"{PREFIX}/session/demo", json={"staff_number": CAST[key].staff_number})
            assert answer.status_code == 200, answer.text
            self._people[key] = Person(self, key, client, answer.json()["csrf"])
        return self._people[key]

    def system_account(self) -> str:
        """Return the id of a system account, made when it is first asked for."""
        admin = self.person("system_admin")
        admin.ask("POST", "/system-accounts", json={"number": "SYS-HIS", "name": "挂号系统", "department": "XX"})
        (found,) = admin.get("/system-accounts")["accounts"]
        return str(found["id"])

    def start(self, by: str = "nurse", process: str = "simple", **data: Any) -> str:
        """Start an instance; returns its id."""
        started = self.person(by).post(f"/processes/{process}/instances", {"data": data}, expect=201)
        return str(started["instance_id"])


@pytest.fixture(scope="session")
def deployed(backend: Backend, hospital: URL, staff: DemoStaff) -> URL:
    """A database with the demo hospital and processes, to be copied."""
    url = backend.copy(hospital)
    database = Database(url.render_as_string(hide_password=False), audit_key=AUDIT_KEY)
    Bpm(database, staff).deploy("leave_request").deploy_files(SIMPLE)
    database.dispose()
    return url


@contextmanager
def copied(backend: Backend, template: URL) -> Iterator[Database]:
    """A fresh copy of a database."""
    url = backend.copy(template)
    found = Database(url.render_as_string(hide_password=False), audit_key=AUDIT_KEY)
    yield found
    found.dispose()
    backend.drop(url)
    clock.freeze(None)


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """An event loop in a thread of its own."""
    with start_blocking_portal() as found:
        yield found


@pytest.fixture
def api(backend: Backend, deployed: URL, staff: DemoStaff, tmp_path: Path, portal: BlockingPortal) -> Iterator[Api]:
    """The service on a fresh copy of it, in demo mode."""
    with copied(backend, deployed) as database:
        yield Api(database, staff, tmp_path, portal)


@pytest.fixture(scope="module")
def quiet(
    backend: Backend,
    deployed: URL,
    staff: DemoStaff,
    tmp_path_factory: pytest.TempPathFactory,
    portal: BlockingPortal,
) -> Iterator[Api]:
    """The same for the tests of a module that leave nothing behind: they share it."""
    with copied(backend, deployed) as database:
        yield Api(database, staff, tmp_path_factory.mktemp("var"), portal)
