"""Energy readings. Of searches and replays of before nothing is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0120"
down_revision = "0110"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "energy_readings",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("run", sa.Integer()),
        sa.Column("replay", sa.Integer()),
        sa.Column("part", sa.String(100), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("wh", sa.Float()),
        sa.Column("gco2e", sa.Float()),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_energy_readings"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_energy_readings_project_id"),
        sa.CheckConstraint(
            "source IN ('measured', 'estimated', 'unknown')", name="ck_energy_readings_source"
        ),
    )
    op.create_index("ix_energy_readings_project_id_at", "energy_readings", ["project_id", "at"])


def downgrade() -> None:
    op.drop_table("energy_readings")
