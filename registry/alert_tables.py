"""The SQL tables of alerts: channels, what has been told on them, and up to which event."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from registry.tables import Id, Utc, metadata

# A channel without project hears of all. ``sealed`` is what must not be read from the database alone.
alert_channels = Table(
    "alert_channels",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("name", String(100), nullable=False),
    Column("project_id", Id, ForeignKey("projects.id")),
    Column("kind", String(16), nullable=False),
    Column("target", JSON, nullable=False),
    Column("sealed", LargeBinary),
    Column("wanted", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("after_event", BigInteger, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
    Column("deleted_at", Utc),
    Index(
        "uq_alert_channels_live_name",
        "name",
        unique=True,
        sqlite_where=text("deleted_at IS NULL"),
        postgresql_where=text("deleted_at IS NULL"),
    ),
)

# One row for each event on each channel that wants it: told at least once, under the same id.
alert_deliveries = Table(
    "alert_deliveries",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("channel_id", Id, ForeignKey("alert_channels.id"), nullable=False),
    Column("event_id", String(100), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("event", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Utc, nullable=False),
    Column("owner", String(100)),
    Column("fence", Integer, nullable=False),
    Column("expires_at", Utc),
    Column("note", Text),
    Column("created_at", Utc, nullable=False),
    Column("attempted_at", Utc),
    Column("ended_at", Utc),
    UniqueConstraint("channel_id", "event_id"),
    CheckConstraint("status IN ('pending', 'delivered', 'gave_up')", name="status"),
    Index("ix_alert_deliveries_status_due_at", "status", "due_at"),
)

# The number of the last event that was put on the channels; one row.
alert_progress = Table(
    "alert_progress",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("upto", BigInteger, nullable=False),
)
