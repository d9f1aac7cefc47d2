"""The two pages of a sign-in: one sends people to IAM, the other takes them back."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthLoginHandler
from tornado.web import HTTPError

from aiinfn_hub.i18n.language import gettext as _

from .problems import SignInError, stale

_ALIVE: Final = 5.0
"""Seconds for which an answer of IAM shows that people can be sent there."""


def nonce_of(state: str) -> str:
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
        extra_params["nonce"] = nonce_of(extra_params["state"])
        if self.get_argument("other", ""):
            extra_params["prompt"] = "login"
        kwargs["scope"] = self.authenticator.asked_scopes()
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
        """Report in our own words why IAM sent somebody back: text from a URL could be anybody's."""
        error = self.get_argument("error", "")
        if error == "access_denied":
            raise SignInError(403, _("Not signed in"), _("You did not complete the sign-in at IAM."))
        if error == "invalid_scope":
            asked = " ".join(self.authenticator.asked_scopes())
            self.log.error(
                "The client may not have all of these scopes at IAM: %s. Nobody can sign in.", asked
            )
            raise SignInError(
                502,
                _("IAM refused the sign-in"),
                _(
                    "The platform asks for scopes that IAM does not let it have. Please tell the people who run this "
                    "platform."
                ),
            )
        if error:
            self.log.warning("IAM refused a sign-in with the error %.40r", error)
            raise SignInError(
                502 if error == "server_error" else 400,
                _("IAM refused the sign-in"),
                _("Please try again. If that does not help, tell the people who run this platform."),
            )

    def check_code(self) -> None:
        """Refuse a callback without a code."""
        if not self.get_argument("code", ""):
            raise stale()

    def check_state(self) -> None:
        """Refuse a callback that does not belong to a sign-in started in this browser."""
        if not self.get_argument("state", ""):
            raise stale()
        try:
            super().check_state()
        except HTTPError:
            raise stale() from None
