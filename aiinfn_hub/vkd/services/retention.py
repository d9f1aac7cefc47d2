"""Retention: delete jobs that are older than the platform keeps them, and the logs of deleted ones; in the background, some at a time.

What cannot be removed is tried again later, after everything else, and holds nothing up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.database.retention import RetentionStore
from aiinfn_hub.vkd.domain.backend import JobBackend
from aiinfn_hub.vkd.domain.records import StoredJob, now

from .authorization import no_job

logger = logging.getLogger(__name__)

INTERVAL: Final = 600.0
"""Seconds between two looks for jobs that are old enough."""
RETRY: Final = 60.0
"""Seconds until logs that could not be removed are tried again."""
BATCH: Final = 100
"""Jobs of one transaction."""
_PAUSE: Final = 0.05
"""Seconds between two batches, in which others get at the database."""
NEWS_KEPT: Final = timedelta(days=7)
"""How long lists are told of a deleted job."""
UNCLEARED_KEPT: Final = timedelta(days=365)
"""How long a person's next session is waited for, which removes what is left in the home."""


class RetentionWorker:
    """Removes what nobody is to keep any more.

    Parameters
    ----------
    platform
        Returns the platform in force.
    """

    def __init__(self, care: RetentionStore, backend: JobBackend, platform: Callable[[], Platform]) -> None:
        self._care = care
        self._backend = backend
        self._platform = platform
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first look is at once, for what an earlier vkd left undone."""
        self._task = asyncio.create_task(self._run(), name="retention")

    async def stop(self) -> None:
        """Stop; what is begun is taken up again at the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def poke(self) -> None:
        """Note that jobs were deleted."""
        self._news.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        expiry = loop.time()
        while True:
            self._news.clear()
            wait = INTERVAL
            try:
                if loop.time() >= expiry:
                    expiry = loop.time() + INTERVAL
                    await self.expire()
                if await self.forget_logs():
                    wait = RETRY
            except Exception as error:
                # A locked database or a full disk: the next look finds the same jobs.
                logger.warning(
                    "old jobs not removed yet error=%s", error, exc_info=not isinstance(error, Refusal)
                )
                wait = RETRY
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait, max(1.0, expiry - loop.time()))):
                    await self._news.wait()

    async def expire(self) -> int:
        """Delete the jobs whose time is over; gives their number."""
        total = 0
        while True:
            before = now() - self._platform().limits.keep_jobs
            old = await self._care.expired(before, BATCH)
            if not old:
                break
            # A sweep may have a thousand points: one transaction for each.
            sweep = next((job for job in old if job.sweep is not None), None)
            batch = old[: old.index(sweep)] if sweep is not None else old
            batch = batch or old[:1]
            done = await self._care.remove([job.id for job in batch], _still_old)
            number = sum(isinstance(job, StoredJob) for job in done.values())
            total += number
            if number:
                logger.info("jobs expired number=%d", number)
                await self.forget_logs()
            if number == 0:
                break
            await asyncio.sleep(_PAUSE)
        await self._care.forget_removed(now() - NEWS_KEPT, now() - UNCLEARED_KEPT, 10 * BATCH)
        return total

    async def forget_logs(self) -> int:
        """Have the back end forget deleted jobs; returns how many it could not."""
        failures = 0
        while True:
            waiting = await self._care.with_logs(BATCH)
            gone: list[str] = []
            failed: list[str] = []
            for job_id in waiting:
                try:
                    done = await self._backend.forget(job_id)
                except Exception as error:
                    logger.warning("log not removed yet job=%s error=%s", job_id, error)
                    done = False
                (gone if done else failed).append(job_id)
            if waiting:
                await self._care.forgotten(gone, failed)
            failures += len(failed)
            # Those that failed come last from now on, so a portion without a success has nothing new behind it.
            if not gone or len(waiting) < BATCH:
                return failures
            await asyncio.sleep(_PAUSE)


def _still_old(job: StoredJob | None) -> StoredJob:
    """Check, in the transaction that deletes, that nobody has pinned or deleted a job meanwhile."""
    if job is None or job.pinned:
        raise no_job()
    return job
