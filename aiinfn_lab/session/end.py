"""When this session ends, asked of the hub with the session's own token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import quote

from aiinfn_hub.contract.problem import Reason, Refusal, reason_of
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.transport import Call, Connection, HttpAnswer, NoAnswerError
from aiinfn_lab.transport.asynchronous import AsyncTransport

TIMEOUT: Final = 10.0
_CONNECT_TIMEOUT: Final = 3.0


@dataclass
class HubClient:
    """The hub, as far as this session's end goes.

    Parameters
    ----------
    url
        Address of this session's time in the hub's API; empty if no hub started this server.
    token
        The session's hub token. It goes nowhere else.
    """

    url: str
    token: str = field(repr=False)
    timeout: float = TIMEOUT
    _transport: AsyncTransport | None = field(default=None, init=False, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables that JupyterHub sets."""
        api, person = environment.get("JUPYTERHUB_API_URL", ""), environment.get("JUPYTERHUB_USER", "")
        server = environment.get("JUPYTERHUB_SERVER_NAME", "")
        url = ""
        if api and person:
            place = "/".join(quote(name, safe="") for name in (person, server) if name)
            url = f"{api.rstrip('/')}/aiinfn/session-time/{place}"
        return cls(url, environment.get("JUPYTERHUB_API_TOKEN", ""))

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.close()
            self._transport = None

    async def session_time(self, language: str) -> Any:
        """Return when the session ends and what can be done about it, as the hub says it now.

        Nothing is kept: pages ask seldom, and somebody may have put the end off on the home page a moment ago.

        Parameters
        ----------
        language
            ``Accept-Language`` of who asks.

        Raises
        ------
        Refusal
            If the hub does not say it.
        """
        return await self._ask("GET", language)

    async def extend(self, language: str) -> Any:
        """Put the session's end off; returns what `session_time` gives then, and raises what the hub refuses."""
        return await self._ask("POST", language)

    async def _ask(self, method: str, language: str) -> Any:
        if not self.url:
            raise Refusal(
                Reason.NOT_FOUND,
                _("This JupyterLab was not started by the platform, so it has no time limit."),
            )
        if self._transport is None:
            to = Connection(
                token=self.token,
                timeout=self.timeout,
                connect_timeout=_CONNECT_TIMEOUT,
                inside=True,
                tls=self.url.startswith("https:"),
            )
            self._transport = AsyncTransport(to)
        headers = {"Accept": "application/json", **({"Accept-Language": language} if language else {})}
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self._transport.send(Call(method, self.url, headers=headers))
        except (NoAnswerError, TimeoutError):
            raise _silent() from None
        told = _decoded(answer)
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer.status, told)
        return told


def _decoded(response: HttpAnswer) -> dict[str, Any]:
    try:
        answer = json.loads(response.body)
    except ValueError as error:
        raise _silent() from error
    if not isinstance(answer, dict):
        raise _silent()
    return answer


def _refusal(status: int, answer: dict[str, Any]) -> Refusal:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and "reason" not in answer:
        return _silent()
    # Else it may be one of JupyterHub's own errors, or of a newer hub.
    reason = reason_of(answer.get("reason"), status, Reason.UNAVAILABLE)
    return Refusal(reason, str(answer.get("message") or _("The hub refuses.")), str(answer.get("hint") or ""))


def _silent() -> Refusal:
    return Refusal(
        Reason.UNAVAILABLE, _("The hub does not answer."), _("Your session goes on; try again in a moment.")
    )
