"""Build the `Update` for each thing that happens to a job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiinfn_hub.contract.states import FINAL, Cause, JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.backends.common.exit_outcome import (
    Outcome,
    moment,
    plural,
    progress_of,
    values_of,
)
from aiinfn_hub.vkd.domain.backend import StartupEvent, Update

from .attempt import Attempt, Conclusion


class UpdateEmitter:
    """Makes the updates.

    Parameters
    ----------
    emit
        Takes each update.
    """

    def __init__(self, emit: Callable[[Update], None], clock: Callable[[], datetime]) -> None:
        self._emit = emit
        self._clock = clock

    def starting(self, run: Attempt) -> None:
        """Report that a job got its devices."""
        accelerator = run.job.selection.accelerator
        message = (
            Message("history.starting.on", place=plural(len(run.devices), accelerator.title))
            if accelerator
            else Message("history.starting")
        )
        self._emit(self._about(run, JobState.STARTING, Cause.PLACED, message, granted(run)))

    def running(self, run: Attempt, started: datetime | None) -> None:
        """Report that a job's process runs, once."""
        run.started = started
        if not run.up:
            run.up = True
            process = Message("startup.process")
            message = Message("history.running")
            self._emit(self._about(run, JobState.RUNNING, Cause.STARTED, message, process))

    def _about(self, run: Attempt, state: JobState, cause: Cause, message: Message, step: Message) -> Update:
        return Update(
            job_id=run.job.id,
            time=self._clock(),
            attempt=run.attempt,
            state=state,
            cause=cause,
            message=message,
            devices=run.devices,
            started=run.started,
            startup=(StartupEvent(run.started or self._clock(), step),),
        )

    def progress(self, run: Attempt) -> None:
        """Report what a running job said since the last call."""
        if not run.up:
            return
        progress, values = run.told()
        if progress is not None or values:
            self._emit(Update(run.job.id, self._clock(), run.attempt, progress=progress, values=values))

    def ended(self, run: Attempt, outcome: Outcome, conclusion: Conclusion) -> None:
        """Report how an attempt ended."""
        ended = conclusion.ended
        self._emit(
            Update(
                job_id=run.job.id,
                time=self._clock(),
                attempt=run.attempt,
                state=outcome.state,
                cause=outcome.cause,
                message=outcome.message,
                # A job that waits again starts over: how far it came is no news of it.
                progress=progress_of(conclusion.records) if outcome.state in FINAL else None,
                values=values_of(conclusion.records),
                error=outcome.error,
                exit_code=outcome.exit_code,
                devices=run.devices,
                started=moment(ended.started) if ended else None,
                ended=moment(ended.ended) if ended else None,
            )
        )

    def over(self, job_id: str, attempt: int, outcome: Outcome) -> None:
        """Report the end of a job that waited."""
        self._emit(Update(job_id, self._clock(), attempt, outcome.state, outcome.cause, outcome.message))


def granted(run: Attempt) -> Message:
    """Report what an attempt was given of this machine."""
    size, devices = run.job.selection.size, run.devices
    accelerator = run.job.selection.accelerator
    if accelerator is None or not devices:
        return Message("startup.granted", cores=size.cores, memory=size.memory)
    return Message(
        "startup.granted.devices",
        devices=plural(len(devices), accelerator.title),
        names=list(devices),
        cores=size.cores,
        memory=size.memory,
    )
