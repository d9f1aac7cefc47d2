"""The store's schema, step by step, run by alembic when vkd starts.

A new step is a module in `versions`; `HEAD` names the newest, so that a vkd whose database is up to date need not load
alembic at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from aiinfn_hub.database import schema_upgrade
from aiinfn_hub.database.schema_upgrade import SchemaError as SchemaError

HEAD: Final = "0008"


def upgrade(connection: sa.Connection) -> None:
    """Bring a database to `HEAD`; see `schema_upgrade.upgrade`."""
    schema_upgrade.upgrade(connection, Path(__file__).parent, HEAD, "The job database")
