"""What happens with jobs afterwards: labels, search, deletion, and keeping them."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from aiinfn_hub.vkd.domain.text_folding import text_of

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_JOBS: Final = (["owner", "snapshot"], ["owner", "pinned"], ["sweep_of", "ended"], ["rerun_of"])
_TEXTS: Final = (["owner", "number"], ["project", "number"])
_LABELLED: Final = (["label", "number"], ["owner", "label", "number"], ["project", "label", "number"])
_REMOVED: Final = (
    ["sweep_of", "change"],
    ["owner", "sweep_of", "change"],
    ["project", "sweep_of", "change"],
    ["log", "tries"],
    ["owner", "home", "job"],
    ["removed"],
)
_BATCH: Final = 500


def upgrade() -> None:
    """Add the columns and tables, and fill in what older jobs are searched by."""
    op.add_column("jobs", sa.Column("labels", sa.JSON()))
    op.add_column("jobs", sa.Column("pinned", sa.Boolean()))
    op.add_column("jobs", sa.Column("snapshot", sa.String(64)))
    _index("jobs", _JOBS)
    op.create_table(
        "texts",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", sa.String(20), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_texts"),
        sa.UniqueConstraint("job", name="uq_texts_job"),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name="fk_texts_job", ondelete="CASCADE"),
    )
    _index("texts", _TEXTS)
    op.create_table(
        "labelled",
        sa.Column("job", sa.String(20), nullable=False),
        sa.Column("label", sa.String(40), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.PrimaryKeyConstraint("job", "label", name="pk_labelled"),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name="fk_labelled_job", ondelete="CASCADE"),
    )
    _index("labelled", _LABELLED)
    op.create_table(
        "removed",
        sa.Column("job", sa.String(20), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("sweep_of", sa.String(20)),
        sa.Column("removed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("log", sa.Boolean(), nullable=False),
        sa.Column("home", sa.Boolean(), nullable=False),
        sa.Column("snapshot", sa.Text()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_removed"),
    )
    _index("removed", _REMOVED)
    # The account of device time outlives the jobs.
    with op.batch_alter_table("usage") as usage:
        usage.drop_constraint("fk_usage_job", type_="foreignkey")
    _fill()


def downgrade() -> None:
    """Take them away, and the account of jobs that were deleted."""
    op.execute("DELETE FROM usage WHERE job NOT IN (SELECT id FROM jobs)")
    with op.batch_alter_table("usage") as usage:
        usage.create_foreign_key("fk_usage_job", "jobs", ["job"], ["id"], ondelete="CASCADE")
    for table in ("removed", "labelled", "texts"):
        op.drop_table(table)
    for columns in _JOBS:
        op.drop_index(_name("jobs", columns), "jobs")
    for column in ("snapshot", "pinned", "labels"):
        op.drop_column("jobs", column)


def _name(table: str, columns: list[str]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"


def _index(table: str, indexes: tuple[list[str], ...]) -> None:
    for columns in indexes:
        op.create_index(_name(table, columns), table, columns)


def _fill() -> None:
    """Fill ``texts`` and ``jobs.snapshot`` of the jobs that are there, some at a time."""
    connection = op.get_bind()
    last = -1
    query = sa.text(
        "SELECT id, number, owner, project, name, work, error, sweep_of FROM jobs "
        "WHERE number > :last ORDER BY number LIMIT :batch"
    )
    while rows := connection.execute(query, {"last": last, "batch": _BATCH}).mappings().all():
        last = rows[-1]["number"]
        snapshots, texts = [], []
        for row in rows:
            work, error = _read(row["work"]), _read(row["error"])
            digest = hashlib.sha256(
                str(work.get("snapshot", "")).encode("utf-8", "surrogatepass")
            ).hexdigest()
            snapshots.append({"job": row["id"], "digest": digest})
            if row["sweep_of"] is None:
                told = (str(error.get("name", "")), str(error.get("message", ""))) if error else None
                text = text_of(row["id"], row["name"], str(work.get("path", "")), (), told)
                texts.append({"job": row["id"], "number": row["number"], "owner": row["owner"], "project": row["project"], "text": text})  # fmt: skip
        connection.execute(sa.text("UPDATE jobs SET snapshot = :digest WHERE id = :job"), snapshots)
        if texts:
            connection.execute(
                sa.text(
                    "INSERT INTO texts (number, job, owner, project, text) "
                    "VALUES (:number, :job, :owner, :project, :text)"
                ),
                texts,
            )


def _read(value: Any) -> dict[str, Any]:
    """Read JSON, which SQLite gives as text and PostgreSQL as what it is."""
    read = json.loads(value) if isinstance(value, (str, bytes)) else value
    return read if isinstance(read, dict) else {}
