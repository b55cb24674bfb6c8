"""The commands `piyue wecom …`."""

from collections.abc import Callable
from typing import Annotated

import typer

from engine.connectors.wecom import contacts, difference, install
from engine.connectors.wecom.errors import unavailable
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Database
from engine.settings import Settings


def commands(opened: Callable[[], Database]) -> typer.Typer:
    """Return the commands; `opened` opens the database of the settings."""
    app = typer.Typer(no_args_is_help=True, help="企业微信：同步通讯录")

    @app.callback()
    def group() -> None:
        pass

    @app.command("sync")
    def sync(
        dry_run: Annotated[bool, typer.Option("--dry-run", help="只打印差异，不写入")] = False,
        confirm: Annotated[int, typer.Option(help="确认会离开企业微信的人数，很多时才要")] = 0,
    ) -> None:
        """Bring people and departments into step with WeCom's contacts (同步通讯录), or print what differs."""
        db = opened()
        install(db, WeComSettings(), Settings().base_url)
        with unavailable():
            if dry_run:
                plan, written = contacts.look(db, None), "以上是差异，没有写入"
            else:
                plan, done = contacts.sync(db, None, by="command", confirmed=confirm)
                written = str(done)
        for line in difference.told(plan):
            typer.echo(line)
        typer.echo(written)

    return app
