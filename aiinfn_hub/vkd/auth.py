"""Who is calling: a hub token is turned into a person by asking the hub.

This does what `jupyterhub.services.auth.HubAuth.user_for_token` does, in a few lines on aiohttp. Measured: importing
`jupyterhub.services.auth` takes 30 MB (it brings tornado, traitlets and aiohttp), aiohttp alone 8 MB; vkd's whole aim is
120 MB. It also tells "the hub does not answer" from "the token is not good", and keeps no token in memory: its cache
is keyed by their digests.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from aiinfn_hub.language import gettext as _
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.refusal import Reason, Refusal

logger = logging.getLogger(__name__)

HUB_SERVICE: Final = "aiinfn-hub"
"""Name of the hub service whose token the spawner uses: it alone may claim devices for sessions."""
_CACHE_SIZE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token belongs to, as the hub says."""

    kind: str
    name: str
    groups: frozenset[str]
    scopes: frozenset[str]
    admin: bool


class Auth:
    """Identifies callers.

    Parameters
    ----------
    hub_api
        The hub's REST API.
    service_name
        vkd's own name among the hub's services: people need the scope ``access:services!service=`` of it.
    admin_groups
        Gives the groups of the operators. A session's token may not read the hub's ``admin`` flag of its owner, but its groups.
    keep
        Seconds that an answer of the hub is used again: so long may a change of groups take to arrive here.
    """

    def __init__(
        self,
        hub_api: str,
        service_name: str,
        *,
        admin_groups: Callable[[], Iterable[str]] = tuple,
        keep: float = 60,
    ) -> None:
        self._url = f"{hub_api}/user"
        self._scopes = {
            "access:services",
            f"access:services!service={service_name}",
        }
        self._admin_groups = admin_groups
        self._keep = keep
        self._known: dict[bytes, tuple[float, Identity]] = {}
        self._asking: dict[bytes, asyncio.Task[Identity]] = {}
        self._http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool."""
        # No proxy from the environment: tokens go to the hub and nowhere else.
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=10), trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def stop(self) -> None:
        """Close it."""
        if self._http is not None:
            await self._http.close()

    async def person(self, authorization: str | None) -> Person:
        """Give the person who sent a header.

        Raises
        ------
        Refusal
            `Reason.UNAUTHENTICATED`, `Reason.FORBIDDEN` without the scope, `Reason.UNAVAILABLE` while the hub is away.
        """
        identity = await self.identify(authorization)
        if identity.kind != "user":
            raise Refusal(
                Reason.FORBIDDEN,
                _("This is for people; a service has no jobs."),
                _("Use the token of a session, or one of your own from the hub's token page."),
            )
        if not identity.scopes & self._scopes:
            raise Refusal(
                Reason.FORBIDDEN,
                _("This token may not use the batch service."),
                _("Use the token of a session, or request one with the scope access:services."),
            )
        return Person.of(identity.name, identity.groups, admin=identity.admin)

    async def hub_service(self, authorization: str | None) -> None:
        """Let the hub itself pass, and nobody else.

        Raises
        ------
        Refusal
            As for `person`.
        """
        identity = await self.identify(authorization)
        if identity.kind != "service" or identity.name != HUB_SERVICE:
            raise Refusal(Reason.FORBIDDEN, _("Only the hub itself may do this."))

    async def identify(self, authorization: str | None) -> Identity:
        """Give whom a token belongs to.

        Raises
        ------
        Refusal
            `Reason.UNAUTHENTICATED` or `Reason.UNAVAILABLE`.
        """
        token = _token_of(authorization)
        digest = hashlib.sha256(token.encode()).digest()
        moment = time.monotonic()
        found = self._known.get(digest)
        if found and moment < found[0] + self._keep:
            return found[1]
        # The same token many times at once (a page that loads) is one question.
        task = self._asking.get(digest)
        if task is None:
            task = asyncio.create_task(self._ask(token))
            self._asking[digest] = task
            task.add_done_callback(lambda done: self._answered(digest, done))
        return await asyncio.shield(task)

    def _answered(self, digest: bytes, task: asyncio.Task[Identity]) -> None:
        self._asking.pop(digest, None)
        if task.cancelled() or task.exception() is not None:
            self._known.pop(digest, None)
            return
        moment = time.monotonic()
        if len(self._known) >= _CACHE_SIZE:
            self._known = {
                key: (when, who) for key, (when, who) in self._known.items() if moment < when + self._keep
            }
        if len(self._known) < _CACHE_SIZE:
            self._known[digest] = (moment, task.result())

    async def _ask(self, token: str) -> Identity:
        away = Refusal(
            Reason.UNAVAILABLE,
            _("The hub does not answer, so nobody can be identified."),
            _("Try again in a moment."),
        )
        if self._http is None:
            raise away
        try:
            headers = {"Authorization": f"token {token}", "Accept": "application/json"}
            async with self._http.get(self._url, headers=headers, allow_redirects=False) as response:
                if response.status in {401, 403}:
                    raise Refusal(
                        Reason.UNAUTHENTICATED,
                        _("The hub does not know this token (any more)."),
                        _("Restart your session, or sign in again."),
                    )
                if response.status != 200:
                    logger.warning("hub refused to identify status=%d", response.status)
                    raise away
                model = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            logger.warning("hub unreachable error=%s", type(error).__name__)
            raise away from error
        return self._identity(model)

    def _identity(self, model: Any) -> Identity:
        groups = Person.of("", model.get("groups") or ()).groups
        return Identity(
            kind=model.get("kind") or "user",
            name=model["name"],
            groups=groups,
            scopes=frozenset(model.get("scopes") or ()),
            admin=bool(model.get("admin")) or not groups.isdisjoint(self._admin_groups()),
        )


def _token_of(authorization: str | None) -> str:
    scheme, _space, token = (authorization or "").partition(" ")
    token = token.strip()
    if (
        scheme.lower() not in {"token", "bearer"}
        or not token
        or len(token) > 1000
        or not (token.isascii() and token.isprintable())
    ):
        raise Refusal(
            Reason.UNAUTHENTICATED,
            _("A token of the hub is needed."),
            _("Send it in the header, as Authorization: token …"),
        )
    return token
