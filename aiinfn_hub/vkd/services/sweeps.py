"""Sweeps: one piece of work for many points, of which only so many wait or run at a time.

A sweep is a job that runs nothing. Its points are ordinary jobs, handed to the back end a few at a time, so a session takes
one device from one point. What the sweep shows follows from its points, in the transaction that changes one of them.

An Indexed Job in Kubernetes would do it otherwise: Kueue admits it only when there is room for all pods that may run at
once, and evicts them together.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.domain.backend import BackendJob, JobBackend, JobRefusal, Update
from aiinfn_hub.vkd.domain.records import StoredJob, now

logger = logging.getLogger(__name__)
RETRY_SECONDS: Final = 5.0
"""Pause after a point could not be handed over for a reason that may pass."""


@dataclass(slots=True)
class _Sweep:
    """A sweep that is not over.

    Attributes
    ----------
    waiting
        Points that the back end does not have yet, in their order.
    dropped
        Those of them that somebody cancelled.
    handed
        Points that it has.
    cancelled_by
        Who asked for its end.
    ending
        Its points were told so.
    """

    parallelism: int
    waiting: deque[str] = field(default_factory=deque)
    dropped: set[str] = field(default_factory=set)
    handed: set[str] = field(default_factory=set)
    cancelled_by: str | None = None
    ending: bool = False


class Sweeps:
    """Hands the points of sweeps to the back end.

    After a restart the same points are handed over as before: those that began, and of the others the first, which are the
    ones that the back end may have already.
    """

    def __init__(self, store: JobStore, backend: JobBackend) -> None:
        self._store = store
        self._backend = backend
        self._sweeps: dict[str, _Sweep] = {}
        self._sweep_of: dict[str, str] = {}
        self._news: set[str] = set()
        self._wake = asyncio.Event()

    # Taking sweeps in

    def take_up(self, unfinished: Iterable[StoredJob]) -> list[StoredJob]:
        """Take up the sweeps among all jobs that are not over; give the jobs that the back end is to have at its start."""
        jobs = list(unfinished)
        for job in jobs:
            if job.sweep is not None:
                self._sweeps[job.id] = _Sweep(job.sweep.parallelism, cancelled_by=job.cancelled_by)
        given = []
        for job in jobs:
            if job.sweep is not None:
                continue
            sweep = self._sweeps.get(job.sweep_of or "")
            if sweep is None:
                given.append(job)
                continue
            self._sweep_of[job.id] = job.sweep_of or ""
            if job.state is JobState.QUEUED and job.attempt == 0:
                sweep.waiting.append(job.id)
                if job.cancelled_by is not None:
                    sweep.dropped.add(job.id)
            else:
                sweep.handed.add(job.id)
                given.append(job)
        first = {
            job_id for sweep in self._sweeps.values() if not sweep.cancelled_by for job_id in _next(sweep)
        }
        given += [job for job in jobs if job.id in first]
        self._touch(*self._sweeps)
        return sorted(given, key=lambda job: job.number)

    def begin(self, sweep: StoredJob, points: Sequence[StoredJob]) -> None:
        """Take in a new sweep."""
        parallelism = sweep.sweep.parallelism if sweep.sweep else 1
        self._sweeps[sweep.id] = _Sweep(parallelism, deque(point.id for point in points))
        self._sweep_of.update({point.id: sweep.id for point in points})
        self._touch(sweep.id)

    def _touch(self, *sweeps: str) -> None:
        self._news.update(sweeps)
        self._wake.set()

    # What happens to them

    def holds(self, job_id: str) -> bool:
        """Return whether a job is a point that the back end does not have yet."""
        sweep = self._sweeps.get(self._sweep_of.get(job_id, ""))
        return sweep is not None and job_id not in sweep.handed

    def over(self, job_id: str) -> None:
        """Note that a job has ended; of one that is no point, nothing happens."""
        sweep_id = self._sweep_of.pop(job_id, None)
        sweep = self._sweeps.get(sweep_id or "")
        if sweep_id is None or sweep is None:
            return
        sweep.handed.discard(job_id)
        if job_id in sweep.waiting:
            sweep.waiting.remove(job_id)
        self._touch(sweep_id)

    def cancel(self, job_id: str, by: str) -> bool:
        """End a sweep, or a point that the back end does not have; False if it is neither."""
        if (sweep := self._sweeps.get(job_id)) is not None:
            sweep.cancelled_by = by
            self._touch(job_id)
            return True
        if self.holds(job_id):
            sweep_id = self._sweep_of[job_id]
            self._sweeps[sweep_id].dropped.add(job_id)
            self._touch(sweep_id)
            return True
        return False

    # Handing over

    async def run(self) -> None:
        """Hand points over as others end, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            news, self._news = self._news, set()
            for sweep_id in sorted(news):
                try:
                    await self._attend(sweep_id)
                except Exception:
                    logger.exception("sweep is held up sweep=%s", sweep_id)
                    asyncio.get_running_loop().call_later(RETRY_SECONDS, self._touch, sweep_id)

    async def _attend(self, sweep_id: str) -> None:
        sweep = self._sweeps.get(sweep_id)
        if sweep is None:
            return
        if sweep.cancelled_by is not None and not sweep.ending:
            await self._end(sweep, sweep.cancelled_by)
            sweep.ending = True
        for job_id in sorted(sweep.dropped):
            if job_id in sweep.waiting:
                await self._drop(job_id)
            sweep.dropped.discard(job_id)
        while sweep.waiting and len(sweep.handed) < sweep.parallelism:
            await self._hand(sweep, sweep.waiting[0])
        if not sweep.waiting and not sweep.handed:
            del self._sweeps[sweep_id]

    async def _end(self, sweep: _Sweep, by: str) -> None:
        for job_id in [*sweep.waiting, *sweep.handed]:
            await self._store.cancelling(job_id, by)
        for job_id in list(sweep.waiting):
            await self._drop(job_id)
        for job_id in list(sweep.handed):
            await self._backend.cancel(job_id)

    async def _drop(self, job_id: str) -> None:
        """End a point that never began."""
        await self._store.apply(
            Update(
                job_id, now(), 0, JobState.CANCELLED, Cause.CANCELLED, Message("history.cancelled.waiting")
            )
        )
        self.over(job_id)

    async def _hand(self, sweep: _Sweep, job_id: str) -> None:
        sweep.waiting.remove(job_id)
        sweep.handed.add(job_id)
        try:
            stored = await self._store.get(job_id)
            if stored is None:
                self.over(job_id)
                return
            await self._backend.submit(backend_job(stored))
        except Refusal as refusal:
            told = refusal.told if isinstance(refusal, JobRefusal) else Message("text", text=str(refusal))
            await self._store.apply(Update(job_id, now(), 0, JobState.FAILED, Cause.NEVER_FITS, told))
            self.over(job_id)
            return
        except Exception:
            sweep.handed.discard(job_id)
            sweep.waiting.appendleft(job_id)
            raise
        # Somebody may have asked for its end while it was on its way.
        again = await self._store.get(job_id)
        if again is not None and again.cancelled_by is not None:
            await self._backend.cancel(job_id)


def _next(sweep: _Sweep) -> list[str]:
    """Move the points that come next over to those handed."""
    moved = []
    while sweep.waiting and len(sweep.handed) < sweep.parallelism:
        job_id = sweep.waiting.popleft()
        sweep.handed.add(job_id)
        moved.append(job_id)
    return moved


def backend_job(stored: StoredJob) -> BackendJob:
    """Return a job as the back end takes it."""
    selection, work = stored.grant()
    return BackendJob(
        stored.id,
        selection,
        work,
        stored.output,
        stored.created,
        number=stored.number,
        state=stored.state,
        attempt=stored.attempt,
    )
