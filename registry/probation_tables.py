"""The SQL table of probations: one champion watched beside one other model."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from registry.tables import Id, Utc, metadata

# ``through`` is the last batch whose answers and truths are in ``state``; both change together or not at all.
probations = Table(
    "probations",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("project_id", Id, ForeignKey("projects.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("champion", Integer, nullable=False),
    Column("other", Integer, nullable=False),
    Column("rule", JSON, nullable=False),
    Column("state", JSON(none_as_null=True)),
    Column("through", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("began_at", Utc, nullable=False),
    Column("ends_at", Utc, nullable=False),
    Column("looked_at", Utc),
    Column("ended_at", Utc),
    UniqueConstraint("project_id", "number"),
    CheckConstraint(
        "status IN ('open', 'confirmed', 'rolled_back', 'promoted', 'annotated', 'expired')", name="status"
    ),
    Index(
        "uq_probations_one_open",
        "project_id",
        unique=True,
        sqlite_where=text("status = 'open'"),
        postgresql_where=text("status = 'open'"),
    ),
)
