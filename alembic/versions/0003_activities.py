"""activities, system accounts, sources of wrong passwords"""

import sqlalchemy as sa
from alembic import op

import engine.db

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# what engine.org.directory holds of a person, as in 0002, and now the mark of a system account
WATCHED = (
    "id", "staff_number", "name", "pinyin", "department_id", "post", "rank", "superior_id", "disabled_at",
)  # fmt: skip
ACTIVITY = {"at": (), "verb": ("verb",), "actor": ("actor_id",), "about": ("item_id",)}


def upgrade() -> None:
    """Bring the tables to this version."""
    with op.batch_alter_table("action_log") as batch_op:
        batch_op.alter_column("instance_id", existing_type=sa.Uuid(), nullable=True)
    for name, columns in ACTIVITY.items():
        op.create_index(
            f"ix_action_log_activity_{name}",
            "action_log",
            [*columns, "at", "id"],
            postgresql_where=sa.text("instance_id IS NULL"),
            sqlite_where=sa.text("instance_id IS NULL"),
        )
    op.create_index(
        "ix_attachment_unbound",
        "attachment",
        ["uploader_id"],
        postgresql_where=sa.text("state <> 'bound'"),
        sqlite_where=sa.text("state <> 'bound'"),
    )
    op.create_table(
        "known_device",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("seen_at", engine.db.UTCDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("token_hash", "person_id"),
    )
    op.create_index("ix_known_device_seen_at", "known_device", ["seen_at"])
    op.create_table(
        "wrong_password",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("until", engine.db.UTCDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("person_id", "source"),
    )
    op.create_index("ix_wrong_password_until", "wrong_password", ["until"])
    # no batch mode: it would copy the table on SQLite and lose its triggers
    op.add_column("person", sa.Column("system", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.drop_column("person", "failed_logins")
    op.drop_column("person", "locked_until")
    _watch(*WATCHED, "system")


def downgrade() -> None:
    """Go back to the version before; refused by the database where the trail holds activities: it is kept."""
    _watch(*WATCHED)
    op.add_column("person", sa.Column("locked_until", engine.db.UTCDateTime(timezone=True), nullable=True))
    op.add_column("person", sa.Column("failed_logins", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.drop_column("person", "system")
    op.drop_table("wrong_password")
    op.drop_table("known_device")
    op.drop_index("ix_attachment_unbound", "attachment")
    for name in ACTIVITY:
        op.drop_index(f"ix_action_log_activity_{name}", "action_log")
    with op.batch_alter_table("action_log") as batch_op:
        batch_op.alter_column("instance_id", existing_type=sa.Uuid(), nullable=False)


def _watch(*columns: str) -> None:
    """Let changes of these columns of a person, and of no others, give the organisation a new revision."""
    update = f"UPDATE OF {', '.join(columns)}"
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER org_changed ON person")
        op.execute(
            f"CREATE TRIGGER org_changed BEFORE INSERT OR DELETE OR TRUNCATE OR {update} ON person "
            "FOR EACH STATEMENT EXECUTE FUNCTION org_changed()"
        )
        return
    op.execute("DROP TRIGGER org_changed_person_update")
    op.execute(
        f"CREATE TRIGGER org_changed_person_update AFTER {update} ON person "
        "BEGIN UPDATE org_revision SET revision = lower(hex(randomblob(16))); END"
    )
