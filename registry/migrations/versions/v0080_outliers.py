"""Odd rows: measures, looks, and the rows that stood out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0080"
down_revision = "0050"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "outlier_measures",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("dataset_version", sa.Integer(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("blob", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outlier_measures"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_outlier_measures_project_id"),
        sa.ForeignKeyConstraint(["blob"], ["blobs.digest"], name="fk_outlier_measures_blob"),
    )
    op.create_index("ix_outlier_measures_project_id", "outlier_measures", ["project_id"])
    op.create_table(
        "outlier_looks",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("model_version", sa.Integer()),
        sa.Column("dataset_version", sa.Integer()),
        sa.Column("upto", sa.Integer(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("odd", sa.BigInteger(), nullable=False),
        sa.Column("passed_over", sa.BigInteger(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outlier_looks"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_outlier_looks_project_id"),
    )
    op.create_index("ix_outlier_looks_project_id", "outlier_looks", ["project_id"])
    op.create_table(
        "outliers",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("row_id", sa.String(255), nullable=False),
        sa.Column("look", ID, nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("times", sa.Float(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "row_id", name="pk_outliers"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_outliers_project_id"),
        sa.ForeignKeyConstraint(["look"], ["outlier_looks.id"], name="fk_outliers_look"),
    )
    op.create_index("ix_outliers_project_id_look", "outliers", ["project_id", "look"])


def downgrade() -> None:
    for table in ("outliers", "outlier_looks", "outlier_measures"):
        op.drop_table(table)
