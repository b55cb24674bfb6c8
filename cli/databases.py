"""The database that a command works on; the commands `piyue db …`."""

import typer

from engine.crypto import Keys
from engine.db import Database
from engine.org import roles
from engine.settings import ROOT, Settings

app = typer.Typer(no_args_is_help=True, help="数据库：建表与升级")


@app.callback()
def _group() -> None:
    """Keep the group's name in front of its only command."""


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


@app.command("upgrade")
def db_upgrade() -> None:
    """Create or upgrade the tables (建表、升级)."""
    settings = Settings()
    settings.var.mkdir(parents=True, exist_ok=True)
    upgrade(settings.database_url)
    typer.echo("数据库已是最新版本")
