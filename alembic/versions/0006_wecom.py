"""WeCom: accounts, preferences, deliveries, callbacks"""

import sqlalchemy as sa
from alembic import op

import engine.db

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MOMENT = engine.db.UTCDateTime(timezone=True)
_BIGID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the tables to this version."""
    op.create_table(
        "wecom_account",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("userid", sa.String(length=64), nullable=False),
        sa.Column("userid_key", sa.String(length=64), nullable=False),
        sa.Column("joined_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("person_id"),
        sa.UniqueConstraint("userid_key"),
    )
    op.create_table(
        "wecom_preference",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("muted", sa.String(length=200), nullable=False),
        sa.Column("quiet_from", sa.SmallInteger(), nullable=True),
        sa.Column("quiet_to", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("person_id"),
    )
    op.create_table(
        "wecom_delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=True),
        sa.Column("item_id", sa.Uuid(), nullable=True),
        sa.Column("form", sa.String(length=10), nullable=False),
        sa.Column("task_id", sa.String(length=128), nullable=True),
        sa.Column("msgid", sa.String(length=200), nullable=True),
        sa.Column("response_code", sa.String(length=400), nullable=True),
        sa.Column("code_at", _MOMENT, nullable=True),
        sa.Column("shown", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("sent_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"]),
        sa.ForeignKeyConstraint(["item_id"], ["work_item.id"]),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("notice_id"),
    )
    op.create_index("ix_wecom_delivery_instance", "wecom_delivery", ["instance_id"])
    op.create_index("ix_wecom_delivery_task", "wecom_delivery", ["task_id"])
    op.create_index("ix_wecom_delivery_person", "wecom_delivery", ["person_id", "sent_at"])
    op.create_table(
        "wecom_callback",
        sa.Column("id", _BIGID, sa.Identity(always=False), nullable=False),
        sa.Column("signature", sa.String(length=64), nullable=False),
        sa.Column("event_key", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("handled_at", _MOMENT, nullable=True),
        sa.Column("result", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("signature"),
        sa.UniqueConstraint("event_key"),
    )
    op.create_index(
        "ix_wecom_callback_open",
        "wecom_callback",
        ["id"],
        postgresql_where=sa.text("handled_at IS NULL"),
        sqlite_where=sa.text("handled_at IS NULL"),
    )


def downgrade() -> None:
    """Go back to the version before."""
    for table in ("wecom_callback", "wecom_delivery", "wecom_preference", "wecom_account"):
        op.drop_table(table)
