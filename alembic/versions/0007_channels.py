"""Channels of the outbox: lanes, the state of each channel, its incidents"""

import sqlalchemy as sa
from alembic import op

import engine.db

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MOMENT = engine.db.UTCDateTime(timezone=True)
_BIGID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PENDING = sa.text("state = 'pending'")
_OPEN = sa.text("resolved_at IS NULL")


def upgrade() -> None:
    """Bring the tables to this version."""
    op.add_column("outbox", sa.Column("lane", sa.String(length=20), server_default="", nullable=False))
    op.drop_index("ix_outbox_due", "outbox")
    op.create_index(
        "ix_outbox_due", "outbox", ["lane", "due_at", "id"], postgresql_where=_PENDING, sqlite_where=_PENDING
    )
    op.create_table(
        "outbox_channel",
        sa.Column("system", sa.String(length=20), nullable=False),
        sa.Column("paused_at", _MOMENT, nullable=True),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", _MOMENT, nullable=True),
        sa.Column("taken_to", _MOMENT, nullable=True),
        sa.Column("sent", _BIGID, nullable=False),
        sa.Column("failed", _BIGID, nullable=False),
        sa.PrimaryKeyConstraint("system"),
    )
    op.create_table(
        "channel_incident",
        sa.Column("id", _BIGID, sa.Identity(always=False), nullable=False),
        sa.Column("system", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("raised_at", _MOMENT, nullable=False),
        sa.Column("raised_by", sa.Uuid(), nullable=True),
        sa.Column("resolved_at", _MOMENT, nullable=True),
        sa.Column("resolved_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "uq_channel_incident_open",
        "channel_incident",
        ["system", "kind"],
        unique=True,
        postgresql_where=_OPEN,
        sqlite_where=_OPEN,
    )


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_table("channel_incident")
    op.drop_table("outbox_channel")
    op.drop_index("ix_outbox_due", "outbox")
    op.drop_column("outbox", "lane")
    op.create_index("ix_outbox_due", "outbox", ["due_at", "id"], postgresql_where=_PENDING, sqlite_where=_PENDING)
