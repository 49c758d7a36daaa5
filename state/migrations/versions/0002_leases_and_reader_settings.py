"""Who has which item of a queue in hand, and what a reader has set to her liking."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from state.schema import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("study_id", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("reader", sa.String(length=200), nullable=False),
        sa.Column("tab", sa.String(length=64), nullable=False),
        sa.Column("until", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_leases_study_id_studies"),
        sa.PrimaryKeyConstraint("study_id", "key", name="pk_leases"),
    )
    op.create_index("ix_leases_study_id_tab", "leases", ["study_id", "tab"], unique=False)
    op.add_column("readers", sa.Column("settings", Json, server_default="{}", nullable=False))


def downgrade() -> None:
    raise NotImplementedError("Decisions are never deleted; go back by restoring a copy of the data folder.")
