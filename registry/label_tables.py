"""The SQL tables around labels: what was revoked, and the labelling queue with its leases and answers."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from registry.tables import Id, Utc, metadata


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def _project(*, key: bool = False) -> Column[int]:
    return Column("project_id", Id, ForeignKey("projects.id"), nullable=False, primary_key=key)


# Only grows. A label entry of an earlier batch that fits all criteria that are given no longer counts.
revocations = Table(
    "revocations",
    metadata,
    _id(),
    _project(),
    Column("batch", Integer, nullable=False),
    Column("source", String(16)),
    Column("origin", String(255)),
    Column("teacher", Integer),
    Column("since", Utc),
    Column("revoked", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("at", Utc, nullable=False),
    UniqueConstraint("project_id", "batch"),
)

# One ranking of the unlabelled rows by one model; ``pool`` is how many were ranked.
labeling_rounds = Table(
    "labeling_rounds",
    metadata,
    _id(),
    _project(),
    Column("number", Integer, nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("dataset_version", Integer, nullable=False),
    Column("pool", BigInteger, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("created_at", Utc, nullable=False),
    UniqueConstraint("project_id", "number"),
)

# The rows of a round, most useful first, each with the chance it had to be among them.
labeling_items = Table(
    "labeling_items",
    metadata,
    _project(key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("row_id", String(255), nullable=False),
    Column("value", Float, nullable=False),
    Column("why", String(16), nullable=False),
    Column("probability", Float, nullable=False),
    Index("ix_labeling_items_project_id_row_id", "project_id", "row_id"),
)

labeling_leases = Table(
    "labeling_leases",
    metadata,
    _project(key=True),
    Column("row_id", String(255), primary_key=True),
    Column("annotator", String(100), primary_key=True),
    Column("expires_at", Utc, nullable=False),
)

# A null label is a skip. ``batch``: the batch that told the labels ledger; ``revoked``: that of a revocation.
labeling_answers = Table(
    "labeling_answers",
    metadata,
    _id(),
    _project(),
    Column("row_id", String(255), nullable=False),
    Column("annotator", String(100), nullable=False),
    Column("label", Text),
    Column("batch", Integer),
    Column("revoked", Integer),
    Column("at", Utc, nullable=False),
    Index("ix_labeling_answers_project_id_row_id", "project_id", "row_id"),
)
