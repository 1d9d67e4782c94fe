"""The SQL tables of approvals: what waits for people, and what they said."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from registry.tables import Id, Utc, metadata

approvals = Table(
    "approvals",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("project_id", Id, ForeignKey("projects.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("run", Integer),
    Column("probation", Integer),
    Column("champion", Integer),
    Column("judged", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("starter", String(100)),
    Column("approvers", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("ended_at", Utc),
    UniqueConstraint("project_id", "number"),
    CheckConstraint("status IN ('open', 'approved', 'refused', 'expired', 'stale')", name="status"),
    Index("ix_approvals_project_id_status", "project_id", "status"),
)

# A ledger: what somebody said is never changed. Nobody says the same twice of one approval.
approval_words = Table(
    "approval_words",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("approval_id", Id, ForeignKey("approvals.id"), nullable=False),
    Column("word", String(16), nullable=False),
    Column("version", Integer),
    Column("who", String(100), nullable=False),
    Column("key", String(16)),
    Column("reason", Text, nullable=False),
    Column("at", Utc, nullable=False),
    UniqueConstraint("approval_id", "who", "word"),
    CheckConstraint("word IN ('approve', 'refuse')", name="word"),
)
