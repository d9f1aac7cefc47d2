"""The provider itself: Authlib's grants over a directory."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import (
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
    grants,
)
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo, UserInfoEndpoint
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask
from flask import request as flask_request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from .directory import (
    DEFAULT_SCOPES,
    EXCHANGE,
    Code,
    Directory,
    ProviderClient,
    Token,
)
from .keys import ALGORITHM, make_key

_ID_TOKEN_LIFETIME: Final = 600
"""Seconds; INDIGO IAM's usual value."""


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
            ("authorization_code", "refresh_token", EXCHANGE), token_lifetime
        )
        app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
        app.config["OAUTH2_ACCESS_TOKEN_GENERATOR"] = self._access_token
        super().__init__(app, query_client=self._find_client, save_token=self._keep_token)
        self.register_grant(_CodeGrant, [_RequiredChallenge(required=True), _IDToken(directory, issuer)])
        self.register_grant(_RotatingRefreshGrant if rotate else _RefreshGrant)
        self.register_grant(_ExchangeGrant)
        protector = ResourceProtector()
        protector.register_token_validator(_Validator(directory))
        self.register_endpoint(_UserInfo(directory, protector))
        self.register_endpoint(_Revocation)

    def logout_token(self, username: str, changes: dict[str, Any]) -> str:
        """Make a token that tells the client that somebody signed out (OpenID Connect Back-Channel Logout, 2.4)."""
        now = int(time.time())
        key = make_key() if self.directory.fault.forged else self.directory.keys[-1]
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self.directory.client.client_id,
            "sub": self.directory.accounts[username].get("sub"),
            "iat": now,
            "exp": now + 120,
            "jti": uuid.uuid4().hex,
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": ALGORITHM, "kid": str(self.directory.keys[-1].kid), "typ": "logout+jwt"}
        return jwt.encode(header, claims, key)

    def made(self, id_token: str) -> bool:
        """Return whether an id token, which may be over, is of this provider and for its client."""
        for key in self.directory.keys:
            try:
                claims = jwt.decode(id_token, key, algorithms=[ALGORITHM]).claims
            except (JoseError, ValueError):
                continue
            return claims.get("iss") == self._issuer and self.directory.client.client_id in (
                claims.get("aud"),
                *(claims.get("aud") or ()),
            )
        return False

    def _find_client(self, client_id: str) -> ProviderClient | None:
        clients = (self.directory.client, self.directory.token_client)
        return next((each for each in clients if each and each.client_id == client_id), None)

    def _access_token(self, client: ProviderClient, grant_type: str, user: str, scope: str) -> str:
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
        return jwt.encode({"alg": ALGORITHM, "kid": str(key.kid), "typ": "at+jwt"}, claims, key)

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

    def query_authorization_code(self, code: str, client: ProviderClient) -> Code | None:
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
        if self.server.directory.fault.ignores_scope:
            return
        if not asked <= set(token.granted.split()):
            raise InvalidScopeError

    def issue_token(self, user: str, refresh_token: Token) -> dict[str, Any]:
        issued: dict[str, Any] = self.generate_token(
            user=user,
            scope=refresh_token.granted
            if self.server.directory.fault.ignores_scope
            else self.request.payload.scope or refresh_token.granted,
            include_refresh_token=self.INCLUDE_NEW_REFRESH_TOKEN,
        )
        return issued

    def revoke_old_credential(self, refresh_token: Token) -> None:
        """Keep it: INDIGO IAM reuses refresh tokens unless told otherwise."""


class _RotatingRefreshGrant(_RefreshGrant):
    INCLUDE_NEW_REFRESH_TOKEN = True

    def revoke_old_credential(self, refresh_token: Token) -> None:
        self.server.directory.replace(refresh_token)


class _ExchangeGrant(grants.BaseGrant, grants.TokenEndpointMixin):
    """Exchange an access token for one with fewer scopes (RFC 8693)."""

    GRANT_TYPE = EXCHANGE
    TOKEN_ENDPOINT_AUTH_METHODS = _CodeGrant.TOKEN_ENDPOINT_AUTH_METHODS

    def validate_token_request(self) -> None:
        self.request.client = self.authenticate_token_endpoint_client()
        directory = self.server.directory
        own = self.request.client.client_id == directory.client.client_id
        if own and directory.fault.exchange == "none":
            raise UnauthorizedClientError("Client not allowed to exchange")
        subject: Token | None = directory.access_token(self.request.form.get("subject_token", ""))
        if subject is None or subject.is_expired():
            raise InvalidGrantError("The subject token is not valid")
        asked = set((self.request.payload.scope or "").split())
        if not asked <= set(subject.scope.split()):
            raise InvalidScopeError
        self.request.user = subject.username
        extra = DEFAULT_SCOPES if own and directory.fault.exchange == "wide" else ()
        self._scope = " ".join(sorted({*asked, *extra}))

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        token = self.generate_token(user=self.request.user, scope=self._scope, include_refresh_token=False)
        token["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type
        self.save_token(token)
        return 200, token, self.TOKEN_RESPONSE_HEADER


class _Revocation(RevocationEndpoint):
    """Revoke a token (RFC 7009)."""

    CLIENT_AUTH_METHODS = _CodeGrant.TOKEN_ENDPOINT_AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        found: Token | None = self.server.directory.find(token_string)
        return found

    def revoke_token(self, token: Token, request: Any) -> None:
        self.server.directory.end(token)


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

    def resolve_client_private_key(self, client: ProviderClient) -> RSAKey:
        return make_key() if self._directory.fault.forged else self._directory.keys[-1]

    def get_client_algorithm(self, client: ProviderClient) -> str:
        return ALGORITHM

    def get_encode_header(self, client: ProviderClient) -> dict[str, str]:
        return {"alg": ALGORITHM, "kid": str(self._directory.keys[-1].kid), "typ": "JWT"}

    def get_client_claims(self, client: ProviderClient) -> dict[str, Any]:
        fault = self._directory.fault
        now = int(time.time()) + fault.clock
        return {
            "iss": self._issuer,
            "aud": client.client_id,
            "jti": uuid.uuid4().hex,
            "sid": uuid.uuid4().hex,
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
