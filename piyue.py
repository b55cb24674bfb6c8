"""The command line of Piyue (批阅): serve, demo, worker, db, process, staff, audit, sandbox."""

import errno
import gc
import importlib
import logging.config
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import psycopg
import typer
from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import ArgumentError, DBAPIError

import engine.registry  # noqa: F401  (registers tables, operations, handlers)
from engine import audit, outbox, sealing
from engine.bpm import definitions, lint, scenarios
from engine.bpm.lint.finding import Finding
from engine.connectors.wecom.commands import commands as wecom_commands
from engine.crypto import Keys
from engine.db import Database
from engine.errors import Conflict, EngineError, Invalid
from engine.org import auth, roles, staff_import, staff_template, system_accounts
from engine.org import demo as hospital
from engine.org.models import Role
from engine.settings import ROOT, Settings
from sandbox.commands import commands as sandbox_commands
from workers import running

app = typer.Typer(no_args_is_help=True, add_completion=False, help="批阅：医院移动办公", pretty_exceptions_enable=False)
db_app = typer.Typer(no_args_is_help=True, help="数据库：建表与升级")
process_app = typer.Typer(no_args_is_help=True, help="流程：检查、部署、试跑")
staff_app = typer.Typer(no_args_is_help=True, help="人员：导入、角色与密码")
audit_app = typer.Typer(no_args_is_help=True, help="审计：核对办理记录")
app.add_typer(db_app, name="db")
app.add_typer(process_app, name="process")
app.add_typer(staff_app, name="staff")
app.add_typer(audit_app, name="audit")
app.add_typer(sandbox_commands(hospital.roster), name="sandbox")

PROCESSES = ROOT / "processes"
_SUFFIXES = {".bpmn", ".json", ".dmn"}
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
_MOST_TOLD = 50


def open_database(settings: Settings) -> Database:
    """Open the database of the settings, with the key of the trail."""
    settings.var.mkdir(parents=True, exist_ok=True)
    return Database(settings.database_url, pool_size=settings.pool_size, audit_key=Keys.load(settings).key("audit"))


def upgrade(url: str) -> None:
    """Bring the tables of a database to this release, with the roles that come with it."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(ROOT / "alembic"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")
    database = Database(url)
    with database.unit_of_work() as session:
        roles.ensure_roles(session)
    database.dispose()


def require_tables(database: Database) -> None:
    """Refuse to start where the tables are missing; a database that is away may come back and is waited for."""
    try:
        with database.reading() as session:
            session.scalar(select(Role.code).limit(1))
    except DBAPIError as error:
        if _lacks_tables(error):
            raise


def application(settings: Settings, database: Database) -> FastAPI:
    """Return the whole service on an open database."""
    import api.app  # only where it serves: the other commands start sooner
    import web.app

    outbox.check()
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


def process_files(folder: Path) -> dict[str, str | bytes]:
    """Read the files of a process folder that are deployed."""
    if not (folder / "process.bpmn").is_file():
        raise typer.BadParameter(f"{folder} 里没有 process.bpmn")
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix in _SUFFIXES)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


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


app.add_typer(wecom_commands(lambda: open_database(Settings())), name="wecom")


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
    """Start the demo hospital (演示): tables, 1,600 staff, six processes, and the service with its worker inside."""
    require_port(host, port)
    settings = Settings(mode="demo", embedded_worker=True, secure_cookie=False)
    settings.var.mkdir(parents=True, exist_ok=True)
    upgrade(settings.database_url)
    database = open_database(settings)
    with database.unit_of_work() as session:
        hospital.load_demo(session)
    for folder in sorted(p.parent for p in PROCESSES.glob("*/process.bpmn")):
        with database.unit_of_work() as session:
            definitions.deploy(session, None, process_files(folder), note="演示")
    typer.echo(f"\n  批阅演示医院已启动：http://{host}:{port}\n  打开后从名单里选人登录，例如：")
    for key in (
        "nurse",
        "head_nurse",
        "office_clerk",
        "office_director",
        "hospital_director",
        "archivist",
        "designer",
        "process_admin",
    ):
        if (member := hospital.CAST.get(key)) is not None:
            typer.echo(f"    {member.name}（{member.label}）")
    typer.echo("  按 Ctrl-C 停止。\n")
    import uvicorn

    uvicorn.run(application(settings, database), host=host, port=port, timeout_graceful_shutdown=3, **_UVICORN)


@app.command()
def worker(threads: Annotated[int, typer.Option(min=1, max=64, help="办理站内事务的线程数")] = 2) -> None:
    """Handle the outbox and due timers (后台任务) until it is told to stop; each channel has threads beside these."""
    outbox.check()
    settings = Settings()
    settings = settings.model_copy(update={"pool_size": running.connections(settings, threads)})
    database = open_database(settings)
    require_tables(database)
    running.work(settings, database, threads)
    database.dispose()


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Create or upgrade the tables (建表、升级)."""
    settings = Settings()
    settings.var.mkdir(parents=True, exist_ok=True)
    upgrade(settings.database_url)
    typer.echo("数据库已是最新版本")


@process_app.command("lint")
def process_lint(path: Path, json: bool = False, organisation: bool = False) -> None:
    """Check a process folder (检查): findings with file, line, element and cure; exit code 1 if there is an error.

    With --organisation roles, posts, departments and people are looked up in the database too, as deploying does.
    """
    known = None
    if organisation:
        with open_database(Settings()).unit_of_work() as session:
            known = definitions.organisation(session)
    findings = lint.check(process_files(path), known=known)
    if json:
        import orjson

        typer.echo(orjson.dumps([f.as_dict() for f in findings], option=orjson.OPT_INDENT_2).decode())
    else:
        for finding in findings:
            typer.echo(str(finding))
        errors = sum(f.severity == "error" for f in findings)
        typer.echo(f"{path}: {errors} 个错误，{len(findings) - errors} 个提醒")
    if any(f.severity == "error" for f in findings):
        raise typer.Exit(1)


@process_app.command("deploy")
def process_deploy(path: Path, note: str = "") -> None:
    """Deploy a process folder as a new version (部署); running instances stay on theirs."""
    with open_database(Settings()).unit_of_work() as session:
        version = definitions.deploy(session, None, process_files(path), note=note)
        done = "已部署" if version.fresh else "与这些文件相同，没有部署新版本"
        for finding in version.findings:
            typer.echo(str(finding))
        warned = f"，{len(version.findings)} 个提醒" if version.findings else ""
        typer.echo(f"{version.key} 第 {version.number} 版{done}{warned}")


@process_app.command("test")
def process_test(path: Path) -> None:
    """Play the scenarios of a process folder in a database of their own (试跑场景); exit code 1 if one fails.

    What none of them shows is listed after them: flows, outcomes, returns. It is for the publisher to judge.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/scenarios.db"
        upgrade(url)
        database = Database(url, audit_key=bytes(32))
        report = scenarios.run(database, path)
        database.dispose()
    for result in report.results:
        typer.echo(str(result))
    typer.echo(f"{sum(r.passed for r in report.results)}/{len(report.results)} 个场景通过")
    for gap in report.gaps:
        typer.echo(gap)
    if not report.gaps:
        typer.echo("每一条线、每一个办理结果、每一步的退回、每一条规则都有场景")
    if not all(r.passed for r in report.results):
        raise typer.Exit(1)


@staff_app.command("import")
def staff_import_(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Import people and departments from a spreadsheet (导入人员), all or nothing."""
    with open_database(Settings()).unit_of_work() as session:
        done = staff_import.import_staff(session, None, file.read_bytes())
    typer.echo(f"新增 {done.created}、更新 {done.updated}、不变 {done.unchanged}、停用 {done.disabled}")


@staff_app.command("template")
def staff_template_(file: Path = Path("人员导入模板.xlsx")) -> None:
    """Write the spreadsheet template for the import (导出模板)."""
    file.write_bytes(staff_template.template())
    typer.echo(f"已写入 {file}")


Number = Annotated[str, typer.Argument(help="工号", metavar="工号")]
RoleCode = Annotated[str, typer.Argument(help="角色代码，见 piyue staff roles", metavar="角色")]
DepartmentCode = Annotated[str | None, typer.Option("--department", help="只对这个部门有效：部门编码")]


@staff_app.command("roles")
def staff_roles() -> None:
    """List the roles (列出角色) with the number of people who hold each."""
    with open_database(Settings()).reading() as session:
        for code, name, count in roles.listed(session):
            typer.echo(f"{code:<20}{count:>5} 人  {name}")


@staff_app.command("grant")
def staff_grant(number: Number, role: RoleCode, department: DepartmentCode = None) -> None:
    """Give a person a role (分配角色), everywhere or for one department."""
    with open_database(Settings()).unit_of_work() as session:
        roles.grant(session, None, role, number, department)
        person = roles.numbered(session, number).name
    typer.echo(f"{person}（{number}）现在有角色 {role}" + (f"，限部门 {department}" if department else ""))


@staff_app.command("revoke")
def staff_revoke(number: Number, role: RoleCode, department: DepartmentCode = None) -> None:
    """Take a role away again (收回角色)."""
    with open_database(Settings()).unit_of_work() as session:
        roles.revoke(session, None, role, number, department)
        person = roles.numbered(session, number).name
    typer.echo(f"已收回 {person}（{number}）的角色 {role}" + (f"，限部门 {department}" if department else ""))


@staff_app.command("password")
def staff_password(
    number: Number, stdin: Annotated[bool, typer.Option("--stdin", help="从标准输入读一行，不询问")] = False
) -> None:
    """Set a person's password (设置密码), asked for twice; all their sessions end."""
    database = open_database(Settings())
    with database.reading() as session:
        person = roles.numbered(session, number)
    if stdin:
        new = sys.stdin.readline().rstrip("\r\n")
    else:
        new = typer.prompt(f"{person.name}（{number}）的新密码", hide_input=True)
        if typer.prompt("再输入一次", hide_input=True) != new:
            raise Invalid("两次输入的密码不一样，没有改动", code="password_differs")
    with database.unit_of_work() as session:
        auth.set_password(session, None, person.id, new)
    typer.echo(f"{person.name}（{number}）的密码已设置")


@staff_app.command("system")
def staff_system(
    number: Annotated[str, typer.Argument(help="编号，例如 SYS-HIS", metavar="编号")],
    name: Annotated[str, typer.Argument(help="名称，例如 挂号系统", metavar="名称")],
    department: Annotated[str, typer.Option("--department", help="管这个系统的部门：部门编码")],
) -> None:
    """Create a system account (新建系统账号), as which another system's service tokens act."""
    with open_database(Settings()).unit_of_work() as session:
        account = system_accounts.create_system_account(session, None, number, name, department)
    typer.echo(f"系统账号 {account.name}（{number}）已建立：{account.id}")


@audit_app.command("verify")
def audit_verify(
    anchor: Annotated[str, typer.Option(help="以前用 piyue audit head 记下的锚")] = "",
) -> None:
    """Check the code of every row of the trail and its seals (核对办理记录); exit code 1 if something is wrong."""
    with open_database(Settings()).reading() as session:
        total, broken = audit.verify(session)
        proof = sealing.verify(session, anchor)
    typer.echo(f"共 {total} 条办理记录，{len(broken)} 条被改动" + (f"：{broken[:20]}" if broken else ""))
    typer.echo(f"已封存 {proof.sealed} 条，未封存 {proof.unsealed} 条，{len(proof.wrong)} 处不符")
    for problem in proof.wrong[:20]:
        typer.echo(f"  {problem}")
    if broken or proof.wrong:
        raise typer.Exit(1)


@audit_app.command("head")
def audit_head() -> None:
    """Print the anchor (锚) of the trail, to be kept outside the database; `verify --anchor` asks for it later."""
    with open_database(Settings()).reading() as session:
        found = sealing.head(session)
    if found is None:
        raise Conflict("还没有封存：让服务或 piyue worker 运行几秒后再试", code="nothing_sealed")
    typer.echo(found)


def told(error: Exception) -> list[str]:
    """Return the lines that tell an operator of an error: a sentence, then its places."""
    match error:
        case EngineError():
            places = _by_row([e for e in getattr(error, "errors", ()) if e["message"] != error.message])
            places += [str(Finding(**found)) for found in error.fields.get("findings", ())]
            more = [f"  另有 {len(places) - _MOST_TOLD} 处"] if len(places) > _MOST_TOLD else []
            return [f"错误：{error.message}", *(f"  {place}" for place in places[:_MOST_TOLD]), *more]
        case ValidationError():  # of the settings
            return [f"错误：环境变量 PIYUE_{str(e['loc'][0]).upper()} {_expected(e)}" for e in error.errors()]
        case ArgumentError():
            return ["错误：PIYUE_DATABASE_URL 不是可用的数据库地址，写法如 postgresql://用户:密码@主机:端口/库"]
        case _ if _lacks_tables(error):
            return ["错误：数据库里缺少表，或表是旧版本的，请先运行 piyue db upgrade"]
        case _:
            problem = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            return [f"错误：数据库打不开或出了错，请检查 PIYUE_DATABASE_URL 和数据库是否已启动（{problem}）"]


def _by_row(errors: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each place, one for all mistakes of a row of a sheet."""
    lines: dict[str, list[str]] = {}
    for error in errors:
        message = f"{error['place']}：{error['message']}"
        row = f"{error['sheet']} 第 {error['row']} 行" if "row" in error else message
        lines.setdefault(row, []).append(message.removeprefix(row).strip())
    return [" ".join(filter(None, (row, "；".join(told)))) if told != [""] else row for row, told in lines.items()]


def _expected(problem: Any) -> str:
    """Say what a setting should be; never what it is: that may be a secret."""
    context = problem.get("ctx", {})
    match problem["type"]:
        case "int_parsing":
            return "应为整数"
        case "bool_parsing":
            return "应为 true 或 false"
        case "greater_than_equal":
            return f"至少是 {context['ge']}"
        case "literal_error":
            return "只能是 " + str(context["expected"]).replace("'", "").replace(" or ", "、")
        case "string_pattern_mismatch":
            return "应以 postgresql: 或 sqlite: 开头"
        case _:
            return f"不可用（{problem['msg']}）"


def _lacks_tables(error: Exception) -> bool:
    driver = getattr(error, "orig", None) or error
    undefined = getattr(driver, "sqlstate", None) in ("42P01", "42703")  # table, column
    return undefined or str(driver).startswith(("no such table", "no such column"))


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
