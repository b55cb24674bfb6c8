"""Connecting to the outside systems that the environment switches on; the commands `piyue wecom …`."""

from typing import Annotated

import typer

from cli.databases import open_database
from engine.connectors import oa, wecom
from engine.connectors.oa import sites
from engine.connectors.oa.adapters.site import Site
from engine.connectors.tokens import kept_in
from engine.connectors.wecom.client.errors import unavailable
from engine.connectors.wecom.contacts import difference, syncing
from engine.connectors.wecom.entry import codes
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Database
from engine.settings import Settings

app = typer.Typer(no_args_is_help=True, help="企业微信：同步通讯录")


@app.callback()
def _group() -> None:
    """Keep the group's name in front of its only command."""


def channels(settings: Settings) -> None:
    """Declare the channels of the outside systems that the environment switches on: their threads are counted by."""
    wecom.declare(WeComSettings())
    oa.declare(sites.found(settings))


def connect(
    settings: Settings,
    database: Database,
    of_wecom: WeComSettings | None = None,
    oas: list[Site] | None = None,
) -> None:
    """Connect a database's service or worker to the outside systems that the environment switches on.

    `of_wecom` and `oas` stand in for the environment's.
    """
    tokens = kept_in(settings.redis_url.get_secret_value())
    wecom.install(database, of_wecom or WeComSettings(), settings.base_url, tokens=tokens)
    codes.provide(database, settings)
    oa.install(database, settings, oas)


@app.command("sync")
def wecom_sync(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只打印差异，不写入")] = False,
    confirm: Annotated[int, typer.Option(help="确认会离开企业微信的人数，很多时才要")] = 0,
) -> None:
    """Bring people and departments into step with WeCom's contacts (同步通讯录), or print what differs."""
    settings = Settings()
    database = open_database(settings)
    connect(settings, database)
    with unavailable():
        if dry_run:
            plan, written = syncing.look(database, None), "以上是差异，没有写入"
        else:
            plan, done = syncing.sync(database, None, by="command", confirmed=confirm)
            written = str(done)
    for line in difference.told(plan):
        typer.echo(line)
    typer.echo(written)
