"""A full disk under the hub's own database, in words: JupyterHub knows errors of its database as faults only."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.handlers import BaseHandler
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker
from tornado.web import HTTPError

from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.spawner.session import NoTraceback

_FULL: Final = (
    "database or disk is full",
    "no space left on device",
    "disk quota exceeded",
    "disk i/o error",
)


def sentence() -> str:
    """Return what people read."""
    return _("The platform's disk is full. Tell the operators, and try again when there is room.")


class DiskFullError(OperationalError, HTTPError):
    """The hub's database cannot be written because the disk is full.

    It is an error of the database, so that JupyterHub rolls back, and one of HTTP, so that people get its sentence with 507.
    """

    def __init__(self, error: OperationalError) -> None:
        OperationalError.__init__(self, error.statement, error.params, error.orig)  # type: ignore[arg-type]
        message = sentence()
        HTTPError.__init__(self, 507, message, reason="Insufficient Storage")
        self.jupyterhub_message = message

    def __str__(self) -> str:
        """Return what the log says."""
        return f"The hub's database cannot be written: {self.orig}"


class RecoveringSession(Session):
    """A session that rolls back what a full disk did not take.

    JupyterHub has one for everything it does. After a failure nobody can use it before it is rolled back, and where that was
    the work of no request, nobody does: each request after it would be refused.

    Attributes
    ----------
    ending
        The hub is being stopped: what cannot be written then keeps it from nothing, and is found out by the next one.
    """

    ending = False
    _committing = False

    def commit(self) -> None:
        """Commit, or leave everything as it was."""
        self._committing = True
        try:
            super().commit()
        except DiskFullError:
            self.rollback()
            if not self.ending:
                raise
        finally:
            self._committing = False

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        """Flush, or leave everything as it was."""
        try:
            super().flush(objects)
        except DiskFullError:
            if self._committing:
                raise
            self.rollback()
            if not self.ending:
                raise


def install() -> None:
    """Let the hub live with a full disk; to be called before it opens its database.

    Every error of this process's databases that means a full disk is raised as `DiskFullError`, rolled back and logged in a
    line. That somebody was active is not kept then, and is no reason to know nobody any more.
    """
    if sa.event.contains(sa.Engine, "handle_error", _translate):
        return
    sa.event.listen(sa.Engine, "handle_error", _translate)
    vars(orm)["sessionmaker"] = functools.partial(sessionmaker, class_=RecoveringSession)
    record: Callable[..., bool] = vars(BaseHandler)["_record_activity"]

    @functools.wraps(record)
    def record_if_there_is_room(self: BaseHandler, obj: Any, timestamp: Any = None) -> bool:
        recorded = record(self, obj, timestamp)
        if recorded:
            try:
                self.db.commit()
            except DiskFullError as error:
                self.log.warning("Activity is not recorded. %s", error)
                return False
        return recorded

    refresh: Callable[..., Awaitable[Any]] = BaseHandler.refresh_auth

    @functools.wraps(refresh)
    async def refresh_if_there_is_room(self: BaseHandler, user: Any, force: bool = False) -> Any:
        try:
            return await refresh(self, user, force)
        except DiskFullError as error:
            # IAM did not withdraw the access: that needs no room. Who lost a project is held to that by the watch.
            self.log.warning("What IAM says of %s is not kept yet. %s", user.name, error)
            return user

    clean_up: Callable[..., Awaitable[None]] = JupyterHub.cleanup

    @functools.wraps(clean_up)
    async def clean_up_without_room(self: JupyterHub) -> None:
        # Else the first service or session that is stopped ends this, and the hub runs on, half stopped.
        self.db.ending = True
        await clean_up(self)

    app: Any = JupyterHub
    app.cleanup = clean_up_without_room
    handler: Any = BaseHandler
    handler._record_activity = record_if_there_is_room  # noqa: SLF001 - it has no public name
    handler.refresh_auth = refresh_if_there_is_room
    for name in ("JupyterHub", "asyncio", "tornado.application"):
        logging.getLogger(name).addFilter(NoTraceback((DiskFullError,), logging.WARNING))


def _translate(context: Any) -> None:
    error = context.sqlalchemy_exception
    if isinstance(error, OperationalError) and any(phrase in str(error.orig).lower() for phrase in _FULL):
        context.chained_exception = None
        raise DiskFullError(error) from error
