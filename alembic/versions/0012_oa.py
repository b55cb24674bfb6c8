"""The OA: what each shows of ours, who is who there, first loads, reconciliations, what waits there"""

import sqlalchemy as sa
from alembic import op

import engine.db

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_MOMENT = engine.db.UTCDateTime(timezone=True)
_BIGID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DOUBTFUL = sa.text("doubtful_at IS NOT NULL")
_WAITING = sa.text("gone_at IS NULL AND state IN ('todo', 'read')")
_HANDLED = sa.text("gone_at IS NULL AND state IN ('done', 'finished')")
_PUSHED = sa.text("shown_at IS NOT NULL")
_PROBLEM = sa.text("problem <> ''")
_OPEN = sa.text("wanted IN ('todo', 'read') OR shown IN ('todo', 'read')")
_BEHIND = sa.text("sending <> '' OR (wanted <> shown AND (wanted IN ('todo', 'read') OR shown NOT IN ('', 'deleted')))")


def upgrade() -> None:
    """Bring the tables to this version."""
    op.create_table(
        "oa_pass",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("site", sa.String(length=11), nullable=False),
        sa.Column("used_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("ix_oa_pass_expires_at", "oa_pass", ["expires_at"], unique=False)

    op.create_table(
        "oa_quick",
        sa.Column("site", sa.String(length=11), nullable=False),
        sa.Column("after", sa.String(length=80), nullable=False),
        sa.Column("began_at", _MOMENT, nullable=False),
        sa.Column("asked_at", _MOMENT, nullable=False),
        sa.Column("known_to", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("site"),
    )
    op.create_table(
        "oa_refusal",
        sa.Column("site", sa.String(length=11), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("until", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("site", "source"),
    )
    op.create_index("ix_oa_refusal_until", "oa_refusal", ["until"], unique=False)

    op.create_table(
        "oa_taken",
        sa.Column("site", sa.String(length=11), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("opinion", sa.Text(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("taken_at", _MOMENT, nullable=False),
        sa.Column("result", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("site", "key", "account"),
    )
    op.create_table(
        "oa_account",
        sa.Column("site", sa.String(length=11), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("account_key", sa.String(length=80), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=True),
        sa.Column("set_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["set_by"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("site", "person_id"),
    )
    op.create_index("uq_oa_account_key", "oa_account", ["site", "account_key"], unique=True)

    op.create_table(
        "oa_check",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.String(length=11), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("repair", sa.Boolean(), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("started_by", sa.Uuid(), nullable=True),
        sa.Column("by", sa.String(length=8), nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.Column("after", sa.Uuid(), nullable=True),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("unread", sa.Integer(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("ghost", sa.Integer(), nullable=False),
        sa.Column("stale", sa.Integer(), nullable=False),
        sa.Column("repaired", sa.Integer(), nullable=False),
        sa.Column("capped", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.ForeignKeyConstraint(
            ["started_by"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_oa_check_site", "oa_check", ["site", "started_at"], unique=False)

    op.create_table(
        "oa_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.String(length=11), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("workflow", sa.String(length=120), nullable=False),
        sa.Column("node", sa.String(length=120), nullable=False),
        sa.Column("sender", sa.String(length=80), nullable=False),
        sa.Column("link", sa.String(length=1000), nullable=False),
        sa.Column("mobile_link", sa.String(length=1000), nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("handled_at", _MOMENT, nullable=True),
        sa.Column("arrived_at", _MOMENT, nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.Column("gone_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_oa_entry_waiting",
        "oa_entry",
        ["person_id", "received_at"],
        unique=False,
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    )
    op.create_index(
        "ix_oa_entry_handled",
        "oa_entry",
        ["person_id", "arrived_at", "id"],
        unique=False,
        postgresql_where=_HANDLED,
        sqlite_where=_HANDLED,
    )
    op.create_index("uq_oa_entry", "oa_entry", ["site", "person_id", "request_id", "state"], unique=True)

    op.create_table(
        "oa_load",
        sa.Column("site", sa.String(length=11), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("after", sa.Uuid(), nullable=True),
        sa.Column("until", sa.Uuid(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("queued", sa.Integer(), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("started_by", sa.Uuid(), nullable=True),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["started_by"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("site"),
    )
    op.create_table(
        "oa_poll",
        sa.Column("site", sa.String(length=11), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=True),
        sa.Column("polled_at", _MOMENT, nullable=True),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("handled_to", _MOMENT, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("site", "person_id"),
    )
    op.create_index("ix_oa_poll_due", "oa_poll", ["site", "due_at"], unique=False)

    op.create_table(
        "oa_finding",
        sa.Column("id", _BIGID, sa.Identity(always=False), nullable=False),
        sa.Column("check_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("side", sa.String(length=6), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=True),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("result", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(
            ["check_id"],
            ["oa_check.id"],
        ),
        sa.ForeignKeyConstraint(
            ["item_id"],
            ["work_item.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_oa_finding_check_id", "oa_finding", ["check_id"], unique=False)

    op.create_table(
        "oa_item",
        sa.Column("site", sa.String(length=11), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("sender_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.String(length=80), server_default="", nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("workflow", sa.String(length=80), nullable=False),
        sa.Column("node", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=False),
        sa.Column("wanted", sa.String(length=10), nullable=False),
        sa.Column("shown", sa.String(length=10), server_default="", nullable=False),
        sa.Column("sending", sa.String(length=10), server_default="", nullable=False),
        sa.Column("seq", sa.Integer(), server_default="1", nullable=False),
        sa.Column("stamp", _BIGID, server_default="0", nullable=False),
        sa.Column("quiet", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("doubtful_at", _MOMENT, nullable=True),
        sa.Column("problem", sa.String(length=10), server_default="", nullable=False),
        sa.Column("reason", sa.String(length=200), server_default="", nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.Column("shown_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["instance.id"],
        ),
        sa.ForeignKeyConstraint(
            ["item_id"],
            ["work_item.id"],
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["person.id"],
        ),
        sa.ForeignKeyConstraint(
            ["sender_id"],
            ["person.id"],
        ),
        sa.PrimaryKeyConstraint("site", "item_id"),
    )
    op.create_index(
        "ix_oa_item_behind",
        "oa_item",
        ["site", "item_id"],
        unique=False,
        postgresql_where=_BEHIND,
        sqlite_where=_BEHIND,
    )
    op.create_index(
        "ix_oa_item_doubtful",
        "oa_item",
        ["doubtful_at"],
        unique=False,
        postgresql_where=_DOUBTFUL,
        sqlite_where=_DOUBTFUL,
    )
    op.create_index("ix_oa_item_instance", "oa_item", ["instance_id", "site"], unique=False)
    op.create_index(
        "ix_oa_item_shown",
        "oa_item",
        ["site", "shown_at"],
        unique=False,
        postgresql_where=_PUSHED,
        sqlite_where=_PUSHED,
    )
    op.create_index("ix_oa_item_item", "oa_item", ["item_id"], unique=False)
    op.create_index(
        "ix_oa_item_open", "oa_item", ["site", "person_id"], unique=False, postgresql_where=_OPEN, sqlite_where=_OPEN
    )
    op.create_index(
        "ix_oa_item_problem",
        "oa_item",
        ["site", "person_id", "problem"],
        unique=False,
        postgresql_where=_PROBLEM,
        sqlite_where=_PROBLEM,
    )


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_table("oa_item")
    op.drop_table("oa_finding")
    op.drop_table("oa_poll")
    op.drop_table("oa_load")
    op.drop_table("oa_entry")
    op.drop_table("oa_check")
    op.drop_table("oa_account")
    op.drop_table("oa_taken")
    op.drop_table("oa_refusal")
    op.drop_table("oa_quick")
    op.drop_table("oa_pass")
