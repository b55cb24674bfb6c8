"""The migrations: what they make is what the code expects, and they go back."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

import engine.registry
from engine.db import Base
from engine.settings import ROOT

assert engine.registry  # importing it registers every table


def test_the_migrated_tables_are_those_of_the_code(database_url: str) -> None:
    database = create_engine(database_url)
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    database.dispose()


def test_every_migration_goes_back(database_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "alembic"))
    config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    command.downgrade(config, "base")
    database = create_engine(database_url)
    assert set(inspect(database).get_table_names()) <= {"alembic_version"}
    database.dispose()
    command.upgrade(config, "head")
