"""Where jobs are, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class JobState(StrEnum):
    """Where a job is. The last three are final."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL: Final = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    JobState.QUEUED: frozenset({JobState.STARTING, JobState.CANCELLED, JobState.FAILED}),
    JobState.STARTING: frozenset({JobState.RUNNING, JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.QUEUED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class Cause(StrEnum):
    """Why a job changed its state; a small fixed set, kept in its history."""

    SUBMITTED = "submitted"
    PLACED = "placed"
    """It got what it asked for and its process is being started."""
    STARTED = "started"
    COMPLETED = "completed"
    ERROR = "error"
    """Its own code ended with an error."""
    PREEMPTED = "preempted"
    """Its device was needed for a session; it waits again."""
    INTERRUPTED = "interrupted"
    """The platform was stopped under it; it waits again."""
    DEVICE_LOST = "device_lost"
    """Its device vanished; it waits again."""
    HELD = "held"
    """Its owner lost the access; it waits until that changes."""
    TIME_LIMIT = "time_limit"
    CANCELLED = "cancelled"
    LOST = "lost"
    """Its process disappeared without a word, e.g. the machine was restarted."""
    NEVER_FITS = "never_fits"
    START_FAILED = "start_failed"
