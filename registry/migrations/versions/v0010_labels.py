"""Revoked labels, and the labelling queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = sa.DateTime(timezone=True)


def upgrade() -> None:
    _revocations()
    _rounds()
    _leases()
    _answers()


def downgrade() -> None:
    raise NotImplementedError("ledgers stay ledgers")


def _id() -> sa.Column[int]:
    return sa.Column("id", ID, autoincrement=True, nullable=False)


def _project() -> sa.Column[int]:
    return sa.Column("project_id", ID, nullable=False)


def _key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=f"fk_{table}_project_id")


def _revocations() -> None:
    op.create_table(
        "revocations",
        _id(),
        _project(),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(16), nullable=True),
        sa.Column("origin", sa.String(255), nullable=True),
        sa.Column("teacher", sa.Integer(), nullable=True),
        sa.Column("since", UTC, nullable=True),
        sa.Column("revoked", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revocations"),
        _key("revocations"),
        sa.UniqueConstraint("project_id", "batch", name="uq_revocations_project_id_batch"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER revocations_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON revocations "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()"
        )
        return
    for verb in ("update", "delete"):
        op.execute(
            f"CREATE TRIGGER revocations_no_{verb} BEFORE {verb.upper()} ON revocations "
            f"BEGIN SELECT RAISE(ABORT, 'revocations only grows: {verb} refused'); END"
        )


def _rounds() -> None:
    op.create_table(
        "labeling_rounds",
        _id(),
        _project(),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("dataset_version", sa.Integer(), nullable=False),
        sa.Column("pool", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_labeling_rounds"),
        _key("labeling_rounds"),
        sa.UniqueConstraint("project_id", "number", name="uq_labeling_rounds_project_id_number"),
    )
    op.create_table(
        "labeling_items",
        _project(),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("row_id", sa.String(255), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("why", sa.String(16), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "round", "place", name="pk_labeling_items"),
        _key("labeling_items"),
    )
    op.create_index("ix_labeling_items_project_id_row_id", "labeling_items", ["project_id", "row_id"])


def _leases() -> None:
    op.create_table(
        "labeling_leases",
        _project(),
        sa.Column("row_id", sa.String(255), nullable=False),
        sa.Column("annotator", sa.String(100), nullable=False),
        sa.Column("expires_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "row_id", "annotator", name="pk_labeling_leases"),
        _key("labeling_leases"),
    )


def _answers() -> None:
    op.create_table(
        "labeling_answers",
        _id(),
        _project(),
        sa.Column("row_id", sa.String(255), nullable=False),
        sa.Column("annotator", sa.String(100), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.Column("revoked", sa.Integer(), nullable=True),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_labeling_answers"),
        _key("labeling_answers"),
    )
    op.create_index("ix_labeling_answers_project_id_row_id", "labeling_answers", ["project_id", "row_id"])
