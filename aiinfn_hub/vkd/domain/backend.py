"""What a back end is: where jobs run, and who holds which device.

There is one small protocol for each part of it, so that a batch system may run jobs and leave the devices of sessions to
somebody else. A back end knows neither HTTP nor SQL. The service hands it jobs and gets `Update` objects back; the store is the
service's. Everything here is called on the event loop and must not block it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from aiinfn_hub.contract.jobs import Work
from aiinfn_hub.contract.platform import AvailabilityReading
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.runner import (
    JobError,
    Progress,
    ResourcePoint,
    Scalar,
)
from aiinfn_hub.contract.sessions import Claim, ClaimRequest
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.contract.templates import NOTHING
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.selection import Selection


@dataclass(frozen=True, slots=True)
class BackendJob:
    """A job as a back end needs it.

    Attributes
    ----------
    queued_at
        When it was submitted: an evicted job goes back to its place because this does not change.
    number
        Of two jobs submitted at the same time, as the points of a sweep are, the lower number was first. It does not
        change either.
    state, attempt
        What the store last knew; used by `JobBackend.start` to find out what happened meanwhile.
    """

    id: str
    selection: Selection
    work: Work
    output: str
    queued_at: datetime
    number: int = 0
    state: JobState = JobState.QUEUED
    attempt: int = 0


NO_MESSAGE: Final = Message(NOTHING)


class JobRefusal(Refusal):
    """A job that a back end does not take.

    Attributes
    ----------
    told
        Why, for the history of a point of a sweep, which is handed over later.
    """

    def __init__(self, reason: Reason, told: Message, hint: str, *, field: str) -> None:
        super().__init__(reason, str(told), hint, field=field)
        self.told = told


@dataclass(frozen=True, slots=True)
class StartupEvent:
    """Something that happened while an attempt started."""

    time: datetime
    message: Message


@dataclass(frozen=True, slots=True)
class Update:
    """Something happened to a job.

    Attributes
    ----------
    state, cause
        The new state and why; None if only progress, values or a start are told.
    attempt
        The attempt it is about. A new attempt begins with `JobState.STARTING`.
    message
        What the job's history says of it.
    values
        What the job recorded since the last update.
    startup
        What happened while the attempt started, since the last update; one that is told again is kept once.
    started, ended
        When the attempt's process began and ended, for accounting; known at `RUNNING` and after it.
    """

    job_id: str
    time: datetime
    attempt: int
    state: JobState | None = None
    cause: Cause | None = None
    message: Message = NO_MESSAGE
    progress: Progress | None = None
    values: Mapping[str, Scalar] | None = None
    startup: tuple[StartupEvent, ...] = ()
    error: JobError | None = None
    exit_code: int | None = None
    devices: tuple[str, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Part of an attempt's log.

    Attributes
    ----------
    offset
        Position of the first byte.
    complete
        The attempt is over and nothing follows.
    """

    attempt: int
    offset: int
    data: bytes
    complete: bool


@dataclass(frozen=True, slots=True)
class QueueLength:
    """How many jobs of a queue wait and run."""

    waiting: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    """What the service knows when a back end starts.

    Attributes
    ----------
    jobs
        All jobs that are not final, oldest first.
    usage
        Decayed device-seconds per project, the seed of the fair order.
    """

    jobs: Sequence[BackendJob] = ()
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holds:
    """Whose jobs may not run.

    Attributes
    ----------
    entries
        By owner and project, an empty one for all; True where those that run are stopped as well.
    """

    entries: Mapping[tuple[str, str], bool] = field(default_factory=dict)

    def waits(self, selection: Selection) -> bool:
        """Return whether a job may not start."""
        return any(key in self.entries for key in _keys(selection))

    def stops(self, selection: Selection) -> bool:
        """Return whether a job may not go on."""
        return any(self.entries.get(key, False) for key in _keys(selection))


def _keys(selection: Selection) -> tuple[tuple[str, str], tuple[str, str]]:
    return (selection.person, ""), (selection.person, selection.project)


class JobBackend(Protocol):
    """Runs jobs. It is started before it is asked for anything but `hold`."""

    async def start(self, known: Start) -> None:
        """Take over: follow what still runs, report by updates what ended meanwhile, queue the rest in its order."""

    async def stop(self) -> None:
        """Release everything without ending jobs or sessions; `updates` ends."""

    async def adopt(self, platform: Platform) -> None:
        """Load a changed platform file, once all that it names is known.

        What runs goes on, also on what the file does not have any more; nothing starts there.
        """

    def updates(self) -> AsyncIterator[Update]:
        """Stream what happens. One consumer; each update is yielded once, in the order of events per job."""

    async def submit(self, job: BackendJob) -> None:
        """Queue a job. Idempotent by job id: submitting a known one again changes nothing."""

    async def cancel(self, job_id: str) -> None:
        """Stop a job: its end arrives as an update. Of an unknown or finished job: nothing happens."""

    async def hold(self, holds: Holds) -> None:
        """Keep jobs from running until they are not held any more; replaces what was held before.

        Called before `start` too. A held job is queued and keeps its age; one that is stopped goes back to its queue.
        """

    async def interrupt(self) -> None:
        """Stop all running jobs because the platform goes down; they go back to their queues.

        Where jobs do not stop with the platform, nothing happens.
        """

    async def forget(self, job_id: str) -> bool:
        """Delete what is kept of a final job (its logs, and what it used); False if it is not over here yet.

        Raises
        ------
        OSError
            If it cannot be deleted.
        """


class JobLogs(Protocol):
    """What attempts print and use."""

    async def read_log(self, job_id: str, attempt: int, offset: int, limit: int) -> LogChunk:
        """Read up to ``limit`` bytes of an attempt's log. A negative offset counts from the end."""

    async def wait_log(self, job_id: str, attempt: int, offset: int, timeout: float) -> None:  # noqa: ASYNC109 - a long poll
        """Return when the log is longer than ``offset``, the attempt is over, or after ``timeout`` seconds."""

    async def read_resources(self, job_id: str, attempt: int) -> list[ResourcePoint]:
        """Read what an attempt used so far: at most `MOST_RESOURCE_POINTS` points, oldest first."""


class QueueInfo(Protocol):
    """What waits, and why; all of it from memory."""

    def positions(self) -> Mapping[str, int]:
        """Return the place of each waiting job in its queue, from 1."""

    def reason(self, job_id: str) -> Message | None:
        """Explain why a job still waits, as the end of a sentence; None if there is nothing to say but its place."""

    def queues(self) -> Mapping[str, QueueLength]:
        """Return the length of each queue by name."""


class DeviceInventory(Protocol):
    """What there is of each accelerator, and who uses it; all of it from memory."""

    def inventory(self) -> AvailabilityReading:
        """Return the free and total devices of every accelerator of the platform file."""

    def largest(self, accelerator: str) -> int:
        """Return the most devices of an accelerator that one job can be given: those of its largest node; 0 if unknown."""


class DeviceBroker(Protocol):
    """The devices of sessions.

    One that is not the `JobBackend` too is ready when it is made. Where a batch system hands out no devices to sessions,
    `backends.common.no_session_devices` stands in.
    """

    async def adopt(self, platform: Platform) -> None:
        """Load a changed platform file; see `JobBackend.adopt`."""

    async def stop(self) -> None:
        """Release everything; sessions keep their devices."""

    async def claim(self, session_id: str, request: ClaimRequest) -> Claim:
        """Ask for devices for a session; idempotent by id. Evicts batch jobs at once where that helps.

        Raises
        ------
        Refusal
            If there are fewer such devices in all than asked for, or none for sessions.
        """

    async def claim_state(self, session_id: str) -> Claim | None:
        """Return how far a claim is, or None if there is none."""

    async def release(self, session_id: str) -> None:
        """Take a session's devices back. Of an unknown session: nothing happens."""


class BatchBackend(JobBackend, JobLogs, QueueInfo, DeviceInventory, Protocol):
    """A back end that runs jobs, and has nothing to do with sessions."""


class CompleteBackend(BatchBackend, DeviceBroker, Protocol):
    """A back end that is all of it: jobs and sessions share the devices that it hands out."""


@dataclass(frozen=True, slots=True)
class Backends:
    """The parts that vkd works with; they may be one object, or several."""

    jobs: JobBackend
    logs: JobLogs
    queues: QueueInfo
    inventory: DeviceInventory
    devices: DeviceBroker

    @classmethod
    def complete(cls, backend: CompleteBackend) -> Backends:
        """Return one back end as all parts."""
        return cls.batch(backend, devices=backend)

    @classmethod
    def batch(cls, backend: BatchBackend, *, devices: DeviceBroker) -> Backends:
        """Return a back end for jobs, and somebody else for the devices of sessions."""
        return cls(jobs=backend, logs=backend, queues=backend, inventory=backend, devices=devices)

    async def adopt(self, platform: Platform) -> None:
        """Have all parts load a changed platform file, each once."""
        if self._has_own_broker:
            await self.devices.adopt(platform)
        await self.jobs.adopt(platform)

    async def stop(self) -> None:
        """Release all parts, each once."""
        try:
            await self.jobs.stop()
        finally:
            if self._has_own_broker:
                await self.devices.stop()

    @property
    def _has_own_broker(self) -> bool:
        return self.devices is not self.jobs  # type: ignore[comparison-overlap]
