"""`LocalBackend`: jobs as processes of this host, devices in a ledger, sessions before jobs."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psutil

from aiinfn_hub.contract.platform import Availability, AvailabilityReading
from aiinfn_hub.contract.runner import ResourcePoint
from aiinfn_hub.contract.sessions import Claim, ClaimRequest
from aiinfn_hub.host.accounts import Accounts
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.backends.common import attempt_log
from aiinfn_hub.vkd.backends.common.attempt_files import LocalFiles
from aiinfn_hub.vkd.backends.common.exit_outcome import points_of
from aiinfn_hub.vkd.domain.backend import (
    BackendJob,
    Holds,
    LogChunk,
    QueueLength,
    Start,
    Update,
)

from .devices import DeviceInventory, DeviceWatch, Discover, discover_nvml
from .dispatcher import Dispatcher
from .environment import LOG_LIMIT
from .launch import Launcher, LaunchSettings
from .ledger import Host, Ledger
from .recovery import end_strays, survey
from .session_claims import SessionClaims

_log = logging.getLogger(__name__)
_TICK: Final = 0.5
"""Seconds between two looks at progress, ended sessions, and devices taken out."""
_PATIENCE: Final = 5.0
"""Seconds on top of the grace period until a stopped process is surely gone."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class LocalBackend:
    """Runs jobs as processes of this host. See `aiinfn_hub.vkd.domain.backend.CompleteBackend`.

    Parameters
    ----------
    data
        The data folder; everything is kept in ``vkd/local`` below it.
    accounts
        Who runs as whom; None: all as this process, with homes in the data folder.
    clock
        Returns the time in UTC.
    command
        What runs in a job instead of the runner.
    discover
        Reads the real devices.
    device_interval
        Seconds between two such readings.
    gone_after
        After this time a vanished device is not expected back: jobs that cannot do without it fail.
    cores, memory
        What all jobs together may take of the host; default: all of it. Memory in bytes.
    log_limit
        Bytes of an attempt's log that are kept.
    lock_patience
        Seconds to wait for another vkd that still works on this folder.
    """

    def __init__(
        self,
        platform: Platform,
        data: Path,
        accounts: Accounts | None,
        clock: Callable[[], datetime] = _utc_now,
        *,
        command: Sequence[str] | None = None,
        discover: Discover = discover_nvml,
        device_interval: float = 30.0,
        gone_after: timedelta = timedelta(minutes=10),
        cores: float | None = None,
        memory: int | None = None,
        log_limit: int = LOG_LIMIT,
        lock_patience: float = 15.0,
    ) -> None:
        self._platform = platform
        self._clock = clock
        self._grace = platform.limits.grace.total_seconds()
        self._files = LocalFiles(data)
        self._ledger = Ledger()
        self._updates: asyncio.Queue[Update | None] = asyncio.Queue()
        self._dispatcher = Dispatcher(
            platform,
            self._files,
            Launcher(LaunchSettings(data.absolute(), accounts, command, log_limit, lambda: self._platform)),
            clock,
            ledger=self._ledger,
            host=Host(cores or float(os.cpu_count() or 1), memory or psutil.virtual_memory().total),
            emit=self._updates.put_nowait,
            freed=self._pump,
        )
        self._sessions = SessionClaims(platform, self._files, clock, self._ledger, self._dispatcher)
        self._devices = DeviceWatch(
            platform,
            self._files,
            self._restock,
            clock,
            discover=discover,
            interval=device_interval,
            gone_after=gone_after,
        )
        self._ticker: asyncio.Task[None] | None = None
        self._lock: int | None = None
        self._lock_patience = lock_patience
        self._open = False

    async def start(self, known: Start) -> None:
        """Take over what an earlier vkd left; see `JobBackend.start`.

        Raises
        ------
        RuntimeError
            If another vkd works on the same data folder.
        """
        await asyncio.to_thread(self._files.prepare)
        self._lock = await asyncio.to_thread(self._files.lock, self._lock_patience)
        await self._devices.start()
        self._dispatcher.meter.seed(known.usage, self._clock())
        await asyncio.to_thread(self._sessions.load)
        for found in await asyncio.to_thread(survey, self._files, known.jobs):
            if found.attempts:
                await self._dispatcher.resume(found.job, found.attempts)
            else:
                self._dispatcher.enqueue(found.job)
        followed = [run.folder.path for run in self._dispatcher.runs.values()]
        await asyncio.to_thread(end_strays, self._files, followed, self._grace + _PATIENCE)
        self._dispatcher.stop_held()
        self._open = True
        self._pump()
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Stop; jobs and sessions run on, and `updates` ends."""
        self._open = False
        self._devices.stop()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        await self._dispatcher.let_go()
        self._updates.put_nowait(None)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def adopt(self, platform: Platform) -> None:
        """Load a changed platform file; see `JobBackend.adopt`."""
        self._platform = platform
        self._grace = platform.limits.grace.total_seconds()
        self._dispatcher.adopt(platform)
        self._sessions.adopt(platform)
        self._devices.adopt(platform)
        self._pump()

    async def updates(self) -> AsyncIterator[Update]:
        """Stream what happens, until `stop`."""
        while (update := await self._updates.get()) is not None:
            yield update

    def _pump(self) -> None:
        """Hand out what is free: to sessions first, then to jobs."""
        if self._open:
            self._dispatcher.start_jobs(self._sessions.settle())

    def _restock(self, inventory: DeviceInventory) -> None:
        self._dispatcher.restock(inventory)
        self._pump()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            try:
                self._dispatcher.tell_progress()
                self._devices.refresh()
                if self._sessions.drop_ended():
                    self._pump()
            except Exception:
                _log.exception("A routine look at the jobs failed")

    async def submit(self, job: BackendJob) -> None:
        """Queue a job; one that is known, or was run before, stays as it is."""
        if self._dispatcher.knows(job.id) or self._files.job(job.id).exists():
            return
        self._dispatcher.enqueue(job)
        self._pump()

    async def cancel(self, job_id: str) -> None:
        """Stop a job for good."""
        self._dispatcher.cancel(job_id)
        self._pump()

    async def hold(self, holds: Holds) -> None:
        """Keep jobs from running; see `JobBackend.hold`."""
        self._dispatcher.hold(holds)
        self._pump()

    async def interrupt(self) -> None:
        """Stop all running jobs, wait until they are gone, and start nothing any more."""
        await self._dispatcher.interrupt(_PATIENCE)

    def positions(self) -> Mapping[str, int]:
        """Return the place of each waiting job in its queue, from 1."""
        return self._dispatcher.line.positions(self._dispatcher.rank)

    def reason(self, job_id: str) -> Message | None:
        """Return None: its place in line is why a job waits here."""
        return None

    def queues(self) -> Mapping[str, QueueLength]:
        """Return the length of each queue by name."""
        running = [run.job.selection.queue_name for run in self._dispatcher.runs.values()]
        return {
            name: QueueLength(self._dispatcher.line.in_queue(name), running.count(name))
            for name in self._platform.queues
        }

    def inventory(self) -> AvailabilityReading:
        """Return what there is of each accelerator."""
        entries = []
        for name in self._platform.accelerators:
            counts = self._ledger.counts(name)
            entries.append(
                Availability(
                    accelerator=name,
                    total=counts.total,
                    free=counts.free,
                    sessions=counts.sessions,
                    batch=counts.batch,
                    offline=counts.offline,
                    queued=self._dispatcher.line.in_lane(name),
                    waiting_sessions=self._sessions.waiting(name),
                    next_session_end=self._sessions.next_end(name),
                    simulated=name in self._devices.current.simulated,
                )
            )
        read_at = self._devices.read_at
        age = max(0.0, (self._clock() - read_at).total_seconds())
        return AvailabilityReading(accelerators=entries, read_at=read_at, age=age)

    def largest(self, accelerator: str) -> int:
        """Count the devices of an accelerator: they are all on this machine."""
        return self._ledger.capacity(accelerator)

    def _is_over(self, job_id: str, attempt: int) -> bool:
        run = self._dispatcher.runs.get(job_id)
        return run is None or run.attempt != attempt

    async def read_log(self, job_id: str, attempt: int, offset: int, limit: int) -> LogChunk:
        """Read part of an attempt's log; see `JobLogs.read_log`."""
        folder = self._files.attempt(job_id, attempt)
        over = self._is_over(job_id, attempt)
        return await asyncio.to_thread(attempt_log.read, folder, attempt, offset, limit, over=over)

    async def wait_log(self, job_id: str, attempt: int, offset: int, timeout: float) -> None:  # noqa: ASYNC109 - a long poll
        """Wait until the log is longer than ``offset``, the attempt is over, or for ``timeout`` seconds."""
        folder = self._files.attempt(job_id, attempt)
        await attempt_log.wait(folder, offset, timeout, lambda: self._is_over(job_id, attempt))

    async def read_resources(self, job_id: str, attempt: int) -> list[ResourcePoint]:
        """Read what an attempt used so far; see `JobLogs.read_resources`."""
        folder = self._files.attempt(job_id, attempt)
        return points_of(await asyncio.to_thread(folder.read_resources))

    async def claim(self, session_id: str, request: ClaimRequest) -> Claim:
        """Ask for devices for a session; see `DeviceBroker.claim`."""
        self._sessions.ask(session_id, request)
        self._pump()
        claim = self._sessions.view(session_id)
        assert claim is not None  # noqa: S101 - it was written down two lines above
        return claim

    async def claim_state(self, session_id: str) -> Claim | None:
        """Return how far a claim is."""
        return self._sessions.view(session_id)

    async def release(self, session_id: str) -> None:
        """Return a session's devices back."""
        self._sessions.release(session_id)
        self._pump()

    async def forget(self, job_id: str) -> bool:
        """Delete what is kept of a final job; see `JobBackend.forget`."""
        if not self._dispatcher.forget(job_id):
            return False
        await asyncio.to_thread(self._files.forget, job_id)
        return True
