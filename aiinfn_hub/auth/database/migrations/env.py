"""What alembic runs: the steps, on the connection that `migrations.upgrade` hands over."""

from __future__ import annotations

from alembic import context

from aiinfn_hub.auth.database.migrations import VERSION_TABLE
from aiinfn_hub.auth.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
