"""The words of an update, out of a step and what the runner said last. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from signal import SIGKILL
from typing import Any, Final

from aiinfn_hub.contract.states import FINAL, JobState
from aiinfn_hub.vkd.backends.common.attempt_files import ExitFacts
from aiinfn_hub.vkd.backends.common.exit_outcome import (
    error_of,
    judge,
    progress_of,
    values_of,
)
from aiinfn_hub.vkd.domain.backend import BackendJob, Update

from . import status_text
from .lifecycle import Step

_SIGNALS: Final = range(129, 160)
"""128 + N is how a container says that signal N ended it."""


def update_of(job: BackendJob, step: Step, records: Mapping[str, Any], now: datetime) -> Update:
    """Make the update that tells a step.

    Parameters
    ----------
    records
        What the runner told last, by type; only at the end of an attempt.
    """
    cause, message = step.cause, step.message
    error = error_of(records) if step.state is JobState.FAILED else None
    if step.own:
        code, signal = step.exit_code, step.signal
        if signal is None and code is not None and code in _SIGNALS and error is None:
            signal = code - 128
        started = step.started.timestamp() if step.started else None
        ended = (step.ended or now).timestamp()
        facts = ExitFacts(code, signal, started, ended, "exited")
        outcome = judge(facts, None, records, job.selection, rebooted=False)
        cause, message = outcome.cause, outcome.message
        if signal == SIGKILL and error is None:
            # cgroup v2 kills all of a container at once, and not every runtime says that it was for lack of memory.
            message = status_text.killed(job.selection)
    return Update(
        job_id=job.id,
        time=now,
        attempt=step.attempt,
        state=step.state,
        cause=cause,
        message=message,
        progress=progress_of(records) if step.state in FINAL else None,
        values=values_of(records),
        error=error,
        exit_code=step.exit_code,
        started=step.started,
        ended=step.ended,
    )
