"""Load a changed platform file, while vkd answers requests and follows jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiinfn_hub.platform.loading.reload import PlatformFile
from aiinfn_hub.platform.model.platform import Platform

_log = logging.getLogger(__name__)


class PlatformSync:
    """The platform that vkd works with.

    A new state of the file is offered to people only when the back end knows what it names. Until then the old one holds.

    Parameters
    ----------
    file
        Somebody else looks whether it changed.
    adopt
        Has the back end go over.

    Attributes
    ----------
    platform, version
        What is in force here, and its name.
    """

    def __init__(self, file: PlatformFile, adopt: Callable[[Platform], Awaitable[None]]) -> None:
        self._file = file
        self._adopt = adopt
        self._news = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.platform, self.version = file.current, file.version

    @property
    def file_in_force(self) -> bool:
        """Whether the file as it is now is in force here."""
        return not self._file.problem and self.version == self._file.version

    def start(self) -> None:
        """Follow the file from now on."""
        loop = asyncio.get_running_loop()

        def tell(_platform: Platform) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._news.set)

        self._file.listen(tell)
        self._task = asyncio.create_task(self._follow(), name="platform file")

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def latest(self) -> Platform:
        """Return the platform of the file as it is now: for what the one in force does not have."""
        await asyncio.to_thread(self._file.look)
        await self._go_over()
        return self.platform

    async def _follow(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._go_over()
            except Exception:
                _log.exception("the changed platform file is not in force here")

    async def _go_over(self) -> None:
        async with self._one_at_a_time:
            if self.version == self._file.version:
                return
            platform, version = self._file.current, self._file.version
            await self._adopt(platform)
            self.platform, self.version = platform, version
            _log.info("platform file in force version=%s", version)
