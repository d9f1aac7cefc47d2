"""The end of a session over HTTP: ``/hub/api/aiinfn/session-time/USER`` and ``.../USER/SERVER``.

GET says when a session ends and whether that can be put off, POST puts it off. The home page asks with a person's
cookie, and the Lab with the session's own token, which JupyterHub has made for this one server.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.user import User
from tornado.web import HTTPError

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform import session_extension
from aiinfn_hub.spawner.session import SessionMixin, utc

PATH: Final = r"/api/aiinfn/session-time/([^/]+)(?:/([^/]+))?"


class SessionTimeHandler(APIHandler):
    """When a session ends, and more time for it."""

    def set_default_headers(self) -> None:
        """Keep the answer out of every cache."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    async def refresh_auth(self, user: User, force: bool = False) -> User | None:
        """Let the session of somebody who lost the access read until when it goes on: that is when it matters."""
        if self.request.method == "GET":
            return user
        known: User | None = await super().refresh_auth(user, force)
        return known

    async def get(self, user_name: str, server_name: str | None = None) -> None:
        """Answer when it ends, and what an extension would give now."""
        session = self._session(user_name, server_name or "")
        waiting = await waiting_for(session)
        self.write(view(session, waiting))

    async def post(self, user_name: str, server_name: str | None = None) -> None:
        """Extend it; refused with the reason, a sentence, and what to do."""
        waiting = await waiting_for(self._session(user_name, server_name or ""))
        # It may have ended meanwhile. From here to the new end nothing is awaited: of two extensions the second sees the first.
        session = self._session(user_name, server_name or "")
        try:
            more = judge(session, waiting)
        except Refusal as refusal:
            self.log.info("No more time for %s: %s", session.session_id, refusal.message)
            self.set_status(refusal.status)
            self.write(_problem(refusal))
            return
        await session.move_end(more)
        self.log.info(
            "%s extended the session %s until %s", self.current_user.name, session.session_id, utc(more.end)
        )
        self.write(view(session, waiting))

    def _session(self, user_name: str, server_name: str) -> SessionMixin:
        """Return a running session that who asks may extend.

        Raises
        ------
        HTTPError
            404 for everything else, so that nobody learns what others run.
        """
        if not self.current_user:
            raise HTTPError(HTTPStatus.FORBIDDEN, _("Sign in to the hub again."))
        owner = self.find_user(user_name)
        if owner is None or not self._may(owner, server_name):
            raise HTTPError(HTTPStatus.NOT_FOUND, _("There is no such session of yours."))
        spawner = owner.spawners.get(server_name)
        if not isinstance(spawner, SessionMixin) or not spawner.ready or spawner.running() is None:
            raise HTTPError(HTTPStatus.NOT_FOUND, _("This session does not run."))
        return spawner

    def _may(self, owner: User, server_name: str) -> bool:
        """Return whether who asks may start and stop the server, or has its own token.

        Its token may only access it, and so may people with whom the owner shares it. But the token is the owner's.
        """
        server = f"server={owner.name}/{server_name}"
        mine = isinstance(self.current_user, User) and self.current_user.name == owner.name
        return bool(
            self.has_scope(f"servers!{server}") or (mine and self.has_scope(f"access:servers!{server}"))
        )


def routes() -> list[tuple[Any, ...]]:
    """Return the handlers, for ``JupyterHub.extra_handlers``."""
    return [(PATH, SessionTimeHandler)]


async def waiting_for(session: SessionMixin) -> int:
    """Count the sessions of other people that wait for a session's accelerator.

    It is 0 if vkd does not answer: nobody loses time for it.
    """
    granted = session.granted()
    if granted.accelerator is None:
        return 0
    name = granted.accelerator_name
    reading = await session.context.vkd.availability()
    entries = reading.accelerators if reading else ()
    waiting = sum(each.waiting_sessions for each in entries if each.accelerator == name)
    starting = [other for other in session.user.spawners.values() if other.pending == "spawn"]
    own = len([each for each in starting if each.selection and each.selection.accelerator_name == name])
    return max(0, waiting - own)


def judge(session: SessionMixin, waiting: int) -> session_extension.Extension:
    """Grant more time or raise a `Refusal`, with what the hub knows now."""
    running = session.running()
    if running is None:
        raise RuntimeError(f"The session {session.session_id} has no time")
    if session.withdrawn is not None:
        raise Refusal(Reason.FORBIDDEN, str(session.withdrawn[1]))
    return session_extension.extend(
        running,
        session.context.platform,
        session.person,
        now=datetime.now(UTC),
        usage=session.context.held.usage(session.user.name, without=session.session_id),
        waiting=waiting,
    )


def view(session: SessionMixin, waiting: int) -> dict[str, Any]:
    """Describe a session's time; moments in ISO 8601 in UTC, times in seconds.

    ``now`` is the hub's: a reader's clock may be wrong. ``warnings`` are times before the end.
    """
    running = session.running()
    if running is None:
        raise RuntimeError(f"The session {session.session_id} has no time")
    limits = session.context.platform.limits
    opens = session_extension.opens(limits, running) if session.withdrawn is None else None
    warnings = [warning.total_seconds() for warning in session_extension.warnings(limits, running)]
    end = running.end
    if session.withdrawn is not None and session.withdrawn[0] < end:
        end = session.withdrawn[0]
        # It is warned of at once.
        warnings = [max((end - datetime.now(UTC)).total_seconds() + 1.0, *warnings), *warnings]
    answer: dict[str, Any] = {
        "now": utc(datetime.now(UTC)),
        "end": utc(end),
        "warnings": warnings,
        "extends_at": utc(opens) if opens else None,
        "extensions_left": max(0, limits.session_extensions - running.extensions),
        "extension": None,
        "refusal": None,
    }
    try:
        more = judge(session, waiting)
    except Refusal as refusal:
        answer["refusal"] = _problem(refusal)
    else:
        answer["extension"] = {"end": utc(more.end), "seconds": (more.end - running.end).total_seconds()}
    return answer


def _problem(refusal: Refusal) -> dict[str, Any]:
    return {
        "reason": refusal.reason.value,
        "message": refusal.message,
        "hint": refusal.hint,
        "field": refusal.field,
    }
