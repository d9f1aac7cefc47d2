"""Write what the back end reports into the store, however long that takes."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.runner import Progress, Scalar
from aiinfn_hub.contract.states import FINAL
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.domain.backend import (
    Backends,
    LogChunk,
    Start,
    StartupEvent,
    Update,
)
from aiinfn_hub.vkd.domain.records import (
    Applied,
    Notes,
    StoredJob,
    now,
)

from .sweeps import Sweeps, backend_job

logger = logging.getLogger(__name__)

FLUSH_SECONDS: Final = 1.0
"""How often progress and places in the queues are written at most: notebooks can tell progress at any rate."""
_LONGEST_PAUSE: Final = 5.0
_LOOK_UP_SECONDS: Final = 5.0
"""How often a stream that has nothing to say looks whether its reader is still there."""


class EventRecorder:
    """Keeps the store up to date.

    Attributes
    ----------
    sweeps
        Hands the points of sweeps to the back end.
    on_failure
        Called when following ends by a fault: vkd must then end, to be started again, rather than fall silent.
    """

    def __init__(self, store: JobStore, backends: Backends, half_life: timedelta) -> None:
        self._store = store
        self._backends = backends
        self._half_life = half_life
        self._progress: dict[str, Progress] = {}
        self._recorded: dict[str, dict[str, Scalar]] = {}
        self._startup: dict[tuple[str, int], list[StartupEvent]] = {}
        self._positions: dict[str, int] = {}
        self._written_positions: dict[str, int] = {}
        self._positions_version = 0
        self._withdrawals: set[str] = set()
        self._cancellations: dict[str, str] = {}
        self.sweeps = Sweeps(store, backends.jobs)
        self._boot = secrets.token_hex(4)
        self._changed = asyncio.Event()
        self._ending = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.on_failure: Callable[[], None] = lambda: None
        self.failed = False

    async def start(self) -> None:
        """Hand the back end all jobs that are not over, then follow it.

        A job that was kept but had not reached the back end when vkd was killed gets there now, and so does a
        cancellation.
        """
        unfinished = await self._store.unfinished()
        given = self.sweeps.take_up(unfinished)
        jobs = [backend_job(stored) for stored in given]
        usage = await self._store.decayed_usage(now(), self._half_life)
        # Following first: the back end may tell much while it starts.
        self._run(self._follow(), "follow")
        await self._backends.jobs.start(Start(jobs, usage))
        for stored in given:
            if stored.cancelled_by is not None:
                await self._backends.jobs.cancel(stored.id)
        self._run(self._flush_often(), "flush")
        self._run(self.sweeps.run(), "sweeps")
        logger.info("vkd started unfinished=%d", len(jobs))

    def end_streams(self) -> None:
        """Let streams of logs end, because the server is about to stop; their readers resume by offset."""
        self._ending.set()
        self._notify()

    async def stop(self) -> None:
        """Stop following the back end, without ending jobs; what it reported is written."""
        self.end_streams()
        await self._backends.stop()
        for task in self._tasks:
            if task.get_name() == "follow":
                await asyncio.wait([task], timeout=2)
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        with suppress(Exception):
            await self.flush()

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._done)
        self._tasks.append(task)

    def _done(self, task: asyncio.Task[None]) -> None:
        if self._ending.is_set() or task.cancelled():
            return
        self.failed = True
        logger.critical("following the back end ended task=%s", task.get_name(), exc_info=task.exception())
        self.on_failure()

    # From the back end to the store

    async def _follow(self) -> None:
        async for update in self._backends.jobs.updates():
            if update.values:
                self._recorded.setdefault(update.job_id, {}).update(update.values)
            if update.startup:
                self._startup.setdefault((update.job_id, update.attempt), []).extend(update.startup)
            if update.state is None:
                if update.progress is not None:
                    self._progress[update.job_id] = update.progress
                continue
            await self._apply_with_retry(update)
            if update.state in FINAL:
                self.sweeps.over(update.job_id)
            self._notify()

    async def _keep_values(self, job_id: str, values: dict[str, Scalar]) -> None:
        """Write what a job recorded before its end is told: who sees the end sees the values."""
        try:
            await self._store.note(Notes(recorded={job_id: values}))
        except Exception as error:  # it is tried again with the next flush
            logger.warning("values not written yet job=%s error=%s", job_id, error)
            self._recorded[job_id] = values | self._recorded.get(job_id, {})

    async def _apply_with_retry(self, update: Update) -> None:
        """Write an update, however long it takes: a full disk or a locked database must lose none."""
        pause = 0.1
        while True:
            if update.state in FINAL and (values := self._recorded.pop(update.job_id, None)):
                await self._keep_values(update.job_id, values)
            try:
                await self._keep_cancellation(update.job_id)
                applied = await self._store.apply(update, self._progress.get(update.job_id))
            except Exception as error:
                if pause >= _LONGEST_PAUSE or not isinstance(error, Refusal):
                    logger.exception("update not written yet job=%s state=%s", update.job_id, update.state)
                else:
                    logger.warning(
                        "update not written yet job=%s state=%s error=%s", update.job_id, update.state, error
                    )
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            break
        self._progress.pop(update.job_id, None)
        if applied is Applied.CHANGED:
            logger.info(
                "job %s job=%s attempt=%d cause=%s", update.state, update.job_id, update.attempt, update.cause
            )
        elif applied is Applied.UNKNOWN_JOB:
            logger.warning("update for an unknown job job=%s state=%s", update.job_id, update.state)

    async def _flush_often(self) -> None:
        told = ""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception as error:  # it is gathered again, and written the next time
                # Once for each reason: the log may be what fills the disk.
                if told != str(error):
                    told = str(error)
                    logger.warning("progress not written yet error=%s", error)
            else:
                if told:
                    told = ""
                    logger.info("progress is written again")

    async def flush(self) -> None:
        """Write the progress, the messages of starts and the changed places gathered since the last time.

        Places are not kept, but a job whose place changed counts as changed, for clients that ask ``since``.
        """
        for job_id in list(self._withdrawals):
            await self._store.withdraw(job_id)
            self._withdrawals.discard(job_id)
        for job_id in list(self._cancellations):
            await self._keep_cancellation(job_id)
        positions = self._look_at_positions()
        moved = {
            job_id for job_id, place in positions.items() if self._written_positions.get(job_id) != place
        }
        progress, recorded, startup = dict(self._progress), self._recorded, self._startup
        self._recorded, self._startup = {}, {}
        try:
            await self._store.note(Notes(progress, recorded, moved, startup))
        except BaseException:
            for key, steps in startup.items():
                self._startup[key] = steps + self._startup.get(key, [])
            for job_id, values in recorded.items():
                self._recorded[job_id] = values | self._recorded.get(job_id, {})
            raise
        self._written_positions = positions
        for job_id, written in progress.items():
            if self._progress.get(job_id) is written:
                del self._progress[job_id]

    def note_cancellation(self, job_id: str, by: str) -> None:
        """Have it written as soon as there is room that somebody asked for a job's end."""
        self._cancellations.setdefault(job_id, by)
        self._positions_version += 1

    def cancelled_by(self, job_id: str) -> str | None:
        """Return who asked for a job's end, if that is not written yet."""
        return self._cancellations.get(job_id)

    async def _keep_cancellation(self, job_id: str) -> None:
        if (by := self._cancellations.get(job_id)) is not None:
            await self._store.cancelling(job_id, by)
            self._cancellations.pop(job_id, None)

    async def withdraw(self, job_id: str) -> None:
        """Take back a job that the back end would not have; if the store fails as well, as soon as it can."""
        try:
            await self._store.withdraw(job_id)
        except Exception as error:
            logger.warning("job not withdrawn yet job=%s error=%s", job_id, error)
            self._withdrawals.add(job_id)

    # What changed

    def version(self) -> tuple[str, int, int]:
        """Return a value that is another one whenever a list of jobs may be another one."""
        self._look_at_positions()
        return self._boot, self._store.change, self._positions_version

    def _look_at_positions(self) -> dict[str, int]:
        positions = self._backends.queues.positions()
        if positions != self._positions:
            self._positions = dict(positions)
            self._positions_version += 1
        return self._positions

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # Logs

    async def read_log(self, stored: StoredJob, attempt: int, offset: int, limit: int) -> LogChunk:
        """Read part of an attempt's log; of one that has not begun, nothing."""
        if attempt > stored.attempt or attempt < 1:
            return LogChunk(attempt, max(offset, 0), b"", complete=stored.final)
        return await self._backends.logs.read_log(stored.id, attempt, offset, limit)

    async def stream_log(
        self,
        first: LogChunk,
        job_id: str,
        limit: int,
        gone: Callable[[], Coroutine[Any, Any, bool]],
    ) -> AsyncGenerator[bytes]:
        """Yield an attempt's log as it grows, after a first chunk, until the attempt is over or nobody reads it.

        Parameters
        ----------
        gone
            Asked every few seconds without news, because a reader that left is otherwise noticed only by writing to it.
        """
        chunk = first
        if chunk.data:
            yield chunk.data
        while not chunk.complete and not self._ending.is_set():
            changed, position = self._changed, chunk.offset + len(chunk.data)
            stored = await self._store.get(job_id)
            if stored is None:
                return
            begun = stored.attempt >= chunk.attempt
            if begun:
                chunk = await self._backends.logs.read_log(job_id, chunk.attempt, position, limit)
                if chunk.data:
                    yield chunk.data
                    continue
                if chunk.complete:
                    return
            elif stored.state in FINAL:
                return
            await self._news(job_id, chunk.attempt, position, changed, begun=begun)
            if await gone():
                return

    async def _news(
        self, job_id: str, attempt: int, position: int, changed: asyncio.Event, *, begun: bool
    ) -> None:
        """Wait until there may be more of a log, at most a few seconds."""
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._ending.wait())]
        if begun:
            log = self._backends.logs.wait_log(job_id, attempt, position, _LOOK_UP_SECONDS)
            waits.append(asyncio.ensure_future(log))
        else:
            waits.append(asyncio.create_task(changed.wait()))
        try:
            await asyncio.wait(waits, timeout=_LOOK_UP_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
