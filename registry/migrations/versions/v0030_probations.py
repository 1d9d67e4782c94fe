"""Probations: a champion watched beside another model on live rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
STATUSES = "status IN ('open', 'confirmed', 'rolled_back', 'promoted', 'annotated', 'expired')"


def upgrade() -> None:
    op.create_table(
        "probations",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("champion", sa.Integer(), nullable=False),
        sa.Column("other", sa.Integer(), nullable=False),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=True),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("began_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("looked_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_probations"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_probations_project_id"),
        sa.UniqueConstraint("project_id", "number", name="uq_probations_project_id_number"),
        sa.CheckConstraint(STATUSES, name="ck_probations_status"),
    )
    op.create_index(
        "uq_probations_one_open",
        "probations",
        ["project_id"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )


def downgrade() -> None:
    op.drop_table("probations")
