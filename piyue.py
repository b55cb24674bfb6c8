"""The command line of Piyue (批阅): serve, demo, worker, db, process, staff, audit, sandbox."""

import errno
import gc
import importlib
import logging.config
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from multiprocessing.context import ForkProcess
from types import SimpleNamespace
from typing import Annotated, Any

import psycopg
import typer
from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import ArgumentError, DBAPIError

import engine.registry  # noqa: F401  (registers tables, operations, handlers)
from cli import auditing, databases, demonstration, oa, outside, processes, staff
from cli.databases import open_database, upgrade
from cli.outside import channels, connect
from cli.telling import lacks_tables, told
from engine import outbox
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.sites import home
from engine.connectors.wecom.settings import WeComSettings
from engine.crypto import Keys
from engine.db import Database
from engine.errors import EngineError, Invalid
from engine.org import demo as hospital
from engine.org.models import Role
from engine.settings import Settings
from sandbox.commands import commands as sandbox_commands
from workers import running

app = typer.Typer(no_args_is_help=True, add_completion=False, help="批阅：医院移动办公", pretty_exceptions_enable=False)
for group, commands in (
    ("db", databases), ("process", processes), ("staff", staff), ("audit", auditing), ("wecom", outside), ("oa", oa),
):  # fmt: skip
    app.add_typer(commands.app, name=group)
app.add_typer(sandbox_commands(hospital.roster, lambda: home(Settings())), name="sandbox")

LOGGING: dict[str, Any] = {  # of every process: the command line's, the service's and its workers'
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
}
_UVICORN: dict[str, Any] = {
    "timeout_keep_alive": 120,
    "access_log": False,
    "log_config": LOGGING,
    "log_level": "warning",
}


def require_tables(database: Database) -> None:
    """Refuse to start where the tables are missing; a database that is away may come back and is waited for."""
    try:
        with database.reading() as session:
            session.scalar(select(Role.code).limit(1))
    except DBAPIError as error:
        if lacks_tables(error):
            raise


def application(
    settings: Settings,
    database: Database,
    of_wecom: WeComSettings | None = None,
    oas: list[Site] | None = None,
) -> FastAPI:
    """Return the whole service on an open database; `of_wecom` and `oas` stand in for the environment's settings."""
    import api.app  # only where it serves: the other commands start sooner
    import web.app

    outbox.check()
    connect(settings, database, of_wecom, oas)
    behind = running.embedded if settings.embedded_worker else running.nudging

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with behind(settings, database):
            yield
        database.dispose()

    service = api.app.create_app(settings, database, lifespan=lifespan)
    web.app.mount(service)
    return service


def create() -> FastAPI:
    """Return the service by the environment's settings (uvicorn's factory)."""
    settings = Settings()
    key = Keys.load(settings).key("audit")
    return application(settings, Database(settings.database_url, pool_size=settings.pool_size, audit_key=key))


def require_port(host: str, port: int) -> None:
    """Tell at once where somebody else has the port, before anything is set up."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = (
                "已被占用，请先停掉那个程序，或换一个端口"
                if error.errno == errno.EADDRINUSE
                else f"不能使用：{error.strerror}"
            )
            raise Invalid(
                f"端口 {host}:{port} {why}（make run PORT=8001，piyue serve --port 8001）", code="port"
            ) from error


class _Server(ForkProcess):
    """A server process (服务进程) under uvicorn's supervisor, without what forking, unlike spawning, hands down."""

    _STOP = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pipe = options["kwargs"]["target"].__self__.child_conn

    def start(self) -> None:
        """Fork; the end of the pipe for health checks stays with the child alone, so that it closes when that dies.

        Otherwise the supervisor waits for the answer of a dead process, and hears no signal meanwhile.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, self._STOP)
        super().start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._STOP)
        self._pipe.close()

    def run(self) -> None:
        """Serve; until uvicorn has set its handlers a signal ends the process, and isn't lost in the supervisor's."""
        for number in self._STOP:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._STOP)
        super().run()


@app.command()
def serve(host: str = "127.0.0.1", port: int = 8000, workers: int = 1) -> None:
    """Start the service (启动服务): `workers` server processes; the database must be migrated."""
    import uvicorn
    import uvicorn._subprocess

    require_port(host, port)
    settings = Settings()
    database = open_database(settings)  # what is unusable is told here, once, not by every process
    require_tables(database)
    database.dispose()
    # Server processes are forked from this one, which has everything imported: they share its memory (ADR 0010)
    uvicorn._subprocess.spawn = SimpleNamespace(Process=_Server)  # type: ignore[assignment]  # noqa: SLF001
    import api.app  # noqa: F401
    import web.app  # noqa: F401

    if settings.redis_url.get_secret_value():
        importlib.import_module("workers.app")

    gc.collect()
    gc.freeze()
    uvicorn.run(
        "piyue:create",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        backlog=4096,
        timeout_graceful_shutdown=5,
        timeout_worker_healthcheck=60,  # a process that is only slow is not killed
        **_UVICORN,
    )


@app.command()
def demo(host: str = "127.0.0.1", port: int = 8000) -> None:
    """Start the demo hospital (演示): tables, 1,600 staff, six processes, the service with its worker, phones, an OA.

    The phones are those of a stand-in for WeCom on the next port, unless the environment names a real corp; the OA's
    desks are on the one after it, unless the environment names OAs.
    """
    import uvicorn

    require_port(host, port)
    settings = demonstration.settings(host, port)
    settings.var.mkdir(parents=True, exist_ok=True)
    upgrade(settings.database_url)
    database = open_database(settings)
    demonstration.load(database)
    with demonstration.phones(host, port + 1) as phones, demonstration.desks(settings, host, port + 2) as desks:
        service = application(settings, database, phones.settings, desks.sites)
        phones.link(database)
        desks.link(database)
        demonstration.welcome(settings.base_url, phones.url, desks.url)
        config = uvicorn.Config(service, host=host, port=port, timeout_graceful_shutdown=3, **_UVICORN)
        server = uvicorn.Server(config)
        with phones.called_back(settings.base_url, lambda: server.started), suppress(KeyboardInterrupt):
            server.run()  # which raises the Ctrl-C that ended it once more


@app.command()
def worker(threads: Annotated[int, typer.Option(min=1, max=64, help="办理站内事务的线程数")] = 2) -> None:
    """Handle the outbox and due timers (后台任务) until it is told to stop; each channel has threads beside these."""
    outbox.check()
    settings = Settings()
    channels(settings)  # their threads need connections too
    settings = settings.model_copy(update={"pool_size": running.connections(settings, threads)})
    database = open_database(settings)
    require_tables(database)
    connect(settings, database)
    running.work(settings, database, threads)
    database.dispose()


def main() -> None:
    """Run the command line; refusals are told in a few lines, with their places."""
    logging.config.dictConfig(LOGGING)
    try:
        app()
    except (EngineError, ValidationError, ArgumentError, DBAPIError, sqlite3.Error, psycopg.Error) as error:
        for line in told(error):
            typer.echo(line, err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
