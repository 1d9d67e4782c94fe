"""The SQL tables. Facts live here; rows and labels live in Delta tables, bytes in blobs."""

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
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Utc(TypeDecorator[datetime]):
    """An aware UTC time. SQLite keeps no zone, so it is put back on reading; naive times are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone; pass an aware UTC datetime")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Id = BigInteger().with_variant(Integer, "sqlite")

LEDGERS = ("promotions", "decisions", "deployments", "events", "judgements", "revocations", "approval_words")
"""Tables that only grow: triggers refuse UPDATE and DELETE on them."""


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def _project() -> Column[int]:
    return Column("project_id", Id, ForeignKey("projects.id"), nullable=False)


projects = Table(
    "projects",
    metadata,
    _id(),
    Column("name", String(100), nullable=False),
    Column("folder", String(64), nullable=False, unique=True),
    Column("task", JSON, nullable=False),
    Column("policy", JSON, nullable=False),
    Column("schema", JSON(none_as_null=True)),
    Column("schema_version", Integer, nullable=False, default=0),
    Column("revision", Integer, nullable=False, default=1),
    Column("epoch", Integer, nullable=False, default=0),
    Column("champion", Integer),
    Column("previous", Integer),
    Column("created_at", Utc, nullable=False),
    Column("deleted_at", Utc),
    Index(
        "uq_projects_live_name",
        "name",
        unique=True,
        sqlite_where=text("deleted_at IS NULL"),
        postgresql_where=text("deleted_at IS NULL"),
    ),
)

batches = Table(
    "batches",
    metadata,
    _id(),
    _project(),
    Column("number", Integer, nullable=False),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("labelled", BigInteger, nullable=False),
    Column("unlabelled", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("labels", BigInteger, nullable=False, default=0),
    Column("details", JSON, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("idempotency_key", String(255)),
    Column("request_digest", String(64)),
    Column("dataset_version", Integer),
    Column("created_at", Utc, nullable=False),
    Column("committed_at", Utc),
    UniqueConstraint("project_id", "number"),
    UniqueConstraint("project_id", "idempotency_key"),
    CheckConstraint("status IN ('staged', 'committed')", name="status"),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    _id(),
    _project(),
    Column("number", Integer, nullable=False),
    Column("rows_version", Integer, nullable=False),
    Column("labels_version", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("labels", BigInteger, nullable=False),
    Column("truths", BigInteger, nullable=False),
    Column("predictions", BigInteger, nullable=False),
    Column("batch", Integer, nullable=False),
    Column("created_at", Utc, nullable=False),
    UniqueConstraint("project_id", "number"),
)

# An index over the Delta rows: which ids exist and which of them have their truth. It answers "unknown",
# "duplicate" and "conflicting" without scanning a table, and can be made again from the Delta tables.
row_index = Table(
    "row_index",
    metadata,
    Column("project_id", Id, ForeignKey("projects.id"), primary_key=True),
    Column("row_id", String(255), primary_key=True),
    Column("batch", Integer, nullable=False),
    Column("truth", Text),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    _id(),
    _project(),
    Column("number", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("trigger", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("dataset_version", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("snapshot", JSON(none_as_null=True)),
    Column("engines", JSON(none_as_null=True)),
    Column("verdict", JSON(none_as_null=True)),
    Column("error", Text),
    Column("challenger", Integer),
    Column("owner", String(100)),
    Column("fence", Integer, nullable=False, default=0),
    Column("attempt", Integer, nullable=False, default=1),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("created_at", Utc, nullable=False),
    Column("started_at", Utc),
    Column("heartbeat_at", Utc),
    Column("expires_at", Utc),
    Column("finished_at", Utc),
    UniqueConstraint("project_id", "number"),
    Index(
        "uq_runs_one_active",
        "project_id",
        unique=True,
        sqlite_where=text("status IN ('queued', 'running')"),
        postgresql_where=text("status IN ('queued', 'running')"),
    ),
)

trials = Table(
    "trials",
    metadata,
    _id(),
    Column("run_id", Id, ForeignKey("runs.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("engine", String(50), nullable=False),
    Column("estimator", String(200), nullable=False),
    Column("score", Float),
    Column("seconds", Float, nullable=False),
    Column("config", JSON, nullable=False),
    Column("error", Text),
    Column("at", Utc, nullable=False),
    UniqueConstraint("run_id", "number"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("signature", String(64), nullable=False),
    Column("created_at", Utc, nullable=False),
)

models = Table(
    "models",
    metadata,
    _id(),
    _project(),
    Column("version", Integer, nullable=False),
    Column("run", Integer),
    Column("blob", String(64), ForeignKey("blobs.digest"), nullable=False),
    Column("engine", String(50), nullable=False),
    Column("estimator", String(200), nullable=False),
    Column("config", JSON, nullable=False),
    Column("dataset_version", Integer, nullable=False),
    Column("details", JSON, nullable=False),
    Column("attachments", JSON, nullable=False),
    Column("created_at", Utc, nullable=False),
    UniqueConstraint("project_id", "version"),
)

promotions = Table(
    "promotions",
    metadata,
    _id(),
    _project(),
    Column("number", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("from_version", Integer),
    Column("to_version", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run", Integer),
    Column("actor", String(100), nullable=False),
    Column("at", Utc, nullable=False),
    UniqueConstraint("project_id", "epoch"),
)

decisions = Table(
    "decisions",
    metadata,
    _id(),
    _project(),
    Column("outcome", String(16), nullable=False),
    Column("trigger", String(50), nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("run", Integer),
    Column("at", Utc, nullable=False),
    Index("ix_decisions_project_id_at", "project_id", "at"),
)

deployments = Table(
    "deployments",
    metadata,
    _id(),
    _project(),
    Column("version", Integer, nullable=False),
    Column("node", String(100), nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Utc, nullable=False),
)

events = Table(
    "events",
    metadata,
    _id(),
    Column("project_id", Id, ForeignKey("projects.id")),
    Column("type", String(100), nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", Utc, nullable=False),
)

# One row for each look at a holdout: what alpha spending counts.
judgements = Table(
    "judgements",
    metadata,
    _id(),
    _project(),
    Column("holdout_epoch", String(64), nullable=False),
    Column("look", Integer, nullable=False),
    Column("alpha_spent", Float, nullable=False),
    Column("run", Integer, nullable=False),
    Column("at", Utc, nullable=False),
    UniqueConstraint("project_id", "holdout_epoch", "look"),
)

drift_reports = Table(
    "drift_reports",
    metadata,
    _id(),
    _project(),
    Column("model_version", Integer),
    Column("share", Float, nullable=False),
    Column("drifted", JSON, nullable=False),
    Column("report", JSON, nullable=False),
    Column("at", Utc, nullable=False),
)

quality_reports = Table(
    "quality_reports",
    metadata,
    _id(),
    _project(),
    Column("model_version", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("score", Float, nullable=False),
    Column("reference", Float, nullable=False),
    Column("report", JSON, nullable=False),
    Column("at", Utc, nullable=False),
    Index("ix_quality_reports_project_id_kind", "project_id", "kind"),
)

# One a project: how far its champion's losses were followed. The state is automl's.
loss_monitors = Table(
    "loss_monitors",
    metadata,
    Column("project_id", Id, ForeignKey("projects.id"), primary_key=True),
    Column("model_version", Integer, nullable=False),
    Column("upto", Integer, nullable=False),
    Column("state", JSON, nullable=False),
    Column("at", Utc, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    Column("prefix", String(16), nullable=False, unique=True),
    Column("hash", LargeBinary(32), nullable=False),
    Column("label", String(100), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("revoked_at", Utc),
)

# Policy replays. One that lost its process is queued again: its work folder knows how far it came.
replays = Table(
    "replays",
    metadata,
    _id(),
    _project(),
    Column("number", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("plan", JSON, nullable=False),
    Column("source", JSON, nullable=False),
    Column("folder", String(64), nullable=False, unique=True),
    Column("progress", JSON, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("error", Text),
    Column("owner", String(100)),
    Column("fence", Integer, nullable=False, default=0),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("created_at", Utc, nullable=False),
    Column("started_at", Utc),
    Column("heartbeat_at", Utc),
    Column("expires_at", Utc),
    Column("finished_at", Utc),
    UniqueConstraint("project_id", "number"),
    Index(
        "uq_replays_one_active",
        "project_id",
        unique=True,
        sqlite_where=text("status IN ('queued', 'running')"),
        postgresql_where=text("status IN ('queued', 'running')"),
    ),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("owner", String(100), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("expires_at", Utc, nullable=False),
)

due_times = Table(
    "due_times",
    metadata,
    Column("project_id", Id, ForeignKey("projects.id"), primary_key=True),
    Column("trigger", String(50), primary_key=True),
    Column("due_at", Utc, nullable=False),
)
