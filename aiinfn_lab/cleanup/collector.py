"""Has the server extension remove what deleted jobs left in the home, in the background; see `garbage`."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Final

from aiinfn_hub.contract.problem import Refusal
from aiinfn_lab.vkd_client import Vkd

from .garbage import clear

INTERVAL: Final = 3600.0
"""Seconds between two looks at the list without a reason."""
_MOST: Final = 200


class HomeGarbageCollector:
    """Does it one run at a time."""

    def __init__(self, vkd: Vkd, home: Path, log: logging.Logger) -> None:
        self._vkd = vkd
        self._home = home
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._last = -INTERVAL

    def soon(self, *, now: bool = False) -> None:
        """Begin, if it is time for it or there is a reason now; nobody waits for it."""
        if self._task is not None and not self._task.done():
            self._again = self._again or now
        elif now or time.monotonic() - self._last >= INTERVAL:
            self._last = time.monotonic()
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop; what is not done stays on the list."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while await self._some() or self._again:
                self._again = False
        except Refusal as refusal:
            # Also a vkd that knows no such list.
            self._log.debug("What deleted jobs left was not removed: %s", refusal)
        except Exception:
            self._log.exception("What deleted jobs left was not removed")

    async def _some(self) -> bool:
        """Remove some of it; tells whether there may be more."""
        self._again = False
        answer = await self._vkd.request("GET", "tombstones", query=[("limit", str(_MOST))])
        tombstones = answer.json()
        done = await asyncio.to_thread(clear, self._home, tombstones)
        if done:
            await self._vkd.request("POST", "tombstones/acknowledge", body={"ids": done})
        return len(tombstones) == _MOST and bool(done)
