"""The tables. Alembic's migrations make them; this is what the code reads and writes them by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcTime(TypeDecorator[datetime]):
    """A moment, always UTC and aware of it. SQLite has no such type: there it is ISO text, which sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, ``timestamptz`` elsewhere."""
        return dialect.type_descriptor(String(32) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a time without zone: guessing one would shift decisions by hours."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        moment = value.astimezone(UTC)
        return moment.isoformat(timespec="microseconds") if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Aware UTC on both databases."""
        if value is None:
            return None
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Id = String(40)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _study() -> Column[str]:
    return Column("study_id", Id, ForeignKey("studies.id"), nullable=False, index=True)


def _made() -> Column[datetime]:
    return Column("created_at", UtcTime, nullable=False)


readers = Table(
    "readers",
    metadata,
    Column("name", String(200), primary_key=True),
    _made(),
    Column("settings", Json, nullable=False, server_default="{}"),
)

studies = Table(
    "studies",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", String(40), unique=True),  # only for studies that the app makes itself, once: "demo"
    Column("name", String(200), nullable=False),
    Column("settings", Json, nullable=False),
    Column("archived_at", UtcTime),
    _made(),
)

source_files = Table(
    "source_files",
    metadata,
    Column("id", Id, primary_key=True),
    _study(),
    Column("name", String(400), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("removed_at", UtcTime),
    _made(),
    UniqueConstraint("study_id", "sha256"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    _study(),
    Column("kind", String(20), nullable=False),
    Column("status", String(20), nullable=False),
    Column("config", Json, nullable=False),
    Column("engine_version", String(40), nullable=False),
    Column("folder", Text),  # relative to the data folder, so that the folder can move
    Column("parents", Json, nullable=False),
    Column("files", Json, nullable=False),
    Column("summary", Json, nullable=False),
    Column("decisions_until", UtcTime),  # decisions stored up to this moment were taken into account
    _made(),
    Column("finished_at", UtcTime),
    CheckConstraint("status IN ('running', 'done', 'failed', 'cancelled')", name="status"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    _study(),
    Column("kind", String(20), nullable=False),
    Column("params", Json, nullable=False),
    Column("status", String(20), nullable=False),
    Column("message", Text, nullable=False, server_default=""),
    Column("share", Float, nullable=False, server_default="0"),
    Column("detail", Json, nullable=False),
    Column("error", Text),
    Column("run_id", Id, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="1"),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("host", String(200)),
    Column("pid", Integer),
    Column("process_started", String(100)),
    Column("heartbeat_at", UtcTime),
    _made(),
    Column("queued_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    CheckConstraint(
        "status IN ('queued', 'running', 'done', 'failed', 'cancelled', 'interrupted')",
        name="status",
    ),
)

decisions = Table(
    "decisions",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("study_id", Id, ForeignKey("studies.id"), nullable=False),
    Column("reader", String(200), ForeignKey("readers.name"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("stored_at", UtcTime, nullable=False),
    Column("target", String(200), nullable=False),
    Column("field", String(30), nullable=False),
    Column("old", Text),
    Column("new", Text),
    Column("reason", Text, nullable=False, server_default=""),
    # No foreign key: what it undoes may still be on its way from another tab.
    Column("undoes", String(64), index=True),
    Column("payload", Json, nullable=False),
    CheckConstraint("undoes IS NULL OR undoes <> id", name="undoes_another"),
    Index("ix_decisions_study_id_seq", "study_id", "seq"),
    Index("ix_decisions_study_id_target", "study_id", "target"),
)

models = Table(
    "models",
    metadata,
    Column("id", Id, primary_key=True),
    _study(),
    Column("run_id", Id, ForeignKey("runs.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("bundle", Text, nullable=False),  # relative to the data folder
    Column("metrics", Json, nullable=False),
    Column("comparison", Json),
    Column("status", String(20), nullable=False),
    _made(),
    CheckConstraint("status IN ('candidate', 'current', 'former')", name="status"),
)
Index(
    "uq_models_one_current",
    models.c.study_id,
    unique=True,
    sqlite_where=text("status = 'current'"),
    postgresql_where=text("status = 'current'"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Id, primary_key=True),
    _study(),
    Column("run_id", Id, ForeignKey("runs.id"), nullable=False, index=True),
    Column("cluster_id", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("size_ratio", Float, nullable=False),
    Column("alert", Boolean, nullable=False),
    Column("example_beats", Json, nullable=False),
    _made(),
    UniqueConstraint("run_id", "cluster_id"),
)

# Which tab has which item of a queue in hand, until when. Rows that ran out are taken over by who asks next.
leases = Table(
    "leases",
    metadata,
    Column("study_id", Id, ForeignKey("studies.id"), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("reader", String(200), nullable=False),
    Column("tab", String(64), nullable=False),
    Column("until", UtcTime, nullable=False),
    Index("ix_leases_study_id_tab", "study_id", "tab"),
)
