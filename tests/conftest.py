"""Fixtures that all tests share: databases migrated by Alembic, private servers, a browser.

A test that asks for `session`, `committed_db` or `database_url` runs once for each backend; with
`@pytest.mark.backend("postgresql")` on that one only. What can't be had on a machine is left out with its reason, and
with CI=true it fails.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, sync_playwright
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import URL, make_url
from sqlalchemy.orm import Session

from engine import clock
from engine.db import Database
from engine.org.demo import DemoStaff, roster
from sandbox.oa.server import Running as RunningOA
from sandbox.oa.server import running as running_oa
from sandbox.oa.state import State as OAState
from sandbox.wecom.corp import staff as staff_of
from sandbox.wecom.records import Department, Member
from sandbox.wecom.server import Running, running
from sandbox.wecom.state import State as WeComState
from tests import services, throwaway
from tests.dsl import Bpm

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("sqlite", "postgresql")

# The machine may be slow and shared; a run in CI repeats exactly.
hypothesis_settings.register_profile(
    "piyue", deadline=None, print_blob=True, derandomize=os.environ.get("CI") == "true"
)
hypothesis_settings.load_profile("piyue")


class Services:
    """The private servers of one test run, each started when it is first asked for, or by the process in charge."""

    def __init__(self, started: dict[str, str] | None = None) -> None:
        self.stack = ExitStack()
        self.started = {} if started is None else started

    def get(self, name: str) -> str:
        """Return the URL or path of `postgresql`, `redis` or `chromium`; skip or fail the test where it is missing.

        `memory` is the folder for databases that are files.
        """
        if name not in self.started:
            self.started[name] = self._start(name)
        if self.started[name].startswith("missing: "):
            leave_out = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            leave_out(f"{name} is {self.started[name]}")
        return self.started[name]

    def start_all(self) -> None:
        """Start everything, so that several test processes can share it."""
        self.started = {name: self._start(name) for name in ("memory", "postgresql", "redis", "chromium")}

    def _start(self, name: str) -> str:
        try:
            match name:
                case "postgresql":
                    return self.stack.enter_context(services.postgres(durable=False))
                case "redis":
                    return self.stack.enter_context(services.redis())
                case "memory":
                    return str(throwaway.memory())
                case "chromium":
                    return str(services.chromium())
                case _:
                    raise ValueError(name)
        except services.Missing as reason:
            return f"missing: {reason}"


_SERVICES = pytest.StashKey[Services]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked slow too")


def pytest_configure(config: pytest.Config) -> None:
    sys.addaudithook(_refuse_other_machines)
    config.stash[_SERVICES] = Services(getattr(config, "workerinput", {}).get("services"))
    if hasattr(config, "workerinput"):
        return
    throwaway.sweep()
    if config.getoption("numprocesses", None):
        config.stash[_SERVICES].start_all()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_SERVICES].stack.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a test process of pytest-xdist where the servers and the folder for files are."""
    node.workerinput["services"] = node.config.stash[_SERVICES].started


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    slow = {item for item in items if item.get_closest_marker("slow") or _other_pair(item)}
    items[:] = [item for item in items if item not in slow]
    config.hook.pytest_deselected(items=list(slow))


def _other_pair(item: pytest.Item) -> bool:
    """Whether each value of this test's parameter and each backend is seen in another round already."""
    marker = item.get_closest_marker("combined")
    given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    if marker is None or not {marker.args[0], "backend"} <= given.keys():
        return False
    pairs: dict[Any, str] = dict(zip(marker.args[1:], BACKENDS, strict=True))
    return pairs[given[marker.args[0]]] != given["backend"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("backend")
        metafunc.parametrize("backend", BACKENDS if marker is None else marker.args, indirect=True, scope="session")


def _refuse_other_machines(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "localhost"  # otherwise a Unix socket
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if not (host in (None, "", "localhost", "::1") or host.startswith("127.")):
        raise RuntimeError(f"tests talk to this machine only, not to {host}")


AUDIT_KEY = b"audit key of the tests, 32 bytes"


class Backend:
    """One database system with a template that Alembic has migrated, and fresh copies of it."""

    def __init__(self, url: URL) -> None:
        self.template = url
        self._numbers = count(1)

    def copy(self, of: URL | None = None) -> URL:
        """Return the URL of a fresh copy of the migrated template, or of another database that nobody is using."""
        raise NotImplementedError

    def drop(self, url: URL) -> None:
        """Remove a copy."""
        raise NotImplementedError


class SqliteBackend(Backend):
    """Copies are files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(URL.create("sqlite", database=str(folder / "template.db")))
        migrate(self.template)

    def copy(self, of: URL | None = None) -> URL:
        """Copy the file."""
        template = Path((of or self.template).database or "")
        target = template.with_name(f"copy{next(self._numbers)}.db")
        shutil.copyfile(template, target)
        return self.template.set(database=str(target))

    def drop(self, url: URL) -> None:
        """Delete the file and its log."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{url.database}{suffix}").unlink(missing_ok=True)


class PostgresqlBackend(Backend):
    """Copies are databases; one template serves all test processes."""

    def __init__(self, server: URL, process: str) -> None:
        super().__init__(server.set(database="piyue_template"))
        self._process = process
        url = server.set(drivername="postgresql").render_as_string(hide_password=False)
        self._server = psycopg.connect(url, autocommit=True)
        self._server.execute("SELECT pg_advisory_lock(1)")
        if not self._server.execute("SELECT 1 FROM pg_database WHERE datname = 'piyue_template'").fetchone():
            self._server.execute("DROP DATABASE IF EXISTS piyue_building")  # of a migration that failed
            self._server.execute("CREATE DATABASE piyue_building")
            migrate(server.set(database="piyue_building"))
            self._server.execute("ALTER DATABASE piyue_building RENAME TO piyue_template")
        self._server.execute("SELECT pg_advisory_unlock(1)")
        # the other strategy, that of PostgreSQL 15 and later where none is named, writes each page into the log
        self._strategy = SQL(" STRATEGY FILE_COPY" if self._server.info.server_version >= 150000 else "")

    def copy(self, of: URL | None = None) -> URL:
        """Create a database from the template."""
        name = f"piyue_{self._process}_{next(self._numbers)}"
        template = Identifier((of or self.template).database or "")
        self._server.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), template) + self._strategy)
        return self.template.set(database=name)

    def drop(self, url: URL) -> None:
        """Drop the database, whoever is still connected."""
        self._server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(url.database or "")))

    def close(self) -> None:
        """End the connection that databases are made through."""
        self._server.close()


def migrate(url: URL) -> None:
    """Bring an empty database to the newest schema."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "alembic"))
    config.set_main_option("sqlalchemy.url", url.render_as_string(hide_password=False).replace("%", "%%"))
    command.upgrade(config, "head")


@pytest.fixture(scope="session")
def private_services(pytestconfig: pytest.Config) -> Services:
    """The private servers of this run."""
    return pytestconfig.stash[_SERVICES]


@pytest.fixture(scope="session")
def redis_url(private_services: Services) -> str:
    """URL of the private Redis, shared by the run: use keys of your own."""
    return private_services.get("redis")


@pytest.fixture(scope="session")
def browser(private_services: Services) -> Iterator[Browser]:
    """A headless Chromium that reaches this machine only."""
    path = private_services.get("chromium")
    arguments = [
        "--disable-gpu",
        "--disable-quic",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest, private_services: Services, worker_id: str) -> Iterator[Backend]:
    """The database system that this round of the tests runs on."""
    if request.param == "sqlite":
        with throwaway.folder("sqlite", Path(private_services.get("memory"))) as folder:
            yield SqliteBackend(folder)
    else:
        server = PostgresqlBackend(make_url(private_services.get("postgresql")), worker_id)
        yield server
        server.close()


@pytest.fixture(scope="session")
def _shared_db(backend: Backend) -> Iterator[Database]:
    url = backend.copy()
    database = Database(url.render_as_string(hide_password=False), audit_key=AUDIT_KEY)
    yield database
    database.dispose()
    backend.drop(url)


@pytest.fixture
def session(_shared_db: Database) -> Iterator[Session]:
    """A session whose work is rolled back after the test; commits inside it release a savepoint only."""
    with _shared_db.engine.connect() as connection, connection.begin() as transaction:
        info = {"audit_key": AUDIT_KEY}
        mode: Literal["create_savepoint"] = "create_savepoint"
        with Session(connection, expire_on_commit=False, join_transaction_mode=mode, info=info) as session:
            yield session
        transaction.rollback()


@pytest.fixture
def database_url(backend: Backend) -> Iterator[str]:
    """URL of a fresh, migrated, empty database of this test's own."""
    url = backend.copy()
    yield url.render_as_string(hide_password=False)
    backend.drop(url)


@pytest.fixture
def committed_db(database_url: str) -> Iterator[Database]:
    """A fresh database of this test's own, for tests whose work must be committed."""
    database = Database(database_url, audit_key=AUDIT_KEY)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def hospital(backend: Backend) -> URL:
    """A database with the demo hospital, to be copied."""
    url = backend.copy()
    database = Database(url.render_as_string(hide_password=False), audit_key=AUDIT_KEY)
    Bpm(database)
    database.dispose()
    return url


@pytest.fixture(scope="session")
def staff(hospital: URL) -> DemoStaff:
    """The ids of the demo hospital, the same in each copy."""
    database = Database(hospital.render_as_string(hide_password=False), audit_key=AUDIT_KEY)
    found = Bpm(database).staff
    database.dispose()
    return found


@pytest.fixture
def hospital_db(backend: Backend, hospital: URL) -> Iterator[Database]:
    """A fresh database with the demo hospital, for tests whose work must be committed."""
    url = backend.copy(hospital)
    database = Database(url.render_as_string(hide_password=False), audit_key=AUDIT_KEY)
    yield database
    database.dispose()
    backend.drop(url)


@pytest.fixture
def bpm(hospital_db: Database, staff: DemoStaff) -> Iterator[Bpm]:
    """The demo hospital with the means to tell stories about its processes."""
    yield Bpm(hospital_db, staff)
    clock.freeze(None)


@pytest.fixture(scope="session")
def members() -> tuple[list[Department], list[Member]]:
    """The staff of the demo hospital as WeCom has them; each stand-in copies them."""
    return staff_of(*roster())


@pytest.fixture
def wecom_sandbox(members: tuple[list[Department], list[Member]]) -> Iterator[Running]:
    """The stand-in for WeCom with the staff of the demo hospital, on a port of its own."""
    with running(WeComState(*members)) as stand_in:
        yield stand_in


@pytest.fixture
def oa_sandbox() -> Iterator[RunningOA]:
    """The stand-ins for the OAs with the staff of the demo hospital, on a port of their own."""
    _, people = roster()
    with running_oa(OAState(people)) as stand_in:
        yield stand_in
