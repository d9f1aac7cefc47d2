"""Who is calling: a hub token is turned into a person by asking the hub.

This does what `jupyterhub.services.auth.HubAuth.user_for_token` does, in a few lines on aiohttp. Measured: importing
`jupyterhub.services.auth` takes 30 MB (it brings tornado, traitlets and aiohttp), aiohttp alone 8 MB; vkd's whole aim is
120 MB. It also tells "the hub does not answer" from "the token is not good", and keeps no token in memory: its cache
is keyed by their digests.

An answer is kept no longer than the token lives. A token that is revoked before its time is forgotten as soon as the hub
says so (`Auth.forget`), and where that message is lost, after ``keep`` seconds.
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

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.person import Person

logger = logging.getLogger(__name__)

HUB_SERVICE: Final = "aiinfn-hub"
"""Name of the hub service whose token the spawner uses: it alone may claim devices for sessions."""
READ_METRICS: Final = "read:metrics"
"""JupyterHub's scope for figures, of the hub and of vkd."""
IDENTITY: Final = "aiinfn/identity"
"""Below the hub's API; see `aiinfn_hub.auth.identity`."""
_CACHE_SIZE: Final = 10_000


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """Whom a token belongs to, as the hub says.

    Attributes
    ----------
    token_id
        The hub's name for the token, by which it is revoked.
    lifetime
        Seconds that the token was good for when the hub was asked; None if it does not expire.
    """

    kind: str
    name: str
    groups: frozenset[str]
    scopes: frozenset[str]
    admin: bool
    token_id: str | None = None
    lifetime: float | None = None


class Auth:
    """Identifies callers.

    Parameters
    ----------
    hub_api
        The hub's REST API.
    service_name
        vkd's own name among the hub's services: people need the scope ``access:services!service=`` of it.
    admin_groups
        Returns the groups of the operators. A session's token may not read the hub's ``admin`` flag of its owner, but its groups.
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
        self._url = f"{hub_api}/{IDENTITY}"
        self._scopes = {
            "access:services",
            f"access:services!service={service_name}",
        }
        self._admin_groups = admin_groups
        self._keep = keep
        self._known: dict[bytes, tuple[float, TokenIdentity]] = {}
        """What the hub said, with the moment until which it counts."""
        self._asking: dict[bytes, asyncio.Task[TokenIdentity]] = {}
        self._revocations = 0
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
        """Return the person who sent a header.

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

    async def metrics_reader(self, authorization: str | None) -> None:
        """Let those pass who may read figures: tokens with the scope ``read:metrics``, and operators.

        Raises
        ------
        Refusal
            As for `person`.
        """
        identity = await self.identify(authorization)
        if READ_METRICS not in identity.scopes and not identity.admin:
            raise Refusal(
                Reason.FORBIDDEN,
                _("This token may not read the platform's figures."),
                _("Use a token of the hub with the scope read:metrics."),
            )

    async def still_good(self, authorization: str | None) -> bool:
        """Return whether the hub still knows a caller's token. While the hub is away, what it said last counts."""
        try:
            await self.identify(authorization)
        except Refusal as refusal:
            return refusal.reason is Reason.UNAVAILABLE
        return True

    def forget(self, token_ids: Iterable[str]) -> None:
        """Forget what the hub said about tokens that it revoked, also what it is saying at this moment."""
        revoked = frozenset(token_ids)
        self._revocations += 1
        self._asking.clear()
        self._known = {key: known for key, known in self._known.items() if known[1].token_id not in revoked}

    async def identify(self, authorization: str | None) -> TokenIdentity:
        """Return whom a token belongs to.

        Raises
        ------
        Refusal
            `Reason.UNAUTHENTICATED` or `Reason.UNAVAILABLE`.
        """
        token = _token_of(authorization)
        digest = hashlib.sha256(token.encode()).digest()
        moment = time.monotonic()
        found = self._known.get(digest)
        if found and moment < found[0]:
            return found[1]
        # The same token many times at once (a page that loads) is one question.
        task = self._asking.get(digest)
        if task is None:
            revocations = self._revocations
            task = asyncio.create_task(self._ask(token))
            self._asking[digest] = task
            task.add_done_callback(lambda done: self._answered(digest, done, moment, revocations))
        return await asyncio.shield(task)

    def _answered(
        self, digest: bytes, task: asyncio.Task[TokenIdentity], asked: float, revocations: int
    ) -> None:
        if self._asking.get(digest) is task:
            del self._asking[digest]
        if task.cancelled() or task.exception() is not None:
            self._known.pop(digest, None)
            return
        if revocations != self._revocations:
            # The answer may be older than the revocation of just this token.
            return
        identity = task.result()
        # From before the question, so that nothing counts longer than the token itself.
        until = asked + (self._keep if identity.lifetime is None else min(self._keep, identity.lifetime))
        if len(self._known) >= _CACHE_SIZE:
            moment = time.monotonic()
            self._known = {key: known for key, known in self._known.items() if moment < known[0]}
        if len(self._known) < _CACHE_SIZE:
            self._known[digest] = (until, identity)

    async def _ask(self, token: str) -> TokenIdentity:
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
                return self._identity(await response.json())
        except (aiohttp.ClientError, TimeoutError, ValueError, TypeError, AttributeError, KeyError) as error:
            # The last ones: what answers there is another program, while the hub starts.
            logger.warning("hub unreachable error=%s", type(error).__name__)
            raise away from error

    def _identity(self, model: Any) -> TokenIdentity:
        groups = Person.of("", model.get("groups") or ()).groups
        expires_in, token_id = model.get("expires_in"), model.get("token_id")
        return TokenIdentity(
            kind=model.get("kind") or "user",
            name=model["name"],
            groups=groups,
            scopes=frozenset(model.get("scopes") or ()),
            admin=bool(model.get("admin")) or not groups.isdisjoint(self._admin_groups()),
            token_id=None if token_id is None else str(token_id),
            lifetime=None if expires_in is None else float(expires_in),
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
