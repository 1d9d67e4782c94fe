"""How far each champion's losses were followed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0040"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "loss_monitors",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("upto", sa.Integer(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_loss_monitors"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_loss_monitors_project_id"),
    )


def downgrade() -> None:
    op.drop_table("loss_monitors")
