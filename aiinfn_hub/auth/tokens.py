"""IAM's tokens of each person: one renewal at a time, and short-lived narrow ones for sessions on demand.

A provider may rotate refresh tokens, and take the use of an old one for theft. So of one person only one renewal is
under way at any time, and the newest tokens win over what somebody else still saves.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from tornado.httpclient import HTTPClientError

State = dict[str, Any]
"""What JupyterHub keeps encrypted for a person (``auth_state``)."""

_SPARE: Final = 300.0
"""Seconds that a token lasts at least when it is handed out, or half of its life if that is less."""
_LIFE: Final = 300.0
"""Seconds that a token is taken to last if the provider does not say."""
_PACE: Final = 30
"""Tokens that are newly made for one person in a minute at most: more is a program that goes wrong."""
_REMEMBERED: Final = 32
"""Different tokens that are remembered for one person."""


@dataclass(frozen=True, slots=True)
class SessionToken:
    """An access token for a session.

    Attributes
    ----------
    scopes
        What it is good for.
    audience
        Whom it is for; empty: whoever takes it.
    made, expires
        Seconds since the epoch, by this machine's clock.
    """

    value: str = field(repr=False)
    scopes: frozenset[str]
    audience: str
    made: float
    expires: float

    def fresh(self, now: float) -> bool:
        """Tell whether it lasts long enough to be handed out."""
        return self.expires - now >= min(_SPARE, (self.expires - self.made) / 2)

    def answer(self, now: float) -> dict[str, Any]:
        """Give it as a token endpoint does (RFC 6749, 5.1), with the absolute time beside it."""
        return {
            "access_token": self.value,
            "token_type": "Bearer",
            "expires_in": int(self.expires - now),
            "expires_at": datetime.fromtimestamp(int(self.expires), UTC).isoformat().replace("+00:00", "Z"),
            "scope": " ".join(sorted(self.scopes)),
        }


class TooFast(Exception):  # noqa: N818 - said to a person
    """One person's sessions ask for too many new tokens.

    Attributes
    ----------
    wait
        Seconds.
    """

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


@dataclass(slots=True)
class Wallet:
    """One person's tokens.

    Attributes
    ----------
    lock
        Held while IAM is asked for tokens of this person, from reading to saving.
    newest
        The last state with renewed tokens; None if nothing was renewed since the hub started.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    newest: State | None = field(default=None, repr=False)
    _made: dict[tuple[frozenset[str], str], SessionToken] = field(default_factory=dict, repr=False)
    _times: deque[float] = field(default_factory=deque)

    def latest(self, stored: State | None) -> State | None:
        """Give the state with the newest tokens, which may not have been saved yet, or been saved over."""
        if self.newest is None or stored is None:
            return stored
        return self.newest if renewed_at(self.newest) > renewed_at(stored) else stored

    def found(self, scopes: frozenset[str], audience: str) -> SessionToken | None:
        """Give a token that was made before and still lasts."""
        token = self._made.get((scopes, audience))
        return token if token is not None and token.fresh(time.time()) else None

    def remember(self, token: SessionToken) -> None:
        """Keep a token for who asks next."""
        now = time.time()
        self._made = {key: kept for key, kept in self._made.items() if kept.fresh(now)}
        if len(self._made) >= _REMEMBERED:
            del self._made[next(iter(self._made))]
        self._made[token.scopes, token.audience] = token

    def forget(self) -> None:
        """Hand out nothing any more that was made before."""
        self._made.clear()

    def pace(self) -> None:
        """Count a new token.

        Raises
        ------
        TooFast
            If there were too many.
        """
        now = time.monotonic()
        while self._times and now - self._times[0] >= 60:
            self._times.popleft()
        if len(self._times) >= _PACE:
            raise TooFast(60 - (now - self._times[0]))
        self._times.append(now)


class Wallets:
    """Everybody's, by user name."""

    def __init__(self) -> None:
        self._of: dict[str, Wallet] = {}

    def of(self, name: str) -> Wallet:
        """Give one person's."""
        return self._of.setdefault(name, Wallet())


def renewed_at(state: Mapping[str, Any]) -> float:
    """Give when IAM gave these tokens."""
    found = (state.get("token_response") or {}).get("renewed_at", 0)
    return float(found) if isinstance(found, int | float) else 0.0


def with_refresh_token(state: State, refresh_token: str, now: float) -> State:
    """Put a rotated refresh token into a state, which keeps the access token of the hub."""
    kept = {**state["token_response"], "refresh_token": refresh_token, "renewed_at": now}
    return {**state, "refresh_token": refresh_token, "token_response": kept}


def narrow_request(refresh: Mapping[str, str], scopes: Iterable[str], audience: str) -> dict[str, str]:
    """Give the parameters of a request for a token with fewer scopes (RFC 6749, 6), for one audience.

    INDIGO IAM takes ``audience``; ``resource`` is the standard's word for it (RFC 8707), and has to be a URI.
    """
    request = {**refresh, "scope": " ".join(sorted(scopes))}
    if audience:
        request["audience"] = audience
        if urlsplit(audience).scheme:
            request["resource"] = audience
    return request


def session_token(info: Mapping[str, Any], scopes: frozenset[str], audience: str, now: float) -> SessionToken:
    """Read the provider's answer.

    Raises
    ------
    ValueError
        If the token can do more than was asked for: such a one is not handed out.
    """
    given = info.get("scope")
    got = frozenset(given.split()) if isinstance(given, str) and given else scopes
    if not got <= scopes:
        raise ValueError("the token has more scopes than were asked for")
    life = info.get("expires_in")
    seconds = float(life) if isinstance(life, int | float) and life > 0 else _LIFE
    return SessionToken(str(info["access_token"]), got, audience, now, now + seconds)


def error_code(error: HTTPClientError) -> str:
    """Give the code of a refusal of the token endpoint (RFC 6749, 5.2); empty if there is none."""
    try:
        found = json.loads(error.response.body if error.response else b"")["error"]
    except (ValueError, TypeError, KeyError):
        return ""
    return found if isinstance(found, str) else ""
