"""rounds that no reader alone ends"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this version; of rounds opened before, each acknowledgement asks whether it ends the step."""
    op.add_column("work_round", sa.Column("until_all", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_column("work_round", "until_all")
