"""A back end in memory: it keeps what every back end promises, and its jobs do what the test says.

A job is either the test's own, which starts and ends when the test says so (`MemoryBatch.run`, `MemoryBatch.tell`), or it is
played: with a player, a job starts when its turn comes, and its process is whatever the player makes of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from aiinfn_hub.contract.platform import Availability, AvailabilityReading
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.runner import ResourcePoint
from aiinfn_hub.contract.sessions import Claim, ClaimRequest, ClaimState
from aiinfn_hub.contract.states import FINAL, Cause, JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.backends.common.attempt_files import ExitFacts, Intent, IntentKind
from aiinfn_hub.vkd.backends.common.exit_outcome import judge, moment, plural, points_of, progress_of
from aiinfn_hub.vkd.backends.common.resource_series import Series
from aiinfn_hub.vkd.backends.common.session_claims import making_room, requested_accelerator, waiting
from aiinfn_hub.vkd.domain.backend import (
    BackendJob,
    Holds,
    LogChunk,
    QueueLength,
    Start,
    StartupEvent,
    Update,
)


class Process(Protocol):
    """What a player made of a job."""

    def stop(self) -> None:
        """Ask it to end, and end it after a grace period."""


@dataclass
class Run:
    """An attempt that goes on.

    Attributes
    ----------
    process
        None where the test itself is the job: it ends when the test says so.
    intent
        Why it was told to stop.
    """

    job: BackendJob
    attempt: int
    devices: tuple[str, ...]
    process: Process | None = None
    intent: Intent | None = None


Player = Callable[["MemoryBatch", Run], Process]
"""Starts the process of an attempt. What it prints goes to `MemoryBatch.append`, its end to `MemoryBatch.ended`."""


class MemoryBatch:
    """Runs jobs, and gives sessions nothing."""

    def __init__(self, platform: Platform, player: Player | None = None) -> None:
        self.platform = platform
        self.known: Start | None = None
        self.waiting: dict[str, BackendJob] = {}
        self.running: dict[str, Run] = {}
        self.all: dict[str, BackendJob] = {}
        self.cancelled: list[str] = []
        self.log: dict[tuple[str, int], bytes] = {}
        self.used: dict[tuple[str, int], list[ResourcePoint]] = {}
        self.over: set[tuple[str, int]] = set()
        self.refuse: Exception | None = None
        self.reasons: dict[str, Any] = {}
        self.forgotten: list[str] = []
        self.unforgettable = False
        self.holds = Holds()
        self.stopped = False
        self.interrupted = False
        self.unhurried = False
        """A job that waits and is cancelled ends when the test says so, as where deleting takes its time."""
        self._player = player
        self._starts = False
        self._attempts: Counter[str] = Counter()
        self._queue: asyncio.Queue[Update | None] = asyncio.Queue()
        self._grown = asyncio.Event()

    # What a test, or the process of a job, makes happen

    def tell(
        self, job_id: str, state: JobState | None, cause: Cause | None = None, attempt: int = 1, **more: Any
    ) -> None:
        """Report something of a job, and keep count of who waits and who runs where."""
        state = None if state is None else JobState(state)
        job = self.all.get(job_id)
        if job is not None and state is not None:
            self._attempts[job_id] = attempt
            if state is JobState.QUEUED:
                self.running.pop(job_id, None)
                self.waiting[job_id] = job
            elif state in FINAL:
                self.running.pop(job_id, None)
                self.waiting.pop(job_id, None)
            elif job_id not in self.running:
                self._place(job, attempt)
        self._queue.put_nowait(Update(job_id, datetime.now(UTC), attempt, state, cause, **more))
        self._settle()

    def run(self, job_id: str, attempt: int = 1) -> None:
        """Let a job of the test start and run."""
        self.tell(job_id, JobState.STARTING, Cause.PLACED, attempt)
        self.tell(job_id, JobState.RUNNING, Cause.STARTED, attempt, started=datetime.now(UTC))

    async def print(self, job_id: str, text: bytes, attempt: int = 1, *, over: bool = False) -> None:
        """Let a job print something."""
        if over:
            self.over.add((job_id, attempt))
        self.append(job_id, text, attempt)

    def append(self, job_id: str, text: bytes, attempt: int) -> None:
        """Add to a log."""
        self.log[job_id, attempt] = self.log.get((job_id, attempt), b"") + text
        self._grown.set()

    def ended(self, run: Run, facts: ExitFacts) -> None:
        """Report the end of a played attempt."""
        job, records = run.job, facts.records or {}
        points = [record["resources"] for record in records.pop("resources", [])]
        series = Series()
        for point in points:
            series.add(point)
        self.used[job.id, run.attempt] = points_of(series.points)
        outcome = judge(facts, run.intent, records, job.selection, rebooted=False)
        self.over.add((job.id, run.attempt))
        self._grown.set()
        self.tell(
            job.id,
            outcome.state,
            outcome.cause,
            run.attempt,
            message=outcome.message,
            exit_code=outcome.exit_code,
            error=outcome.error,
            progress=progress_of(records),
            started=moment(facts.started),
            ended=moment(facts.ended),
        )

    # Jobs

    async def start(self, known: Start) -> None:
        self.known = known
        self._starts = True
        for job in known.jobs:
            self.all[job.id] = job
            self._attempts[job.id] = max(self._attempts[job.id], job.attempt)
            if job.id in self.running:
                continue
            if job.state is JobState.QUEUED:
                self.waiting[job.id] = job
            else:
                # It runs on: its process is the test's.
                self._place(job, job.attempt)
        self._settle()

    async def stop(self) -> None:
        self.stopped = True
        self._starts = False
        self._queue.put_nowait(None)

    async def adopt(self, platform: Platform) -> None:
        self.platform = platform
        self._settle()

    async def updates(self) -> AsyncIterator[Update]:
        while (update := await self._queue.get()) is not None:
            yield update

    async def submit(self, job: BackendJob) -> None:
        if self.refuse is not None:
            raise self.refuse
        if job.id not in self.all:
            self.all[job.id] = self.waiting[job.id] = job
            self._settle()

    async def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)
        if job_id in self.running:
            self._end(self.running[job_id], IntentKind.CANCEL)
        elif job_id in self.waiting and not self.unhurried:
            self.tell(
                job_id,
                JobState.CANCELLED,
                Cause.CANCELLED,
                self._attempts[job_id],
                message=Message("history.cancelled"),
            )

    async def hold(self, holds: Holds) -> None:
        self.holds = holds
        for run in list(self.running.values()):
            if holds.stops(run.job.selection):
                self._end(run, IntentKind.HOLD)
        self._settle()

    async def interrupt(self) -> None:
        self.interrupted = True
        self._starts = False
        for run in list(self.running.values()):
            self._end(run, IntentKind.INTERRUPT)

    async def forget(self, job_id: str) -> bool:
        if self.unforgettable:
            raise OSError("the disk is read-only")
        if job_id in self.waiting or job_id in self.running:
            return False
        # The id stays known: submitting the job again changes nothing.
        for kept in (self.log, self.used):
            for key in [key for key in kept if key[0] == job_id]:
                del kept[key]
        self.forgotten.append(job_id)
        return True

    # Queues

    def positions(self) -> Mapping[str, int]:
        places: Counter[str] = Counter()
        found = {}
        for job in self._line():
            queue = job.selection.queue_name or ""
            places[queue] += 1
            found[job.id] = places[queue]
        return found

    def reason(self, job_id: str) -> Any:
        return self.reasons.get(job_id)

    def queues(self) -> Mapping[str, QueueLength]:
        waits = Counter(job.selection.queue_name for job in self.waiting.values())
        runs = Counter(run.job.selection.queue_name for run in self.running.values())
        return {name: QueueLength(waits[name], runs[name]) for name in self.platform.queues}

    # Devices

    def inventory(self) -> AvailabilityReading:
        queued = Counter(job.selection.accelerator_name for job in self.waiting.values())
        entries = []
        for name in self.platform.accelerators:
            total, free = self.largest(name), len(self._free(name))
            sessions = sum(1 for device in self._of_sessions(name) if device in self._devices(name))
            entries.append(
                Availability(
                    accelerator=name,
                    total=total,
                    free=free,
                    sessions=sessions,
                    batch=total - free - sessions,
                    queued=queued[name],
                    waiting_sessions=self._sessions_wait(name),
                )
            )
        return AvailabilityReading(accelerators=entries, read_at=datetime.now(UTC), age=0)

    def largest(self, accelerator: str) -> int:
        return len(self._devices(accelerator))

    def _devices(self, accelerator: str) -> list[str]:
        entry = self.platform.accelerators.get(accelerator)
        return [f"simulated-{number}" for number in range(entry.local.simulated)] if entry else []

    def _free(self, accelerator: str) -> list[str]:
        held = {device for run in self._runs(accelerator) for device in run.devices}
        held.update(self._of_sessions(accelerator))
        return [device for device in self._devices(accelerator) if device not in held]

    def _runs(self, accelerator: str) -> list[Run]:
        return [run for run in self.running.values() if run.job.selection.accelerator_name == accelerator]

    def _of_sessions(self, accelerator: str) -> Iterator[str]:
        """List the devices that sessions hold."""
        return iter(())

    def _sessions_wait(self, accelerator: str) -> int:
        """Count the sessions that wait for an accelerator."""
        return 0

    # Logs

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
        try:
            async with asyncio.timeout(timeout):
                while len(self.log.get(key, b"")) <= offset and key not in self.over:
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            return

    # Whose turn it is

    def _line(self) -> list[BackendJob]:
        return sorted(
            self.waiting.values(), key=lambda job: (-job.selection.priority, job.queued_at, job.number)
        )

    def _place(self, job: BackendJob, attempt: int) -> Run:
        self.waiting.pop(job.id, None)
        devices = tuple(self._free(job.selection.accelerator_name)[: job.selection.count])
        run = self.running[job.id] = Run(job, attempt, devices)
        return run

    def _settle(self) -> None:
        """Start what fits, if jobs are played."""
        if self._player is None or not self._starts:
            return
        stuck: set[str] = set()
        for job in self._line():
            name, count = job.selection.accelerator_name, job.selection.count
            known = name in self.platform.accelerators or not count
            if self.holds.waits(job.selection):
                continue
            if known and count > self.largest(name):
                title = self.platform.accelerators[name].title
                self.tell(
                    job.id,
                    JobState.FAILED,
                    Cause.NEVER_FITS,
                    self._attempts[job.id],
                    message=Message(
                        "failed.never_fits", devices=plural(count, title), there=self.largest(name)
                    ),
                )
                return  # telling settled the rest
            if count and (
                not known or name in stuck or self._sessions_wait(name) or len(self._free(name)) < count
            ):
                stuck.add(name)
                continue
            self._begin(job)

    def _begin(self, job: BackendJob) -> None:
        assert self._player is not None
        attempt = self._attempts[job.id] + 1
        run = self._place(job, attempt)
        self._attempts[job.id] = attempt
        steps = tuple(
            StartupEvent(datetime.now(UTC), message)
            for message in (Message("startup.process"), Message("history.starting"))
        )
        begun = [
            Update(job.id, datetime.now(UTC), attempt, JobState.STARTING, Cause.PLACED, devices=run.devices),
            Update(job.id, datetime.now(UTC), attempt, startup=steps),
            Update(job.id, datetime.now(UTC), attempt, JobState.RUNNING, Cause.STARTED, started=datetime.now(UTC)),
        ]  # fmt: skip
        for update in begun:
            self._queue.put_nowait(update)
        run.process = self._player(self, run)

    def _end(self, run: Run, kind: IntentKind) -> None:
        """Tell a job to stop; a person's wish goes before any other reason."""
        if run.intent is None or kind is IntentKind.CANCEL:
            run.intent = Intent(kind, time.time())
        if run.process is not None:
            run.process.stop()


class MemoryBackend(MemoryBatch):
    """Runs jobs and gives devices to sessions."""

    def __init__(self, platform: Platform, player: Player | None = None) -> None:
        super().__init__(platform, player)
        self.claims: dict[str, tuple[ClaimRequest, Claim]] = {}
        """In their order."""

    async def claim(self, session_id: str, request: ClaimRequest) -> Claim:
        title = requested_accelerator(self.platform, request).title
        known = self.claims.get(session_id)
        if known is not None and _what(known[0]) == _what(request):
            self.claims[session_id] = (request, known[1])
            return known[1]
        if request.count > self.largest(request.accelerator):
            raise Refusal(
                Reason.CAPACITY,
                f"{plural(request.count, title)} cannot be had.",
                "Choose another accelerator or fewer of it.",
                field="accelerator",
            )
        if known is not None:
            await self.release(session_id)
        self.claims[session_id] = (
            request,
            Claim(id=session_id, state=ClaimState.WAITING, sentence="", position=1),
        )
        self._settle()
        return self.claims[session_id][1]

    async def claim_state(self, session_id: str) -> Claim | None:
        found = self.claims.get(session_id)
        return found[1] if found else None

    async def release(self, session_id: str) -> None:
        self.claims.pop(session_id, None)
        self._settle()

    def _of_sessions(self, accelerator: str) -> Iterator[str]:
        for request, claim in self.claims.values():
            if request.accelerator == accelerator:
                yield from claim.devices

    def _waiting_claims(self, accelerator: str) -> list[str]:
        return [
            session_id
            for session_id, (request, claim) in self.claims.items()
            if request.accelerator == accelerator and claim.state is not ClaimState.GRANTED
        ]

    def _sessions_wait(self, accelerator: str) -> int:
        return len(self._waiting_claims(accelerator))

    def _settle(self) -> None:
        for name in self.platform.accelerators:
            self._settle_claims(name)
        super()._settle()

    def _settle_claims(self, name: str) -> None:
        """Grant devices in the order of the claims, and have jobs make room for the first that lacks some."""
        title = self.platform.accelerators[name].title
        for session_id in self._waiting_claims(name):
            request, claim = self.claims[session_id]
            free = self._free(name)
            if len(free) < request.count:
                break
            wanted = plural(request.count, title)
            self.claims[session_id] = request, replace_claim(
                claim, ClaimState.GRANTED, f"Has its {wanted}.", devices=free[: request.count], position=None
            )  # fmt: skip
        missing = -len(self._free(name))
        left = self._runs(name)
        for position, session_id in enumerate(self._waiting_claims(name), 1):
            request, claim = self.claims[session_id]
            missing += request.count
            state, sentence = ClaimState.WAITING, waiting(plural(request.count, title), None)
            if missing <= sum(len(run.devices) for run in left):
                state = ClaimState.MAKING_ROOM
                sentence = making_room(title, self.platform.limits.grace.total_seconds())
                while missing > 0:
                    run = left.pop()
                    missing -= len(run.devices)
                    self._end(run, IntentKind.PREEMPT)
            self.claims[session_id] = request, replace_claim(claim, state, sentence, position=position)


def replace_claim(claim: Claim, state: ClaimState, sentence: str, **more: Any) -> Claim:
    return claim.model_copy(update={"state": state, "sentence": sentence, **more})


def _what(request: ClaimRequest) -> tuple[str, str, str, int]:
    return request.owner, request.project, request.accelerator, request.count


def later(job: BackendJob, state: JobState, attempt: int) -> BackendJob:
    return replace(job, state=state, attempt=attempt)
