"""The server extension's client of vkd: what vkd says is handed on as it is, so that a newer one's words reach the page."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from aiinfn_hub.contract.constants import PREFIX
from aiinfn_hub.contract.problem import Reason, Refusal, reason_of
from aiinfn_lab.i18n.language import current
from aiinfn_lab.i18n.language import gettext as _

from .transport import Call, Connection, HttpAnswer, NoAnswerError
from .transport.asynchronous import AsyncTransport

Query = Iterable[tuple[str, str]]

zone: ContextVar[str] = ContextVar("zone", default="")
"""The time zone of the person for whom vkd is asked, such as ``Europe/Rome``; empty if it is not known."""
_ZONE: Final = re.compile(r"(?:^|,)\s*timezone=\"?([A-Za-z0-9_+:/-]{1,64})\"?\s*(?:[,;]|$)", re.IGNORECASE)


def zone_of(prefer: str) -> str:
    """Return the time zone that a ``Prefer`` header names (RFC 7240); empty if it names none."""
    found = _ZONE.search(prefer[:1000])
    return found[1] if found else ""


class Unanswered(Refusal):
    """vkd gave no answer.

    Attributes
    ----------
    delivered
        Whether the request may have been carried out nevertheless.
    """

    def __init__(self, message: str, hint: str, *, delivered: bool = False) -> None:
        super().__init__(Reason.UNAVAILABLE, message, hint)
        self.delivered = delivered


class Throttled(Refusal):
    """vkd asks for fewer requests.

    Attributes
    ----------
    retry_after
        Its ``Retry-After`` header.
    """

    def __init__(self, refusal: Refusal, retry_after: str) -> None:
        super().__init__(refusal.reason, refusal.message, refusal.hint, field=refusal.field)
        self.retry_after = retry_after


class Answer(HttpAnswer):
    """What vkd said, when it is no refusal."""

    def json(self) -> Any:
        """Decode the body.

        Raises
        ------
        Unanswered
            If it is not JSON: then something else than vkd answered.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise _foreign() from error


@dataclass
class Vkd:
    """One person's access to vkd, with the token of that person's session.

    Parameters
    ----------
    url
        vkd's root, for example ``http://127.0.0.1:8082/services/vkd``; empty if there is none.
    token
        The session's hub token. It is sent to vkd and goes nowhere else.
    timeout, connect_timeout
        Seconds.
    """

    url: str
    token: str = field(repr=False)
    timeout: float = 20.0
    connect_timeout: float = 3.0
    _transport: AsyncTransport | None = field(default=None, init=False, repr=False)

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.close()
            self._transport = None

    async def healthy(self) -> None:
        """Ask vkd whether it lives.

        Raises
        ------
        Unanswered
            If it does not.
        """
        try:
            async with asyncio.timeout(self.connect_timeout):
                answer = await self._connected().send(Call("GET", self._address("/health")))
        except (NoAnswerError, TimeoutError):
            raise _silent() from None
        if answer.status != HTTPStatus.OK:
            raise _foreign()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        """Send a request and give the answer, if it is a good one or 304.

        Parameters
        ----------
        path
            Below the API's prefix, quoted.
        body
            Sent as JSON; None sends none.

        Raises
        ------
        Refusal
            What vkd refused, or `Unanswered`.
        """
        call = self._call(method, path, query, {"Accept": "application/json", **(headers or {})}, body)
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self._connected().send(call)
        except NoAnswerError as lost:
            raise _silent(delivered=lost.delivered) from None
        except TimeoutError:
            raise _silent(delivered=True) from None
        if answer.status < 300 or answer.status == HTTPStatus.NOT_MODIFIED:
            return Answer(answer.status, answer.headers, answer.body)
        raise refusal_of(answer)

    async def stream(
        self,
        path: str,
        query: Query,
        begin: Callable[[Mapping[str, str]], None],
        chunk: Callable[[bytes], Awaitable[None]],
    ) -> bool:
        """Hand on a body while it arrives, no faster than ``chunk`` takes it. Cancelling ends it at once.

        Returns
        -------
        bool
            Whether the body came to its regular end.

        Raises
        ------
        Refusal
            What vkd refused, or `Unanswered`; only before ``begin`` was called.
        """
        begun = False
        call = self._call("GET", path, query)
        try:
            async with (
                asyncio.timeout(self.timeout) as limit,
                self._connected().stream(call, silence=None) as (answer, body),
            ):
                if answer.status != HTTPStatus.OK:
                    raise refusal_of(answer)
                # A job may be silent for as long as it likes.
                limit.reschedule(None)
                begin(answer.headers)
                begun = True
                async for data in body:
                    await chunk(data)
        except (NoAnswerError, TimeoutError):
            if not begun:
                raise _silent() from None
            return False
        return True

    def _connected(self) -> AsyncTransport:
        if self._transport is None:
            to = Connection(
                token="",  # with each call: the question whether vkd lives goes without
                timeout=self.timeout,
                connect_timeout=self.connect_timeout,
                inside=True,
                tls=self.url.startswith("https:"),
            )
            self._transport = AsyncTransport(to)
        return self._transport

    def _call(
        self, method: str, path: str, query: Query, headers: Mapping[str, str] | None = None, body: Any = None
    ) -> Call:
        said = {
            "Accept-Language": current(),
            **({"Prefer": f"timezone={zone.get()}"} if zone.get() else {}),
            **({"Authorization": f"token {self.token}"} if self.token else {}),
        }
        return Call(method, self._address(f"{PREFIX}/{path}"), tuple(query), said | dict(headers or {}), body)

    def _address(self, path: str) -> str:
        if not self.url:
            raise Unanswered(
                _("This JupyterLab was not started by the platform, so it knows no batch service."),
                _("Start your server from the hub to submit jobs."),
            )
        return f"{self.url.rstrip('/')}{path}"


def refusal_of(answer: HttpAnswer) -> Refusal:
    """Turn what vkd refused into a refusal for the person, explaining what is about this session's sign-in."""
    try:
        problem = json.loads(answer.body)
    except ValueError:
        problem = None
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return Refusal(
            Reason.UNAUTHENTICATED,
            _("The batch service no longer knows this server's sign-in."),
            _("Save your work, then stop and start your server from the hub (File > Hub Control Panel)."),
        )
    if not isinstance(problem, dict) or not isinstance(problem.get("message"), str):
        if answer.status == HTTPStatus.FORBIDDEN:
            return Refusal(
                Reason.FORBIDDEN,
                _("This server may not use the batch service."),
                _("Stop and start it from the hub; if that does not help, ask the operators."),
            )
        return _foreign()
    reason = reason_of(problem.get("reason"), answer.status)
    where = problem.get("field")
    refusal = Refusal(
        reason,
        problem["message"],
        str(problem.get("hint") or ""),
        field=where if isinstance(where, str) else None,
    )
    retry_after = answer.headers.get("Retry-After")
    return Throttled(refusal, retry_after) if retry_after else refusal


def _silent(*, delivered: bool = False) -> Unanswered:
    return Unanswered(
        _("The batch service does not answer."),
        _("Running and queued jobs are not affected; try again in a moment."),
        delivered=delivered,
    )


def _foreign() -> Unanswered:
    return Unanswered(
        _("The batch service is starting, or its address leads to something else."),
        _("Try again in a moment; if it stays so, ask the operators."),
    )
