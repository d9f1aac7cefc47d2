"""A back end in memory: it does what the test says, and holds to the protocols of `aiinfn_hub.vkd.domain.backend`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aiinfn_hub.contract.platform import Availability, AvailabilityReading
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.runner import ResourcePoint
from aiinfn_hub.contract.sessions import Claim, ClaimRequest, ClaimState
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.domain.backend import (
    BackendJob,
    Holds,
    LogChunk,
    QueueLength,
    Start,
    Update,
)


class MemoryBatch:
    """Runs jobs, and gives sessions nothing."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.known: Start | None = None
        self.waiting: dict[str, BackendJob] = {}
        self.all: dict[str, BackendJob] = {}
        self.cancelled: list[str] = []
        self.log: dict[tuple[str, int], bytes] = {}
        self.used: dict[tuple[str, int], list[ResourcePoint]] = {}
        self.over: set[tuple[str, int]] = set()
        self.refuse: Exception | None = None
        self.reasons: dict[str, str] = {}
        self.forgotten: list[str] = []
        self.unforgettable = False
        self.holds = Holds()
        self.stopped = False
        self.interrupted = False
        self._queue: asyncio.Queue[Update | None] = asyncio.Queue()
        self._grown = asyncio.Condition()

    # what a test makes happen

    def tell(
        self, job_id: str, state: JobState | None, cause: Cause | None = None, attempt: int = 1, **more: Any
    ) -> None:
        if state is JobState.QUEUED:
            self.waiting[job_id] = self.all[job_id]
        elif state is not None:
            self.waiting.pop(job_id, None)
        self._queue.put_nowait(Update(job_id, datetime.now(UTC), attempt, state, cause, **more))

    def run(self, job_id: str, attempt: int = 1) -> None:
        self.tell(job_id, JobState.STARTING, Cause.PLACED, attempt)
        self.tell(job_id, JobState.RUNNING, Cause.STARTED, attempt, started=datetime.now(UTC))

    async def print(self, job_id: str, text: bytes, attempt: int = 1, *, over: bool = False) -> None:
        async with self._grown:
            self.log[job_id, attempt] = self.log.get((job_id, attempt), b"") + text
            if over:
                self.over.add((job_id, attempt))
            self._grown.notify_all()

    # the protocol

    async def start(self, known: Start) -> None:
        self.known = known
        for job in known.jobs:
            self.all[job.id] = job
            if job.state is JobState.QUEUED:
                self.waiting[job.id] = job

    async def stop(self) -> None:
        self.stopped = True
        self._queue.put_nowait(None)

    async def adopt(self, platform: Platform) -> None:
        self.platform = platform

    async def updates(self) -> AsyncIterator[Update]:
        while (update := await self._queue.get()) is not None:
            yield update

    async def submit(self, job: BackendJob) -> None:
        if self.refuse is not None:
            raise self.refuse
        if job.id not in self.all:
            self.all[job.id] = self.waiting[job.id] = job

    async def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)

    async def hold(self, holds: Holds) -> None:
        self.holds = holds

    async def interrupt(self) -> None:
        self.interrupted = True

    def positions(self) -> Mapping[str, int]:
        places: Counter[str] = Counter()
        found = {}
        for job in sorted(self.waiting.values(), key=lambda job: job.queued_at):
            queue = job.selection.queue_name or ""
            places[queue] += 1
            found[job.id] = places[queue]
        return found

    def reason(self, job_id):
        return self.reasons.get(job_id)

    def queues(self) -> Mapping[str, QueueLength]:
        waiting = Counter(job.selection.queue_name for job in self.waiting.values())
        return {name: QueueLength(waiting=waiting[name]) for name in self.platform.queues}

    def inventory(self) -> AvailabilityReading:
        return AvailabilityReading(
            accelerators=[
                Availability(
                    accelerator=name,
                    total=device.local.simulated,
                    free=device.local.simulated,
                    sessions=0,
                    batch=0,
                    queued=0,
                )
                for name, device in self.platform.accelerators.items()
            ],
            read_at=datetime.now(UTC),
            age=0,
        )

    def largest(self, accelerator: str) -> int:
        return self.platform.accelerators[accelerator].local.simulated

    async def read_log(self, job_id: str, attempt: int, offset: int, limit: int) -> LogChunk:
        whole = self.log.get((job_id, attempt), b"")
        begin = max(0, len(whole) + offset) if offset < 0 else min(offset, len(whole))
        data = whole[begin : begin + limit]
        over = (job_id, attempt) in self.over and begin + len(data) == len(whole)
        return LogChunk(attempt, begin, data, complete=over)

    async def read_resources(self, job_id: str, attempt: int) -> list[ResourcePoint]:
        return self.used.get((job_id, attempt), [])

    async def wait_log(self, job_id: str, attempt: int, offset: int, timeout: float) -> None:  # noqa: ASYNC109 - the protocol's
        key = (job_id, attempt)
        async with self._grown:
            try:
                async with asyncio.timeout(timeout):
                    await self._grown.wait_for(
                        lambda: len(self.log.get(key, b"")) > offset or key in self.over
                    )
            except TimeoutError:
                return

    async def forget(self, job_id: str) -> bool:
        if self.unforgettable:
            raise OSError("the disk is read-only")
        self.all.pop(job_id, None)
        for key in [key for key in self.log if key[0] == job_id]:
            del self.log[key]
        self.forgotten.append(job_id)
        return True


class MemoryBackend(MemoryBatch):
    """Runs jobs and gives devices to sessions."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform)
        self.claims: dict[str, tuple[ClaimRequest, Claim]] = {}

    async def claim(self, session_id: str, request: ClaimRequest) -> Claim:
        if session_id in self.claims:
            return self.claims[session_id][1]
        if request.count > self.platform.accelerators[request.accelerator].local.simulated:
            raise Refusal(Reason.IMPOSSIBLE, "There are fewer such devices than asked for.", field="count")
        claim = Claim(id=session_id, state=ClaimState.GRANTED, sentence="Granted.", devices=["simulated-0"])
        self.claims[session_id] = (request, claim)
        return claim

    async def claim_state(self, session_id: str) -> Claim | None:
        found = self.claims.get(session_id)
        return found[1] if found else None

    async def release(self, session_id: str) -> None:
        self.claims.pop(session_id, None)


def later(job: BackendJob, state: JobState, attempt: int) -> BackendJob:
    return replace(job, state=state, attempt=attempt)
