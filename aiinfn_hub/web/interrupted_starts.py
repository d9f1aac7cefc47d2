"""Starts that are interrupted: by their owner, by an operator, or because their owner is deleted.

JupyterHub waits one second for an interrupted start and then stops the session; on a busy machine that is an error 500 and
a session that goes on. It lets the request that waits for the start have no answer at all. And it deletes nobody whose
session starts, nor stops the named sessions of who is deleted.
"""

from __future__ import annotations

import asyncio
import functools
from http import HTTPStatus
from typing import Any, Final

from jupyterhub.apihandlers.users import UserAPIHandler
from jupyterhub.handlers import BaseHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.spawner import SpawnException
from jupyterhub.user import User
from tornado.web import HTTPError

from aiinfn_hub.contract.problem import Reason
from aiinfn_hub.i18n.language import gettext as _

PATIENCE: Final = 20.0
"""Seconds for an interrupted start, or a stop in progress, to come to its end."""
_LOOK: Final = 0.05

_spawn = BaseHandler.spawn_single_user
_stop = BaseHandler.stop_single_user
_delete = UserAPIHandler.delete


class StartStoppedError(SpawnException):  # type: ignore[misc, unused-ignore]
    """The answer to who waits for a start that was interrupted."""

    def __init__(self) -> None:
        sentence = _("The start of this session was stopped.")
        super().__init__(sentence, reason=Reason.CONFLICT.value, status_code=HTTPStatus.CONFLICT)
        self.jupyterhub_message = sentence


def install() -> None:
    """Let hubs of this process interrupt starts cleanly."""
    BaseHandler.spawn_single_user = _spawn_answered
    BaseHandler.stop_single_user = _stop_settled
    UserAPIHandler.delete = _delete_stopped


@functools.wraps(_spawn)
async def _spawn_answered(self: BaseHandler, *args: Any, **kwargs: Any) -> None:
    """Start a session; one that is interrupted meanwhile is an answer, too."""
    try:
        await _spawn(self, *args, **kwargs)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # it is this request that ends, not the start
        raise StartStoppedError from None


@functools.wraps(_stop)
async def _stop_settled(self: BaseHandler, user: User, server_name: str = "") -> Any:
    """Stop a session once a start or a stop that is in progress has come to its end."""
    await _settle(user, server_name)
    if server_name not in user.spawners:
        return None
    return await _stop(self, user, server_name)


@needs_scope("delete:users")
async def _delete_stopped(self: UserAPIHandler, user_name: str) -> None:
    """Delete somebody whose sessions, named ones too, are stopped before."""
    user = self.find_user(user_name)
    if user is not None and user.name != self.current_user.name:
        for name in list(user.spawners):
            spawner = user.spawners.get(name)
            interrupted = spawner is not None and spawner.pending == "spawn"
            await _settle(user, name)
            spawner = user.spawners.get(name)
            # Of an interrupted start the process or pod may be there already, and nothing else would look for it.
            if spawner is not None and (spawner.active or interrupted):
                await _stop(self, user, name)
                await _settle(user, name)
    await _delete(self, user_name)


async def _settle(user: User, server_name: str) -> None:
    """Interrupt a start, and wait until nothing is in progress.

    Raises
    ------
    HTTPError
        409 if that takes too long.
    """
    until = asyncio.get_running_loop().time() + PATIENCE
    while (spawner := user.spawners.get(server_name)) is not None and spawner.pending:
        if spawner.pending == "spawn" and (start := spawner._spawn_future) is not None:  # noqa: SLF001
            start.cancel()
        if asyncio.get_running_loop().time() > until:
            raise HTTPError(HTTPStatus.CONFLICT, _("It is just starting or stopping. Try again in a moment."))
        await asyncio.sleep(_LOOK)
