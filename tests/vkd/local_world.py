"""A local back end with real supervisors and small real jobs, and what it told."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from aiinfn_hub.contract.jobs import Work
from aiinfn_hub.contract.paths import output_path
from aiinfn_hub.contract.sessions import Claim, ClaimRequest, ClaimState
from aiinfn_hub.contract.states import FINAL, TRANSITIONS, JobState
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.images import Image
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.projects import Project, Queue, Size
from aiinfn_hub.platform.model.settings import Limits
from aiinfn_hub.platform.selection import Door, Selection
from aiinfn_hub.vkd.backends.local.backend import LocalBackend
from aiinfn_hub.vkd.domain.backend import BackendJob, JobBackend, Start, Update

SMALL_JOB = Path(__file__).with_name("small_job.py")
GRACE = 1.0

QUICK = "say('hello')"
SLOW = "say('waiting'); sleep(120)"
STUBBORN = "ignore_sigterm(); say('waiting'); sleep(120)"
FAILING = "record(type='error', error=dict(name='ValueError', message='no data', cell=13)); exit(1)"


def make_platform(*, t4: int = 2, a100: int = 1, grace: float = GRACE, **more: Any) -> Platform:
    """Two T4, one A100 slice, one FPGA, all simulated."""
    return Platform(
        accelerators={
            "t4": Accelerator.model_validate({"title": "Tesla T4", "kind": "gpu", "resource": "nvidia.com/gpu", "product": "Tesla-T4", "simulated": t4, "max_per_session": 2, "max_per_job": 2}),
            "slice": Accelerator.model_validate({"title": "A100 slice", "kind": "mig", "resource": "nvidia.com/mig-1g.5gb", "simulated": a100}),
            "v70": Accelerator.model_validate({"title": "Alveo V70", "kind": "fpga", "resource": "amd.com/v70", "simulated": 1}),
        },
        images={"standard": Image.model_validate({"title": "Standard", "reference": "example.org/standard:1"})},
        sizes={"small": Size.model_validate({"title": "Small", "cores": 1, "memory": "1Gi"})},
        projects={name: Project(title=name, groups=(f"org/{name}",)) for name in ("flavour", "medphys")},
        queues={"main": Queue(title="Main"), "short": Queue(title="Short", priority=10)},
        limits=Limits(grace=timedelta(seconds=grace)),
        **{"use_real_devices": False} | more,
    )  # fmt: skip


@dataclass
class World:
    """A back end, restarted at will over the same data, and the store that a service would keep.

    Attributes
    ----------
    patience
        Seconds that something is waited for, where a test does not say how long.
    """

    patience: ClassVar[float] = 20

    data: Path
    platform: Platform = field(default_factory=make_platform)
    options: dict[str, Any] = field(default_factory=dict)
    backend: LocalBackend = None  # type: ignore[assignment]
    told: list[Update] = field(default_factory=list)
    jobs: dict[str, BackendJob] = field(default_factory=dict)
    forbidden: list[str] = field(default_factory=list)
    _reader: asyncio.Task[None] | None = None
    _count: int = 0

    async def start(self, **options: Any) -> LocalBackend:
        """Start a back end with what the store knows."""
        self.options |= options
        settings: dict[str, Any] = {
            "command": [sys.executable, "-I", "-S", str(SMALL_JOB)],
            "cores": 64,
            "memory": 2**40,
        } | self.options
        accounts = settings.pop("accounts", None)
        holds = settings.pop("holds", None)
        self.backend = LocalBackend(self.platform, self.data, accounts, **settings)
        self._reader = asyncio.create_task(self._read(self.backend))
        active = sorted(
            (job for job in self.jobs.values() if job.state not in FINAL), key=lambda job: job.queued_at
        )
        if holds is not None:
            await self.backend.hold(holds)
        await self.backend.start(Start(jobs=active))
        return self.backend

    async def _read(self, backend: JobBackend) -> None:
        async for update in backend.updates():
            self.told.append(update)
            job = self.jobs[update.job_id]
            if update.state is not None:
                if update.state not in TRANSITIONS[job.state]:
                    self.forbidden.append(f"{job.state} -> {update}")
                self.jobs[job.id] = replace(job, state=update.state, attempt=update.attempt)

    async def stop(self) -> None:
        """Let go of everything, as vkd does when it is stopped."""
        await self.backend.stop()
        if self._reader is not None:
            await self._reader

    async def restart(self, **options: Any) -> LocalBackend:
        """Stop and start again."""
        await self.stop()
        return await self.start(**options)

    async def end(self) -> None:
        """Leave no process behind."""
        for job_id in list(self.jobs):
            await self.backend.cancel(job_id)
        await self.backend.interrupt()
        await self.stop()
        assert self.forbidden == []

    def job(
        self,
        code: str = QUICK,
        *,
        accelerator: str = "none",
        count: int = 1,
        project: str = "flavour",
        queue: str = "main",
        person: str = "alice",
        time_limit: float = 300,
        job_id: str | None = None,
        age: float = 0,
    ) -> BackendJob:
        """Describe a job that runs some Python; with ``age`` it was submitted that many seconds ago."""
        self._count += 1
        known = self.platform.accelerators.get(accelerator)
        selection = Selection(
            door=Door.JOB, person=person, project=project,
            image_name="standard", image=self.platform.images["standard"],
            size_name="small", size=self.platform.sizes["small"],
            accelerator_name=accelerator, accelerator=known, count=count if known else 0,
            queue_name=queue, priority=self.platform.queues[queue].priority,
            time_limit=timedelta(seconds=time_limit),
        )  # fmt: skip
        work = Work(kind="script", path="run.py", snapshot=".aiinfn/jobs/x/run.py", arguments=[code])
        job_id = job_id or f"j{self._count:04}"
        at = datetime.now(UTC) - timedelta(seconds=age)
        return BackendJob(job_id, selection, work, output_path(work, job_id), at)

    async def submit(self, code: str = QUICK, **options: Any) -> str:
        """Submit a job; give its id."""
        job = self.job(code, **options)
        self.jobs[job.id] = job
        await self.backend.submit(job)
        return job.id

    def states(self, job_id: str) -> list[str]:
        """List the states that were told of a job."""
        return [u.state.value for u in self.told if u.job_id == job_id and u.state is not None]

    def last(self, job_id: str) -> Update:
        """Give the last change of state that was told of a job."""
        return [u for u in self.told if u.job_id == job_id and u.state is not None][-1]

    def started(self) -> list[str]:
        """List the jobs in the order in which they were started."""
        return [u.job_id for u in self.told if u.state is JobState.STARTING]

    async def until(
        self, job_id: str, state: str, *, within: float | None = None, attempt: int | None = None
    ) -> Update:
        """Wait until a job is in a state."""

        def found() -> Update | None:
            if not self.states(job_id):
                return None
            last = self.last(job_id)
            right = last.state == state and (attempt is None or last.attempt == attempt)
            return last if right else None

        def what() -> str:
            return f"{job_id} is {state}; it was told {self.states(job_id)}"

        update = await eventually(found, what, within or self.patience)
        assert update is not None
        return update

    async def log(self, job_id: str, attempt: int = 1, offset: int = 0, limit: int = 2**20) -> bytes:
        """Read a log."""
        return (await self.backend.read_log(job_id, attempt, offset, limit)).data

    async def until_log(self, job_id: str, text: bytes, attempt: int = 1) -> None:
        """Wait until a job printed something."""
        deadline = time.monotonic() + self.patience
        while text not in (seen := await self.log(job_id, attempt)):
            assert time.monotonic() < deadline, f"{job_id} did not print {text!r} but {seen!r}"
            await asyncio.sleep(0.02)

    def folder(self, job_id: str, attempt: int = 1) -> Path:
        """Give an attempt's folder on disk."""
        return self.data / "vkd" / "local" / "jobs" / job_id / str(attempt)

    def facts(self, job_id: str, name: str, attempt: int = 1) -> dict[str, Any]:
        """Read a file of an attempt's folder."""
        value: dict[str, Any] = json.loads((self.folder(job_id, attempt) / name).read_text())
        return value

    def counts(self, accelerator: str) -> tuple[int, int, int, int]:
        """Give free, sessions, batch and offline devices."""
        entry = next(e for e in self.backend.inventory().accelerators if e.accelerator == accelerator)
        assert entry.total == entry.free + entry.sessions + entry.batch + entry.others + entry.offline
        return entry.free, entry.sessions, entry.batch, entry.offline

    async def session(self, session_id: str, accelerator: str = "t4", count: int = 1) -> Claim:
        """Start a session: what the hub does for it."""
        return await self.backend.claim(session_id, claim_request(accelerator, count))

    async def end_session(self, session_id: str) -> None:
        """End a session."""
        await self.backend.release(session_id)

    async def until_claim(self, session_id: str, state: ClaimState, *, within: float | None = None) -> Claim:
        """Wait until a session's claim is in a state."""
        deadline = time.monotonic() + (within or self.patience)
        while (claim := await self.backend.claim_state(session_id)) is None or claim.state is not state:
            assert time.monotonic() < deadline, f"{session_id} is not {state} but {claim}"
            await asyncio.sleep(0.02)
        return claim

    async def until_counts(self, accelerator: str, *expected: int) -> None:
        """Wait until free, sessions, batch and offline devices are these."""
        await eventually(
            lambda: self.counts(accelerator) == expected,
            lambda: f"{accelerator} is {expected}; it is {self.counts(accelerator)}",
            self.patience,
        )

    async def until_positions(self, *jobs: str, within: float | None = None) -> None:
        """Wait until exactly these jobs wait in the queue ``main``, in this order."""
        expected = {job: index for index, job in enumerate(jobs, 1)}
        await eventually(
            lambda: self.backend.positions() == expected,
            lambda: f"the places are {expected}; they are {self.backend.positions()}",
            within or self.patience,
        )


def claim_request(accelerator: str = "t4", count: int = 1, **more: Any) -> ClaimRequest:
    """Ask for devices for a session of eight hours."""
    until = datetime.now(UTC) + timedelta(hours=8)
    fields: dict[str, Any] = {
        "owner": "bob",
        "project": "flavour",
        "accelerator": accelerator,
        "count": count,
        "until": until,
    }
    return ClaimRequest(**fields | more)


async def eventually(look: Callable[[], Any], what: str | Callable[[], str], within: float = 20) -> Any:
    """Look again and again until there is something to see."""
    deadline = time.monotonic() + within
    while not (seen := look()):
        said = what() if callable(what) else what
        assert time.monotonic() < deadline, f"not within {within} s: {said}"
        await asyncio.sleep(0.02)
    return seen


def running(pids: Iterable[int]) -> list[int]:
    """List those processes that still run (a zombie does not)."""
    alive = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            alive.append(pid)
    return alive
