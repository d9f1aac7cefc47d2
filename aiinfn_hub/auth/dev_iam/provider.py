"""The provider itself: keys, accounts, codes and tokens in memory, and Authlib's grants on top."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import secrets
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import (
    AuthorizationCodeMixin,
    ClientMixin,
    InvalidRequestError,
    InvalidScopeError,
    TokenMixin,
    grants,
)
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo, UserInfoEndpoint
from authlib.oidc.core.grants import OpenIDCode
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from flask import Flask
from flask import request as flask_request
from joserfc import jwt
from joserfc.jwk import RSAKey

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
_CODE_LIFETIME: Final = 60
"""Seconds between the choice of an account and the use of the code."""
_ID_TOKEN_LIFETIME: Final = 600
"""Seconds; INDIGO IAM's usual value."""
_ALGORITHM: Final = "RS256"


@dataclass(frozen=True)
class Client(ClientMixin):
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
        return grant_type in {"authorization_code", "refresh_token"}


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
    client: Client
    username: str
    scope: str
    expires_in: int
    granted: str
    """What was granted at the sign-in: a refresh token stays good for that, whatever a narrower token is for."""
    issued: float = field(default_factory=time.time)

    def check_client(self, client: Client) -> bool:  # noqa: D102
        return client.client_id == self.client.client_id

    def get_client(self) -> Client:  # noqa: D102
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


def make_key() -> RSAKey:
    """Make a signing key with a self-signed certificate, since some consumers (Ceph's gateway) need ``x5c``."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Demonstration IAM")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .sign(private, hashes.SHA256())
    ).public_bytes(serialization.Encoding.DER)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).decode().rstrip("=")
    return RSAKey.import_key(
        pem,
        {
            "kid": uuid.uuid4().hex,
            "use": "sig",
            "alg": _ALGORITHM,
            "x5c": [base64.b64encode(certificate).decode()],
            "x5t#S256": thumbprint,
        },
    )


@dataclass(frozen=True)
class Fault:
    """What is wrong with the id tokens; tests set it.

    Attributes
    ----------
    clock
        Seconds that this provider's clock is ahead; negative if it is behind.
    claims
        Claims that replace the right ones.
    forged
        Whether another key signs, under the name of the published one.
    """

    clock: int = 0
    claims: Mapping[str, Any] = field(default_factory=dict)
    forged: bool = False


class Directory:
    """Everything the provider knows, in memory."""

    def __init__(self, client: Client, accounts: Mapping[str, dict[str, Any]]) -> None:
        self.client = client
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

    def take_code(self, code: str, client: Client) -> Code | None:
        """Give a code once; a second use, even of one that failed, finds nothing."""
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
        """Give the claims about an account that a scope opens; groups come with the profile, as in INDIGO IAM."""
        everything = UserInfo(self.accounts[username])
        shown = everything.filter(scope)
        if "profile" in scope.split():
            standard = set(UserInfo.REGISTERED_CLAIMS)
            shown.update({key: value for key, value in everything.items() if key not in standard})
        return shown


class Server(AuthorizationServer):
    """Authlib's authorization server over a directory.

    Parameters
    ----------
    token_lifetime
        Seconds that an access token lasts.
    rotate
        Whether each use of a refresh token replaces it.
    """

    def __init__(
        self, app: Flask, directory: Directory, issuer: str, token_lifetime: int, *, rotate: bool = False
    ) -> None:
        self.directory = directory
        self._issuer = issuer
        self._lifetime = token_lifetime
        app.config["OAUTH2_TOKEN_EXPIRES_IN"] = dict.fromkeys(
            ("authorization_code", "refresh_token"), token_lifetime
        )
        app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
        app.config["OAUTH2_ACCESS_TOKEN_GENERATOR"] = self._access_token
        super().__init__(app, query_client=self._find_client, save_token=self._keep_token)
        self.register_grant(_CodeGrant, [_RequiredChallenge(required=True), _IDToken(directory, issuer)])
        self.register_grant(_RotatingRefreshGrant if rotate else _RefreshGrant)
        protector = ResourceProtector()
        protector.register_token_validator(_Validator(directory))
        self.register_endpoint(_UserInfo(directory, protector))

    def _find_client(self, client_id: str) -> Client | None:
        client = self.directory.client
        return client if client_id == client.client_id else None

    def _access_token(self, client: Client, grant_type: str, user: str, scope: str) -> str:
        """Make a signed token that says what it is for, as INDIGO IAM's are (RFC 9068)."""
        now = int(time.time())
        key = self.directory.keys[-1]
        claims = {
            "iss": self._issuer,
            "sub": self.directory.accounts[user].get("sub"),
            "client_id": client.client_id,
            "iat": now,
            "exp": now + self._lifetime,
            "jti": uuid.uuid4().hex,
            "scope": scope,
        }
        if audience := flask_request.form.get("audience"):
            claims["aud"] = audience
        return jwt.encode({"alg": _ALGORITHM, "kid": str(key.kid), "typ": "at+jwt"}, claims, key)

    def _keep_token(self, token: dict[str, Any], request: Any) -> None:
        used = getattr(request, "refresh_token", None)
        scope = token.get("scope", "")
        self.directory.add_token(
            Token(
                access_token=token["access_token"],
                refresh_token=token.get("refresh_token"),
                client=request.client,
                username=request.user,
                scope=scope,
                granted=used.granted if isinstance(used, Token) else scope,
                expires_in=token["expires_in"],
            )
        )


class _CodeGrant(grants.AuthorizationCodeGrant):
    def save_authorization_code(self, code: str, request: Any) -> None:
        data = request.payload.data
        self.server.directory.add_code(
            Code(
                code=code,
                client_id=request.client.client_id,
                redirect_uri=request.payload.redirect_uri,
                scope=request.scope,
                username=request.user,
                nonce=data.get("nonce"),
                code_challenge=data["code_challenge"],
                code_challenge_method=data["code_challenge_method"],
            )
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found: Code | None = self.server.directory.take_code(code, client)
        return found

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Do nothing: it was taken out when it was asked for."""

    def authenticate_user(self, authorization_code: Code) -> str:
        return authorization_code.username

    def generate_token(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["include_refresh_token"] = "offline_access" in str(kwargs.get("scope")).split()
        return super().generate_token(*args, **kwargs)


class _RefreshGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = _CodeGrant.TOKEN_ENDPOINT_AUTH_METHODS

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        found: Token | None = self.server.directory.refresh_token(refresh_token)
        return found

    def authenticate_user(self, refresh_token: Token) -> str:
        return refresh_token.username

    def _validate_token_scope(self, token: Token) -> None:
        # Authlib compares with the scope of the token itself, which may have been a narrow one.
        asked = set((self.request.payload.scope or "").split())
        if not asked <= set(token.granted.split()):
            raise InvalidScopeError

    def issue_token(self, user: str, refresh_token: Token) -> dict[str, Any]:
        issued: dict[str, Any] = self.generate_token(
            user=user,
            scope=self.request.payload.scope or refresh_token.granted,
            include_refresh_token=self.INCLUDE_NEW_REFRESH_TOKEN,
        )
        return issued

    def revoke_old_credential(self, refresh_token: Token) -> None:
        """Keep it: INDIGO IAM reuses refresh tokens unless told otherwise."""


class _RotatingRefreshGrant(_RefreshGrant):
    INCLUDE_NEW_REFRESH_TOKEN = True

    def revoke_old_credential(self, refresh_token: Token) -> None:
        self.server.directory.replace(refresh_token)


class _RequiredChallenge(CodeChallenge):
    """PKCE with S256 for this confidential client too: Authlib asks only public ones for it."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]  # noqa: RUF012 - Authlib's interface

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if not data.get("code_challenge") or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with 'code_challenge_method=S256' is required.")
        super().validate_code_challenge(grant, redirect_uri)


class _IDToken(OpenIDCode):
    def __init__(self, directory: Directory, issuer: str) -> None:
        super().__init__()
        self._directory = directory
        self._issuer = issuer

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        return make_key() if self._directory.fault.forged else self._directory.keys[-1]

    def get_client_algorithm(self, client: Client) -> str:
        return _ALGORITHM

    def get_encode_header(self, client: Client) -> dict[str, str]:
        return {"alg": _ALGORITHM, "kid": str(self._directory.keys[-1].kid), "typ": "JWT"}

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        fault = self._directory.fault
        now = int(time.time()) + fault.clock
        return {
            "iss": self._issuer,
            "aud": client.client_id,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "exp": now + _ID_TOKEN_LIFETIME,
        }

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        return False

    def generate_user_info(self, user: str, scope: str) -> UserInfo:
        # Authlib puts this over all other claims.
        return UserInfo(self._directory.claims(user, scope) | self._directory.fault.claims)


class _UserInfo(UserInfoEndpoint):
    def __init__(self, directory: Directory, protector: ResourceProtector) -> None:
        super().__init__(resource_protector=protector)
        self._directory = directory

    def generate_user_info(self, user: str, scope: str) -> UserInfo:
        return self._directory.claims(user, scope)


class _Validator(BearerTokenValidator):
    def __init__(self, directory: Directory) -> None:
        super().__init__()
        self._directory = directory

    def authenticate_token(self, token_string: str) -> Token | None:
        return self._directory.access_token(token_string)
