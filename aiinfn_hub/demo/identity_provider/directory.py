"""What the provider knows: its client, accounts, codes and tokens, in memory."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin
from authlib.oidc.core import UserInfo

from .keys import make_key

SCOPES: Final = (
    "openid",
    "profile",
    "email",
    "offline_access",
    "storage.read:/",
    "storage.modify:/",
    "compute.read",
)
"""What the client may ask for; the last three are for tokens of sessions, as INDIGO IAM's WLCG profile names them."""
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
DEFAULT_SCOPES: Final = ("email", "profile")
"""What a provider puts into every token of a client, as Keycloak does unless it is told otherwise."""
_CODE_LIFETIME: Final = 60
"""Seconds between the choice of an account and the use of the code."""


@dataclass(frozen=True)
class ProviderClient(ClientMixin):
    """The one registered client."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: frozenset[str]
    title: str
    client_metadata: Mapping[str, Any] = field(default_factory=dict)

    def get_client_id(self) -> str:  # noqa: D102 - Authlib's interface, here and below
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:  # noqa: D102
        return None

    def get_allowed_scope(self, scope: str | None) -> str:  # noqa: D102
        return " ".join(item for item in (scope or "").split() if item in SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:  # noqa: D102
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:  # noqa: D102
        return secrets.compare_digest(self.client_secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: D102
        return method in {"client_secret_basic", "client_secret_post"}

    def check_response_type(self, response_type: str) -> bool:  # noqa: D102
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:  # noqa: D102
        return grant_type in {"authorization_code", "refresh_token", EXCHANGE}


@dataclass(frozen=True)
class Code(AuthorizationCodeMixin):
    """An authorization code that was handed out."""

    code: str = field(repr=False)
    client_id: str
    redirect_uri: str
    scope: str
    username: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str
    issued: float = field(default_factory=time.time)

    def get_redirect_uri(self) -> str:  # noqa: D102
        return self.redirect_uri

    def get_scope(self) -> str:  # noqa: D102
        return self.scope

    def get_nonce(self) -> str | None:  # noqa: D102
        return self.nonce

    def get_auth_time(self) -> int:  # noqa: D102
        return int(self.issued)

    def get_acr(self) -> str | None:  # noqa: D102
        return None

    def get_amr(self) -> list[str] | None:  # noqa: D102
        return None


@dataclass(frozen=True)
class Token(TokenMixin):
    """An access token, with its refresh token if it has one."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    client: ProviderClient
    username: str
    scope: str
    expires_in: int
    granted: str
    """What was granted at the sign-in: a refresh token stays good for that, whatever a narrower token is for."""
    issued: float = field(default_factory=time.time)

    def check_client(self, client: ProviderClient) -> bool:  # noqa: D102
        return client.client_id == self.client.client_id

    def get_client(self) -> ProviderClient:  # noqa: D102
        return self.client

    def get_user(self) -> str:  # noqa: D102
        return self.username

    def get_scope(self) -> str:  # noqa: D102
        return self.scope

    def get_expires_in(self) -> int:  # noqa: D102
        return self.expires_in

    def is_expired(self) -> bool:  # noqa: D102
        return time.time() >= self.issued + self.expires_in

    def is_revoked(self) -> bool:  # noqa: D102
        return False


@dataclass(frozen=True)
class Fault:
    """What is wrong with this provider; tests set it.

    Attributes
    ----------
    clock
        Seconds that this provider's clock is ahead; negative if it is behind.
    claims
        Claims of id tokens that replace the right ones.
    forged
        Whether another key signs id tokens, under the name of the published one.
    down
        Whether every request is answered with 503.
    userinfo_down
        Whether the userinfo endpoint alone is.
    ignores_scope
        Whether a renewed token has all scopes that were granted, whatever was asked for, as Keycloak's has.
    refuses_scopes
        Whether a sign-in that asks for scopes which the client may not have is refused, as INDIGO IAM does.
    exchange
        What a token exchange of the hub's own client gives: a token that is ``narrow``, or ``wide`` with the client's default
        scopes, or ``none``.
    """

    clock: int = 0
    claims: Mapping[str, Any] = field(default_factory=dict)
    forged: bool = False
    down: bool = False
    userinfo_down: bool = False
    ignores_scope: bool = False
    refuses_scopes: bool = False
    exchange: str = "narrow"


class Directory:
    """Everything the provider knows, in memory."""

    def __init__(
        self,
        client: ProviderClient,
        accounts: Mapping[str, dict[str, Any]],
        token_client: ProviderClient | None = None,
    ) -> None:
        self.client = client
        self.token_client = token_client
        self.accounts = {name: dict(claims) for name, claims in accounts.items()}
        self.keys = [make_key()]
        self.fault = Fault()
        self._codes: dict[str, Code] = {}
        self._access: dict[str, Token] = {}
        self._refresh: dict[str, Token] = {}
        self._used: dict[str, str] = {}
        self._lock = threading.Lock()

    def add_code(self, code: Code) -> None:
        """Remember a code, and forget those that nobody used."""
        with self._lock:
            now = time.time()
            self._codes = {k: c for k, c in self._codes.items() if now < c.issued + _CODE_LIFETIME}
            self._codes[code.code] = code

    def take_code(self, code: str, client: ProviderClient) -> Code | None:
        """Return a code once; a second use, even of one that failed, finds nothing."""
        with self._lock:
            found = self._codes.pop(code, None)
        fresh = found and found.client_id == client.client_id and time.time() < found.issued + _CODE_LIFETIME
        return found if fresh else None

    def add_token(self, token: Token) -> None:
        """Remember a token."""
        with self._lock:
            self._access[token.access_token] = token
            if token.refresh_token:
                self._refresh[token.refresh_token] = token

    def access_token(self, value: str) -> Token | None:
        """Find an access token."""
        return self._access.get(value)

    def refresh_token(self, value: str) -> Token | None:
        """Find a refresh token; who comes with one that was replaced may be a thief, and ends all (RFC 9700, 4.14.2)."""
        if username := self._used.get(value):
            self.revoke(username)
        return self._refresh.get(value)

    def find(self, value: str) -> Token | None:
        """Find a token of either kind, without any consequence."""
        return self._refresh.get(value) or self._access.get(value)

    def end(self, token: Token) -> None:
        """Revoke a refresh token with the access tokens that came with it (RFC 7009)."""
        with self._lock:
            self._refresh.pop(token.refresh_token or "", None)
            self._access = {
                k: t
                for k, t in self._access.items()
                if (t.username, t.client) != (token.username, token.client)
            }

    def replace(self, token: Token) -> None:
        """Take a refresh token out of use."""
        with self._lock:
            if token.refresh_token and self._refresh.pop(token.refresh_token, None):
                self._used[token.refresh_token] = token.username

    def revoke(self, username: str) -> None:
        """Forget all tokens of an account."""
        with self._lock:
            self._access = {k: t for k, t in self._access.items() if t.username != username}
            self._refresh = {k: t for k, t in self._refresh.items() if t.username != username}

    def claims(self, username: str, scope: str) -> UserInfo:
        """Return the claims about an account that a scope opens; groups come with the profile, as in INDIGO IAM."""
        everything = UserInfo(self.accounts[username])
        shown = everything.filter(scope)
        if "profile" in scope.split():
            standard = set(UserInfo.REGISTERED_CLAIMS)
            shown.update({key: value for key, value in everything.items() if key not in standard})
        return shown
