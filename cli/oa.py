"""The commands `piyue oa …`: the sites of the legacy OA, their people, first loads and reconciliations.

They work without a worker, whose part they do themselves, and beside one.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from sqlalchemy import func, select

from cli.databases import open_database
from engine import clock, outbox
from engine.connectors import oa
from engine.connectors.oa import loading, oversight, people, reconciling
from engine.connectors.oa.adapters.site import CODE
from engine.connectors.oa.checking import checked
from engine.connectors.oa.reconciling import KINDS, RESULTS, SIDES, Report
from engine.connectors.oa.sites import PURPOSE, Connection, Sites, encrypted, home
from engine.crypto import Keys
from engine.db import Database
from engine.errors import Conflict, Invalid
from engine.outbox import Outbox, OutboxChannel
from engine.settings import Settings

app = typer.Typer(no_args_is_help=True, help="旧 OA：站点、账号、首次装载、对账")

SiteCode = Annotated[str, typer.Argument(help="站点代码，见 piyue oa sites", metavar="站点")]
AnySite = Annotated[str, typer.Argument(help="站点代码；不写就是全部", metavar="站点")]

_PATIENCE = 120.0  # seconds without anything happening
_NAP, _TOLD_EVERY = 0.2, 5.0  # seconds
_STATES = {"running": "进行中", "paused": "已暂停", "done": "已完成"}


@app.command("sites", help="列出站点")
def oa_sites() -> None:
    """List the sites (列出站点)."""
    with _connected() as (_, sites):
        for connection in _chosen(sites, ""):
            site = connection.site
            does = [name for name, on in (("显示待办", site.mirror), ("取回待办", site.poll)) if on]
            typer.echo(f"{site.code:<12}{site.kind:<14}{site.name}  {site.address}  {'、'.join(does)}")


@app.command("check", help="测试连接；有不通的，退出码是 1")
def oa_check(code: AnySite = "") -> None:
    """Ask each OA whether it lets us in (测试连接); exit code 1 where one doesn't."""
    with _connected() as (db, sites):
        failed = False
        for connection in _chosen(sites, code):
            try:
                told = checked(db, connection)
            except (outbox.Transient, outbox.Permanent, outbox.Configuration) as error:
                failed, told = True, f"不通：{error}"
            typer.echo(f"{connection.site.code}：{told}")
        if failed:
            raise typer.Exit(1)


@app.command("encrypt", help="加密 site.toml 里的密码：输入密码，打印要填的一行")
def oa_encrypt(code: SiteCode) -> None:
    """Encrypt a password for a site's file (加密); it is asked for, or read as one line where nobody sits there."""
    if not CODE.fullmatch(code):
        raise Invalid(f"“{code}”不能作站点代码：1 到 11 个小写字母或数字，以字母开头", code="oa_site")
    if sys.stdin.isatty():
        secret = str(typer.prompt("密码", hide_input=True))
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise Invalid("没有读到密码，没有加密", code="oa_secret")
    typer.echo(encrypted(Keys.load(Settings()).key(PURPOSE), code, secret))


@app.command("load", help="首次装载：把连接以前就等着的待办推到 OA，并报告进度；Ctrl-C 以后由后台任务继续")
def oa_load(
    code: SiteCode,
    pause: Annotated[bool, typer.Option("--pause", help="暂停")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="继续")] = False,
    status: Annotated[bool, typer.Option("--status", help="只看进度")] = False,
    again: Annotated[bool, typer.Option("--again", help="做完以后再来一遍")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="等到做完；不等就交给后台任务")] = True,
) -> None:
    """Bring what was open before to an OA (首次装载), and tell how far it is; Ctrl-C leaves it to the worker."""
    if pause + resume + status + again > 1:
        raise typer.BadParameter("--pause、--resume、--status、--again 一次只能用一个")
    with _connected() as (db, sites):
        [connection] = _chosen(sites, code)
        with db.unit_of_work() as session:
            found = loading.progress(session, None, code)
            if pause:
                loading.pause(session, None, connection)
            elif resume:
                loading.resume(session, None, connection)
            elif not status and (found is None or again or found.state != loading.RUNNING):
                loading.start(session, None, connection, again=again)
        stopped = "" if pause or status or not wait else _load(db, connection)
        typer.echo(_progress(db, code))
        if stopped:
            _stop(stopped)


@app.command("reconcile", help="对账：核对我们的待办和 OA 显示的；还有差异的，退出码是 1")
def oa_reconcile(
    code: AnySite = "",
    repair: Annotated[bool, typer.Option("--repair", help="修复差异，一次最多到站点的上限")] = False,
    json: Annotated[bool, typer.Option("--json", help="打印 JSON：{reports: [...]}")] = False,
) -> None:
    """Compare what is open with us and what each OA shows (对账); exit code 1 where differences remain."""
    with _connected() as (db, sites):
        chosen = _chosen(sites, code)
        if not code:
            chosen = [connection for connection in chosen if connection.site.mirror]
        reports = []
        for connection in chosen:
            report, stopped = _reconcile(db, connection, repair=repair)
            reports.append(report)
            if not json:
                for line in _told(connection, report):
                    typer.echo(line)
            if stopped:
                typer.echo(f"错误：{stopped}", err=True)
        if json:
            plain = {"reports": [report.json() for report in reports]}
            typer.echo(orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode())
        if any(report.state != reconciling.DONE or report.left or report.behind for report in reports):
            raise typer.Exit(1)


@app.command("accounts", help="账号对照：列出、导出或导入谁在 OA 里是哪个账号，以及推不到的人")
def oa_accounts(
    code: SiteCode,
    action: Annotated[str, typer.Argument(help="export 导出，import 导入；不写就列出", metavar="动作")] = "",
    file: Annotated[Path | None, typer.Argument(help="xlsx 或 CSV，列名 工号、账号", metavar="文件")] = None,
) -> None:
    """Show, export or import who is who in an OA (账号对照), and whom it doesn't know."""
    with _connected() as (db, sites):
        [connection] = _chosen(sites, code)
        if action == "import" and file is not None and file.is_file():
            entries = people.read(file.read_bytes())
            with db.unit_of_work() as session:
                typer.echo(str(people.import_accounts(session, None, connection, entries)))
            return
        with db.reading() as session:
            listed, unmapped = people.entries(session, None, code), people.unmapped(session, None, code)
        if action == "export" and file is not None:
            file.write_bytes(people.workbook(listed))
            typer.echo(f"已写入 {file}，{len(listed)} 人")
        elif action == "" and file is None:
            for row in listed:
                typer.echo(f"{row.number:<12}{row.account:<24}{row.name}  {row.department}")
            for person in unmapped:
                used = f"（用的账号 {person.account}）" if person.account else ""
                typer.echo(f"{person.number:<12}没有对应：{person.items} 条待办，{person.reason}{used}")
        else:
            raise typer.BadParameter(
                "用法：accounts 站点，accounts 站点 export 文件，accounts 站点 import 文件（文件要在）"
            )


@contextmanager
def _connected() -> Iterator[tuple[Database, Sites]]:
    """Connect to the database and to the sites, for the time of a command."""
    settings = Settings()
    db = open_database(settings)
    try:
        yield db, oa.install(db, settings)
    finally:
        db.dispose()


def _chosen(sites: Sites, code: str) -> list[Connection]:
    """Return one site, or all of them. Raises Invalid where there is none."""
    if not (found := list(sites)):
        where = home(Settings())
        raise Invalid(
            f"还没有配置旧 OA 站点：请在 {where} 下给每个 OA 建一个文件夹，写好 site.toml，见《旧 OA 对接》",
            code="oa_no_sites",
        )
    if not code:
        return found
    connection = sites.get(code)
    if connection is None:
        known = "、".join(each.site.code for each in found)
        raise Invalid(f"没有站点“{code}”，现有：{known}", code="oa_site_unknown")
    return [connection]


def _load(db: Database, connection: Connection) -> str:
    """Do a load to its end, as far as nobody else does; return why it stopped before."""
    code, told = connection.site.code, time.monotonic()

    def ended() -> bool:
        nonlocal told
        loading.top_up(db)
        if time.monotonic() - told > _TOLD_EVERY:
            told = time.monotonic()
            typer.echo(_progress(db, code))
        with db.reading() as session:
            found = loading.progress(session, None, code)
        return (
            found is None
            or found.state == loading.PAUSED
            or (found.state == loading.DONE and not _waiting(db, connection))
        )

    return _work(db, connection, ended)


def _reconcile(db: Database, connection: Connection, *, repair: bool) -> tuple[Report, str]:
    """Do a reconciliation to its end, and have what it mends pushed; return the report, and why it stopped before."""
    with db.unit_of_work() as session:
        check = reconciling.start(session, None, connection, repair=repair, by=reconciling.COMMAND)

    told = time.monotonic()

    def ended() -> bool:
        nonlocal told
        with db.reading() as session:
            found = reconciling.latest(session, None, connection.site.code)
            if found is None or found.id != check.id or found.state != reconciling.RUNNING:
                return True
            if time.monotonic() - told > _TOLD_EVERY:
                told = time.monotonic()
                share = oversight.compared(session, None, check.id)
                typer.echo(f"{connection.site.name}：已核对 {found.people} 人，约 {share:.0%}", err=True)
        return False

    stopped = _work(db, connection, ended)
    if repair and not stopped:
        mended = clock.now()
        stopped = _work(db, connection, lambda: not _waiting(db, connection, mended))
    with db.reading() as session:
        return reconciling.report(session, None, check.id), stopped


def _work(db: Database, connection: Connection, ended: Callable[[], bool]) -> str:
    """Do what waits in a site's channel, beside whoever else does, until it has ended; return why it stopped before."""
    owner, system = f"command:{os.getpid()}", connection.site.system
    lanes = [
        lane for lane in outbox.lanes() if lane == system or (outbox.is_aside(lane) and lane.startswith(f"{system}."))
    ]
    last, before = time.monotonic(), _figures(db, connection)
    while not ended():
        rows = [row for lane in lanes for row in outbox.lease(db, owner, 1, lane)]
        results = [outbox.run(db, row) for row in rows]
        if "done" in results or (now := _figures(db, connection)) != before:
            last, before = time.monotonic(), _figures(db, connection)
        elif now[0]:
            return f"“{connection.site.name}”的通道已暂停：{now[1]}"
        elif time.monotonic() - last > _PATIENCE:
            return f"“{connection.site.name}”两分钟没有进展：{now[1] or '后台任务可能正忙'}"
        if not rows:
            time.sleep(_NAP)
    outbox.write_sent(db)
    return ""


def _figures(db: Database, connection: Connection) -> tuple[Any, ...]:
    """Return whether the channel is paused, why it is not well, and what changes where something happens."""
    system = connection.site.system
    with db.reading() as session:
        channel = session.get(OutboxChannel, system)
        pending = session.scalar(select(func.count()).where(Outbox.system == system, Outbox.state == "pending"))
        latest = reconciling.latest(session, None, connection.site.code)
    paused, reason = (channel.paused_at is not None, channel.reason) if channel else (False, "")
    return paused, reason, pending, latest and (latest.after, latest.state)


def _waiting(db: Database, connection: Connection, until: Any = None) -> int:
    """Return how many rows wait in the site's lane, of those written up to a moment."""
    system = connection.site.system
    waiting = select(func.count()).where(Outbox.system == system, Outbox.lane == system, Outbox.state == "pending")
    with db.reading() as session:
        return session.scalar(waiting if until is None else waiting.where(Outbox.created_at <= until)) or 0


def _progress(db: Database, code: str) -> str:
    with db.reading() as session:
        found = loading.progress(session, None, code)
    if found is None:
        return "还没有做过首次装载"
    if found.needless:
        return "不需要首次装载：连接的时候没有等着的待办"
    eta = f"，预计 {found.eta.astimezone(clock.LOCAL):%m-%d %H:%M} 做完" if found.eta else ""
    failed = f"，{found.failed} 条没有成功" if found.failed else ""
    rate = f"，每分钟 {found.rate:.0f} 条" if found.state == loading.RUNNING else ""
    return f"{_STATES[found.state]}：{found.shown} / {found.total} 条{failed}{rate}{eta}"


def _told(connection: Connection, report: Report) -> Sequence[str]:
    """Return the lines that tell a report."""
    figures = f"漏 {report.missing}、幽灵 {report.ghost}、陈旧 {report.stale}"
    mended = f"；已修复 {report.repaired}，超过上限 {report.capped}，无法修复 {report.unable}" if report.repair else ""
    state = {"done": "对账完成", "failed": "对账失败", "running": "对账没有做完"}[report.state]
    lines = [
        f"{connection.site.name}（{report.site}）{state}：{report.people} 人、{report.items} 条待办，{figures}{mended}"
    ]
    if report.reason:
        lines.append(f"  说明：{report.reason}")
    if report.behind:
        lines.append(f"  其中 {report.behind} 条推送后 OA 还没有确认")
    for each in report.differences:
        who = f"{each.person}（{each.number}）" if each.person else each.account
        result = f"，{RESULTS[each.result]}" if each.result else ""
        lines.append(f"  {KINDS[each.kind]}  {SIDES[each.side]}  {who}  {each.title}  {each.detail}{result}")
    return lines


def _stop(why: str) -> None:
    raise Conflict(why, code="oa_stopped")
