"""Lists out of a long history, and what there is, at vkd."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiinfn_hub.contract.constants import PREFIX
from aiinfn_hub.contract.jobs import Work
from aiinfn_hub.contract.paths import output_path
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.gate import resolve
from aiinfn_hub.platform.loading.loader import load
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.domain.backend import Update
from aiinfn_hub.vkd.domain.records import NewJob
from bench.figures import Figure, timings
from bench.stage import ROOT, Caller, resident, stage

JOBS = 10_000
ENDS = [
    (JobState.SUCCEEDED, Cause.COMPLETED),
    (JobState.FAILED, Cause.ERROR),
    (JobState.CANCELLED, Cause.CANCELLED),
]


def fill(data: Path, jobs: int = JOBS) -> None:
    """Write a history of final jobs of one person into a fresh store."""
    platform = load(ROOT / "platform.yaml")
    ada = Person.of("ada", ["ai-infn/flavour"])
    granted = resolve({"accelerator": "t4"}, platform, ada, Door.JOB)
    begin = datetime.now(UTC) - timedelta(seconds=60 * jobs)
    new, updates = [], []
    for index in range(jobs):
        work = Work(
            kind="notebook",
            path=f"work/train-{index}.ipynb",
            snapshot=f".aiinfn/jobs/{index}/train.ipynb",
            kernel="python3",
            parameters={"epochs": index, "rate": 0.1},
        )
        name, created = f"j{index:09d}", begin + timedelta(seconds=60 * index)
        new.append(
            NewJob(
                selection=granted,
                work=work,
                output=output_path(work, name),
                name=f"train-{index}",
                description={"labels": ["paper-2026"]} if index % 50 == 0 else {},
                id=name,
                created=created,
            )
        )
        state, cause = ENDS[index % 10 if index % 10 < 3 else 0]
        for told, why, seconds in (
            (JobState.STARTING, Cause.PLACED, 1),
            (JobState.RUNNING, Cause.STARTED, 2),
            (state, cause, 50),
        ):
            updates.append(
                Update(
                    job_id=name,
                    time=created + timedelta(seconds=seconds),
                    attempt=1,
                    state=told,
                    cause=why,
                    message=Message("history.running"),
                    started=created + timedelta(seconds=2),
                )
            )

    (data / "vkd").mkdir(parents=True)
    data.chmod(0o711)

    async def write() -> None:
        store = await JobStore.open(f"sqlite+aiosqlite:///{data / 'vkd' / 'vkd.sqlite'}")
        await store.seed(new, updates)
        await store.close()

    asyncio.run(write())


def measure() -> Iterator[Figure]:
    """Time the two answers that every open Lab asks for."""
    with stage(fill) as running:
        running.sign_in("ada")
        caller = Caller(running.hub.vkd_url, running.token("ada"))
        yield from timings(
            f"GET jobs, 25 of {JOBS:,}", caller.timed(f"{PREFIX}/jobs?limit=25", 300), p95_aim=5
        )
        yield from timings(
            "GET jobs, failed ones only", caller.timed(f"{PREFIX}/jobs?limit=25&state=failed", 100)
        )
        yield from timings("GET platform", caller.timed(f"{PREFIX}/platform", 300))
        yield from timings("GET health (what any answer costs)", caller.timed("/health", 300))
        vkd = running.process("aiinfn_hub.vkd")
        memory = resident(vkd)
        yield Figure("vkd, resident after these requests", memory, "MB", "<= 120 MB", memory <= 120)
