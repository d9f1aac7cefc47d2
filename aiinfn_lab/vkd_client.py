"""Client of vkd: on tornado, which a Jupyter server has in memory anyway."""

from __future__ import annotations

import json
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from tornado import httputil, iostream
from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.simple_httpclient import HTTPTimeoutError, SimpleAsyncHTTPClient
from tornado.tcpclient import TCPClient

from aiinfn_hub.contract.constants import PREFIX
from aiinfn_hub.contract.languages import ENGLISH
from aiinfn_hub.contract.problem import Reason, Refusal, reason_of

_LARGEST: Final = 64 * 2**20
"""Bytes of an answer that is kept in memory; followed logs are not."""

Query = Iterable[tuple[str, str]]

spoken: ContextVar[str] = ContextVar("spoken", default=ENGLISH)
"""The language of the person for whom vkd is asked, in which it refuses."""


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


@dataclass(frozen=True)
class Answer:
    """What vkd said, when it is no refusal."""

    status: int
    headers: httputil.HTTPHeaders
    body: bytes

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
    _client: SimpleAsyncHTTPClient | None = field(default=None, init=False, repr=False)

    def close(self) -> None:
        """Release the client's resources."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def healthy(self) -> None:
        """Ask vkd whether it lives.

        Raises
        ------
        Unanswered
            If it does not.
        """
        answer = await self._fetch("GET", self._address("/health"), seconds=self.connect_timeout, token=False)
        if answer.status != HTTPStatus.OK:
            raise _foreign()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        headers: dict[str, str] | None = None,
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
        url = self._address(f"{PREFIX}/{path}", query)
        encoded = None if body is None else json.dumps(body).encode()
        answer = await self._fetch(method, url, headers=headers, body=encoded, seconds=self.timeout)
        if answer.status < 300 or answer.status == HTTPStatus.NOT_MODIFIED:
            return answer
        raise refusal_of(answer)

    async def stream(
        self,
        path: str,
        query: Query,
        begin: Callable[[httputil.HTTPHeaders], None],
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

        Notes
        -----
        Tornado's high-level client cannot be told to stop before the next byte arrives, which of a silent job may
        be never; hence its documented lower layer.
        """
        url = urlsplit(self._address(f"{PREFIX}/{path}", query))
        try:
            connection = await TCPClient().connect(
                url.hostname or "",
                url.port or (443 if url.scheme == "https" else 80),
                ssl_options=ssl.create_default_context() if url.scheme == "https" else None,
                max_buffer_size=2**20,
                timeout=self.connect_timeout,
            )
        except (OSError, TimeoutError, iostream.StreamClosedError) as error:
            raise _silent() from error
        parameters = HTTP1ConnectionParameters(
            no_keep_alive=True, header_timeout=self.timeout, max_body_size=2**62, chunk_size=65536
        )
        http = HTTP1Connection(connection, is_client=True, params=parameters)
        relay = _Relay(begin, chunk)
        headers = httputil.HTTPHeaders(
            {
                "Host": url.netloc,
                "Connection": "close",
                "Accept-Language": spoken.get(),
                **self._authorization(),
            }
        )
        try:
            await http.write_headers(httputil.RequestStartLine("GET", f"{url.path}?{url.query}", ""), headers)
            http.finish()
            await http.read_response(relay)
        except iostream.StreamClosedError:
            relay.complete = False
        finally:
            connection.close()
        if relay.status is None:
            raise _silent()
        if relay.status != HTTPStatus.OK:
            raise refusal_of(Answer(relay.status, relay.headers, bytes(relay.refused)))
        return relay.complete

    def _address(self, path: str, query: Query = ()) -> str:
        if not self.url:
            raise Unanswered(
                "This JupyterLab was not started by the platform, so it knows no batch service.",
                "Start your server from the hub to submit jobs.",
            )
        encoded = urlencode(list(query))
        return f"{self.url.rstrip('/')}{path}" + (f"?{encoded}" if encoded else "")

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"} if self.token else {}

    async def _fetch(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        seconds: float,
        token: bool = True,
    ) -> Answer:
        if self._client is None:
            # An own one: a site may configure the shared one to be another class, or fill it with slow requests.
            self._client = SimpleAsyncHTTPClient(force_instance=True, max_clients=20, max_body_size=_LARGEST)
        request = HTTPRequest(
            url,
            method,
            headers={
                "Accept": "application/json",
                "Accept-Language": spoken.get(),
                **({"Content-Type": "application/json"} if body else {}),
                **(headers or {}),
                **(self._authorization() if token else {}),
            },
            body=body if body is not None else (b"" if method == "POST" else None),
            connect_timeout=min(self.connect_timeout, seconds),
            request_timeout=seconds,
            follow_redirects=False,
        )
        try:
            response = await self._client.fetch(request, raise_error=False)
        except HTTPTimeoutError as error:
            raise _silent(delivered="during request" in str(error)) from error
        except HTTPClientError as error:
            # The connection was lost in the middle.
            raise _silent(delivered=True) from error
        except OSError as error:
            raise _silent() from error
        return Answer(response.code, response.headers, response.body or b"")


@dataclass
class _Relay(httputil.HTTPMessageDelegate):
    """Hands a response on while it is read."""

    begin: Callable[[httputil.HTTPHeaders], None]
    chunk: Callable[[bytes], Awaitable[None]]
    status: int | None = None
    headers: httputil.HTTPHeaders = field(default_factory=httputil.HTTPHeaders)
    refused: bytearray = field(default_factory=bytearray)
    complete: bool = False

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> None:
        if isinstance(start_line, httputil.ResponseStartLine):
            self.status, self.headers = start_line.code, headers
            if self.status == HTTPStatus.OK:
                self.begin(headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self.status == HTTPStatus.OK:
            return self.chunk(chunk)
        self.refused += chunk[: 65536 - len(self.refused)]
        return None

    def finish(self) -> None:
        self.complete = True


def refusal_of(answer: Answer) -> Refusal:
    """Turn what vkd refused into a refusal for the person, explaining what is about this session's sign-in."""
    try:
        problem = json.loads(answer.body)
    except ValueError:
        problem = None
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return Refusal(
            Reason.UNAUTHENTICATED,
            "The batch service no longer knows this server's sign-in.",
            "Save your work, then stop and start your server from the hub (File > Hub Control Panel).",
        )
    if not isinstance(problem, dict) or not isinstance(problem.get("message"), str):
        if answer.status == HTTPStatus.FORBIDDEN:
            return Refusal(
                Reason.FORBIDDEN,
                "This server may not use the batch service.",
                "Stop and start it from the hub; if that does not help, ask the operators.",
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
        "The batch service does not answer.",
        "Running and queued jobs are not affected; try again in a moment.",
        delivered=delivered,
    )


def _foreign() -> Unanswered:
    return Unanswered(
        "The batch service is starting, or its address leads to something else.",
        "Try again in a moment; if it stays so, ask the operators.",
    )
