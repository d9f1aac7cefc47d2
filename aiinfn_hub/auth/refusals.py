"""Refusals of the token and userinfo endpoints (RFC 6749, 5.2; RFC 6750, 3): what they mean, and how they are logged."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tornado.httpclient import HTTPClientError

from aiinfn_hub.i18n.language import gettext as _

from .problems import ProviderBrokenError

_LONGEST_CODE: Final = 60
_LONGEST_DESCRIPTION: Final = 200
_LIKE_A_TOKEN: Final = re.compile(r"[A-Za-z0-9_.~+/=%-]{24,}")
"""Providers repeat the token that they refuse; a long word without spaces is taken for one."""
_HIDDEN: Final = "…"
_CLIENT: Final = frozenset({"invalid_client", "unauthorized_client"})
_SCOPE: Final = frozenset({"invalid_scope", "invalid_target"})
_IN_HEADER: Final = re.compile(r'(error|error_description)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class ProviderRefusal:
    """A refusal, safe to be logged.

    Attributes
    ----------
    status
        HTTP status.
    error, description
        The provider's ``error`` and ``error_description``; empty if it sent none that can be read.
    """

    status: int
    error: str = ""
    description: str = ""

    @classmethod
    def of(cls, error: HTTPClientError, secrets: Iterable[str | None] = ()) -> ProviderRefusal:
        """Read the answer.

        Parameters
        ----------
        secrets
            What was sent and must not come back into a log.
        """
        found: Any = None
        with contextlib.suppress(ValueError):
            found = json.loads(error.response.body if error.response else b"")
        if not isinstance(found, dict) or "error" not in found:
            # The userinfo endpoint says it in a header.
            header = error.response.headers.get("WWW-Authenticate", "") if error.response else ""
            found = dict(_IN_HEADER.findall(header))
        hidden = [secret for secret in secrets if secret]
        return cls(
            error.code,
            _safe(found.get("error"), hidden, _LONGEST_CODE),
            _safe(found.get("error_description"), hidden, _LONGEST_DESCRIPTION),
        )

    def __str__(self) -> str:
        parts = [f"HTTP status {self.status}", self.error or "without an error code", self.description]
        return ", ".join(part for part in parts if part)

    @property
    def of_the_grant(self) -> bool:
        """Whether the code or the refresh token is refused: the only refusal that signing in again can mend."""
        return self.error == "invalid_grant"

    @property
    def of_the_scope(self) -> bool:
        """Whether the scopes or the audience are refused."""
        return self.error in _SCOPE

    @property
    def of_the_client(self) -> bool:
        """Whether the hub itself is refused, as with a secret that was changed: nobody's own fault."""
        return self.error in _CLIENT or (not self.error and self.status in {401, 403})


class GrantRefusedError(Exception):
    """The provider does not take somebody's refresh token any more."""


class ScopeRefusedError(Exception):
    """The provider does not grant these scopes, or not for this audience."""


class ClientRefusedError(ProviderBrokenError):
    """The provider does not accept the hub as a client. For who is in already, it is as if the provider were down."""

    def __init__(self) -> None:
        super().__init__(_("IAM does not accept this platform as a client."))


def readable(value: object, secrets: Iterable[str] = ()) -> str:
    """Return text of a stranger as part of one line, without what may be a token."""
    return _safe(value, [secret for secret in secrets if secret], _LONGEST_DESCRIPTION)


def _safe(value: object, secrets: list[str], longest: int) -> str:
    """Return one bounded line of printable text, without anything that may be a token."""
    if not isinstance(value, str):
        return ""
    text = value[: longest * 50]
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    text = _LIKE_A_TOKEN.sub(_HIDDEN, text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
