"""The commands `piyue sandbox …`: stand-ins that run until Ctrl-C."""

import signal
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sandbox import toml
from sandbox.wecom.corp import DepartmentRow, StaffRow, corp

Roster = Callable[[], tuple[Iterable[DepartmentRow], Iterable[StaffRow]]]
_StandIn = TypeVar("_StandIn")
_SECRETS = ("password", "secret")
_NO_LISTS = ("seeyon",)  # which can't tell its own items


def commands(roster: Roster, sites: Callable[[], Path]) -> typer.Typer:
    """Return the commands; `roster` gives the departments and people that the stand-ins know.

    `sites` gives the folder in which the product looks for the files that connect it to OAs.
    """
    app = typer.Typer(no_args_is_help=True, help="沙箱：代替企业微信、旧 OA 等外部系统，供演示和测试")

    @app.command("wecom")
    def wecom(host: str = "127.0.0.1", port: int = 8001) -> None:
        """Start the stand-in for WeCom (企业微信沙箱) with the staff of the demo hospital."""
        from sandbox.wecom.server import Running, running

        def told(stand_in: Running) -> None:
            typer.echo(f"\n  企业微信沙箱已启动：{stand_in.url}\n  在批阅服务的环境变量里设置：")
            for name, value in stand_in.settings().items():
                typer.echo(f"    PIYUE_WECOM_{name.upper()}={value}")

        _run(running(corp(*roster()), host=host, port=port), told, host, port)

    @app.command("oa")
    def oa(
        host: str = "127.0.0.1",
        port: int = 8010,
        kind: Annotated[str, typer.Option(help="打印哪一种对接的 site.toml，all 为全部")] = "landray.soap",
    ) -> None:
        """Start the stand-ins for the legacy OAs (旧 OA 沙箱) with the staff of the demo hospital."""
        from sandbox.oa.server import KINDS, Running, running
        from sandbox.oa.state import State

        if kind not in (*KINDS, "all"):
            typer.echo(f"错误：没有“{kind}”这种对接，请从 {'、'.join(KINDS)} 里选一种，或用 all", err=True)
            raise typer.Exit(1)

        def told(stand_in: Running) -> None:
            typer.echo(f"\n  旧 OA 沙箱已启动，各人的列表：{stand_in.url}/desk\n")
            for one in KINDS if kind == "all" else (kind,):
                _site(sites(), one, stand_in.site(one))
            typer.echo("  批阅的服务和后台任务重启后生效。其他种类：--kind " + "、".join(KINDS) + "，全部：--kind all")

        people = roster()[1]
        _run(running(State(people), host=host, port=port), told, host, port)

    return app


def _site(folder: Path, kind: str, site: dict[str, Any]) -> None:
    """Print the file of a site, and how its secrets get into it."""
    code = kind.replace(".", "")
    typer.echo(f"  把下面的内容存为 {folder / code / 'site.toml'}：\n")
    polls = {} if kind in _NO_LISTS else {"poll": True}
    typer.echo(toml.written(_covered(site | polls, code)))
    if not any(_secrets(site)):
        typer.echo("  这一种没有密码，不用加密。")
    for name, secret in _secrets(site):
        typer.echo(f"  {name}：运行 piyue oa encrypt {code}，输入 {secret}，把打印出来的一行填进去。")
    typer.echo("")


def _covered(table: dict[str, Any], code: str) -> dict[str, Any]:
    """Return a table with a note in place of each secret: in clear the file would be refused."""
    return {
        name: _covered(value, code)
        if isinstance(value, dict)
        else f"piyue oa encrypt {code}"
        if name in _SECRETS
        else value
        for name, value in table.items()
    }


def _secrets(table: dict[str, Any], path: str = "") -> Iterable[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _secrets(value, f"{path}{name}.")
        elif name in _SECRETS:
            yield f"{path}{name}", value


def _run(stand_in: AbstractContextManager[_StandIn], told: Callable[[_StandIn], None], host: str, port: int) -> None:
    """Run a stand-in until Ctrl-C."""
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before its threads begin: they leave these to us
    try:
        with stand_in as running:
            told(running)
            typer.echo("  按 Ctrl-C 停止。\n")
            signal.sigwait(ends)
    except OSError as error:
        cure = f"请换一个端口，例如 --port {port + 10}"
        typer.echo(f"错误：端口 {host}:{port} 不能使用：{error.strerror}，{cure}", err=True)
        raise typer.Exit(1) from error
