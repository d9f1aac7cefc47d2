"""The tables of the store. They say the same as the migrations; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from aiinfn_hub.i18n.messages import Message


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A moment in UTC. SQLite has no time zones: there the zone is dropped on the way in and put back on the way out."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write in UTC."""
        if value is None:
            return None
        utc = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read as UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class MessageText(sa.types.TypeDecorator[Message]):
    """A code and its facts, as JSON in a text: no sentence is kept."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Message | None, dialect: Dialect) -> str | None:
        """Write the code and the facts."""
        return None if value is None else value.as_text()

    def process_result_value(self, value: Any, dialect: Dialect) -> Message | None:
        """Read them; of a newer platform too."""
        return None if value is None else Message.parse(value)


metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_JSON: Final = sa.JSON(none_as_null=True)

counters: Final = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.String(20), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
"""One row, ``change``: the number of the last change. Counted in the transaction that changes, so that numbers become
visible in their order and ``since`` misses nothing, on PostgreSQL as well."""

jobs: Final = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(20), primary_key=True),
    sa.Column(
        "number", sa.BigInteger, nullable=False, unique=True
    ),  # change number at submission: the order of age
    sa.Column("change", sa.BigInteger, nullable=False),  # number of its last change
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("project", sa.String(63), nullable=False),
    sa.Column("queue", sa.String(63), nullable=False),
    sa.Column("accelerator", sa.String(63), nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("cause", sa.String(20), nullable=False),
    sa.Column("message", MessageText, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("preemptions", sa.Integer, nullable=False),
    sa.Column("selection", _JSON, nullable=False),
    sa.Column("work", _JSON, nullable=False),
    sa.Column("output", sa.Text, nullable=False),
    sa.Column("progress", _JSON),
    sa.Column("error", _JSON),
    sa.Column("exit_code", sa.Integer),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("started", UtcDateTime),
    sa.Column("ended", UtcDateTime),
    sa.Column("updated", UtcDateTime, nullable=False),
    sa.Column(
        "cancelled_by", sa.String(255)
    ),  # who asked; kept, so that a crash in between forgets no cancellation
    sa.Column("rerun_of", sa.String(20)),
    sa.Column("sweep", _JSON),  # of a sweep: its points by state
    sa.Column("sweep_of", sa.String(20)),  # of a point
    sa.Column("point", sa.Integer),
    sa.Column("swept", _JSON),  # of a point: its own values
    sa.Column("recorded", _JSON),
    sa.Column("description", _JSON),  # what its owner says about it, see `contract.jobs.JobDescription`
    sa.Column("pinned", sa.Boolean),  # true or nothing: its age does not end it
    sa.Column("snapshot", sa.String(64)),  # digest of the snapshot's path, to find who shares it
    sa.Column("idempotency_key", sa.String(200)),
    sa.Column("digest", sa.String(64)),
    sa.UniqueConstraint("owner", "idempotency_key"),
    # One index for each way a list is asked for, so that a page costs the same whatever the history's length. Lists show
    # sweeps and not their points: sweep_of is part of each.
    sa.Index(None, "sweep_of", "number"),
    sa.Index(None, "sweep_of", "state", "number"),
    sa.Index(None, "sweep_of", "change"),
    sa.Index(None, "owner", "sweep_of", "number"),
    sa.Index(None, "owner", "sweep_of", "state", "number"),
    sa.Index(None, "owner", "sweep_of", "change"),
    sa.Index(None, "project", "sweep_of", "number"),
    sa.Index(None, "project", "sweep_of", "state", "number"),
    sa.Index(None, "project", "sweep_of", "change"),
    sa.Index(None, "state", "number"),
    sa.Index(None, "owner", "snapshot"),
    sa.Index(None, "owner", "pinned"),
    sa.Index(None, "sweep_of", "ended"),
    sa.Index(None, "rerun_of"),
)

texts: Final = sa.Table(
    "texts",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("job", sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, unique=True),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("project", sa.String(63), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Index(None, "owner", "number"),
    sa.Index(None, "project", "number"),
)
"""What a job is searched by, folded by `text_folding.fold`; of all but points. Apart from the jobs, whose rows are twenty
times as large, so that many are looked through in a moment."""

labelled: Final = sa.Table(
    "labelled",
    metadata,
    sa.Column("job", sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("label", sa.String(40), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("project", sa.String(63), nullable=False),
    sa.Index(None, "label", "number"),
    sa.Index(None, "owner", "label", "number"),
    sa.Index(None, "project", "label", "number"),
)
"""The labels of the jobs, to list the jobs of a label."""

removed: Final = sa.Table(
    "removed",
    metadata,
    sa.Column("job", sa.String(20), primary_key=True),
    sa.Column("change", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("project", sa.String(63), nullable=False),
    sa.Column("sweep_of", sa.String(20)),
    sa.Column("removed", UtcDateTime, nullable=False),
    sa.Column("log", sa.Boolean, nullable=False),  # the back end still has to forget it
    sa.Column("home", sa.Boolean, nullable=False),  # something of it may still be in the person's home
    sa.Column("snapshot", sa.Text),  # path of the copy that nobody else uses
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Index(None, "sweep_of", "change"),
    sa.Index(None, "owner", "sweep_of", "change"),
    sa.Index(None, "project", "sweep_of", "change"),
    sa.Index(None, "log", "tries"),
    sa.Index(None, "owner", "home", "job"),
    sa.Index(None, "removed"),
)
"""Jobs that were deleted: what of them is still to be removed elsewhere, and news for those that list them."""

history: Final = sa.Table(
    "history",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("job", sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("time", UtcDateTime, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("cause", sa.String(20), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("message", MessageText, nullable=False),
    sa.Index(None, "job", "id"),
)

holds: Final = sa.Table(
    "holds",
    metadata,
    sa.Column("owner", sa.String(255), primary_key=True),
    sa.Column("project", sa.String(63), primary_key=True),  # empty: all
    sa.Column("reason", sa.String(20), nullable=False),
    sa.Column("stop", sa.Boolean, nullable=False),
)
"""Whose jobs are held, see `access`."""

startup: Final = sa.Table(
    "startup",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("job", sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("time", UtcDateTime, nullable=False),
    sa.Column("message", MessageText, nullable=False),
    sa.Index(None, "job", "id"),
)
"""What happened while an attempt started, see `startup`."""

usage: Final = sa.Table(
    "usage",
    metadata,
    sa.Column("job", sa.String(20), primary_key=True),  # may be deleted since
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("project", sa.String(63), nullable=False),
    sa.Column("person", sa.String(255), nullable=False),
    sa.Column("accelerator", sa.String(63), nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column(
        "started", sa.Double, nullable=False
    ),  # seconds since the epoch: sums are plain arithmetic on any database
    sa.Column("ended", sa.Double),
    sa.Index(None, "ended"),
)
"""Device time of each attempt, kept apart from the jobs: it must survive whatever happens to their rows."""
