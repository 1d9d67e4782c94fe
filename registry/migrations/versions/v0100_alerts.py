"""Alert channels and their deliveries. Events of before are not told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0100"
down_revision = "0090"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIVE = sa.text("deleted_at IS NULL")


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "alert_channels",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("project_id", ID),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("target", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("after_event", sa.BigInteger(), nullable=False),
        _time("created_at", nullable=False),
        _time("updated_at", nullable=False),
        _time("deleted_at"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_channels"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_alert_channels_project_id"),
    )
    op.create_index(
        "uq_alert_channels_live_name",
        "alert_channels",
        ["name"],
        unique=True,
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    )
    _deliveries()
    op.create_table(
        "alert_progress",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_alert_progress"),
    )
    op.execute("INSERT INTO alert_progress (name, upto) SELECT 'events', COALESCE(MAX(id), 0) FROM events")


def _deliveries() -> None:
    op.create_table(
        "alert_deliveries",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("channel_id", ID, nullable=False),
        sa.Column("event_id", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("event", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _time("due_at", nullable=False),
        sa.Column("owner", sa.String(100)),
        sa.Column("fence", sa.Integer(), nullable=False),
        _time("expires_at"),
        sa.Column("note", sa.Text()),
        _time("created_at", nullable=False),
        _time("attempted_at"),
        _time("ended_at"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_deliveries"),
        sa.ForeignKeyConstraint(["channel_id"], ["alert_channels.id"], name="fk_alert_deliveries_channel_id"),
        sa.UniqueConstraint("channel_id", "event_id", name="uq_alert_deliveries_channel_id_event_id"),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'gave_up')", name="ck_alert_deliveries_status"
        ),
    )
    op.create_index("ix_alert_deliveries_status_due_at", "alert_deliveries", ["status", "due_at"])


def downgrade() -> None:
    op.drop_table("alert_deliveries")
    op.drop_table("alert_channels")
    op.drop_table("alert_progress")
