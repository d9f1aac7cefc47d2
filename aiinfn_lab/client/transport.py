"""What the two clients share: settings of the connection, and how requests and answers become httpx's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Any, Final

import httpx

from aiinfn_hub.contract.jobs import Job
from aiinfn_hub.contract.problem import Refusal

from .access import PlatformAccess
from .errors import AiinfnError
from .io import Call, HttpAnswer, NoAnswerError

TIMEOUT: Final = 20.0
"""Seconds to wait for an answer."""
_CONNECT: Final = 5.0
_SILENCE: Final = 60.0
"""Seconds without a byte after which a followed log is asked for again: a connection that died says nothing either."""


def settings(access: PlatformAccess, timeout: float) -> dict[str, Any]:
    """Return the arguments of httpx's clients."""
    return {
        "headers": {"Authorization": f"token {access.token}", "User-Agent": f"aiinfn/{_version()}"},
        "timeout": httpx.Timeout(timeout, connect=min(_CONNECT, timeout)),
        # Within the platform no proxy: the token goes to the platform and nowhere else.
        "trust_env": not access.in_session,
        # Reading the certificates takes longer than a request; without TLS they are of no use.
        "verify": not access.vkd.startswith("http://"),
        "follow_redirects": False,
    }


def request(http: httpx.Client | httpx.AsyncClient, call: Call, *, stream: bool = False) -> httpx.Request:
    """Make httpx's request."""
    extra: dict[str, Any] = {}
    if stream:
        extra["timeout"] = httpx.Timeout(_SILENCE, connect=_CONNECT)
    if call.body is not None:
        extra["json"] = call.body
    return http.build_request(
        call.method, call.url, params=list(call.query) or None, headers=dict(call.headers), **extra
    )


def answer(response: httpx.Response, body: bytes) -> HttpAnswer:
    """Make the answer that a conversation is sent."""
    return HttpAnswer(
        response.status_code, {name.lower(): value for name, value in response.headers.items()}, body
    )


@contextlib.contextmanager
def explained(*, stream: bool = False) -> Iterator[None]:
    """Turn refusals of this side into `AiinfnError`, and httpx's exceptions into `NoAnswerError`, without what they hold: a request has a token in its headers."""
    try:
        yield
    except Refusal as refusal:
        raise AiinfnError.of(refusal) from None
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError):
        raise NoAnswerError(delivered=False) from None
    except httpx.ReadTimeout:
        raise NoAnswerError(delivered=True, quiet=stream) from None
    except (httpx.TransportError, httpx.StreamError, httpx.DecodingError):
        raise NoAnswerError(delivered=True) from None


def ids(jobs: str | Job | Iterable[str | Job]) -> list[str]:
    """Return the ids of one job or several."""
    several = [jobs] if isinstance(jobs, (str, Job)) else jobs
    return [job.id if isinstance(job, Job) else job for job in several]


def _version() -> str:
    try:
        return metadata.version("aiinfn")
    except metadata.PackageNotFoundError:
        return "0"
