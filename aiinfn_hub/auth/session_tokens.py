"""IAM tokens for sessions, on demand: ``POST /hub/api/aiinfn/iam-token`` with the session's own hub token.

Nothing of IAM is put into a session when it starts. A program that needs a token asks for it when it needs it, gets one
that lasts as long as IAM's access tokens do, and can do no more than the platform file lists. The refresh token
never leaves the hub.
"""

from __future__ import annotations

import math
import re
from http import HTTPStatus
from typing import Any, Final, NoReturn

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.user import User
from tornado.web import HTTPError

from aiinfn_hub.i18n.language import gettext as _

from .problems import ProviderBrokenError, ProviderUnreachableError
from .tokens import TokenRateError

SCOPE: Final = "custom:aiinfn:iam-token"
"""A session's own token has it, filtered to this session, if the platform gives tokens to sessions."""
PATH: Final = "/api/aiinfn/iam-token"
_AUDIENCE: Final = re.compile(r"[\x21-\x7e]{1,200}\Z")


class SignInAgainError(Exception):
    """IAM does not renew this person's tokens any more."""


class ScopesNotGrantedError(Exception):
    """IAM did not grant these scopes when this person signed in."""


class SessionTokenHandler(APIHandler):
    """Give the owner of a session an IAM access token."""

    # A page that another server of this host name serves has the browser's cookies; it has no session's token.
    _accept_cookie_auth = False

    def set_default_headers(self) -> None:
        """Keep the answer out of every cache."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Pragma", "no-cache")

    async def post(self) -> None:
        """Answer with a token; the body may narrow it: ``{"scope": "storage.read:/", "audience": "https://…"}``."""
        offered = self.authenticator.session_token_scopes()
        if not offered:
            raise HTTPError(404, _("This platform gives no IAM tokens to sessions."))
        user, server = self._session()
        scopes, audience = self._asked(offered)
        try:
            answer = await self.authenticator.token_for_session(user, scopes, audience)
        except ProviderUnreachableError:
            self.set_header("Retry-After", str(self.authenticator.unreachable_pause))
            raise HTTPError(503, _("IAM does not answer. Try again in a minute.")) from None
        except ProviderBrokenError as problem:
            raise HTTPError(502, problem.jupyterhub_message) from None
        except TokenRateError as problem:
            self.set_header("Retry-After", str(math.ceil(problem.wait)))
            raise HTTPError(
                429, _("Your sessions ask for too many IAM tokens. Use one until it ends.")
            ) from None
        except ScopesNotGrantedError:
            raise HTTPError(
                403,
                _(
                    "IAM has not granted the scope {scope} at your last sign-in. Sign out of the hub and in again; if that "
                    "does not help, the platform's client at IAM is not allowed to have it."
                ).format(scope=" ".join(sorted(scopes))),
            ) from None
        except SignInAgainError:
            raise HTTPError(
                401, _("IAM does not renew your sign-in any more. Sign out of the hub and in again.")
            ) from None
        self.log.info(
            "IAM token for the session %s/%s: scope=%s audience=%s expires_in=%d",
            user.name,
            server,
            answer["scope"],
            audience or "any",
            answer["expires_in"],
        )
        self.write(answer)

    def _session(self) -> tuple[User, str]:
        """Return the running session that asks, and its owner."""
        if not self.current_user:
            raise HTTPError(
                403,
                _(
                    "The hub does not take this token: the session is over, or its owner has to sign in to the hub again."
                ),
            )
        for place in self.parsed_scopes.get(SCOPE, {}).get("server", ()) if self._narrow() else ():
            name, _slash, server = place.partition("/")
            if isinstance(self.current_user, User) and name == self.current_user.name:
                spawner = self.current_user.spawners.get(server)
                if spawner is not None and spawner.active:
                    return self.current_user, server
        raise HTTPError(
            403, _("IAM tokens are given to running sessions only, with the session's own token.")
        )

    def _narrow(self) -> bool:
        return isinstance(self.parsed_scopes.get(SCOPE), dict)

    def _asked(self, offered: frozenset[str]) -> tuple[frozenset[str], str]:
        body = self.get_json_body()
        if body is None:
            body = {}
        if not isinstance(body, dict) or set(body) - {"scope", "audience"}:
            _bad()
        scope, audience = body.get("scope") or "", body.get("audience") or ""
        if not isinstance(scope, str) or not isinstance(audience, str):
            _bad()
        if audience and not _AUDIENCE.match(audience):
            raise HTTPError(400, _("The audience has to be one word without spaces, such as a URL."))
        scopes = frozenset(scope.split())
        if not scopes <= offered:
            raise HTTPError(
                403,
                _("Sessions may have these IAM scopes only: {offered}. Not: {others}.").format(
                    offered=" ".join(sorted(offered)), others=" ".join(sorted(scopes - offered))[:200]
                ),
            )
        return scopes or offered, audience

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log a refusal in one line."""
        if isinstance(value, HTTPError) and value.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.info("No IAM token (%d): %s", value.status_code, value.get_message())
        else:
            super().log_exception(typ, value, tb)


def _bad() -> NoReturn:
    raise HTTPError(
        400,
        _(
            'Ask with JSON such as {"scope": "storage.read:/", "audience": "https://…"}; both may be left out.'
        ),
    )
