"""``aiinfn-hub check --iam``: try the provider and the hub's client there before the hub opens.

Without a person a client can be tried only by what its provider refuses: a code that does not exist is ``invalid_grant`` to
a client that is known, and ``invalid_client`` to another one.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import jwt
from cryptography import x509

from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person

from . import claims, tokens
from .discovery import ALGORITHMS
from .refusals import readable

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)
_SIGNED_OUT: Final = frozenset(
    {"login_required", "interaction_required", "consent_required", "account_selection_required"}
)
"""What a provider says to ``prompt=none`` if all else is right."""
_SOON: Final = timedelta(days=30)
_MOST: Final = 2**20
"""Bytes of an answer that are read."""
HUB_SCOPES: Final = ("openid", "profile", "email", "offline_access")


class CheckVerdict(StrEnum):
    """How one thing is."""

    GOOD = "good"
    NOTE = "note"
    """Works, but an operator may want to know."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """What was found about one thing."""

    what: str
    verdict: CheckVerdict
    sentence: str


@dataclass(frozen=True, slots=True)
class CheckedClient:
    """The hub as a client, as the environment says it.

    Attributes
    ----------
    public_url
        Where people reach the hub; None if that is not said.
    """

    issuer: str
    client_id: str
    secret: str = field(repr=False)
    public_url: str | None = None
    token_client_id: str = ""
    token_client_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: Any
    location: str = ""

    @property
    def error(self) -> str:
        return str(self.body.get("error") or "") if isinstance(self.body, dict) else ""

    def said(self, *hidden: str) -> str:
        """Return status, error and description, safe to be printed."""
        found = self.body if isinstance(self.body, dict) else {}
        words = [readable(found.get(key), hidden) for key in ("error", "error_description")]
        return ", ".join([f"HTTP status {self.status}", *(word for word in words if word)])


async def examine(client: CheckedClient, platform: Platform, access_token: str = "") -> list[CheckFinding]:
    """Try everything that can be tried.

    Parameters
    ----------
    access_token
        Of a person, for the shape of the claims; empty: it is not looked at.
    """
    async with aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True) as http:
        return await _Examination(http, client, platform, access_token).run()


class _Examination:
    def __init__(
        self, http: aiohttp.ClientSession, client: CheckedClient, platform: Platform, access_token: str
    ) -> None:
        self._http, self._client, self._platform, self._token = http, client, platform, access_token
        self._document: Mapping[str, Any] = {}
        self._found: list[CheckFinding] = []

    async def run(self) -> list[CheckFinding]:
        if not await self._issuer():
            return self._found
        for step in (
            self._keys,
            self._secret,
            self._refresh,
            self._redirect_and_scopes,
            self._exchange,
            self._claims,
        ):
            try:
                await step()
            except (aiohttp.ClientError, TimeoutError) as error:
                self._say(
                    step.__name__.strip("_"),
                    CheckVerdict.BAD,
                    f"IAM did not answer ({type(error).__name__}).",
                )
        return self._found

    def _say(self, what: str, verdict: CheckVerdict, sentence: str) -> None:
        self._found.append(CheckFinding(what, verdict, sentence))

    async def _ask(self, method: str, url: str, **options: Any) -> _Answer:
        async with self._http.request(method, url, allow_redirects=False, **options) as response:
            raw = await response.content.read(_MOST)
            try:
                body = json.loads(raw)
            except ValueError:
                body = None
            return _Answer(response.status, body, response.headers.get("Location", ""))

    async def _issuer(self) -> bool:
        url = self._client.issuer.rstrip("/") + "/.well-known/openid-configuration"
        try:
            answer = await self._ask("GET", url)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            why = str(error) or type(error).__name__
            self._say(
                "issuer",
                CheckVerdict.BAD,
                f"{url} cannot be read: {readable(why)}. Is AIINFN_IAM_ISSUER right?",
            )
            return False
        document = answer.body
        if answer.status != 200 or not isinstance(document, dict):
            self._say("issuer", CheckVerdict.BAD, f"{url} is no discovery document ({answer.said()}).")
            return False
        named = document.get("issuer")
        if not isinstance(named, str) or named.rstrip("/") != self._client.issuer.rstrip("/"):
            self._say(
                "issuer",
                CheckVerdict.BAD,
                f"IAM calls itself {readable(named)}, not {self._client.issuer}: set AIINFN_IAM_ISSUER to that.",
            )
            return False
        scheme = urlsplit(named).scheme
        missing = [
            key
            for key in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
            if not isinstance(found := document.get(key), str)
            or urlsplit(found).scheme not in {"https", scheme}
        ]
        if missing:
            self._say(
                "issuer", CheckVerdict.BAD, f"Its discovery document has no usable {', '.join(missing)}."
            )
            return False
        self._document = document
        self._say("issuer", CheckVerdict.GOOD, f"{named} answers.")
        methods = document.get("code_challenge_methods_supported")
        if isinstance(methods, list) and "S256" not in methods:
            self._say("issuer", CheckVerdict.NOTE, "It does not announce PKCE with S256, which the hub uses.")
        for key, lost in (
            ("end_session_endpoint", "people can sign out at the hub only"),
            ("revocation_endpoint", "refresh tokens are not revoked at a sign-out"),
        ):
            if not document.get(key):
                self._say("issuer", CheckVerdict.NOTE, f"It has no {key}: {lost}.")
        return True

    async def _keys(self) -> None:
        answer = await self._ask("GET", self._document["jwks_uri"])
        keys = answer.body.get("keys") if isinstance(answer.body, dict) else None
        signing = [
            key
            for key in keys or ()
            if isinstance(key, dict) and key.get("use", "sig") == "sig" and _reads(key)
        ]
        if not signing:
            self._say(
                "keys", CheckVerdict.BAD, f"There is no signing key that the hub can use ({answer.said()})."
            )
            return
        self._say("keys", CheckVerdict.GOOD, f"{len(signing)} signing key{'s' if len(signing) > 1 else ''}.")
        without = [key for key in signing if not key.get("x5c")]
        if without:
            names = ", ".join(readable(key.get("kid")) or "?" for key in without)
            self._say(
                "x5c",
                CheckVerdict.NOTE,
                f"No certificate with {names}: services such as Ceph's gateway need it.",
            )
        for key in signing:
            if key.get("x5c"):
                verdict, sentence = certificate(key)
                self._say("x5c", verdict, f"Key {readable(key.get('kid')) or '?'}: {sentence}")

    async def _token_request(self, client_id: str, secret: str, **params: str) -> _Answer:
        pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        return await self._ask(
            "POST",
            self._document["token_endpoint"],
            data=params,
            headers={"Authorization": f"Basic {pair}", "Accept": "application/json"},
        )

    async def _secret(self) -> None:
        answer = await self._token_request(
            self._client.client_id,
            self._client.secret,
            grant_type="authorization_code",
            code=secrets.token_urlsafe(24),
            redirect_uri=self._redirect or "https://hub.invalid/hub/oauth_callback",
            code_verifier=secrets.token_urlsafe(48),
        )
        name = self._client.client_id
        if answer.error == "invalid_grant":
            self._say("client", CheckVerdict.GOOD, f"IAM knows {name}, and its secret is right.")
        elif answer.error == "invalid_client" or (not answer.error and answer.status in {401, 403}):
            self._say(
                "client",
                CheckVerdict.BAD,
                f"IAM does not accept {name} with this secret ({answer.said(self._client.secret)}): check "
                "AIINFN_IAM_CLIENT_ID and AIINFN_IAM_CLIENT_SECRET, and that the client authenticates by client_secret_basic.",
            )
        elif answer.error in {"unauthorized_client", "unsupported_grant_type"}:
            self._say(
                "client",
                CheckVerdict.BAD,
                f"{name} may not use the grant type authorization_code ({answer.said()}).",
            )
        else:
            self._say(
                "client",
                CheckVerdict.NOTE,
                f"IAM's answer does not tell ({answer.said(self._client.secret)}).",
            )

    async def _refresh(self) -> None:
        answer = await self._token_request(
            self._client.client_id,
            self._client.secret,
            grant_type="refresh_token",
            refresh_token=secrets.token_urlsafe(24),
        )
        if answer.error in {"unauthorized_client", "unsupported_grant_type"}:
            self._say(
                "refresh",
                CheckVerdict.BAD,
                f"{self._client.client_id} may not use the grant type refresh_token ({answer.said()}): everybody would have "
                "to sign in again as tokens expire.",
            )
        elif answer.error == "invalid_grant":
            self._say("refresh", CheckVerdict.GOOD, "The client may renew tokens.")

    @property
    def _redirect(self) -> str:
        url = self._client.public_url
        return f"{url.rstrip('/')}/hub/oauth_callback" if url else ""

    async def _redirect_and_scopes(self) -> None:
        if not self._redirect:
            self._say(
                "redirect", CheckVerdict.NOTE, "Set AIINFN_PUBLIC_URL to have redirect URI and scopes tried."
            )
            return
        scopes = list(dict.fromkeys((*HUB_SCOPES, *self._platform.iam.session_token_scopes)))
        taken, said = await self._authorize(self._redirect, scopes)
        control, _ = await self._authorize(f"{self._redirect}/{secrets.token_hex(8)}", scopes)
        if taken is None:
            self._say(
                "redirect",
                CheckVerdict.BAD,
                f"IAM refuses to send people back to {self._redirect} ({said}): register it at the client, exactly so.",
            )
            return
        if control is not None and control == taken:
            self._say(
                "redirect",
                CheckVerdict.NOTE,
                "IAM's answer does not tell whether the redirect URI is registered.",
            )
        else:
            self._say("redirect", CheckVerdict.GOOD, f"{self._redirect} is registered.")
        if taken == "invalid_scope":
            refused = [
                scope
                for scope in scopes
                if (await self._authorize(self._redirect, list(dict.fromkeys(("openid", scope)))))[0]
                == "invalid_scope"
            ]
            names = " ".join(refused) or " ".join(scopes)
            self._say("scopes", CheckVerdict.BAD, f"The client may not have {names}: nobody could sign in.")
        elif taken and taken not in _SIGNED_OUT:
            self._say("scopes", CheckVerdict.BAD, f"IAM refuses the sign-in: {said}.")
        else:
            self._say("scopes", CheckVerdict.GOOD, f"{' '.join(scopes)}: not refused.")

    async def _authorize(self, redirect: str, scopes: Iterable[str]) -> tuple[str | None, str]:
        """Begin a sign-in; returns the error that comes back, empty for none, None if nothing comes back; and words."""
        challenge = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client.client_id,
                "redirect_uri": redirect,
                "scope": " ".join(scopes),
                "state": secrets.token_hex(8),
                "nonce": secrets.token_hex(8),
                "code_challenge": challenge,
                "code_challenge_method": "S256",
                "prompt": "none",
            }
        )
        endpoint = self._document["authorization_endpoint"]
        answer = await self._ask("GET", f"{endpoint}{'&' if '?' in endpoint else '?'}{query}")
        if 300 <= answer.status < 400:
            if not answer.location.startswith(redirect + "?"):
                return "", "it shows a page to sign in"
            back = parse_qs(urlsplit(answer.location).query)
            error = readable(back.get("error", [""])[0])
            return error, ", ".join(filter(None, (error, readable(back.get("error_description", [""])[0]))))
        return (None, answer.said()) if answer.status >= 400 else ("", "it shows a page to sign in")

    async def _exchange(self) -> None:
        if not self._client.token_client_id:
            return
        name = self._client.token_client_id
        params = tokens.exchange_request(
            secrets.token_urlsafe(24), self._platform.iam.session_token_scopes, ""
        )
        answer = await self._token_request(name, self._client.token_client_secret, **params)
        if answer.error in {"invalid_client", "unauthorized_client", "unsupported_grant_type"}:
            self._say(
                "token client",
                CheckVerdict.BAD,
                f"{name} may not exchange tokens ({answer.said(self._client.token_client_secret)}).",
            )
        else:
            self._say("token client", CheckVerdict.GOOD, f"IAM knows {name}, which may exchange tokens.")

    async def _claims(self) -> None:
        if not self._token:
            self._say(
                "claims",
                CheckVerdict.NOTE,
                "Give the access token of a person with --token-file to have the groups tried.",
            )
            return
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        answer = await self._ask("GET", self._document["userinfo_endpoint"], headers=headers)
        if answer.status != 200 or not isinstance(answer.body, dict):
            self._say(
                "claims", CheckVerdict.BAD, f"Its userinfo refuses this token ({answer.said(self._token)})."
            )
            return
        name = claims.username(answer.body)
        if name is None:
            self._say(
                "claims",
                CheckVerdict.BAD,
                "The claim preferred_username is missing or cannot be a user name.",
            )
        if problems := claims.unusable(answer.body):
            self._say("claims", CheckVerdict.BAD, f"The groups cannot be read: {'; '.join(problems)}.")
            return
        groups = claims.groups(answer.body)
        if not groups:
            self._say(
                "claims",
                CheckVerdict.NOTE,
                "This person is in no group, or the client may not see the groups.",
            )
            return
        projects = ", ".join(Person.of(name or "", groups).projects(self._platform)) or "no project"
        self._say(
            "claims", CheckVerdict.GOOD, f"{name or 'This person'} is in {len(groups)} groups: {projects}."
        )


def _reads(key: Mapping[str, Any]) -> bool:
    try:
        read = jwt.PyJWK(dict(key))
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return read.algorithm_name in ALGORITHMS


def certificate(key: Mapping[str, Any], now: datetime | None = None) -> tuple[CheckVerdict, str]:
    """Judge the certificate of a signing key (RFC 7517, 4.7)."""
    now = now or datetime.now(UTC)
    try:
        first = key["x5c"][0]
        found = x509.load_der_x509_certificate(base64.b64decode(first, validate=True))
        public = jwt.PyJWK(dict(key)).key
        same = found.public_key() == public
    except (KeyError, IndexError, TypeError, ValueError, binascii.Error, jwt.PyJWTError):
        return CheckVerdict.BAD, "its x5c is no certificate (base64 of DER, not of a URL)."
    ends = found.not_valid_after_utc
    if not same:
        return CheckVerdict.BAD, "its x5c is the certificate of another key."
    if ends <= now or found.not_valid_before_utc > now:
        return (
            CheckVerdict.BAD,
            f"its certificate is valid from {found.not_valid_before_utc:%Y-%m-%d} to {ends:%Y-%m-%d} only.",
        )
    if ends - now < _SOON:
        return CheckVerdict.NOTE, f"its certificate ends on {ends:%Y-%m-%d}."
    return CheckVerdict.GOOD, f"its certificate is valid until {ends:%Y-%m-%d}."
