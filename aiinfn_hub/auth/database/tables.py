"""The table of accounts."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

accounts: Final = sa.Table(
    "aiinfn_accounts",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),  # JupyterHub's
    sa.Column("compared", sa.String(4096), nullable=False),  # see `characters.compared`
    sa.Column("issuer", sa.String(1024)),  # nobody's yet, where there is none
    sa.Column("subject", sa.String(1024)),
    sa.Column("bound", sa.Double),  # seconds since the epoch
    sa.UniqueConstraint("issuer", "subject"),
    sa.Index(None, "compared"),
)
