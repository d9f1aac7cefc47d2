"""Sweeps: jobs that stand for others, and what jobs record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BEFORE = (
    ["owner", "number"],
    ["owner", "state", "number"],
    ["owner", "change"],
    ["project", "number"],
    ["project", "state", "number"],
    ["project", "change"],
    ["change"],
)
_AFTER = (
    ["sweep_of", "number"],
    ["sweep_of", "state", "number"],
    ["sweep_of", "change"],
    ["owner", "sweep_of", "number"],
    ["owner", "sweep_of", "state", "number"],
    ["owner", "sweep_of", "change"],
    ["project", "sweep_of", "number"],
    ["project", "sweep_of", "state", "number"],
    ["project", "sweep_of", "change"],
)


def _name(columns: list[str]) -> str:
    return "ix_jobs_" + "_".join(columns)


def upgrade() -> None:
    """Add the columns; lists are read through other indexes from now on."""
    op.add_column("jobs", sa.Column("sweep", sa.JSON()))
    op.add_column("jobs", sa.Column("sweep_of", sa.String(20)))
    op.add_column("jobs", sa.Column("point", sa.Integer()))
    op.add_column("jobs", sa.Column("swept", sa.JSON()))
    op.add_column("jobs", sa.Column("recorded", sa.JSON()))
    for columns in _BEFORE:
        op.drop_index(_name(columns), "jobs")
    for columns in _AFTER:
        op.create_index(_name(columns), "jobs", columns)


def downgrade() -> None:
    """Take them away; points stay as jobs of their own, and sweeps as jobs that run nothing."""
    for columns in _AFTER:
        op.drop_index(_name(columns), "jobs")
    for columns in _BEFORE:
        op.create_index(_name(columns), "jobs", columns)
    for column in ("recorded", "swept", "point", "sweep_of", "sweep"):
        op.drop_column("jobs", column)
