"""The dispatcher: decide which job starts, follow each attempt to its end, and report what happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.backends.common.attempt_files import IntentKind, LocalFiles
from aiinfn_hub.vkd.backends.common.exit_outcome import (
    Outcome,
    moment,
    plural,
    unless_cancelled,
)
from aiinfn_hub.vkd.domain.backend import BackendJob, Holds, Update

from .attempt import Attempt, Conclusion
from .claim_store import Victim
from .devices import DeviceInventory
from .launch import NO_ROOM, Launcher
from .ledger import DeviceTakenError, HolderKind, Host, Ledger
from .scheduler import Fit, Line, UsageMeter, WaitingJob, weight_of
from .updates import UpdateEmitter

_log = logging.getLogger(__name__)
_HOLD_BACK: Final = 30.0
"""Seconds without starts after the host could not start a process: the queue must not fail job by job."""
_LOOK_FOR_ROOM: Final = 2.0
"""How often, meanwhile, a full disk is looked at again."""
_SETTLED: Final = 1.0
"""Seconds that a supervisor has to end after it told that its job cannot be started."""


class Dispatcher:
    """The jobs of the back end that are not final.

    Parameters
    ----------
    emit
        Takes each update.
    freed
        Called when devices or room became free: what comes next is not decided here alone, since sessions come first.

    Attributes
    ----------
    line
        The jobs that wait.
    runs
        The attempts that hold devices, by job id.
    closing
        Nothing starts any more.
    """

    def __init__(
        self,
        platform: Platform,
        files: LocalFiles,
        launcher: Launcher,
        clock: Callable[[], datetime],
        *,
        ledger: Ledger,
        host: Host,
        emit: Callable[[Update], None],
        freed: Callable[[], None],
    ) -> None:
        self._files = files
        self._launcher = launcher
        self._clock = clock
        self._ledger = ledger
        self._host = host
        self._tell = UpdateEmitter(emit, clock)
        self._freed = freed
        self._grace = platform.limits.grace.total_seconds()
        self._jobs: dict[str, BackendJob] = {}
        self._attempts: dict[str, int] = {}
        self._done: set[str] = set()
        self._pending: frozenset[str] = frozenset()
        self._names: frozenset[str] = frozenset()
        self._held_back_until = 0.0
        self.meter = UsageMeter(platform.limits.usage_half_life)
        self._holds = Holds()
        self._held: dict[str, WaitingJob] = {}
        self.line = Line()
        self.runs: dict[str, Attempt] = {}
        self.closing = False

    def adopt(self, platform: Platform) -> None:
        """Load a changed platform file. What runs keeps the grace period that it started with."""
        self._grace = platform.limits.grace.total_seconds()
        self.meter.half_life = platform.limits.usage_half_life

    # The line -----------------------------------------------------------------------------------------------------

    def knows(self, job_id: str) -> bool:
        """Return whether a job waits, runs, or ended since this vkd started."""
        return job_id in self._jobs or job_id in self._done

    def enqueue(self, job: BackendJob) -> None:
        """Put a job in line, at the place of its age; one that can never run fails instead."""
        self._jobs[job.id] = job
        self._attempts.setdefault(job.id, job.attempt)
        selection = job.selection
        waiting = WaitingJob(
            id=job.id,
            queue=selection.queue_name or "",
            project=selection.project,
            lane=selection.accelerator_name,
            priority=selection.priority,
            queued_at=job.queued_at,
            number=job.number,
            count=selection.count,
            cores=selection.size.cores,
            memory=selection.size.memory,
        )
        if self._holds.waits(selection):
            self._held[job.id] = waiting
            return
        self.line.add(waiting)
        self._fail_if_hopeless(waiting)

    def hold(self, holds: Holds) -> None:
        """Take jobs that are held out of the line, and put back those that are not held any more."""
        self._holds = holds
        for waiting in self.line.jobs():
            if holds.waits(self._jobs[waiting.id].selection):
                self.line.remove(waiting.id)
                self._held[waiting.id] = waiting
        for job_id, waiting in list(self._held.items()):
            if not holds.waits(self._jobs[job_id].selection):
                del self._held[job_id]
                self.line.add(waiting)
                self._fail_if_hopeless(waiting)
        self.stop_held()

    def stop_held(self) -> None:
        """Stop the attempts that may not go on."""
        for run in list(self.runs.values()):
            if run.intent is None and self._holds.stops(run.job.selection):
                run.stop(IntentKind.HOLD)

    def rank(self, project: str) -> float:
        """Return a project's use for the fair order."""
        return self.meter.value(project, self._clock())

    def restock(self, inventory: DeviceInventory) -> None:
        """Take in what devices there are now: stop jobs on lost ones, fail those that can never run."""
        self._ledger.stock(inventory.devices, inventory.offline, inventory.gone, inventory.simulated)
        self._names = frozenset(inventory.devices)
        self._pending = inventory.pending
        for holding in self._ledger.stranded():
            run = self.runs.get(holding.holder.partition(":")[2])
            if holding.kind is HolderKind.BATCH and run is not None:
                run.stop(IntentKind.DEVICE_LOST)
        self.fail_hopeless()

    def fail_hopeless(self) -> None:
        """Fail the waiting jobs that ask for more devices than there are."""
        for waiting in self.line.jobs():
            self._fail_if_hopeless(waiting)

    def _fail_if_hopeless(self, waiting: WaitingJob) -> None:
        if self._hopeless(waiting):
            selection = self._jobs[waiting.id].selection
            title = selection.accelerator.title if selection.accelerator else waiting.lane
            there = self._ledger.capacity(waiting.lane)
            message = (
                Message("failed.never_fits", devices=plural(waiting.count, title), there=there)
                if there or waiting.lane in self._names
                else Message("failed.no_such_device", accelerator=title)
            )
            self._end_waiting(waiting.id, Outcome(JobState.FAILED, Cause.NEVER_FITS, message))

    def _hopeless(self, waiting: WaitingJob) -> bool:
        if waiting.count == 0 or waiting.lane in self._pending:
            return False
        return waiting.count > self._ledger.capacity(waiting.lane)

    def start_jobs(self, blocked: set[str]) -> None:
        """Start every job whose turn it is, except in blocked lanes."""
        if self.closing or time.monotonic() < self._held_back_until:
            return
        now = self._clock()
        while waiting := self.line.next(lambda project: self.meter.value(project, now), self._fit, blocked):
            self._begin(waiting, now)

    def _fit(self, waiting: WaitingJob) -> Fit:
        if waiting.count and len(self._ledger.free(waiting.lane)) < waiting.count:
            return Fit.NO_DEVICE
        return Fit.YES if self._host.fits(waiting.cores, waiting.memory) else Fit.NO_ROOM

    # Attempts -----------------------------------------------------------------------------------------------------

    def _begin(self, waiting: WaitingJob, now: datetime) -> None:
        job = self._jobs[waiting.id]
        attempt = self._attempts[job.id] + 1
        devices = self._ledger.hold(_holder(job.id), HolderKind.BATCH, waiting.lane, waiting.count) or ()
        run = self._occupy(job, attempt, devices, now)
        self._tell.starting(run)
        run.task = asyncio.create_task(self._carry(run, fresh=True))

    def _occupy(self, job: BackendJob, attempt: int, devices: Sequence[str], began: datetime) -> Attempt:
        selection = job.selection
        self._jobs[job.id] = job
        self._attempts[job.id] = attempt
        self._host.take(job.id, selection.size.cores, selection.size.memory)
        weight = weight_of(selection.count, selection.size.cores)
        self.meter.begin(job.id, selection.project, weight, began)
        folder = self._files.attempt(job.id, attempt)
        run = Attempt(job, attempt, folder, tuple(devices), began, self._grace)
        self.runs[job.id] = run
        return run

    async def resume(self, job: BackendJob, attempts: Sequence[int]) -> None:
        """Take up a job where an earlier vkd left it.

        Parameters
        ----------
        attempts
            Those whose end or beginning the store does not know, in their order.
        """
        for attempt in attempts:
            self.line.remove(job.id)
            self._held.pop(job.id, None)
            folder = self._files.attempt(job.id, attempt)
            facts = await asyncio.to_thread(folder.run)
            spec = await asyncio.to_thread(folder.spec)
            devices = tuple(spec.get("devices", ()))
            began = moment(facts.started) if facts else None
            run = self._occupy(job, attempt, devices, began or self._clock())
            if attempt > job.attempt:
                self._tell.starting(run)
            run.up = attempt == job.attempt and job.state is JobState.RUNNING
            run.intent = await asyncio.to_thread(folder.intent)
            if facts is None and not await asyncio.to_thread(folder.abandon):
                facts = await asyncio.to_thread(folder.run)
            # If its guard is gone, but other processes of it are not yet, its devices are in use all the same.
            if facts is not None and (run.adopt(facts) or not await asyncio.to_thread(run.settled)):
                self._take_over_devices(run)
                run.task = asyncio.create_task(self._carry(run, fresh=False))
                return
            conclusion = await asyncio.to_thread(run.conclude)
            self._end(run, conclusion)
            if job.id not in self._jobs:
                return

    def _take_over_devices(self, run: Attempt) -> None:
        name = run.job.selection.accelerator_name
        try:
            self._ledger.adopt(_holder(run.job.id), HolderKind.BATCH, name, run.devices)
        except DeviceTakenError as taken:
            _log.error("Job %s is stopped: another has its device %s", run.job.id, taken)
            run.stop(IntentKind.DEVICE_LOST)
        if self._ledger.is_stranded(_holder(run.job.id)):
            run.stop(IntentKind.DEVICE_LOST)

    async def _carry(self, run: Attempt, *, fresh: bool) -> None:
        try:
            if fresh and (outcome := await self._launcher.launch(run)) is not None:
                self._end(run, Conclusion(None, outcome, {}))
                return
            await self._see_it_up(run)
            if run.watch is not None:
                await run.watch.gone.wait()
            await run.settle()
            self._end(run, await asyncio.to_thread(run.conclude))
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("Job %s cannot be followed", run.job.id)
            await self._drop(run)

    async def _drop(self, run: Attempt) -> None:
        """Abandon an attempt after a fault of ours, and free its devices not before its processes are gone."""
        if run.watch is not None:
            with contextlib.suppress(Exception):
                run.stop(IntentKind.INTERRUPT)
            await run.watch.gone.wait()
        await run.settle()
        message = Message("failed.platform")
        self._end(run, Conclusion(None, Outcome(JobState.FAILED, Cause.START_FAILED, message), {}))

    async def _see_it_up(self, run: Attempt) -> None:
        """Report that the job runs, once it does."""
        facts = await asyncio.to_thread(run.folder.run)
        if facts is None or run.watch is None:
            return
        if facts.child is None:
            # Either it cannot be started, and ends now, or only this fact could not be written.
            try:
                await asyncio.wait_for(run.watch.gone.wait(), _SETTLED)
            except TimeoutError:
                pass
            else:
                return
        self._tell.running(run, moment(facts.started))

    def _end(self, run: Attempt, conclusion: Conclusion) -> None:
        """Free what an attempt held and tell its end. If it never began, the job waits again."""
        job, ended = run.job, conclusion.ended
        if self.runs.get(job.id) is not run:
            return
        del self.runs[job.id]
        self._ledger.release(_holder(job.id))
        self._host.give_back(job.id)
        self.meter.end(
            job.id, job.selection.project, (moment(ended.ended) if ended else None) or self._clock()
        )
        run.let_go()
        outcome = conclusion.outcome or self._never_began(run)
        # Looked at here, where nothing comes between it and the telling: an order to cancel is never lost.
        outcome = unless_cancelled(outcome, run.intent, job.selection)
        if ended is not None and ended.started is not None:
            self._tell.running(run, moment(ended.started))
        if outcome.state is JobState.QUEUED and outcome.cause is Cause.START_FAILED:
            self._hold_back(full=outcome.message == NO_ROOM)
        self._tell.ended(run, outcome, conclusion)
        self._finish(job.id, outcome)
        run.over.set()
        self._freed()

    def _never_began(self, run: Attempt) -> Outcome:
        if run.task is not None:
            return self._launcher.never_began()
        return Outcome(JobState.QUEUED, Cause.INTERRUPTED, Message("again.vkd_restarted"))

    def _hold_back(self, *, full: bool) -> None:
        self._held_back_until = until = time.monotonic() + _HOLD_BACK
        loop = asyncio.get_running_loop()
        loop.call_later(_HOLD_BACK + 0.1, self._freed)

        def look_for_room() -> None:
            if self._held_back_until != until or self.closing or time.monotonic() >= until:
                return
            if self._launcher.has_room():
                self._held_back_until = 0.0
                self._freed()
            else:
                loop.call_later(_LOOK_FOR_ROOM, look_for_room)

        # What is full may be something else, such as a quota: then only the pause helps.
        if full and not self._launcher.has_room():
            loop.call_later(_LOOK_FOR_ROOM, look_for_room)

    def _finish(self, job_id: str, outcome: Outcome) -> None:
        """Put a job back in line or, if it is over, forget it."""
        if outcome.state is JobState.QUEUED:
            self.enqueue(self._jobs[job_id])
            return
        del self._jobs[job_id], self._attempts[job_id]
        self._done.add(job_id)

    def _end_waiting(self, job_id: str, outcome: Outcome) -> None:
        self.line.remove(job_id)
        self._held.pop(job_id, None)
        self._tell.over(job_id, self._attempts[job_id], outcome)
        self._finish(job_id, outcome)

    def tell_progress(self) -> None:
        """Report what the running jobs said since the last call."""
        for run in list(self.runs.values()):
            self._tell.progress(run)

    # Stopping -----------------------------------------------------------------------------------------------------

    def cancel(self, job_id: str) -> None:
        """Stop a job for good, wherever it is."""
        if job_id in self.line or job_id in self._held:
            outcome = Outcome(JobState.CANCELLED, Cause.CANCELLED, Message("history.cancelled.waiting"))
            self._end_waiting(job_id, outcome)
        elif (run := self.runs.get(job_id)) is not None:
            run.stop(IntentKind.CANCEL)

    def forget(self, job_id: str) -> bool:
        """Forget that a job ever was; False if it is not over."""
        self._done.discard(job_id)
        return job_id not in self._jobs

    def _on(self, accelerator: str) -> Iterator[Attempt]:
        return (run for run in self.runs.values() if run.job.selection.accelerator_name == accelerator)

    def victims(self, accelerator: str) -> list[Victim]:
        """List the jobs that could make room for a session."""
        return [
            Victim(run.job.id, devices, run.job.selection.priority, run.began)
            for run in self._on(accelerator)
            if run.intent is None and (devices := self._ledger.usable(_holder(run.job.id)))
        ]

    def stopping(self, accelerator: str) -> int:
        """Count the devices that jobs hold which are being stopped."""
        return sum(
            self._ledger.usable(_holder(run.job.id))
            for run in self._on(accelerator)
            if run.intent is not None
        )

    def preempt(self, job_id: str) -> None:
        """Have a job make room for a session."""
        self.runs[job_id].stop(IntentKind.PREEMPT)

    async def interrupt(self, patience: float) -> None:
        """Stop all attempts and wait for their ends; nothing starts after it."""
        self.closing = True
        runs = list(self.runs.values())
        for run in runs:
            run.stop(IntentKind.INTERRUPT)
        if runs:
            waits = [asyncio.create_task(run.over.wait()) for run in runs]
            _, late = await asyncio.wait(waits, timeout=self._grace + patience)
            for wait in late:
                wait.cancel()

    async def let_go(self) -> None:
        """Stop following the attempts without ending them."""
        self.closing = True
        tasks = [run.task for run in self.runs.values() if run.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for run in self.runs.values():
            run.let_go()


def _holder(job_id: str) -> str:
    return f"job:{job_id}"
