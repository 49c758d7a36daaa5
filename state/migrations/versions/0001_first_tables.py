"""The first tables, and the triggers that let decisions only ever be added."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from state.schema import UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

SQLITE_TRIGGERS = [
    f"""
    CREATE TRIGGER decisions_no_{verb.lower()} BEFORE {verb} ON decisions
    BEGIN SELECT RAISE(ABORT, 'decisions are only ever added'); END
    """
    for verb in ("UPDATE", "DELETE")
]

POSTGRES_TRIGGERS = [
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'decisions are only ever added'; END $$
    """,
    """
    CREATE TRIGGER decisions_no_change BEFORE UPDATE OR DELETE ON decisions
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER decisions_no_truncate BEFORE TRUNCATE ON decisions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
]


def upgrade() -> None:
    op.create_table(
        "readers",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_readers"),
    )
    op.create_table(
        "studies",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("settings", Json, nullable=False),
        sa.Column("archived_at", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_studies"),
        sa.UniqueConstraint("key", name="uq_studies_key"),
    )
    op.create_table(
        "decisions",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("study_id", sa.String(length=40), nullable=False),
        sa.Column("reader", sa.String(length=200), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("stored_at", UtcTime(), nullable=False),
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("field", sa.String(length=30), nullable=False),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("undoes", sa.String(length=64), nullable=True),
        sa.Column("payload", Json, nullable=False),
        sa.CheckConstraint("undoes IS NULL OR undoes <> id", name="ck_decisions_undoes_another"),
        sa.ForeignKeyConstraint(["reader"], ["readers.name"], name="fk_decisions_reader_readers"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_decisions_study_id_studies"),
        sa.PrimaryKeyConstraint("seq", name="pk_decisions"),
        sa.UniqueConstraint("id", name="uq_decisions_id"),
    )
    op.create_index("ix_decisions_study_id_seq", "decisions", ["study_id", "seq"], unique=False)
    op.create_index("ix_decisions_study_id_target", "decisions", ["study_id", "target"], unique=False)
    op.create_index("ix_decisions_undoes", "decisions", ["undoes"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("study_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("params", Json, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("share", sa.Float(), server_default="0", nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("process_started", sa.String(length=100), nullable=True),
        sa.Column("heartbeat_at", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("queued_at", UtcTime(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=True),
        sa.Column("finished_at", UtcTime(), nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')", name="ck_jobs_status"
        ),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_jobs_study_id_studies"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_study_id", "jobs", ["study_id"], unique=False)
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("study_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("config", Json, nullable=False),
        sa.Column("engine_version", sa.String(length=40), nullable=False),
        sa.Column("folder", sa.Text(), nullable=True),
        sa.Column("parents", Json, nullable=False),
        sa.Column("files", Json, nullable=False),
        sa.Column("summary", Json, nullable=False),
        sa.Column("decisions_until", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("finished_at", UtcTime(), nullable=True),
        sa.CheckConstraint("status IN ('running', 'done', 'failed', 'cancelled')", name="ck_runs_status"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_runs_study_id_studies"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_study_id", "runs", ["study_id"], unique=False)
    op.create_table(
        "source_files",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("study_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_source_files_study_id_studies"),
        sa.PrimaryKeyConstraint("id", name="pk_source_files"),
        sa.UniqueConstraint("study_id", "sha256", name="uq_source_files_study_id_sha256"),
    )
    op.create_index("ix_source_files_study_id", "source_files", ["study_id"], unique=False)
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("study_id", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("size_ratio", sa.Float(), nullable=False),
        sa.Column("alert", sa.Boolean(), nullable=False),
        sa.Column("example_beats", Json, nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_alerts_run_id_runs"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_alerts_study_id_studies"),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.UniqueConstraint("run_id", "cluster_id", name="uq_alerts_run_id_cluster_id"),
    )
    op.create_index("ix_alerts_run_id", "alerts", ["run_id"], unique=False)
    op.create_index("ix_alerts_study_id", "alerts", ["study_id"], unique=False)
    op.create_table(
        "models",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("study_id", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("metrics", Json, nullable=False),
        sa.Column("comparison", Json, nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.CheckConstraint("status IN ('candidate', 'current', 'former')", name="ck_models_status"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_models_run_id_runs"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_models_study_id_studies"),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
    )
    op.create_index("ix_models_study_id", "models", ["study_id"], unique=False)
    op.create_index(
        "uq_models_one_current",
        "models",
        ["study_id"],
        unique=True,
        sqlite_where=sa.text("status = 'current'"),
        postgresql_where=sa.text("status = 'current'"),
    )
    for statement in POSTGRES_TRIGGERS if op.get_bind().dialect.name == "postgresql" else SQLITE_TRIGGERS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Decisions are never deleted; go back by restoring a copy of the data folder.")
