"""HTTP to the platform, with an event loop and without one.

Everything above this is written once, with ``await``. A `BlockingTransport` has the same methods as an `AsyncTransport`, but
none of them ever suspends: a coroutine that awaits nothing else runs to its end at the first step, in the caller's thread
(`completed`). So the Python client needs no thread and no event loop of its own, callbacks and Ctrl-C stay in the caller's
thread, and it works in a notebook, whose thread has a running loop already.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")

TIMEOUT: Final = 20.0
"""Seconds to wait for an answer."""
CONNECT_TIMEOUT: Final = 5.0
SILENCE: Final = 60.0
"""Seconds without a byte after which a followed log is asked for again: a connection that died says nothing either."""
LARGEST: Final = 64 * 2**20
"""Bytes of an answer that is kept in memory; followed logs are not."""


@dataclass(frozen=True)
class Connection:
    """How to connect.

    Attributes
    ----------
    token
        A token of the hub; if there is one, it is sent with every request. No redirect is followed.
    inside
        Whether it is from within the platform: then no proxy is used, whatever the environment says.
    tls
        Whether certificates are needed: reading them takes longer than a request.
    language, zone
        Of whoever reads the sentences of the answers, such as ``it`` and ``Europe/Rome``; English and UTC if they are empty.
    """

    token: str = field(repr=False)
    tls: bool
    inside: bool
    timeout: float = TIMEOUT
    connect_timeout: float = CONNECT_TIMEOUT
    language: str = ""
    zone: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with every request."""
        said = {"User-Agent": f"aiinfn/{_version()}"}
        if self.language:
            said["Accept-Language"] = self.language
        if self.zone:
            said["Prefer"] = f"timezone={self.zone}"  # RFC 7240
        return said | ({"Authorization": f"token {self.token}"} if self.token else {})

    @property
    def idle(self) -> float:
        """Seconds that an unused connection is kept: less than vkd does, or than proxies do."""
        return 30.0 if self.inside else 2.0


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes
    ----------
    url
        Whole address.
    body
        Sent as JSON; None sends none.
    repeatable
        Whether asking twice does the same as asking once.
    """

    method: str
    url: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    repeatable: bool = True


@dataclass(frozen=True)
class HttpAnswer:
    """What the platform said, of any status. Names of headers are in lower case, or their case does not matter."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class NoAnswerError(Exception):
    """There was no answer, or it broke off.

    Attributes
    ----------
    delivered
        Whether the request may have arrived.
    quiet
        Whether nothing was wrong except that there was nothing to say for a while.
    """

    def __init__(self, *, delivered: bool, quiet: bool = False) -> None:
        super().__init__()
        self.delivered = delivered
        self.quiet = quiet


Stream = tuple[HttpAnswer, AsyncIterator[bytes]]
"""An answer without its body, except if it is an error, and the body as it arrives."""


class Transport(Protocol):
    """What carries requests, and waits."""

    async def send(self, call: Call) -> HttpAnswer:
        """Send a request. Raises `NoAnswerError`."""

    def stream(
        self, call: Call, *, silence: float | None = SILENCE
    ) -> contextlib.AbstractAsyncContextManager[Stream]:
        """Send a request whose answer is read while it arrives. Raises `NoAnswerError`, also from the body.

        Parameters
        ----------
        silence
            Seconds without a byte after which it is given up, as `NoAnswerError` that is quiet.
        """

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def in_background(self, work: Callable[[], T]) -> T:
        """Do something on this machine that may take a moment."""

    async def close(self) -> None:
        """Close the connections."""


def completed(work: Awaitable[T]) -> T:
    """Run a coroutine that never suspends, and give what it returns."""
    try:
        next(work.__await__())
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("a coroutine of the blocking client has suspended")


def take(body: bytearray, data: bytes) -> None:
    """Add to an answer that is kept in memory."""
    if len(body) + len(data) > LARGEST:
        raise NoAnswerError(delivered=True)
    body += data


def _version() -> str:
    try:
        return metadata.version("aiinfn")
    except metadata.PackageNotFoundError:
        return "0"
