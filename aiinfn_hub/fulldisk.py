"""A full disk under the hub's own database, in words: JupyterHub knows errors of its database as faults only."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from tornado.web import HTTPError

from aiinfn_hub.language import gettext as _

_FULL: Final = (
    "database or disk is full",
    "no space left on device",
    "disk quota exceeded",
    "disk i/o error",
)


class DiskFullError(OperationalError, HTTPError):
    """The hub's database cannot be written for want of room.

    It is an error of the database, so that JupyterHub rolls back, and one of HTTP, so that people get its sentence with 507.
    """

    def __init__(self, error: OperationalError) -> None:
        OperationalError.__init__(self, error.statement, error.params, error.orig)  # type: ignore[arg-type]
        message = _("The platform's disk is full. Tell the operators, and try again when there is room.")
        HTTPError.__init__(self, 507, message, reason="Insufficient Storage")
        self.jupyterhub_message = message

    def __str__(self) -> str:
        """Return what the log says."""
        return f"The hub's database cannot be written: {self.orig}"


def install() -> None:
    """Have every error of this process's databases that means a full disk raised as `DiskFullError`."""
    if not sa.event.contains(sa.Engine, "handle_error", _translate):
        sa.event.listen(sa.Engine, "handle_error", _translate)


def _translate(context: Any) -> None:
    error = context.sqlalchemy_exception
    if isinstance(error, OperationalError) and any(phrase in str(error.orig).lower() for phrase in _FULL):
        context.chained_exception = None
        raise DiskFullError(error) from error
