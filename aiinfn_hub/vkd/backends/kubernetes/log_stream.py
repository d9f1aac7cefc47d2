"""Follows the log of a running attempt into its archive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiinfn_hub.kube.client import KubeClient, KubeError
from aiinfn_hub.kube.objects.jobs import CONTAINER

from .archive import ArchivedPart, LogArchive, NoLineError
from .facts import JobPodFacts

_log = logging.getLogger(__name__)
_PAUSE: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_PATIENCE: Final = 10.0
"""Seconds to try for the log of a pod that is over: its node may be gone."""
_IDLE: Final = 20.0
_STALLED: Final = 3.0
"""Seconds after a pod's end in which its stream must have ended, too."""


class LogFollower:
    """One pod's log, until it is archived to its end.

    Parameters
    ----------
    path
        Of the log at the API server.
    pod
        Returns the pod as it is now; None if it is gone.
    told
        Called with what the runner tells.

    Attributes
    ----------
    done
        Set when everything that can be had is on disk.
    """

    def __init__(
        self,
        client: KubeClient,
        path: str,
        archive: LogArchive,
        pod: Callable[[], JobPodFacts | None],
        told: Callable[[ArchivedPart], None],
    ) -> None:
        self._client = client
        self._path = path
        self._archive = archive
        self._pod = pod
        self._told = told
        self._news = asyncio.Event()
        self.done = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def poke(self) -> None:
        """Note that there is news of the pod."""
        self._news.set()

    async def stop(self) -> None:
        """Stop; the archive can be continued."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        try:
            await asyncio.to_thread(self._archive.open)
            if not self._archive.complete:
                await self._follow()
                await asyncio.to_thread(self._archive.finish)
        except Exception:
            _log.exception("log not archived path=%s", self._path)
        finally:
            self.done.set()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        deadline: float | None = None
        while deadline is None or loop.time() < deadline:
            pod = self._pod()
            over = pod is None or pod.over
            if over and deadline is None:
                deadline = loop.time() + _PATIENCE
            try:
                await self._read(follow=not over)
                failures = 0
                if over:
                    return
            except KubeError as error:
                # 404: the pod is gone, or its kubelet was started a moment ago and does not know its pods yet.
                if error.status == HTTPStatus.NOT_FOUND and self._pod() is None:
                    return
                # 400: its container has not begun, or never did.
                if over and error.status == HTTPStatus.BAD_REQUEST:
                    return
                failures += 1
            except (NoLineError, OSError) as error:
                _log.warning("log interrupted path=%s error=%s", self._path, type(error).__name__)
                failures += 1
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE[min(failures, len(_PAUSE) - 1)]):
                    await self._news.wait()

    def _over(self) -> bool:
        pod = self._pod()
        return pod is None or pod.over

    async def _read(self, *, follow: bool) -> None:
        """Read the log from where it was left; a stream that outlives its pod is cut."""
        await asyncio.to_thread(self._archive.reconnect)
        copy = asyncio.create_task(self._copy(follow=follow))
        try:
            while not copy.done():
                if follow and self._over():
                    await asyncio.wait({copy}, timeout=_STALLED)
                    break
                self._news.clear()
                news = asyncio.create_task(self._news.wait())
                try:
                    await asyncio.wait({copy, news}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    news.cancel()
        finally:
            cut = not copy.done()
            copy.cancel()
            await asyncio.wait({copy})
        if not cut:
            copy.result()

    async def _copy(self, *, follow: bool) -> None:
        query = {
            "container": CONTAINER,
            "timestamps": "true",
            "follow": str(follow).lower(),
            "sinceTime": self._archive.since,
        }
        async with self._client.stream(self._path, idle=None if follow else _IDLE, **query) as stream:
            async for chunk in stream.iter_any():
                written = asyncio.ensure_future(asyncio.to_thread(self._archive.feed, chunk))
                try:
                    told = await asyncio.shield(written)
                except asyncio.CancelledError:
                    await asyncio.wait({written})  # a thread cannot be stopped
                    raise
                if told:
                    self._told(told)
