"""Jobs, their history and their use of devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    moment = sa.DateTime(timezone=True)
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.bulk_insert(counters, [{"name": "change", "value": 0}])
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(20), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("queue", sa.String(63), nullable=False),
        sa.Column("accelerator", sa.String(63), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("cause", sa.String(20), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("preemptions", sa.Integer(), nullable=False),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("work", sa.JSON(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("progress", sa.JSON()),
        sa.Column("error", sa.JSON()),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("created", moment, nullable=False),
        sa.Column("started", moment),
        sa.Column("ended", moment),
        sa.Column("updated", moment, nullable=False),
        sa.Column("cancelled_by", sa.String(255)),
        sa.Column("rerun_of", sa.String(20)),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("digest", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("number", name="uq_jobs_number"),
        sa.UniqueConstraint("owner", "idempotency_key", name="uq_jobs_owner_idempotency_key"),
    )
    for columns in (
        ["owner", "number"],
        ["owner", "state", "number"],
        ["owner", "change"],
        ["project", "number"],
        ["project", "state", "number"],
        ["project", "change"],
        ["state", "number"],
        ["change"],
    ):
        op.create_index("ix_jobs_" + "_".join(columns), "jobs", columns)
    op.create_table(
        "history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", sa.String(20), nullable=False),
        sa.Column("time", moment, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("cause", sa.String(20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name="fk_history_job", ondelete="CASCADE"),
    )
    op.create_index("ix_history_job_id", "history", ["job", "id"])
    op.create_table(
        "usage",
        sa.Column("job", sa.String(20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("accelerator", sa.String(63), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double()),
        sa.PrimaryKeyConstraint("job", "attempt", name="pk_usage"),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name="fk_usage_job", ondelete="CASCADE"),
    )
    op.create_index("ix_usage_ended", "usage", ["ended"])


def downgrade() -> None:
    """Drop them, with everything in them."""
    for table in ("usage", "history", "jobs", "counters"):
        op.drop_table(table)
