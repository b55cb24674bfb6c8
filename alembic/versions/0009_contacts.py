"""contacts of WeCom: own fields of people, departments that are one, workbench; until when a step should be done"""

import sqlalchemy as sa
from alembic import op

import engine.db

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_MOMENT = engine.db.UTCDateTime(timezone=True)
_BIGID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WAITING = sa.text("state IN ('standby', 'queued')")


def upgrade() -> None:
    """Bring the tables to this version; rounds that are open already have no due moment."""
    op.add_column("person", sa.Column("pinyin_override", sa.String(length=60), server_default="", nullable=False))
    op.add_column("person", sa.Column("mobile_hidden", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("work_round", sa.Column("due_at", _MOMENT, nullable=True))
    op.add_column("wecom_account", sa.Column("vanished_at", _MOMENT, nullable=True))
    op.create_index(
        "ix_work_item_waiting", "work_item", ["assignee_id"], postgresql_where=_WAITING, sqlite_where=_WAITING
    )
    op.create_table(
        "wecom_department",
        sa.Column("id", _BIGID, autoincrement=False, nullable=False),
        sa.Column("department_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["department_id"], ["department.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("department_id"),
    )
    op.create_table(
        "wecom_board",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("shown", sa.String(length=200), nullable=False),
        sa.Column("pushed_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("person_id"),
    )


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_table("wecom_board")
    op.drop_table("wecom_department")
    op.drop_index("ix_work_item_waiting", "work_item")
    op.drop_column("wecom_account", "vanished_at")
    op.drop_column("work_round", "due_at")
    op.drop_column("person", "mobile_hidden")
    op.drop_column("person", "pinyin_override")
