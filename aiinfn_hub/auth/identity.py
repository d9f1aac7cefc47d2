"""Whom a token belongs to and how long it lives: ``GET /hub/api/aiinfn/identity``, and news of tokens that end before.

vkd asks the first and keeps the answer for a minute. JupyterHub's own ``/hub/api/user`` does not tell when a token
expires. A token that is revoked (its session stopped, its owner deleted or signed out, or by hand on the token page) is
told to vkd at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from jupyterhub import orm
from jupyterhub.apihandlers.users import SelfAPIHandler
from sqlalchemy.orm import Session, object_session

logger = logging.getLogger(__name__)

PATH: Final = "/api/aiinfn/identity"
"""`aiinfn_hub.vkd.api.authentication` asks there."""
_REVOKED: Final = "aiinfn_revoked_tokens"
_KEPT: Final = 60.0
"""Seconds that vkd keeps what the hub said; later it asks again by itself."""
_PAUSE: Final = 0.5


class IdentityHandler(SelfAPIHandler):
    """JupyterHub's answer to a token about itself, with the seconds that the token has left."""

    # A token asks about itself; a browser has no reason to.
    _accept_cookie_auth = False

    def write(self, chunk: Any) -> None:
        """Add ``expires_in``; None of a token that does not expire."""
        token = self.get_token()
        if token is not None and self.get_status() == 200:
            model = json.loads(chunk)
            left = token.expires_in
            chunk = json.dumps(model | {"expires_in": None if left is None else max(left, 0.0)})
        super().write(chunk)


class Revocations:
    """Tells vkd which tokens the hub deleted, as soon as that is committed.

    Parameters
    ----------
    tell
        Tells vkd; raises if it does not answer. It is called in the hub's event loop.
    """

    def __init__(self, tell: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        self._tell_vkd = tell
        self._pending: dict[str, float] = {}
        self._telling: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Listen to every way in which the hub deletes a token: they all pass its database session."""
        sa.event.listen(orm.APIToken, "after_delete", self._deleted)
        sa.event.listen(Session, "after_commit", self._committed)
        sa.event.listen(Session, "after_rollback", self._rolled_back)

    def unwatch(self) -> None:
        """Listen no more."""
        sa.event.remove(orm.APIToken, "after_delete", self._deleted)
        sa.event.remove(Session, "after_commit", self._committed)
        sa.event.remove(Session, "after_rollback", self._rolled_back)

    def _deleted(self, _mapper: Any, _connection: Any, token: orm.APIToken) -> None:
        session = object_session(token)
        if session is not None:
            session.info.setdefault(_REVOKED, set()).add(token.api_id)

    def _rolled_back(self, session: Session) -> None:
        session.info.pop(_REVOKED, None)

    def _committed(self, session: Session) -> None:
        if revoked := session.info.pop(_REVOKED, None):
            until = time.monotonic() + _KEPT
            self._pending |= dict.fromkeys(revoked, until)
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return  # the hub has not begun to work, and neither has vkd
            if self._telling is None or self._telling.done():
                self._telling = loop.create_task(self._tell())

    async def _tell(self) -> None:
        """Report what is pending until vkd has taken it, or has forgotten it by itself."""
        while self._pending:
            told = list(self._pending)
            try:
                await self._tell_vkd(told)
            except Exception as problem:  # whatever it is, vkd has to know
                logger.warning("TokenRevocation tokens are not known to vkd yet: %s", problem)
                await asyncio.sleep(_PAUSE)
                now = time.monotonic()
                self._pending = {name: until for name, until in self._pending.items() if now < until}
            else:
                for name in told:
                    self._pending.pop(name, None)


def routes() -> list[tuple[Any, ...]]:
    """Return the handlers, for ``JupyterHub.extra_handlers``."""
    return [(PATH, IdentityHandler)]
