"""Access that was withdrawn in IAM ends, also for somebody who only has a session running.

JupyterHub asks the authenticator again when a person, or a session, asks it for something. A session in which nothing
happens does not ask. So the hub looks by itself after people with sessions whom nobody asked about for
``auth_refresh_age``; and it ends the sessions of those whom no group lets in any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Final

from jupyterhub.user import User

from aiinfn_hub.language import Sentence

_SETTLING: Final = 1.0
"""Seconds between two looks at whether a session that starts or stops has done so."""


class Verdict(Enum):
    """What IAM's answer means for somebody, if it is no new auth model."""

    HOLDS = "IAM does not answer; what it said last counts"
    SIGN_IN = "IAM does not take the tokens any more, so nothing is known"
    LOST = "no group gives access any more"


Look = Callable[[User], Awaitable[dict[str, Any] | Verdict]]
"""Asks IAM about somebody: a new auth model, or what else it means."""


class Watch:
    """Looks after the people with sessions.

    Parameters
    ----------
    app
        JupyterHub itself, with its users and its proxy.
    look
        How to ask.
    newest
        Gives the state to save instead of one that was made a moment ago, by user name.
    age
        Gives how old an answer may be, in seconds; 0 never looks.
    grace
        Gives how long the sessions of somebody who lost the access go on, in seconds.
    """

    def __init__(
        self,
        app: Any,
        look: Look,
        log: logging.Logger,
        *,
        newest: Callable[[str, dict[str, Any]], dict[str, Any] | None],
        age: Callable[[], float],
        grace: Callable[[], float],
    ) -> None:
        self._app, self._look, self._log = app, look, log
        self._newest, self._age, self._grace = newest, age, grace
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._round: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._age() > 0:
            self._round = asyncio.get_running_loop().create_task(self._keep_looking())

    def lost(self, user: User) -> None:
        """Say that no group lets somebody in any more: the sessions end, unless that changes meanwhile."""
        if user.active and user.name not in self._ending:
            task = asyncio.get_running_loop().create_task(self._end_later(user))
            self._ending[user.name] = task
            task.add_done_callback(lambda _task: self._ending.pop(user.name, None))

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._age())
            try:
                await self._look_at_all()
            except Exception:
                self._log.exception("The access of people with sessions could not be checked")

    async def _look_at_all(self) -> None:
        for user in list(self._app.users.values()):
            asked = user._auth_refreshed  # noqa: SLF001 - JupyterHub's own note of when it asked last
            if not user.active or (asked and time.monotonic() - asked < self._age()):
                continue
            found = await self._look(user)
            if found is Verdict.LOST:
                self.lost(user)
            elif isinstance(found, dict):
                # JupyterHub's note stays as it is: what else changes with a sign-in is left to the next request.
                user.sync_groups(found["groups"])
                await user.save_auth_state(self._newest(user.name, found["auth_state"]))

    async def _end_later(self, user: User) -> None:
        grace = self._grace()
        self._log.warning(
            "%s has no access any more; the sessions end in %.0f s if that stays so", user.name, grace
        )
        await asyncio.sleep(grace)
        if await self._look(user) is not Verdict.LOST:
            self._log.info("The sessions of %s go on", user.name)
            return
        for name in list(user.spawners):
            try:
                await self._stop(user, name)
            except Exception:
                self._log.exception("The session %s/%s could not be ended", user.name, name)

    async def _stop(self, user: User, name: str) -> None:
        spawner = user.spawners[name]
        while spawner.pending:  # noqa: ASYNC110 - JupyterHub tells nobody
            await asyncio.sleep(_SETTLING)
        if not spawner.active:
            return
        if remember := getattr(spawner, "remember_ending", None):
            remember(Sentence("Your access to the platform was withdrawn in IAM."))
        await self._app.proxy.delete_user(user, name)
        await user.stop(name)
