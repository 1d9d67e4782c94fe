"""The SQL table of stored forecasts: one series as seen from one moment."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from registry.tables import Id, Utc, metadata

# ``steps`` are as they were answered; ``actuals`` are written over as they come, and ``open`` ends with the last of them.
forecasts = Table(
    "forecasts",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("project_id", Id, ForeignKey("projects.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("series", String(255), nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("origin", BigInteger, nullable=False),
    Column("scale", Float, nullable=False),
    Column("coverage", Float, nullable=False),
    Column("steps", JSON, nullable=False),
    Column("actuals", JSON, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("made_at", Utc, nullable=False),
    Column("scored_at", Utc),
    UniqueConstraint("project_id", "number"),
    Index("ix_forecasts_project_id_open", "project_id", "open"),
)
