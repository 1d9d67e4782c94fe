"""Approvals: what waits for people, and what they said. A run that waited before has none: it is promoted by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0110"
down_revision = "0100"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATUSES = "status IN ('open', 'approved', 'refused', 'expired', 'stale')"


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer()),
        sa.Column("probation", sa.Integer()),
        sa.Column("champion", sa.Integer()),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("starter", sa.String(100)),
        sa.Column("approvers", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        _time("asked_at", nullable=False),
        _time("expires_at", nullable=False),
        _time("ended_at"),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_approvals_project_id"),
        sa.UniqueConstraint("project_id", "number", name="uq_approvals_project_id_number"),
        sa.CheckConstraint(STATUSES, name="ck_approvals_status"),
    )
    op.create_index("ix_approvals_project_id_status", "approvals", ["project_id", "status"])
    _words()


def _words() -> None:
    op.create_table(
        "approval_words",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("approval_id", ID, nullable=False),
        sa.Column("word", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer()),
        sa.Column("who", sa.String(100), nullable=False),
        sa.Column("key", sa.String(16)),
        sa.Column("reason", sa.Text(), nullable=False),
        _time("at", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_approval_words"),
        sa.ForeignKeyConstraint(["approval_id"], ["approvals.id"], name="fk_approval_words_approval_id"),
        sa.UniqueConstraint("approval_id", "who", "word", name="uq_approval_words_approval_id_who_word"),
        sa.CheckConstraint("word IN ('approve', 'refuse')", name="ck_approval_words_word"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER approval_words_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON approval_words "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()"
        )
        return
    for verb in ("update", "delete"):
        op.execute(
            f"CREATE TRIGGER approval_words_no_{verb} BEFORE {verb.upper()} ON approval_words "
            f"BEGIN SELECT RAISE(ABORT, 'approval_words only grows: {verb} refused'); END"
        )


def downgrade() -> None:
    op.drop_table("approval_words")
    op.drop_table("approvals")
