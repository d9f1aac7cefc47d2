"""The table of accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "aiinfn_accounts",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("compared", sa.String(4096), nullable=False),
        sa.Column("issuer", sa.String(1024)),
        sa.Column("subject", sa.String(1024)),
        sa.Column("bound", sa.Double),
        sa.UniqueConstraint("issuer", "subject", name="uq_aiinfn_accounts_issuer"),
    )
    op.create_index("ix_aiinfn_accounts_compared", "aiinfn_accounts", ["compared"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("aiinfn_accounts")
