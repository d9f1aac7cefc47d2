"""IAM tokens in a session, when a program needs one.

A session holds no token of IAM. This asks the hub, with the session's own hub token, for one that lasts as long as
IAM's access tokens do; nothing is written to disk. Ask again each time you need one: the hub hands out the same token
until it is about to end.

    from aiinfn_lab.iam import access_token
    headers = {"Authorization": f"Bearer {access_token('storage.read:/')}"}
"""

from __future__ import annotations

import asyncio
import json
import os
import urllib.error
import urllib.request
from typing import Any, Final

_PATH: Final = "/aiinfn/iam-token"
_SECONDS: Final = 30.0
"""The hub may have to ask IAM first."""


class NoTokenError(Exception):
    """There is no token; the message says why and what to do.

    Attributes
    ----------
    status
        The hub's HTTP status; 0 if there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def access_token(scope: str = "", audience: str = "") -> str:
    """Return an IAM access token of the session's owner.

    Parameters
    ----------
    scope
        Scopes separated by spaces, e.g. ``storage.read:/``; empty: all that the platform gives to sessions. Ask for
        what you need only.
    audience
        Whom the token is for, e.g. the URL of a storage service, which is then the only one to take it; empty: any.

    Raises
    ------
    NoTokenError
        If the platform gives none, or cannot now.
    """
    return str(token_response(scope, audience)["access_token"])


async def access_token_async(scope: str = "", audience: str = "") -> str:
    """Return the same without holding up an event loop."""
    return await asyncio.to_thread(access_token, scope, audience)


def token_response(scope: str = "", audience: str = "") -> dict[str, Any]:
    """Return the token with ``expires_in`` (seconds), ``expires_at`` and ``scope``, as a token endpoint answers.

    Raises
    ------
    NoTokenError
        If the platform gives none, or cannot now.
    """
    url, token = os.environ.get("JUPYTERHUB_API_URL"), os.environ.get("JUPYTERHUB_API_TOKEN")
    if not url or not token:
        raise NoTokenError(
            "IAM tokens are given to running sessions only: here is no token of the hub. A job has none; get what it needs "
            "before you submit it."
        )
    request = urllib.request.Request(  # noqa: S310 - the hub's own address
        url.rstrip("/") + _PATH,
        data=json.dumps({"scope": scope, "audience": audience}).encode(),
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    # The hub is near: a proxy for the world would not know it, and would see the token.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise NoTokenError(_message(error), error.code) from None
    except (OSError, ValueError):
        raise NoTokenError("The hub does not answer. Try again in a minute.") from None
    if not isinstance(found, dict) or "access_token" not in found:
        raise NoTokenError("The hub's answer is no token. Tell the people who run this platform.")
    return found


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (ValueError, KeyError, TypeError):
        return f"The hub gives no token (HTTP status {error.code})."
