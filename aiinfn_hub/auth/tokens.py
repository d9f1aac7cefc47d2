"""IAM's tokens of each person: one renewal at a time, and short-lived narrow ones for sessions on demand.

A provider may rotate refresh tokens, and take the use of an old one for theft. So of one person only one renewal is
under way at any time, and the newest tokens win over what somebody else still saves.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

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
_AGAIN: Final = 5.0
"""Seconds before the same question is put to the provider again that it has just refused."""
_LONGEST_LINE: Final = 500
_SCOPE_CHARACTERS: Final = re.compile(r"[^\x21\x23-\x5B\x5D-\x7E]")
_NEXT: Final = 0.001
"""Seconds by which a state is newer at least than that which it replaces, whatever the clock says."""

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type, no token


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
        """Return whether it lasts long enough to be handed out."""
        return self.expires - now >= min(_SPARE, (self.expires - self.made) / 2)

    def answer(self, now: float) -> dict[str, Any]:
        """Return it as a token endpoint does (RFC 6749, 5.1), with the absolute time beside it."""
        return {
            "access_token": self.value,
            "token_type": "Bearer",
            "expires_in": int(self.expires - now),
            "expires_at": datetime.fromtimestamp(int(self.expires), UTC).isoformat().replace("+00:00", "Z"),
            "scope": " ".join(sorted(self.scopes)),
        }


class TokenRateError(Exception):
    """One person's sessions ask for too many new tokens.

    Attributes
    ----------
    wait
        Seconds.
    """

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


class TokenScopeError(Exception):
    """A token can do more than was asked for; the text names the scopes that it has besides."""

    def __init__(self, extra: Iterable[str]) -> None:
        shown = " ".join(sorted(_SCOPE_CHARACTERS.sub("?", scope)[:100] for scope in extra))
        super().__init__(shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}…")


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
    _refused: dict[tuple[frozenset[str], str], tuple[float, Exception]] = field(default_factory=dict)
    _revoked: float = -1.0

    def latest(self, stored: State | None) -> State | None:
        """Return the state with the newest tokens, which may not have been saved yet, or been saved over."""
        if stored is None or renewed_at(stored) <= self._revoked:
            return None
        if self.newest is None:
            return stored
        return self.newest if renewed_at(self.newest) > renewed_at(stored) else stored

    def supersede(self, state: State) -> None:
        """Make a state of a new sign-in the newest one."""
        known = max(renewed_at(self.newest or {}), self._revoked)
        state["token_response"]["renewed_at"] = max(renewed_at(state), known + _NEXT)

    def revoked(self, state: State) -> None:
        """Let nothing bring back a state whose tokens were revoked."""
        self._revoked = max(renewed_at(state), renewed_at(self.newest or {}))
        self.newest = None
        self.forget()

    def found(self, scopes: frozenset[str], audience: str) -> SessionToken | None:
        """Return a token that was made before and still lasts."""
        token = self._made.get((scopes, audience))
        return token if token is not None and token.fresh(time.time()) else None

    def remember(self, token: SessionToken) -> None:
        """Keep a token for who asks next."""
        now = time.time()
        self._made = {key: kept for key, kept in self._made.items() if kept.fresh(now)}
        if len(self._made) >= _REMEMBERED:
            del self._made[next(iter(self._made))]
        self._made[token.scopes, token.audience] = token
        self._times.append(time.monotonic())

    def forget(self) -> None:
        """Hand out nothing any more that was made before."""
        self._made.clear()

    def failed(self, scopes: frozenset[str], audience: str, problem: Exception) -> None:
        """Remember a refusal for a moment, so that a program that repeats itself does not reach the provider."""
        now = time.monotonic()
        self._refused = {key: kept for key, kept in self._refused.items() if now < kept[0]}
        if len(self._refused) >= _REMEMBERED:
            del self._refused[next(iter(self._refused))]
        self._refused[scopes, audience] = now + _AGAIN, problem

    def pace(self, scopes: frozenset[str], audience: str) -> None:
        """Refuse what was refused a moment ago, and what would be one new token too many.

        Raises
        ------
        TokenRateError
            If there were too many; those that could not be made do not count.
        Exception
            What was given to `failed`.
        """
        until, problem = self._refused.get((scopes, audience), (0.0, None))
        if problem is not None and time.monotonic() < until:
            raise problem
        now = time.monotonic()
        while self._times and now - self._times[0] >= 60:
            self._times.popleft()
        if len(self._times) >= _PACE:
            raise TokenRateError(60 - (now - self._times[0]))


class Wallets:
    """Everybody's, by user name."""

    def __init__(self) -> None:
        self._of: dict[str, Wallet] = {}

    def of(self, name: str) -> Wallet:
        """Return one person's."""
        return self._of.setdefault(name, Wallet())

    def drop(self, name: str) -> None:
        """Forget one person's altogether: the name may be another person's next."""
        self._of.pop(name, None)


def renewed_at(state: Mapping[str, Any]) -> float:
    """Return when IAM gave these tokens."""
    found = (state.get("token_response") or {}).get("renewed_at", 0)
    return float(found) if isinstance(found, int | float) else 0.0


def with_refresh_token(state: State, refresh_token: str, now: float) -> State:
    """Return a state with a rotated refresh token, which keeps the access token of the hub."""
    at = max(now, renewed_at(state) + _NEXT)
    kept = {**state["token_response"], "refresh_token": refresh_token, "renewed_at": at}
    return {**state, "refresh_token": refresh_token, "token_response": kept}


def with_tokens(state: State, token_info: dict[str, Any]) -> State:
    """Return a state with new tokens, and with what was known about the person.

    The time of renewal in ``token_info`` is put right if a clock was set back: what is newer decides what is kept.
    """
    token_info["renewed_at"] = max(token_info["renewed_at"], renewed_at(state) + _NEXT)
    access_token, refresh_token = token_info["access_token"], token_info.get("refresh_token")
    return {
        **state,
        "access_token": access_token,
        "refresh_token": refresh_token,
        "token_response": token_info,
    }


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Return the header with which a client authenticates (RFC 6749, 2.3.1)."""
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def exchange_request(access_token: str, scopes: Iterable[str], audience: str) -> dict[str, str]:
    """Return the parameters of a token exchange (RFC 8693, 2.1) for a token with fewer scopes."""
    exchange = {
        "grant_type": EXCHANGE,
        "subject_token": access_token,
        "subject_token_type": _ACCESS_TOKEN,
        "requested_token_type": _ACCESS_TOKEN,
    }
    return narrow_request(exchange, scopes, audience)


def narrow_request(refresh: Mapping[str, str], scopes: Iterable[str], audience: str) -> dict[str, str]:
    """Return the parameters of a request for a token with fewer scopes (RFC 6749, 6), for one audience.

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
    TokenScopeError
        If the token can do more than was asked for: such a one is not handed out.
    """
    token = str(info["access_token"])
    given = info.get("scope")
    got = frozenset(given.split()) if isinstance(given, str) and given else scopes
    if extra := (got | _scopes_inside(token)) - scopes:
        raise TokenScopeError(extra)
    life = info.get("expires_in")
    seconds = float(life) if isinstance(life, int | float) and life > 0 else _LIFE
    return SessionToken(token, got, audience, now, now + seconds)


def _scopes_inside(token: str) -> frozenset[str]:
    """Return the scopes in a signed token (RFC 9068, 2.2.3), which count more than what is said about it."""
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["scope"]
    except (IndexError, ValueError, binascii.Error, KeyError, TypeError):
        return frozenset()
    return frozenset(found.split()) if isinstance(found, str) else frozenset()
