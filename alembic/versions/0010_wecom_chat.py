"""WeCom: the group chat of an instance"""

import sqlalchemy as sa
from alembic import op

import engine.db

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_MOMENT = engine.db.UTCDateTime(timezone=True)


def upgrade() -> None:
    """Bring the tables to this version."""
    op.create_table(
        "wecom_chat",
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"]),
        sa.ForeignKeyConstraint(["owner_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("instance_id"),
    )
    op.create_index(
        "ix_wecom_delivery_waiting",
        "wecom_delivery",
        ["person_id", "form"],
        postgresql_where=sa.text("form IN ('held', 'digest') AND shown IN ('', 'again')"),
        sqlite_where=sa.text("form IN ('held', 'digest') AND shown IN ('', 'again')"),
    )


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_index("ix_wecom_delivery_waiting", "wecom_delivery")
    op.drop_table("wecom_chat")
