"""The client without ``await``: `AsyncClient` on a transport that never suspends."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from aiinfn_lab import transport
from aiinfn_lab.transport import completed
from aiinfn_lab.transport.blocking import BlockingTransport

from .aio import AsyncClient

P = ParamSpec("P")
T = TypeVar("T")


class _Blocking(AsyncClient):
    _transport = staticmethod(BlockingTransport)


def _call(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Client, P], T]:
    """Make the method that returns what the other one does when it is awaited."""

    @functools.wraps(method)
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return completed(method(self._client, *args, **kwargs))

    return call


def _iterate(
    method: Callable[Concatenate[AsyncClient, P], AsyncIterator[T]],
) -> Callable[Concatenate[Client, P], Iterator[T]]:
    """Make the method that iterates over what the other one does with ``async for``."""

    @functools.wraps(method)
    def iterate(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        values: Any = method(self._client, *args, **kwargs)
        try:
            while True:
                try:
                    value = completed(anext(values))
                except StopAsyncIteration:
                    return
                yield value
        finally:
            completed(values.aclose())

    return iterate


class Client:
    """Submits jobs and follows them. In a session it needs no set-up.

    Parameters
    ----------
    url, token
        Address of the platform and a token of its hub, from outside of a session. Default: ``AIINFN_URL`` and
        ``AIINFN_TOKEN``, else the session's own, else what ``aiinfn login`` kept.
    timeout
        Seconds to wait for an answer.
    language, zone
        Language and time zone of the platform's sentences, such as ``it`` and ``Europe/Rome``. Default: English and UTC.

    Raises
    ------
    AiinfnError
        From every method, if what was asked for did not happen. Questions that are safe to repeat were repeated.

    Examples
    --------
    >>> with Client() as client:  # doctest: +SKIP
    ...     job = client.submit("train.ipynb", accelerator="t4", parameters={"epochs": 20})
    ...     (job,) = client.wait(job)
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = transport.TIMEOUT,
        language: str = "",
        zone: str = "",
    ) -> None:
        self._client = _Blocking(url, token, timeout=timeout, language=language, zone=zone)

    def __repr__(self) -> str:
        return repr(self._client).replace("_Blocking", "Client")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    close = _call(AsyncClient.close)
    platform = _call(AsyncClient.platform)
    queues = _call(AsyncClient.queues)
    usage = _call(AsyncClient.usage)
    submit = _call(AsyncClient.submit)
    check = _call(AsyncClient.check)
    jobs = _iterate(AsyncClient.jobs)
    job = _call(AsyncClient.job)
    events = _call(AsyncClient.events)
    resources = _call(AsyncClient.resources)
    logs = _iterate(AsyncClient.logs)
    tail = _call(AsyncClient.tail)
    cancel = _call(AsyncClient.cancel)
    delete = _call(AsyncClient.delete)
    label = _call(AsyncClient.label)
    edit = _call(AsyncClient.edit)
    rerun = _call(AsyncClient.rerun)
    points = _call(AsyncClient.points)
    points_csv = _call(AsyncClient.points_csv)
    wait = _call(AsyncClient.wait)
