"""The commands `piyue sandbox …`: stand-ins that run until Ctrl-C."""

from collections.abc import Callable, Iterable

import typer

from sandbox.wecom.corp import DepartmentRow, PersonRow, corp

Roster = Callable[[], tuple[Iterable[DepartmentRow], Iterable[PersonRow]]]


def commands(roster: Roster) -> typer.Typer:
    """Return the commands; `roster` gives the departments and people that the stand-ins know."""
    app = typer.Typer(no_args_is_help=True, help="沙箱：代替企业微信等外部系统，供演示和测试")

    @app.callback()
    def group() -> None:
        pass

    @app.command("wecom")
    def wecom(host: str = "127.0.0.1", port: int = 8001) -> None:
        """Start the stand-in for WeCom (企业微信沙箱) with the staff of the demo hospital."""
        import signal
        import threading

        from sandbox.wecom.server import running

        stopped = threading.Event()
        try:
            with running(corp(*roster()), host=host, port=port) as stand_in:
                typer.echo(f"\n  企业微信沙箱已启动：{stand_in.url}\n  在批阅服务的环境变量里设置：")
                for name, value in stand_in.settings().items():
                    typer.echo(f"    PIYUE_WECOM_{name.upper()}={value}")
                typer.echo("  按 Ctrl-C 停止。\n")
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, lambda *_: stopped.set())
                stopped.wait()
        except OSError as error:
            typer.echo(f"错误：端口 {host}:{port} 不能使用：{error.strerror}，请换一个端口，例如 --port 8002", err=True)
            raise typer.Exit(1) from error

    return app
