"""How a database of ours comes to its newest schema, by alembic; each database has its own steps in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa


class SchemaError(Exception):
    """The database cannot be used by this version."""


def upgrade(
    connection: sa.Connection, folder: Path, head: str, what: str, version_table: str = "alembic_version"
) -> None:
    """Bring a database to its newest schema, in one transaction of the caller's.

    Parameters
    ----------
    folder
        Where the steps are.
    head
        The newest of them: of a database that has it already, alembic (13 MB of memory) is not even loaded.
    what
        What it is called for people, at the beginning of a sentence.
    version_table
        Table that says which schema a database has; a constant of ours.

    Raises
    ------
    SchemaError
        If a newer version wrote it.
    """
    current = None
    if sa.inspect(connection).has_table(version_table):
        current = connection.execute(sa.text(f"SELECT version_num FROM {version_table}")).scalar()  # noqa: S608
    if current == head:
        return
    from alembic import command  # noqa: PLC0415 - only loaded when there is something to do
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise SchemaError(
            f"{what} has the schema {current}, which this version does not know. "
            "Start the version that wrote it, or a newer one."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
