"""Sign-in with INDIGO IAM: OpenID Connect with discovery, PKCE, and groups that decide about access.

What the base class (oauthenticator's generic one, 17.4) lacks is here: discovery, verification of the id token, groups
from either IAM profile, access that is checked again at every refresh, and pages with a sentence for what goes wrong.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from jupyterhub.user import User
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthLoginHandler
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.web import HTTPError, RequestHandler
from traitlets import Callable, Integer, List, Unicode, default

from . import claims
from .discovery import Endpoints, Provider
from .problems import NotAllowed, ProviderBroken, ProviderUnreachable, SignInProblem, WrongPerson

_PAUSE: Final = 15.0
"""Seconds without another try after IAM did not answer a refresh, so that pages do not wait for it one by one."""
_ALIVE: Final = 5.0
"""Seconds for which an answer of IAM shows that people can be sent there."""
_BUSY: Final = frozenset({408, 425, 429})
"""Client errors that say nothing about the token: the provider wants to be asked later."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the platform says about who may sign in.

    Attributes
    ----------
    title
        The platform's name on the pages.
    allowed
        Groups of which one is needed.
    admins
        Groups of the operators.
    """

    title: str
    allowed: frozenset[str]
    admins: frozenset[str]


def _nonce(state: str) -> str:
    """Derive the nonce from the state, which is a random value used once and kept in a signed cookie."""
    return hashlib.sha256(f"nonce {state}".encode()).hexdigest()


class IAMLoginHandler(OAuthLoginHandler):
    """Send people to IAM, once its endpoints are known."""

    async def get(self) -> None:
        """Redirect to IAM, or show why that is not possible now."""
        await self.authenticator.discover(answered_within=_ALIVE)
        super().get()

    def authorize_redirect(self, *args: Any, extra_params: dict[str, Any], **kwargs: Any) -> None:
        """Add the nonce, and ask IAM to forget whom it remembers if somebody else wants to sign in."""
        extra_params["nonce"] = _nonce(extra_params["state"])
        if self.get_argument("other", ""):
            extra_params["prompt"] = "login"
        super().authorize_redirect(*args, extra_params=extra_params, **kwargs)


class IAMCallbackHandler(OAuthCallbackHandler):
    """Take people back from IAM."""

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log a problem without the address, which holds the code."""
        if isinstance(value, HTTPError):
            self.log.warning("Sign-in did not succeed (%d): %s", value.status_code, value.get_message())
        else:
            super().log_exception(typ, value, tb)

    def check_error(self) -> None:
        """Tell in our own words why IAM sent somebody back: text from a URL could be anybody's."""
        error = self.get_argument("error", "")
        if error == "access_denied":
            raise SignInProblem(403, "Not signed in", "You did not complete the sign-in at IAM.")
        if error:
            self.log.warning("IAM refused a sign-in with the error %.40r", error)
            raise SignInProblem(
                502 if error == "server_error" else 400,
                "IAM refused the sign-in",
                "Please try again. If that does not help, tell the people who run this platform.",
            )

    def check_code(self) -> None:
        """Refuse a callback without a code."""
        if not self.get_argument("code", ""):
            raise _stale()

    def check_state(self) -> None:
        """Refuse a callback that does not belong to a sign-in started in this browser."""
        if not self.get_argument("state", ""):
            raise _stale()
        try:
            super().check_state()
        except HTTPError:
            raise _stale() from None


def _stale() -> SignInProblem:
    return SignInProblem(
        400,
        "This sign-in cannot be completed",
        "It was started in another window, under another address, or too long ago. Please sign in again.",
    )


class IAMAuthenticator(GenericOAuthenticator):
    """Authenticate with an OpenID Connect provider whose claims are shaped as INDIGO IAM's."""

    login_handler = IAMLoginHandler
    callback_handler = IAMCallbackHandler

    openid_provider_url = Unicode(
        config=True,
        help="""The issuer, for example https://iam.example.org/. Its endpoints are discovered at the first sign-in.

        Named as in oauthenticator's pull request 822, so that this can give way to it.""",
    )
    discovery_age = Integer(
        3600, min=1, config=True, help="Seconds after which the provider's endpoints are asked for again."
    )
    unreachable_grace = Integer(
        24 * 3600,
        min=0,
        config=True,
        help="""Seconds for which the last known groups of somebody hold while IAM does not answer.

        An outage of IAM must not end anybody's work, but it must not keep access alive for ever either. Counted from
        the last successful check of each person, also over restarts of the hub.""",
    )
    rules = Callable(
        None,
        allow_none=True,
        config=True,
        help="""Function without arguments that gives the `Rules`, asked whenever somebody's groups are judged.

        They replace `allowed_groups`, `admin_groups` and `platform_title`, and may change while the hub runs.""",
    )
    platform_title = Unicode("this platform", config=True, help="What a refused person reads as its name.")
    scope = List(
        Unicode(),
        ["openid", "profile", "email", "offline_access"],
        config=True,
        help="Scopes asked for; offline_access lets groups be checked while somebody works.",
    )

    @default("login_service")
    def _default_login_service(self) -> str:
        return "IAM"

    @default("username_claim")
    def _default_username_claim(self) -> str:
        return "preferred_username"

    @default("manage_groups")
    def _default_manage_groups(self) -> bool:
        return True

    @default("enable_auth_state")
    def _default_enable_auth_state(self) -> bool:
        return True

    @default("auth_refresh_strict")
    def _default_auth_refresh_strict(self) -> bool:
        # Else the token of a running session keeps the groups of somebody who was removed from them.
        return True

    @default("http_request_kwargs")
    def _default_http_request_kwargs(self) -> dict[str, Any]:
        return {"connect_timeout": 5.0, "request_timeout": 10.0}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._provider = Provider(self.openid_provider_url, self._json, self.log, max_age=self.discovery_age)
        self._pause_until = 0.0

    async def discover(self, *, answered_within: float | None = None) -> Endpoints:
        """Find the provider's endpoints, mostly in the cache, and give them to the base class.

        Parameters
        ----------
        answered_within
            Seconds within which IAM must have answered, to be sure that it is alive.

        Raises
        ------
        ProviderUnreachable, ProviderBroken
            With the page for the person who waits.
        """
        try:
            endpoints = await self._provider.endpoints(answered_within=answered_within)
        except (ProviderUnreachable, ProviderBroken) as problem:
            self.log.warning("IAM cannot be used: %s", problem.what)
            raise
        self.authorize_url, self.token_url = endpoints.authorize, endpoints.token
        self.userdata_url = endpoints.userinfo
        return endpoints

    async def httpfetch(
        self,
        url: str,
        label: str = "fetching",
        parse_json: bool = True,
        raise_error: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Ask IAM and tell an outage from a refusal; replies are not logged, since they may hold tokens.

        Raises
        ------
        ProviderUnreachable
            No connection, no answer in time, or an answer that says "later".
        tornado.httpclient.HTTPClientError
            A 4xx: the request is refused.
        ProviderBroken
            An answer that is not JSON.
        """
        what = f"{label.removesuffix('...')} at {_place(url)}"
        request = HTTPRequest(url, **(self.http_request_kwargs | kwargs))
        try:
            response = await self.http_client.fetch(request, raise_error=raise_error)
        except HTTPClientError as error:
            if error.code >= 500 or error.code in _BUSY:
                raise ProviderUnreachable(f"{what}: HTTP status {error.code}") from None
            raise
        except ssl.SSLError as error:
            raise ProviderUnreachable(
                f"{what}: the TLS connection failed ({error.reason or 'no reason'})"
            ) from None
        except OSError as error:
            raise ProviderUnreachable(f"{what}: {error.strerror or type(error).__name__}") from None
        if not parse_json:
            return response
        try:
            return json.loads(response.body)
        except ValueError:
            raise ProviderBroken("IAM's answer is not JSON.") from None

    async def _json(self, url: str, what: str) -> Any:
        """Get a public document."""
        try:
            return await self.httpfetch(
                url, what, headers={"Accept": "application/json"}, validate_cert=self.validate_server_cert
            )
        except HTTPClientError as error:
            raise ProviderBroken(f"IAM has no {what} at {_place(url)} (HTTP status {error.code}).") from None

    async def get_token_info(self, handler: RequestHandler | None, params: dict[str, Any]) -> dict[str, Any]:
        """Get tokens for a code or a refresh token; at sign-in the id token is verified.

        Raises
        ------
        tornado.httpclient.HTTPClientError
            If a refresh is refused.
        SignInProblem
            If a sign-in is.
        """
        signing_in = params["grant_type"] == "authorization_code"
        await self.discover()
        try:
            token_info = await self.httpfetch(
                self.token_url,
                "token request",
                method="POST",
                headers=self.build_token_info_request_headers(),
                body=urlencode({key: value for key, value in params.items() if value is not None}),
                validate_cert=self.validate_server_cert,
                follow_redirects=False,
            )
        except HTTPClientError as error:
            if not signing_in:
                raise
            self.log.warning("IAM refused a code (HTTP status %d)", error.code)
            raise (
                _stale()
                if error.code == 400
                else ProviderBroken("IAM does not accept this platform as a client.")
            ) from None
        if not isinstance(token_info, dict) or not isinstance(token_info.get("access_token"), str):
            raise ProviderBroken("IAM sent no access token.")
        token_info.setdefault("token_type", "Bearer")
        if signing_in and handler is not None:
            token_info["sub"] = await self._provider.verify(
                token_info.get("id_token"),
                client_id=self.client_id,
                nonce=_nonce(handler.get_argument("state")),
            )
        return token_info

    async def token_to_user(self, token_info: dict[str, Any]) -> dict[str, Any]:
        """Ask the userinfo endpoint, which knows the groups of now; it must speak of whom the id token spoke of."""
        user_info = await super().token_to_user(token_info)
        if not isinstance(user_info, dict):
            raise ProviderBroken("IAM's userinfo is not a JSON object.")
        if user_info.get("sub") != token_info.get("sub"):
            raise WrongPerson
        return user_info

    def user_info_to_username(self, user_info: dict[str, Any]) -> str:
        """Give the user name from IAM's claims."""
        name = claims.username(user_info, self.username_claim)
        if name is None:
            raise ProviderBroken(
                f"IAM gives no usable user name for this account (claim {self.username_claim})."
            )
        return name

    def build_auth_state_dict(self, token_info: dict[str, Any], user_info: dict[str, Any]) -> dict[str, Any]:
        """Add when IAM was asked last, which decides how long its answer holds during an outage."""
        state: dict[str, Any] = super().build_auth_state_dict(token_info, user_info)
        return state | {"checked_at": int(time.time())}

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """Give the groups in IAM's claims, as whole paths."""
        return set(claims.groups(auth_state[self.user_auth_state_key]))

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """Decide who is an operator: said each time, so that leaving the group takes the right away."""
        if self.rules is not None:
            rules: Rules = self.rules()
            self.allowed_groups, self.admin_groups = set(rules.allowed), set(rules.admins)
            self.platform_title = rules.title
        if auth_model["admin"] is None:
            auth_model["admin"] = bool(
                await self.get_user_groups(auth_model["auth_state"]) & self.admin_groups
            )
        return auth_model

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Let in whom one of the platform's groups lets in; tell everybody else what is missing.

        Raises
        ------
        NotAllowed
            With the page that says so.
        """
        if await super().check_allowed(username, auth_model):
            return True
        self.log.info("%s belongs to no project and is not let in", username)
        raise NotAllowed(username, self.platform_title)

    async def refresh_user(
        self, user: User, handler: RequestHandler | None = None, **kwargs: Any
    ) -> bool | dict[str, Any]:
        """Ask IAM again who somebody is, and whether that still gives access.

        Returns
        -------
        The new auth model; True to go on with the old one because IAM does not answer (at most `unreachable_grace`
        seconds); False if the person has to sign in again: the tokens are no longer good, the account was renamed, or
        no group gives access any more.
        """
        if handler is not None and not hasattr(handler, "_token_authenticated"):
            # JupyterHub 6.1.1 reads this after a refused refresh, but sets it for tokens only: a traceback in the log.
            vars(handler)["_token_authenticated"] = False
        auth_state = await user.get_auth_state()
        if not auth_state or not auth_state.get("token_response"):
            return False
        if time.monotonic() < self._pause_until:
            return self._holds(user.name, auth_state)
        try:
            model = await self._renew(auth_state)
        except (ProviderUnreachable, ProviderBroken) as problem:
            self.log.warning("The groups of %s could not be checked: %s", user.name, problem.what)
            self._pause_until = time.monotonic() + _PAUSE
            return self._holds(user.name, auth_state)
        except WrongPerson:
            model = None
        if model is None or self.normalize_username(model["name"]) != user.name:
            self.log.info("%s has to sign in again", user.name)
            return False
        allowed = await super().check_allowed(user.name, model) and self.check_blocked_users(user.name, model)
        if not allowed:
            self.log.info("%s has no group any more that gives access", user.name)
            return False
        return model

    async def _renew(self, auth_state: dict[str, Any]) -> dict[str, Any] | None:
        """Make a new auth model with the stored tokens, or give None if IAM takes none of them."""
        await self.discover()
        token_info: dict[str, Any] = auth_state["token_response"]
        try:
            return dict(await self._token_to_auth_model(token_info))
        except HTTPClientError:
            pass  # An access token lives for an hour or less; now the refresh token has to do.
        refresh_token = auth_state.get("refresh_token")
        if not refresh_token:
            return None
        try:
            renewed = await self.get_token_info(None, self.build_refresh_token_request_params(refresh_token))
            # A provider may keep the refresh token and leave it, and the id token, out of this answer.
            kept = {key: token_info[key] for key in ("refresh_token", "id_token", "sub") if key in token_info}
            return dict(await self._token_to_auth_model(kept | renewed))
        except HTTPClientError:
            return None

    def _holds(self, name: str, auth_state: dict[str, Any]) -> bool:
        """Say whether what IAM said last still counts while it does not answer."""
        holds: bool = time.time() - auth_state.get("checked_at", 0) <= self.unreachable_grace
        if not holds:
            self.log.warning("IAM has not answered for too long: %s has to sign in again", name)
        return holds


def _place(url: str) -> str:
    """Give a URL without its query, for a log line."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
