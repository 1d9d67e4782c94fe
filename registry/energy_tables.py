"""The SQL table of energy readings: what searches and replays used."""

from __future__ import annotations

from sqlalchemy import JSON, CheckConstraint, Column, Float, ForeignKey, Index, Integer, String, Table

from registry.tables import Id, Utc, metadata

# One for each child process that was metered. Without ``wh`` it says why nothing was measured.
energy_readings = Table(
    "energy_readings",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("project_id", Id, ForeignKey("projects.id"), nullable=False),
    Column("run", Integer),
    Column("replay", Integer),
    Column("part", String(100), nullable=False),
    Column("source", String(16), nullable=False),
    Column("wh", Float),
    Column("gco2e", Float),
    Column("seconds", Float, nullable=False),
    Column("details", JSON, nullable=False),
    Column("at", Utc, nullable=False),
    CheckConstraint("source IN ('measured', 'estimated', 'unknown')", name="source"),
    Index("ix_energy_readings_project_id_at", "project_id", "at"),
)
