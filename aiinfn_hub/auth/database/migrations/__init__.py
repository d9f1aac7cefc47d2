"""The schema of the table of accounts, step by step, run by alembic."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from aiinfn_hub.database import schema_upgrade
from aiinfn_hub.database.schema_upgrade import SchemaError as SchemaError

HEAD: Final = "0001"
VERSION_TABLE: Final = "aiinfn_accounts_version"
"""Not alembic's usual name, so that the table may be in the hub's own database, beside JupyterHub's."""


def upgrade(connection: sa.Connection) -> None:
    """Bring a database to `HEAD`; see `schema_upgrade.upgrade`."""
    schema_upgrade.upgrade(connection, Path(__file__).parent, HEAD, "The table of accounts", VERSION_TABLE)
