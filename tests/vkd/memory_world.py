"""A back end in memory that plays the contract's small jobs: each is Python that runs in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Any

from aiinfn_hub.contract.records import check
from aiinfn_hub.contract.states import FINAL
from aiinfn_hub.vkd.backends.common.attempt_files import ExitFacts
from aiinfn_hub.vkd.domain.backend import Start
from tests.vkd.local_world import World, eventually
from tests.vkd.memory_backend import MemoryBackend, MemoryBatch, Run

TERMINATED = 75
"""How the runner exits when it is told to stop."""
KILLED = 9


class _Ended(BaseException):
    """The process is over: nothing of the job's code catches it."""


class Played:
    """The process of a job: it says, sleeps, records and exits as `tests.vkd.small_job` does."""

    def __init__(self, backend: MemoryBatch, run: Run) -> None:
        self._backend, self._run = backend, run
        self._loop = asyncio.get_running_loop()
        self._told, self._killed, self._stubborn = threading.Event(), threading.Event(), False
        self._limited = False
        self._records: dict[str, Any] = {"resources": []}
        self._began = time.time()
        self._limit = self._loop.call_later(run.job.selection.time_limit.total_seconds(), self._too_long)
        self._kill: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell it to stop, and kill it after the grace period."""
        self._told.set()
        if self._kill is None:
            grace = self._backend.platform.limits.grace.total_seconds()
            self._kill = self._loop.call_later(grace, self._killed.set)

    def _too_long(self) -> None:
        self._limited = True
        self.stop()

    def _main(self) -> None:
        code: int | None = 0
        number = None
        names = {
            "say": self._say,
            "sleep": self._sleep,
            "record": self._record,
            "exit": self._exit,
            "ignore_sigterm": self._ignore,
        }
        try:
            exec(self._run.job.work.arguments[0], names)
        except _Ended:
            code, number = (None, KILLED) if self._killed.is_set() else (TERMINATED, None)
        except SystemExit as exited:
            code = int(exited.code or 0)
        self._loop.call_soon_threadsafe(self._over, code, number)

    def _over(self, code: int | None, number: int | None) -> None:
        self._limit.cancel()
        if self._kill is not None:
            self._kill.cancel()
        why = "time_limit" if self._limited and code != 0 else "exited"
        facts = ExitFacts(code, number, self._began, time.time(), why, records=self._records)
        self._backend.ended(self._run, facts)

    def _say(self, text: str) -> None:
        line = f"{text}\n".encode()
        self._loop.call_soon_threadsafe(self._backend.append, self._run.job.id, line, self._run.attempt)

    def _sleep(self, seconds: float) -> None:
        if (self._killed if self._stubborn else self._told).wait(seconds):
            raise _Ended

    def _ignore(self) -> None:
        self._stubborn = True

    def _exit(self, code: int) -> None:
        raise SystemExit(code)

    def _record(self, **value: Any) -> None:
        record = check(value)
        if record["type"] == "resources":
            self._records["resources"].append(record)
        else:
            self._records[record["type"]] = record


@dataclass
class MemoryWorld(World):
    """The back end in memory, which outlives its restarts."""

    backend: Any = None

    async def start(self, **options: Any) -> Any:
        """Start with what the store knows; jobs and sessions of before are still there."""
        if self.backend is None:
            self.backend = MemoryBackend(self.platform, Played)
        self._reader = asyncio.create_task(self._read(self.backend))
        active = sorted(
            (job for job in self.jobs.values() if job.state not in FINAL), key=lambda job: job.queued_at
        )
        await self.backend.start(Start(jobs=active))
        return self.backend

    async def end(self) -> None:
        """End all jobs, and leave no thread behind."""
        for job_id in list(self.jobs):
            await self.backend.cancel(job_id)
        await eventually(lambda: not self.backend.running, "no job runs")
        await self.stop()
        assert self.forbidden == []
