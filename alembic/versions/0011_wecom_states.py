"""WeCom: a state is stored when it comes back; accounts that somebody else has linked by hand"""

import sqlalchemy as sa
from alembic import op

import engine.db

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MOMENT = engine.db.UTCDateTime(timezone=True)


def upgrade() -> None:
    """Bring the tables to this version."""
    op.execute("DELETE FROM wecom_entry WHERE used_at IS NULL")
    op.drop_index("ix_wecom_entry_browser", "wecom_entry")
    op.drop_column("wecom_entry", "used_at")
    op.add_column("wecom_account", sa.Column("by_hand", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_column("wecom_account", "by_hand")
    op.add_column("wecom_entry", sa.Column("used_at", _MOMENT, nullable=True))
    op.execute("UPDATE wecom_entry SET used_at = created_at")
    op.create_index("ix_wecom_entry_browser", "wecom_entry", ["browser_hash", "created_at"])
