"""OpenID Connect discovery and id token verification, asynchronous and cached.

The authenticator asks for the provider's endpoints when the first person signs in, not when the hub starts: a hub must
start, and serve running sessions, while IAM is down.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import jwt

from aiinfn_hub.i18n.language import gettext as _

from .problems import ClocksDifferError, ProviderBrokenError, ProviderUnreachableError

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric only: with ``HS256`` the client secret would be a signing key, and ``none`` is no signature."""

LEEWAY: Final = 60.0
"""Seconds that the clocks of IAM and hub may differ, unless somebody says otherwise."""
_KEYS_AGE: Final = 1.0
"""Seconds before unknown key ids may cause another download of the keys; id tokens come from the provider itself."""

_STRANGERS_PAUSE: Final = 60.0
"""Seconds between two questions to the provider that a logout token may cause: anybody can send one."""

_LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_LOGOUT_AGE: Final = 600.0
"""Seconds for which a logout token counts, whatever it says itself."""
_LONGEST_ID: Final = 200

Fetch = Callable[[str, str], Awaitable[Any]]
"""Gets a URL (second argument: what it is, for the log) and gives the decoded JSON, or raises a problem."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The parts of the discovery document that the hub uses; the last two are empty where there are none."""

    issuer: str
    authorize: str
    token: str
    userinfo: str
    keys: str
    end_session: str = ""
    revocation: str = ""


class LogoutTokenError(Exception):
    """A logout token did not pass the checks."""


class Provider:
    """An OpenID Connect provider known by its issuer.

    Parameters
    ----------
    issuer
        As people write it; a slash at the end makes no difference here, though it does in tokens.
    fetch
        How to get JSON.
    log
        The hub's.
    max_age
        Seconds after which the endpoints are asked for again. If IAM does not answer then, the old ones stay.
    """

    def __init__(self, issuer: str, fetch: Fetch, log: logging.Logger, *, max_age: float = 3600.0) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._log = log
        self._max_age = max_age
        self._endpoints: Endpoints | None = None
        self._endpoints_until = 0.0
        self._answered_at = 0.0
        self._keys: jwt.PyJWKSet | None = None
        self._keys_since = -_KEYS_AGE
        self._asked_for_strangers = float("-inf")
        self._lock = asyncio.Lock()

    async def endpoints(self, *, answered_within: float | None = None) -> Endpoints:
        """Return the endpoints, from the cache if they are fresh.

        Parameters
        ----------
        answered_within
            Seconds: the provider must have answered that recently, else it is asked now. For a sign-in, because a
            browser that is sent to a provider that is down shows an error page of its own.

        Raises
        ------
        ProviderUnreachableError, ProviderBrokenError
            If the document cannot be had or used, and nothing cached may serve.
        """
        if self._stale(answered_within):
            async with self._lock:
                if self._stale(answered_within):
                    await self._refresh(keep=answered_within is None)
        assert self._endpoints is not None  # noqa: S101 - _refresh raised otherwise
        return self._endpoints

    def doubt(self) -> None:
        """Note that it did not answer something else: the next sign-in asks before it sends anybody there."""
        self._answered_at = float("-inf")

    def _stale(self, answered_within: float | None) -> bool:
        if self._endpoints is None:
            return True
        now = time.monotonic()
        if answered_within is not None:
            return now - self._answered_at > answered_within
        return now >= self._endpoints_until

    async def verify(self, id_token: object, *, client_id: str, nonce: str, leeway: float = LEEWAY) -> str:
        """Check an id token's signature, issuer, audience, times and nonce, and give its subject.

        Parameters
        ----------
        leeway
            Seconds that the clocks of IAM and hub may differ.

        Raises
        ------
        ProviderBrokenError
            If any of it is wrong; the message says what, never the token.
        """
        endpoints = await self.endpoints()
        if not isinstance(id_token, str):
            raise ProviderBrokenError(
                _("IAM sent no id token; the scope openid may not be allowed for this client.")
            )
        try:
            claims = await self._signed(id_token, client_id, leeway, ("exp", "iat", "sub", "aud", "iss"))
        except jwt.PyJWTError as error:
            # The library's messages name the claim or the check, not the token.
            self._log.warning("The id token from %s was refused: %s", endpoints.issuer, error)
            if isinstance(error, jwt.ImmatureSignatureError | jwt.ExpiredSignatureError):
                # Just made, and not valid now: one of the clocks is wrong. The signature was checked before.
                raise ClocksDifferError(self._ahead(id_token)) from None
            raise ProviderBrokenError(_("The id token from IAM did not pass the checks.")) from None
        if "azp" in claims and claims["azp"] != client_id:
            raise ProviderBrokenError(_("The id token from IAM was made for another client."))
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise ProviderBrokenError(_("The id token from IAM belongs to another sign-in."))
        return str(claims["sub"])

    async def _signed(
        self, token: str, client_id: str, leeway: float, required: Sequence[str]
    ) -> dict[str, Any]:
        """Return the claims of a token that IAM signed for this client; raises what PyJWT does."""
        endpoints = await self.endpoints()
        key = await self._key(endpoints, str(jwt.get_unverified_header(token).get("kid") or ""))
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            audience=client_id,
            issuer=endpoints.issuer,
            leeway=leeway,
            options={"require": list(required)},
        )
        return claims

    async def verify_logout(
        self, logout_token: str, *, client_id: str, leeway: float = LEEWAY
    ) -> dict[str, Any]:
        """Check a logout token (OpenID Connect Back-Channel Logout, 2.6).

        Returns
        -------
        ``sub`` and ``sid``, of which one may be None, ``jti``, and ``until``: when it can be forgotten.

        Raises
        ------
        ProviderUnreachableError
            If the keys cannot be had.
        ProviderBrokenError
            If the keys cannot be used.
        LogoutTokenError
            If any of the token is wrong; the message says what, never the token.
        """
        try:
            self._limit_strangers(logout_token)
            claims = await self._signed(
                logout_token, client_id, leeway, ("iat", "aud", "iss", "jti", "events")
            )
        except jwt.PyJWTError as error:
            raise LogoutTokenError(str(error)) from None
        try:
            # The library takes numbers that are texts, too.
            now, issued, events = time.time(), float(claims["iat"]), claims["events"]
            expires = float(claims.get("exp", issued + _LOGOUT_AGE))
        except OverflowError:
            raise LogoutTokenError("its times are too large") from None
        sub, sid, jti = (claims.get(name) for name in ("sub", "sid", "jti"))
        if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT_EVENT), dict):
            raise LogoutTokenError("it is no logout token: it has not the event")
        if "nonce" in claims:
            raise LogoutTokenError("it is no logout token: it has a nonce")
        if now - issued > _LOGOUT_AGE + leeway:
            raise LogoutTokenError("it is too old")
        if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_ID:
            raise LogoutTokenError("its jti is no text")
        if not (sub or sid) or any(each is not None and not isinstance(each, str) for each in (sub, sid)):
            raise LogoutTokenError("it names neither sub nor sid")
        until = min(expires, issued + _LOGOUT_AGE) + leeway
        return {"sub": sub, "sid": sid, "jti": jti, "until": until}

    def _limit_strangers(self, logout_token: str) -> None:
        """Refuse a token that makes the hub ask the provider, well or in vain, soon after another one did."""
        kid = str(jwt.get_unverified_header(logout_token).get("kid") or "")
        if self._endpoints is not None and self._known_key(kid) is not None:
            return
        now = time.monotonic()
        if now - self._asked_for_strangers < _STRANGERS_PAUSE:
            if self._keys is None:
                raise ProviderUnreachableError("the signing keys were asked for a moment ago")
            raise LogoutTokenError("its signing key is not among the provider's keys")
        self._asked_for_strangers = now

    def _ahead(self, id_token: str) -> float:
        """Return how many seconds IAM's clock seems to be ahead of this one, and say so in the log."""
        issued = jwt.decode(id_token, options={"verify_signature": False}).get("iat")
        ahead = float(issued) - time.time() if isinstance(issued, int | float) else 0.0
        self._log.error(
            "The clock of %s is %.0f seconds %s of this machine's: nobody can sign in. Check both (NTP).",
            self._issuer,
            abs(ahead),
            "ahead" if ahead > 0 else "behind",
        )
        return ahead

    async def _refresh(self, *, keep: bool) -> None:
        url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        try:
            endpoints = self._read(await self._fetch(url, "discovery document"))
        except (ProviderUnreachableError, ProviderBrokenError) as problem:
            if self._endpoints is None or not keep:
                raise
            self._log.warning("Keeping the known endpoints of %s: %s", self._issuer, problem.what)
            self._endpoints_until = time.monotonic() + min(60.0, self._max_age)
            return
        if endpoints != self._endpoints:
            self._log.info("Endpoints of %s discovered", endpoints.issuer)
        self._endpoints = endpoints
        self._answered_at = time.monotonic()
        self._endpoints_until = self._answered_at + self._max_age

    def _read(self, document: Any) -> Endpoints:
        if not isinstance(document, dict):
            raise ProviderBrokenError(_("IAM's discovery document is not a JSON object."))
        issuer = document.get("issuer")
        # A document that speaks for another issuer could send people, and the client secret, elsewhere.
        if not isinstance(issuer, str) or issuer.rstrip("/") != self._issuer.rstrip("/"):
            raise ProviderBrokenError(
                _("IAM calls itself {issuer}, but this platform expects {expected}.").format(
                    issuer=str(issuer)[:200], expected=self._issuer
                )
            )
        scheme = urlsplit(issuer).scheme
        urls: dict[str, str] = {}
        for key in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"):
            url = document.get(key)
            if not isinstance(url, str) or not _usable(url, scheme):
                raise ProviderBrokenError(_("IAM's discovery document has no usable {key}.").format(key=key))
            urls[key] = url
        methods = document.get("code_challenge_methods_supported")
        if isinstance(methods, list) and "S256" not in methods:
            self._log.warning("%s does not announce PKCE with S256; it is used all the same", issuer)
        return Endpoints(
            issuer,
            urls["authorization_endpoint"],
            urls["token_endpoint"],
            urls["userinfo_endpoint"],
            urls["jwks_uri"],
            *(
                url if isinstance(url := document.get(key), str) and _usable(url, scheme) else ""
                for key in ("end_session_endpoint", "revocation_endpoint")
            ),
        )

    async def _key(self, endpoints: Endpoints, kid: str) -> jwt.PyJWK:
        """Return the key with an id; an unknown one means that IAM has changed its keys."""
        key = self._known_key(kid)
        if key is None:
            async with self._lock:
                key = self._known_key(kid)
                if key is None and time.monotonic() - self._keys_since >= _KEYS_AGE:
                    document = await self._fetch(endpoints.keys, "signing keys")
                    try:
                        self._keys = jwt.PyJWKSet.from_dict(document)
                    except (jwt.PyJWTError, AttributeError, TypeError):
                        raise ProviderBrokenError(_("IAM's signing keys cannot be read.")) from None
                    self._keys_since = time.monotonic()
                    key = self._known_key(kid)
        if key is None:
            raise jwt.InvalidKeyError("the signing key is not among the provider's keys")
        return key

    def _known_key(self, kid: str) -> jwt.PyJWK | None:
        keys = [key for key in self._keys.keys if key.public_key_use in {None, "sig"}] if self._keys else []
        if not kid:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.key_id == kid), None)


def _usable(url: str, scheme: str) -> bool:
    """Return whether an endpoint is at least as safe as its issuer: https never leads to plain http."""
    parts = urlsplit(url)
    return bool(parts.netloc) and parts.scheme in {"https", scheme}


def session_of(id_token: str) -> str | None:
    """Return the provider's session (``sid``) in an id token that was verified before."""
    sid = jwt.decode(id_token, options={"verify_signature": False}).get("sid")
    return sid if isinstance(sid, str) else None
