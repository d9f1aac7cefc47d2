"""What jobs told of themselves before there was a bound on it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_MOST = 256 * 1024
"""Characters of JSON, which is four times what is taken now: only what makes lists slow goes."""


def upgrade() -> None:
    """Drop what is so large that each list with it takes seconds."""
    jobs = sa.table("jobs", *(sa.column(name) for name in ("progress", "error", "recorded")))
    for column in jobs.c:
        large = sa.func.length(sa.cast(column, sa.Text)) > _MOST
        op.execute(sa.update(jobs).where(large).values({column.name: sa.null()}))


def downgrade() -> None:
    """Leave it: what was dropped is gone."""
