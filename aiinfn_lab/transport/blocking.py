"""The transport without an event loop, on httpx: it loads in half of aiohttp's time, and a command starts with it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, TypeVar

import httpx

from . import SILENCE, Call, Connection, HttpAnswer, NoAnswerError, Stream, take

T = TypeVar("T")


class BlockingTransport:
    """`Transport` that never suspends, to be used with `completed`."""

    def __init__(self, to: Connection) -> None:
        self._http = httpx.Client(
            headers=to.headers,
            timeout=httpx.Timeout(to.timeout, connect=min(to.connect_timeout, to.timeout)),
            limits=httpx.Limits(keepalive_expiry=to.idle),
            trust_env=not to.inside,
            verify=to.tls,
            follow_redirects=False,
        )

    async def send(self, call: Call) -> HttpAnswer:
        """Send a request."""
        body = bytearray()
        with _explained(), self._http.stream(**_words(call)) as response:
            for data in response.iter_bytes():
                take(body, data)
        return HttpAnswer(response.status_code, response.headers, bytes(body))

    @contextlib.asynccontextmanager
    async def stream(self, call: Call, *, silence: float | None = SILENCE) -> AsyncIterator[Stream]:
        """Send a request whose answer is read while it arrives."""
        timeout = httpx.Timeout(silence, connect=self._http.timeout.connect)
        with _explained(stream=True), self._http.stream(**_words(call), timeout=timeout) as response:
            body = b"" if response.status_code == 200 else response.read()
            yield HttpAnswer(response.status_code, response.headers, body), _each(response.iter_bytes())

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)  # noqa: ASYNC251 - there is no event loop to hold up

    async def in_background(self, work: Callable[[], T]) -> T:
        """Do something here and now."""
        return work()

    async def close(self) -> None:
        """Close the connections."""
        self._http.close()


@contextlib.contextmanager
def _explained(*, stream: bool = False) -> Iterator[None]:
    """Turn httpx's exceptions into `NoAnswerError`, without what they hold: a request has a token in its headers."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError):
        raise NoAnswerError(delivered=False) from None
    except httpx.ReadTimeout:
        raise NoAnswerError(delivered=True, quiet=stream) from None
    except (httpx.TransportError, httpx.StreamError, httpx.DecodingError):
        raise NoAnswerError(delivered=True) from None


def _words(call: Call) -> dict[str, Any]:
    return {
        "method": call.method,
        "url": call.url,
        "params": list(call.query) or None,
        "headers": dict(call.headers),
        **({} if call.body is None else {"json": call.body}),
    }


async def _each(values: Iterable[bytes]) -> AsyncIterator[bytes]:
    for value in values:
        yield value
