"""The store's schema, step by step, run by alembic when vkd starts.

A new step is a module in `versions`; `HEAD` names the newest, so that a vkd whose database is up to date need not load
alembic at all (13 MB of memory).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

HEAD: Final = "0006"


class SchemaError(Exception):
    """The database cannot be used by this version."""


def upgrade(connection: sa.Connection) -> None:
    """Bring a database to `HEAD`, in one transaction of the caller's.

    Raises
    ------
    SchemaError
        If a newer version wrote it.
    """
    current = None
    if sa.inspect(connection).has_table("alembic_version"):
        current = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if current == HEAD:
        return
    from alembic import command  # noqa: PLC0415 - only loaded when there is something to do
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise SchemaError(
            f"The job database has the schema {current}, which this version does not know. "
            "Start the version that wrote it, or a newer one."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
