"""The commands `piyue oa …`: the sites of the legacy OA, their people, first loads and reconciliations.

They work without a worker, whose part they do themselves, and beside one.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer

from cli import oa_work
from cli.databases import open_database
from engine import outbox
from engine.connectors import oa
from engine.connectors.oa import loading, people, reconciling
from engine.connectors.oa.adapters.site import CODE
from engine.connectors.oa.checking import checked
from engine.connectors.oa.reconciling import KINDS, RESULTS, SIDES, Report
from engine.connectors.oa.sites import PURPOSE, Connection, Sites, encrypted, home
from engine.crypto import Keys
from engine.db import Database
from engine.errors import Conflict, Invalid
from engine.settings import Settings

app = typer.Typer(no_args_is_help=True, help="旧 OA：站点、账号、首次装载、对账")

SiteCode = Annotated[str, typer.Argument(help="站点代码，见 piyue oa sites", metavar="站点")]
AnySite = Annotated[str, typer.Argument(help="站点代码；不写就是全部", metavar="站点")]


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
        stopped = "" if pause or status or not wait else oa_work.load(db, connection)
        typer.echo(oa_work.progress(db, code))
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
            report, stopped = oa_work.reconcile(db, connection, repair=repair)
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
