"""The hub's client of vkd: what is free, and devices for sessions.

A page must never hang on vkd, so every call has a short time limit, and a vkd that does not answer is one exception.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from pydantic import ValidationError
from yarl import URL

from aiinfn_hub.contract.access import AccessReading, AccessUpdate, Hold
from aiinfn_hub.contract.constants import MOST_REVOKED_TOKENS, PREFIX
from aiinfn_hub.contract.platform import AvailabilityReading
from aiinfn_hub.contract.problem import Reason, Refusal, reason_of
from aiinfn_hub.contract.problem_model import Problem
from aiinfn_hub.contract.sessions import Claim, ClaimRequest
from aiinfn_hub.contract.users import UserRelease, UserReleaseResult
from aiinfn_hub.i18n import language
from aiinfn_hub.kube.inventory import NodeWarning
from aiinfn_hub.kube.node_notices import sentence
from aiinfn_hub.platform.model.platform import Platform

AVAILABILITY_TIMEOUT: Final = 0.5
"""Seconds a form waits for figures; without them it says that they are unknown."""
CLAIM_TIMEOUT: Final = 3.0
"""Seconds until vkd counts as not answering when devices are asked for."""
RELEASE_TIMEOUT: Final = 60.0
"""Seconds to give a user name free: all jobs that its person ever had are rewritten."""
CACHE: Final = 1.5
"""Seconds an answer, or the lack of one, serves all forms that are drawn meanwhile."""


class VkdUnavailableError(Exception):
    """The delegation service does not answer, or not as it should."""


class VkdClient:
    """Calls vkd with the hub's own token.

    Parameters
    ----------
    url
        Root of the service, for example ``http://127.0.0.1:8082/services/vkd``.
    token
        API token of the hub service ``aiinfn-hub``.
    """

    def __init__(self, url: str, token: str) -> None:
        self._root = url.rstrip("/") + PREFIX
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http: aiohttp.ClientSession | None = None
        self._reading: AvailabilityReading | None = None
        self._read_at = float("-inf")
        self._flight: asyncio.Task[AvailabilityReading | None] | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

    async def availability(self) -> AvailabilityReading | None:
        """Return what is free of every accelerator, or None if vkd does not answer now.

        Many forms drawn at once cost one request: there is one at a time, and its answer serves for `CACHE` seconds.
        The age in the answer counts on while it is kept.
        """
        if self._flight is None and time.monotonic() - self._read_at > CACHE:
            self._flight = asyncio.create_task(self._read())
            self._flight.add_done_callback(self._landed)
        if self._flight is not None:
            # A form that is given up must not take the answer away from the others.
            return await asyncio.shield(self._flight)
        if self._reading is None:
            return None
        kept = time.monotonic() - self._read_at
        return self._reading.model_copy(update={"age": self._reading.age + kept})

    async def notices(self, platform: Platform) -> list[str]:
        """Return what operators should know about the cluster's nodes, in the reader's language; nothing while vkd is away."""
        reading = await self.availability()
        notices = [NodeWarning(**each.model_dump()) for each in (reading.notices if reading else [])]
        return [text for each in notices if (text := sentence(each, platform))]

    async def claim(self, session: str, request: ClaimRequest) -> Claim:
        """Ask for devices for a session, or tell more about it; idempotent.

        Raises
        ------
        VkdUnavailableError
            If vkd does not answer.
        Refusal
            If vkd refuses, e.g. because there are fewer devices in all.
        """
        body = request.model_dump(mode="json")
        return _claim(await self._call("PUT", _session(session), json=body))

    async def claim_state(self, session: str) -> Claim | None:
        """Return how far a claim is, or None if vkd has none. Raises `VkdUnavailableError`."""
        try:
            return _claim(await self._call("GET", _session(session)))
        except Refusal as refusal:
            if refusal.reason is Reason.NOT_FOUND:
                return None
            raise

    async def release(self, session: str) -> None:
        """Return a session's devices back; a session without any is fine. Raises `VkdUnavailableError`."""
        try:
            await self._call("DELETE", _session(session))
        except Refusal as refusal:
            if refusal.reason is not Reason.NOT_FOUND:
                raise

    async def forget_tokens(self, token_ids: Sequence[str]) -> None:
        """Report revoked tokens, by the hub's names for them. Raises `VkdUnavailableError`."""
        for first in range(0, len(token_ids), MOST_REVOKED_TOKENS):
            revoked = {"token_ids": list(token_ids[first : first + MOST_REVOKED_TOKENS])}
            await self._call("POST", "token-revocations", json=revoked)

    async def release_user(self, name: str, released_as: str, *, dry_run: bool) -> int:
        """Let a person's jobs be those of a name that nobody can have; returns their number.

        Raises
        ------
        VkdUnavailableError
            If vkd does not answer.
        Refusal
            While one of them is not over.
        """
        body = UserRelease(released_as=released_as, dry_run=dry_run).model_dump()
        answer = await self._call(
            "POST", f"users/{quote(name, safe='')}/release", json=body, seconds=RELEASE_TIMEOUT
        )
        try:
            return UserReleaseResult.model_validate(answer).jobs
        except ValidationError as error:
            raise VkdUnavailableError("the delegation service answers in another version's words") from error

    async def access(self) -> AccessReading:
        """Return who has jobs that are not over, and which are held. Raises `VkdUnavailableError`."""
        return _access(await self._call("GET", "access"))

    async def hold(self, holds: Iterable[Hold]) -> AccessReading:
        """Hold the jobs of people whose access was withdrawn, and let all others go on. Raises `VkdUnavailableError`."""
        body = AccessUpdate(holds=list(holds)).model_dump(mode="json")
        return _access(await self._call("PUT", "access", json=body))

    def _landed(self, flight: asyncio.Task[AvailabilityReading | None]) -> None:
        self._reading = None if flight.cancelled() else flight.result()
        self._read_at = time.monotonic()
        self._flight = None

    async def _read(self) -> AvailabilityReading | None:
        try:
            answer = await self._call("GET", "availability", seconds=AVAILABILITY_TIMEOUT)
            return AvailabilityReading.model_validate(answer)
        except (VkdUnavailableError, Refusal, ValidationError):
            return None

    async def _call(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        seconds: float = CLAIM_TIMEOUT,
    ) -> Any:
        if self._http is None:
            self._http = aiohttp.ClientSession(headers=self._headers)
        url = URL(f"{self._root}/{path}", encoded=True)
        limit = aiohttp.ClientTimeout(total=seconds)
        # A sentence of vkd is told to who asked the hub.
        spoken = {"Accept-Language": language.current()}
        try:
            async with self._http.request(method, url, json=json, headers=spoken, timeout=limit) as response:
                text = await response.text()
                status = response.status
                body = await response.json() if text and "json" in response.content_type else None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise VkdUnavailableError(
                f"the delegation service does not answer ({type(error).__name__})"
            ) from error
        if status >= HTTPStatus.BAD_REQUEST:
            raise _problem(status, body)
        return body


def session_id(user: str, server: str) -> str:
    """Name a session as vkd knows it: the user, and the server's name if it has one."""
    return f"{user}/{server}" if server else user


def _session(session: str) -> str:
    return f"claims/{quote(session, safe='')}"


def _access(body: Any) -> AccessReading:
    try:
        return AccessReading.model_validate(body)
    except ValidationError as error:
        raise VkdUnavailableError("the delegation service answers in another version's words") from error


def _claim(body: Any) -> Claim:
    try:
        return Claim.model_validate(body)
    except ValidationError as error:
        raise VkdUnavailableError("the delegation service answers in another version's words") from error


def _problem(status: int, body: Any) -> Exception:
    """Turn an error answer into vkd's own refusal, or into unavailability if it is not for the session's owner."""
    try:
        problem = Problem.model_validate(body)
    except ValidationError:
        return VkdUnavailableError(f"the delegation service answers with status {status}")
    reason = reason_of(problem.reason, status)
    if reason in {Reason.UNAVAILABLE, Reason.INTERNAL, Reason.UNAUTHENTICATED}:
        return VkdUnavailableError(f"the delegation service answers: {problem.message}")
    return Refusal(reason, problem.message, problem.hint, field=problem.field)
