"""Alembic's entry: migrates the database named by `sqlalchemy.url`."""

from alembic import context
from sqlalchemy import create_engine

import engine.registry  # noqa: F401  (registers every table)
from engine.db import Base


def run() -> None:
    """Migrate in one transaction; SQLite alters tables by copying them (batch mode)."""
    url = context.config.get_main_option("sqlalchemy.url")
    if not url:
        raise SystemExit("sqlalchemy.url is not set")
    database = create_engine(url)
    try:
        with database.connect() as connection:
            context.configure(
                connection=connection,
                target_metadata=Base.metadata,
                render_as_batch=connection.dialect.name == "sqlite",
                compare_type=True,
                user_module_prefix="engine.db.",
            )
            with context.begin_transaction():
                context.run_migrations()
    finally:
        database.dispose()


run()
