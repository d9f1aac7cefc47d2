"""States in words, for people: pure functions of what the store and the back end know.

No time of day stands in a sentence: the client shows times in the reader's zone, and a job's history has them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from aiinfn_hub.contract.runner import JobError, Progress
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.contract.sweeps import SweepProgress
from aiinfn_hub.contract.units import format_duration
from aiinfn_hub.vkd.domain.sweep_points import numbers

_AGAIN: Final = {
    Cause.PREEMPTED: "Made room for a session; waiting again",
    Cause.INTERRUPTED: "Stopped with the platform; waiting again",
    Cause.DEVICE_LOST: "Its device vanished; waiting again",
    Cause.LOST: "Its process disappeared; waiting again",
    Cause.HELD: "Stopped, because its owner lost the access",
    Cause.START_FAILED: "It could not be started; waiting again",
}

_FAILED: Final = {
    Cause.LOST: "Failed: its process disappeared",
    Cause.NEVER_FITS: "Failed: the platform does not have what it asks for",
    Cause.START_FAILED: "Failed: it could not be started",
    Cause.DEVICE_LOST: "Failed: its device vanished",
}


def ordinal(number: int) -> str:
    """Write a number as 1st, 2nd, 3rd, 4th, 11th, 21st."""
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def place(position: int | None, queue: str) -> str:
    """Return where in a queue a job is: "2nd in line in Opportunistic"."""
    if position is None:
        return f"in {queue}"
    line = "next in line" if position == 1 else f"{ordinal(position)} in line"
    return f"{line} in {queue}"


def job(
    state: JobState,
    cause: Cause,
    *,
    queue: str,
    position: int | None = None,
    reason: str | None = None,
    progress: Progress | None = None,
    attempt: int = 0,
    error: JobError | None = None,
    exit_code: int | None = None,
    time_limit: timedelta | None = None,
    cancelled_by: str | None = None,
    message: str = "",
) -> str:
    """Explain in one sentence where a job is.

    Parameters
    ----------
    queue
        Title of its queue.
    position
        Place in the queue, from 1; None while it is not known.
    reason
        Why it waits, where more than its place is known.
    cancelled_by
        Who asked for its end, if somebody did and it is not the owner; ``""`` if it is the owner.
    message
        What the back end said of the last change. Only it knows what happened to a process that is lost.
    """
    if cancelled_by is not None and state in {JobState.QUEUED, JobState.STARTING, JobState.RUNNING}:
        return "Being cancelled" + (f" by {cancelled_by}" if cancelled_by else "")
    match state:
        case JobState.QUEUED:
            where = place(position, queue)
            waiting = f"{_AGAIN[cause]}, {where}" if cause in _AGAIN else _waiting(position, where)
            return f"{waiting}; {reason}" if reason else waiting
        case JobState.STARTING:
            return "Starting" if attempt <= 1 else f"Starting again, {ordinal(attempt)} attempt"
        case JobState.RUNNING:
            return f"Running: cell {progress.cell} of {progress.cells}" if progress else "Running"
        case JobState.SUCCEEDED:
            return "Finished"
        case JobState.CANCELLED:
            return "Cancelled" + (f" by {cancelled_by}" if cancelled_by else "")
        case JobState.FAILED:
            if cause is Cause.LOST and message.startswith("Failed: "):
                return message.removesuffix(".")
            return _failed(cause, error, exit_code, time_limit)


TURN: Final = "it comes when others of its sweep have ended"
"""Why a point waits that is not in its queue yet."""


def sweep(
    state: JobState, cause: Cause, progress: SweepProgress, *, queue: str, cancelled_by: str | None = None
) -> str:
    """Explain in one sentence how far a sweep is: "Running: 37 of 100 points done, 8 running, 1 failed"."""
    done = f"{progress.over} of {progress.points} points done"
    details = "".join(
        f", {part}"
        for part in numbers(running=progress.running, failed=progress.failed, cancelled=progress.cancelled)
    )
    match state:
        case JobState.SUCCEEDED:
            return f"Finished: all {progress.points} points"
        case JobState.FAILED:
            return f"Finished, but {progress.failed} of {progress.points} points failed"
        case JobState.CANCELLED:
            by = f" by {cancelled_by}" if cancelled_by else ""
            return f"Cancelled{by}: {progress.succeeded} of {progress.points} points finished"
    if cancelled_by is not None:
        return f"Being cancelled{f' by {cancelled_by}' if cancelled_by else ''}: {done}"
    if state is JobState.QUEUED:
        why = f"{_AGAIN[cause]} in {queue}" if cause in _AGAIN else f"Waiting in {queue}"
        return f"{why}: {done}{details}"
    return f"{'Running' if state is JobState.RUNNING else 'Starting'}: {done}{details}"


def _waiting(position: int | None, where: str) -> str:
    return f"Waiting {where}" if position is None else f"Waiting: {where}"


def _failed(cause: Cause, error: JobError | None, exit_code: int | None, time_limit: timedelta | None) -> str:
    if cause is Cause.TIME_LIMIT:
        return "Stopped at its time limit" + (f" of {format_duration(time_limit)}" if time_limit else "")
    if cause in _FAILED:
        return _FAILED[cause]
    where = f" in cell {error.cell}" if error and error.cell is not None else ""
    if error and error.name:
        line = error.message.strip().splitlines()[0] if error.message.strip() else ""
        return f"Failed{where}: {error.name}" + (f": {_short(line)}" if line else "")
    if exit_code:
        return f"Failed with exit code {exit_code}"
    return "Failed"


def _short(text: str, length: int = 120) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable if len(printable) <= length else printable[: length - 1] + "…"


def would_start(count: int, title: str, free: int, ahead: int, queue: str) -> str:
    """Return what would happen to a job that is not submitted yet.

    Parameters
    ----------
    count, title
        Devices asked for; 0 for CPU only.
    free
        Devices of the kind that nobody holds.
    ahead
        Jobs that wait in the queue.
    """
    if ahead:
        return f"Waits behind {ahead} job{'s' if ahead != 1 else ''} in {queue}."
    if count == 0:
        return "Starts now, without an accelerator."
    if free >= count:
        return f"Starts now on {'a free' if count == 1 else f'{count} free'} {title}."
    return f"Waits for {'a free' if count == 1 else f'{count} free'} {title}, next in line in {queue}."
