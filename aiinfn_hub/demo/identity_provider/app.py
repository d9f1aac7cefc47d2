"""The provider's pages and endpoints."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from flask import Flask, Response, abort, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from .directory import (
    EXCHANGE,
    SCOPES,
    Directory,
    Fault,
    ProviderClient,
)
from .keys import make_key
from .people import ACCOUNTS, DemoAccount
from .provider import Server


@dataclass(frozen=True)
class ProviderSettings:
    """What the provider is told at the start.

    Attributes
    ----------
    issuer
        URL without a path, as the hub reaches it.
    admin_token
        Opens the routes under ``/admin`` that tests use to change claims and keys; empty closes them.
    token_lifetime
        Seconds that an access token lasts.
    rotate
        Whether each use of a refresh token replaces it.
    logout
        Whether it says where one signs out.
    token_client
        Another client, which exchanges tokens.
    """

    issuer: str
    client: ProviderClient
    admin_token: str = ""
    token_lifetime: int = 3600
    rotate: bool = False
    logout: bool = True
    token_client: ProviderClient | None = None


def create_app(  # noqa: C901, PLR0915 - a list of short routes over one directory
    settings: ProviderSettings, accounts: Iterable[DemoAccount] = ACCOUNTS
) -> Flask:
    """Make the WSGI application."""
    app = Flask(__name__, static_folder=None)
    people = {account.username: account for account in accounts}
    directory = Directory(
        settings.client, {name: account.claims for name, account in people.items()}, settings.token_client
    )
    server = Server(app, directory, settings.issuer, settings.token_lifetime, rotate=settings.rotate)

    @app.before_request
    def only_this_host() -> None:
        # A name that somebody else's DNS points at loopback must not reach the accounts.
        if request.host != settings.issuer.partition("://")[2]:
            abort(421)
        if directory.fault.down and not request.path.startswith("/admin/"):
            abort(503)

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
        )
        return response

    @app.get("/")
    def front() -> ResponseReturnValue:
        return _page("Demonstration IAM", "There is nothing to do here. Open the hub and sign in from there.")

    @app.get("/.well-known/openid-configuration")
    def discovery() -> ResponseReturnValue:
        return jsonify(
            issuer=settings.issuer,
            authorization_endpoint=f"{settings.issuer}/authorize",
            token_endpoint=f"{settings.issuer}/token",
            userinfo_endpoint=f"{settings.issuer}/userinfo",
            jwks_uri=f"{settings.issuer}/jwk",
            response_types_supported=["code"],
            response_modes_supported=["query"],
            revocation_endpoint=f"{settings.issuer}/revoke",
            backchannel_logout_supported=True,
            grant_types_supported=["authorization_code", "refresh_token", EXCHANGE],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["RS256"],
            code_challenge_methods_supported=["S256"],
            token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
            scopes_supported=list(SCOPES),
            claims_supported=sorted({key for claims in directory.accounts.values() for key in claims}),
            **({"end_session_endpoint": f"{settings.issuer}/logout"} if settings.logout else {}),
        )

    @app.get("/jwk")
    def keys() -> ResponseReturnValue:
        return jsonify(keys=[key.as_dict(private=False) for key in directory.keys])

    @app.get("/authorize")
    def choose() -> ResponseReturnValue:
        target = request.args.get("redirect_uri", "")
        unknown = set(request.args.get("scope", "").split()) - set(SCOPES)
        if directory.fault.refuses_scopes and unknown and directory.client.check_redirect_uri(target):
            query = {"error": "invalid_scope", "state": request.args.get("state", "")}
            return redirect(f"{target}?{urlencode(query)}")
        try:
            server.get_consent_grant()
        except OAuth2Error as error:
            return _refused(server, error)
        return render_template("choose.html", people=people.values(), client=settings.client)

    @app.post("/authorize")
    def chosen() -> ResponseReturnValue:
        # Whom somebody chose stands in the form, the request itself in the address, as it was checked above.
        name = request.form.get("account", "")
        if name and name not in directory.accounts:
            abort(400)
        try:
            grant = server.get_consent_grant(end_user=name or None)
        except OAuth2Error as error:
            return _refused(server, error)
        answer: Response = server.create_authorization_response(grant_user=name or None, grant=grant)
        return answer

    @app.post("/token")
    def token() -> ResponseReturnValue:
        answer: Response = server.create_token_response()
        return answer

    @app.route("/userinfo", methods=["GET", "POST"])
    def userinfo() -> ResponseReturnValue:
        if directory.fault.userinfo_down:
            abort(503)
        answer: Response = server.create_endpoint_response("userinfo")
        return answer

    @app.post("/revoke")
    def revoke_token() -> ResponseReturnValue:
        answer: Response = server.create_endpoint_response("revocation")
        return answer

    @app.route("/logout", methods=["GET", "POST"])
    def logout() -> ResponseReturnValue:
        # Nobody is remembered here, so there is nothing to end; only registered places are gone back to.
        target = request.values.get("post_logout_redirect_uri", "")
        origins = {uri.split("/hub/")[0] + "/" for uri in settings.client.redirect_uris}
        origins |= {uri.replace("/oauth_callback", "/login") for uri in settings.client.redirect_uris}
        hint = request.values.get("id_token_hint")
        if hint and not server.made(hint):
            return _page("Signed out", "The id token is not of this provider."), 400
        if target in origins:
            return redirect(target)
        return _page("Signed out", "This provider remembers nobody. You can close this window.")

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> ResponseReturnValue:
        return _page(error.name, "This address does not work. Go back to the hub and sign in again."), (
            error.code or 500
        )

    def only_admin() -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not settings.admin_token or not hmac.compare_digest(given.encode(), settings.admin_token.encode()):
            abort(403)

    @app.patch("/admin/accounts/<name>")
    def change_claims(name: str) -> ResponseReturnValue:
        only_admin()
        changes: dict[str, Any] = request.get_json()
        merged = directory.accounts[name] | changes
        directory.accounts[name] = {key: value for key, value in merged.items() if value is not None}
        return jsonify(directory.accounts[name])

    @app.post("/admin/accounts/<name>/revoke")
    def revoke(name: str) -> ResponseReturnValue:
        only_admin()
        directory.revoke(name)
        return "", 204

    @app.put("/admin/client-secret")
    def change_secret() -> ResponseReturnValue:
        only_admin()
        directory.client = replace(directory.client, client_secret=request.get_json())
        return "", 204

    @app.post("/admin/accounts/<name>/logout-token")
    def logout_token(name: str) -> ResponseReturnValue:
        only_admin()
        return jsonify(server.logout_token(name, request.get_json()))

    @app.put("/admin/fault")
    def fault() -> ResponseReturnValue:
        only_admin()
        directory.fault = Fault(**request.get_json())
        return "", 204

    @app.post("/admin/keys")
    def rotate() -> ResponseReturnValue:
        only_admin()
        directory.keys = [*directory.keys[-1:], make_key()]
        return jsonify(kid=directory.keys[-1].kid), 201

    return app


def make_client(
    client_id: str, client_secret: str, redirect_uris: Iterable[str], title: str
) -> ProviderClient:
    """Register the client; without a secret it gets a random one, so that nobody can be it."""
    return ProviderClient(
        client_id, client_secret or secrets.token_urlsafe(32), frozenset(redirect_uris), title
    )


def _page(title: str, message: str) -> str:
    return render_template("message.html", title=title, message=message)


def _refused(server: Any, error: OAuth2Error) -> ResponseReturnValue:
    """Send an error back to the client, or show it here if the client itself is in doubt (RFC 6749, 4.1.2.1)."""
    if error.redirect_uri:
        answer: Response = server.handle_error_response(None, error)
        return answer
    if isinstance(error, InvalidClientError):
        message = "No application with this client id is registered here."
    elif isinstance(error, InvalidRequestError) and "redirect" in str(error.description).lower():
        message = (
            "The address that the sign-in should return to is not registered here. "
            "Open the hub at the address that the demonstration printed."
        )
    else:
        message = "The sign-in request is not complete. Go back to the hub and sign in again."
    return _page("This sign-in cannot go on", message), 400
