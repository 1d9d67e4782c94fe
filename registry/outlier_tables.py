"""The SQL tables of odd rows: what was measured by, each look at what came in, and the rows that stood out."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table

from registry.tables import Id, Utc, metadata

# A measure made of a dataset version, for as long as no model brings its own.
outlier_measures = Table(
    "outlier_measures",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("project_id", Id, ForeignKey("projects.id"), nullable=False),
    Column("dataset_version", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("blob", String(64), ForeignKey("blobs.digest"), nullable=False),
    Column("at", Utc, nullable=False),
    Index("ix_outlier_measures_project_id", "project_id"),
)

# One look at the rows of the batches up to ``upto`` that no earlier look had; of very many, some are passed over.
outlier_looks = Table(
    "outlier_looks",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("project_id", Id, ForeignKey("projects.id"), nullable=False),
    Column("model_version", Integer),
    Column("dataset_version", Integer),
    Column("upto", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("odd", BigInteger, nullable=False),
    Column("passed_over", BigInteger, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("columns", JSON, nullable=False),
    Column("at", Utc, nullable=False),
    Index("ix_outlier_looks_project_id", "project_id"),
)

# The odd rows alone; ``reasons`` are the columns that make a row odd, most first.
outliers = Table(
    "outliers",
    metadata,
    Column("project_id", Id, ForeignKey("projects.id"), primary_key=True),
    Column("row_id", String(255), primary_key=True),
    Column("look", Id, ForeignKey("outlier_looks.id"), nullable=False),
    Column("batch", Integer, nullable=False),
    Column("source", String(16), nullable=False),
    Column("score", Float, nullable=False),
    Column("times", Float, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("arrived_at", Utc, nullable=False),
    Index("ix_outliers_project_id_look", "project_id", "look"),
)
