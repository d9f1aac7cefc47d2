"""Signing out: here only or at IAM too, and being signed out by IAM (OpenID Connect RP-Initiated and Back-Channel Logout)."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from jupyterhub import orm
from jupyterhub.handlers import BaseHandler
from oauthenticator.oauth2 import OAuthLogoutHandler

from .discovery import LogoutTokenError
from .problems import ProviderBrokenError, ProviderUnreachableError

BACKCHANNEL_PATH: Final = "/backchannel-logout"
_LONGEST_TOKEN: Final = 16_384
_MOST_REMEMBERED: Final = 10_000


class SeenTokens:
    """The ids of logout tokens that were taken, until these end: each counts once."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def take(self, jti: str, until: float) -> bool:
        """Note an id; False if it was taken before."""
        now = time.time()
        if jti in self._until and now < self._until[jti]:
            return False
        if len(self._until) >= _MOST_REMEMBERED:
            self._until = {known: ends for known, ends in self._until.items() if now < ends}
        if len(self._until) >= _MOST_REMEMBERED:
            return False
        self._until[jti] = until
        return True


class IAMLogoutHandler(OAuthLogoutHandler):
    """``/hub/logout``: asks where to sign out, if there is a choice."""

    async def get(self) -> None:
        """Ask; sign out at once if IAM offers nothing of the kind."""
        if self.current_user is None or not await self._end_session():
            await super().get()
            return
        self.finish(
            await self.render_template("logout_ask.html", login_service=self.authenticator.login_service)
        )

    async def post(self) -> None:
        """Sign out here, and go on to IAM if that was chosen."""
        user, target = self.current_user, ""
        if user is not None and self.get_argument("where", "here") == "iam":
            target = await self._end_session()
        state = await user.get_auth_state() if user is not None and target else None
        await self.default_handle_logout()
        await self.handle_logout()
        self._jupyterhub_user = None
        if not target:
            self.finish(await self.render_template("logout.html"))
            return
        back = self.authenticator.get_callback_url(self).removesuffix("/oauth_callback") + "/login"
        query = {
            "client_id": self.authenticator.client_id,
            "post_logout_redirect_uri": back,
            "id_token_hint": ((state or {}).get("token_response") or {}).get("id_token"),
        }
        given = urlencode({key: value for key, value in query.items() if value})
        self.redirect(f"{target}{'&' if '?' in target else '?'}{given}")

    async def handle_logout(self) -> None:
        """Give the refresh token back, whichever way somebody signs out."""
        await super().handle_logout()
        if self.current_user is not None:
            self.authenticator.signed_out(self.current_user)

    async def _end_session(self) -> str:
        """Return IAM's address for signing out; empty if it has none, or does not answer."""
        try:
            return str((await self.authenticator.discover()).end_session)
        except (ProviderUnreachableError, ProviderBrokenError):
            return ""


class BackChannelLogoutHandler(BaseHandler):
    """``POST /hub/backchannel-logout``: IAM says that somebody signed out there.

    It ends the sign-ins of that person in all browsers. Sessions and jobs go on, as after signing out here.
    """

    _accept_cookie_auth = False
    _accept_token_auth = False

    def check_xsrf_cookie(self) -> None:
        """Check nothing: it is no browser that asks, and what it sends is signed."""

    def set_default_headers(self) -> None:
        """Keep the answer out of every cache."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    async def post(self) -> None:
        """Take a logout token."""
        token = self.get_body_argument("logout_token", "")
        if not token or len(token) > _LONGEST_TOKEN:
            self._refuse("a logout_token is needed")
            return
        authenticator = self.authenticator
        try:
            claims = await authenticator.provider.verify_logout(
                token, client_id=authenticator.client_id, leeway=authenticator.now().clock_skew
            )
        except ProviderUnreachableError:
            self.set_header("Retry-After", str(authenticator.unreachable_pause))
            self._refuse("the signing keys cannot be had now", HTTPStatus.SERVICE_UNAVAILABLE)
            return
        except (LogoutTokenError, ProviderBrokenError) as problem:
            self.log.warning("A logout token was refused: %s", getattr(problem, "what", problem))
            self._refuse("the logout token did not pass the checks")
            return
        if not authenticator.seen_tokens.take(claims["jti"], claims["until"]):
            self._refuse("this logout token was used before")
            return
        for found in self.db.query(orm.User).filter(orm.User.encrypted_auth_state.is_not(None)).all():
            user = self.users[found]
            state = await user.get_auth_state()
            if _is_meant(state, claims):
                self.log.info("%s was signed out by IAM", user.name)
                sign_out_everywhere(self.db, found)
                authenticator.signed_out(user)
        self.finish({})

    def _refuse(self, why: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        self.set_status(status)
        self.finish({"error": "invalid_request", "error_description": why})


def _is_meant(state: dict[str, Any] | None, claims: dict[str, Any]) -> bool:
    known = (state or {}).get("token_response") or {}
    if claims["sub"] is not None:
        return bool(known.get("sub") == claims["sub"])
    return bool(known.get("sid") == claims["sid"])


def sign_out_everywhere(db: Any, user: orm.User) -> None:
    """End the sign-ins of somebody in all browsers, at the hub and in sessions."""
    # The value of the hub's login cookie: with another one no cookie fits any more.
    user.cookie_id = orm.new_token()
    for token in list(user.api_tokens):
        if token.session_id:  # given to a session's server for a browser
            db.delete(token)
    db.commit()
