"""org revision"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Which changes give the organisation a new revision: of any column, or of those that engine.org.directory holds.
# SQLite drops a table's triggers when a later migration copies it in batch mode: that one creates them again.
WATCHED = {
    "department": (),
    "person": (
        "id", "staff_number", "name", "pinyin", "department_id", "post", "rank", "superior_id", "disabled_at",
    ),
    "membership": (),
    "role": (),
    "role_member": (),
}  # fmt: skip
NEW = {"postgresql": "gen_random_uuid()", "sqlite": "lower(hex(randomblob(16)))"}


def upgrade() -> None:
    """Bring the tables to this version."""
    op.create_table(
        "org_revision",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    dialect = op.get_bind().dialect.name
    op.execute(f"INSERT INTO org_revision (id, revision) VALUES (1, {NEW[dialect]})")
    if dialect == "postgresql":
        # SET: a restore of data runs with an empty search path
        op.execute(
            "CREATE FUNCTION org_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS "
            f"$$BEGIN UPDATE org_revision SET revision = {NEW[dialect]}; RETURN NULL; END$$"
        )
    for table, columns in WATCHED.items():
        update = f"UPDATE OF {', '.join(columns)}" if columns else "UPDATE"
        if dialect == "postgresql":
            # before the statement: whoever waits for another change of the organisation holds none of its rows yet
            op.execute(
                f"CREATE TRIGGER org_changed BEFORE INSERT OR DELETE OR TRUNCATE OR {update} ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION org_changed()"
            )
        else:
            for event in ("INSERT", "DELETE", update):
                name = f"org_changed_{table}_{event.partition(' ')[0].lower()}"
                op.execute(
                    f"CREATE TRIGGER {name} AFTER {event} ON {table} "
                    f"BEGIN UPDATE org_revision SET revision = {NEW[dialect]}; END"
                )


def downgrade() -> None:
    """Go back to the version before."""
    dialect = op.get_bind().dialect.name
    for table in WATCHED:
        if dialect == "postgresql":
            op.execute(f"DROP TRIGGER org_changed ON {table}")
        else:
            for event in ("insert", "delete", "update"):
                op.execute(f"DROP TRIGGER org_changed_{table}_{event}")
    if dialect == "postgresql":
        op.execute("DROP FUNCTION org_changed()")
    op.drop_table("org_revision")
