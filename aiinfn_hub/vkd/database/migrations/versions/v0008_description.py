"""What a person says about a job is one document, so that a field more needs no column; until now it was the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BATCH: Final = 2000


def upgrade() -> None:
    """Make documents of the labels, some at a time."""
    op.add_column("jobs", sa.Column("description", sa.JSON()))
    _move("labels", "description", lambda labels: {"labels": labels} if labels else None)
    op.drop_column("jobs", "labels")


def downgrade() -> None:
    """Keep the labels, the only part that an older version knows."""
    op.add_column("jobs", sa.Column("labels", sa.JSON()))
    _move("description", "labels", lambda description: (description or {}).get("labels"))
    op.drop_column("jobs", "description")


def _move(source: str, target: str, change: Callable[[Any], Any]) -> None:
    """Fill a column out of another one."""
    old = sa.column(source, sa.JSON(none_as_null=True))
    new = sa.column(target, sa.JSON(none_as_null=True))
    number = sa.column("number", sa.BigInteger)
    jobs = sa.table("jobs", number, old, new)
    write = (
        sa.update(jobs)
        .where(number == sa.bindparam("key"))
        .values({target: sa.bindparam("new", type_=new.type)})
    )
    connection = op.get_bind()
    query = sa.select(number, old).where(old.is_not(sa.null())).order_by(number).limit(_BATCH)
    last = -1
    while rows := connection.execute(query.where(number > last)).all():
        last = rows[-1][0]
        connection.execute(write, [{"key": key, "new": change(value)} for key, value in rows])
