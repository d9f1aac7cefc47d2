"""Whose jobs are held."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "holds",
        sa.Column("owner", sa.String(255), primary_key=True),
        sa.Column("project", sa.String(63), primary_key=True),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.Column("stop", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_table("holds")
