"""What sign-in and roles add to the hub's own addresses, and the scopes that guard it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiinfn_hub.i18n.language import marked
from aiinfn_hub.platform.model.platform import Platform

from . import logout, managers, session_tokens
from .rules import PROJECT_SESSIONS

CUSTOM_SCOPES: Final = {
    session_tokens.SCOPE: {"description": marked("Get short-lived IAM tokens for a running session.")},
    PROJECT_SESSIONS: {"description": marked("See and stop the sessions of the projects that you manage.")},
}
"""For ``JupyterHub.custom_scopes``."""

USER_SCOPES: Final = (f"{session_tokens.SCOPE}!user",)
"""For ``JupyterHub.extra_user_scopes``: a session's token can have no more than its owner."""


def routes(platform: Callable[[], Platform]) -> list[tuple[Any, ...]]:
    """Return the handlers, for ``JupyterHub.extra_handlers``.

    Parameters
    ----------
    platform
        Returns the platform in force.
    """
    of_platform = {"platform": platform}
    return [
        (session_tokens.PATH, session_tokens.SessionTokenHandler),
        (logout.BACKCHANNEL_PATH, logout.BackChannelLogoutHandler),
        (managers.LIST_PATH, managers.ProjectSessionsHandler, of_platform),
        (managers.ONE_PATH, managers.ProjectSessionHandler, of_platform),
        (managers.PAGE_PATH, managers.ProjectSessionsPage, of_platform),
    ]


def server_scopes(platform: Platform) -> tuple[str, ...]:
    """Return what the token of a session may do beside what every one may: nothing, if it gets no IAM tokens."""
    return (f"{session_tokens.SCOPE}!server",) if platform.iam.session_token_scopes else ()
